"""What the console says a run did: nothing that was planned and not written passes for success."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.languages import Language
from zk_pipeline.operate.runs import RunDetails
from zk_pipeline.web.console import runs as run_table
from zk_pipeline.web.console.words import Words

WORDS = Words(Language.ENGLISH, ZoneInfo("Europe/Berlin"))
DAY = date(2025, 10, 1)


def run(counts: Mapping[str, int], *, carried_out: bool = True) -> RunDetails:
    now = datetime(2025, 10, 2, tzinfo=UTC)
    return RunDetails("run-1", DAY, DAY, "success", counts, now, 3, carried_out, "", "")


@pytest.mark.parametrize(
    ("counts", "texts"),
    [
        ({"created": 1200, "linked": 1}, ["1,200 created", "1 linked"]),
        ({"entries": 9, "planned": 3, "unapproved": 3}, ["9 read", "3 planned", "3 waiting for approval"]),
        ({"withheld": 4}, ["4 not written: writing is off"]),
        ({"undone": 5, "left": 2}, ["5 taken back", "2 left as they were"]),
        ({"mended": 1}, ["1 changed in Kimai"]),
        ({"tagged": 40}, ["40 tagged"]),
        ({"in_sync": 7}, []),
    ],
)
def test_a_run_tells_what_it_did_and_what_it_left(counts: Mapping[str, int], texts: list[str]):
    assert list(run_table.counts(WORDS, run(counts)).values()) == texts


@pytest.mark.parametrize(
    ("counts", "status", "carried_out", "texts"),
    [
        ({"created": 3}, "success", True, ("Done", "good")),
        ({"created": 3, "parked": 2}, "success", True, ("Done, 2 refused", "warn")),
        ({"created": 3, "failed": 1}, "success", True, ("Done, 1 refused", "warn")),
        ({"unapproved": 4}, "success", True, ("Done, 4 not written", "warn")),
        ({"entries": 4, "planned": 4}, "success", False, ("Planned only", "info")),
        ({"created": 3}, "unknown", True, ("Done", "good")),
        ({"created": 3}, "unknown", False, ("Dagster does not answer", "calm")),
        ({"created": 3, "parked": 2}, "failure", False, ("Failed", "bad")),
    ],
)
def test_a_run_that_was_refused_something_or_left_something_is_not_simply_done(
    counts: Mapping[str, int], status: str, carried_out: bool, texts: tuple[str, str]
):
    assert run_table.verdict(WORDS, replace(run(counts, carried_out=carried_out), status=status)) == texts


def test_what_ended_well_without_writing_everything_is_said_in_sentences():
    runs = [run({"created": 2, "unapproved": 1}), run({"unapproved": 2, "left": 1})]
    waiting, left = run_table.shortfalls(WORDS, runs)
    assert waiting.startswith("Not everything was written: 3 wait for approval.")
    assert left.startswith("Not everything was written: 1 changed since they were planned.")
    assert run_table.shortfalls(WORDS, [run({"withheld": 4})])[0].startswith("Nothing was written: writing is switched")
    assert run_table.shortfalls(WORDS, [run({"created": 2})]) == []
    (refused,) = run_table.shortfalls(WORDS, [run({"created": 2, "parked": 1})])
    assert refused == "Not everything was written: Kimai refused 1. To do says why."


def test_a_failed_try_before_the_one_that_did_it_is_not_counted():
    assert run_table.shortfalls(WORDS, [run({"unapproved": 1}, carried_out=False), run({"created": 1})]) == []
