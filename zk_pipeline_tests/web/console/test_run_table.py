"""What the console says a run did: nothing that was planned and not written passes for success."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.operate.runs import RunDetails
from zk_pipeline.web.console import runs as run_table
from zk_pipeline.web.console.words import Language, Words

WORDS = Words(Language.ENGLISH, ZoneInfo("Europe/Berlin"))
DAY = date(2025, 10, 1)


def run(counts: Mapping[str, int], *, carried_out: bool = True) -> RunDetails:
    now = datetime(2025, 10, 2, tzinfo=UTC)
    return RunDetails("run-1", DAY, DAY, "success", counts, now, 3, carried_out, "", "")


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"created": 1200, "linked": 1}, "created 1,200 · linked 1"),
        ({"unapproved": 3}, "waiting for approval 3"),
        ({"withheld": 4}, "not written: writing is off 4"),
        ({"undone": 5, "left": 2}, "taken back 5 · left as they were 2"),
        ({"in_sync": 7}, "Nothing to write"),
    ],
)
def test_a_run_tells_what_it_did_and_what_it_left(counts: Mapping[str, int], told: str):
    assert run_table.counts(WORDS, run(counts)) == told


def test_a_run_that_carried_nothing_out_does_not_say_that_there_was_nothing_to_write():
    assert run_table.counts(WORDS, run({"entries": 3}, carried_out=False)) == "Nothing was written"


def test_what_ended_well_without_writing_everything_is_said_in_sentences():
    runs = [run({"created": 2, "unapproved": 1}), run({"unapproved": 2, "left": 1})]
    waiting, left = run_table.shortfalls(WORDS, runs)
    assert waiting.startswith("Not everything was written: 3 wait for approval.")
    assert left.startswith("Not everything was written: 1 changed since they were planned.")
    assert run_table.shortfalls(WORDS, [run({"withheld": 4})])[0].startswith("Nothing was written: writing is switched")
    assert run_table.shortfalls(WORDS, [run({"created": 2})]) == []


def test_a_failed_try_before_the_one_that_did_it_is_not_counted():
    assert run_table.shortfalls(WORDS, [run({"unapproved": 1}, carried_out=False), run({"created": 1})]) == []
