"""Which tickets should bear what, as pure rules: modes, templates, what is billed, lacking and wrong."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from zk_pipeline.domain.write_back import (
    Because,
    Standing,
    TicketMonth,
    WriteBackLimits,
    WriteBackMode,
    WriteKind,
    WriteOperation,
    checked_template,
    due_again,
    note_text,
    planned,
    write_back_modes,
)

OCTOBER, NOVEMBER = date(2025, 10, 1), date(2025, 11, 1)
TAG, NOTE = WriteKind.TAG, WriteKind.NOTE
ADD, REMOVE = WriteOperation.ADD, WriteOperation.REMOVE
CLOSED = TicketMonth("11", "57011", OCTOBER, Decimal(195), 2, 0, 0, closing="ab12cd34ef567890", closing_id=3)
EXPORTED = TicketMonth("12", "57012", OCTOBER, Decimal(30), 1, 1, 0)


def bears(fact: TicketMonth, kind: WriteKind = TAG, content: str = "billed:2025-10", *, ours: bool = True) -> Standing:
    return Standing(7, fact.ticket_id, fact.number, fact.month, kind, content, ours)


def test_each_kind_has_its_mode_and_what_is_not_named_is_off() -> None:
    assert write_back_modes("off") == {TAG: WriteBackMode.OFF, NOTE: WriteBackMode.OFF}
    assert write_back_modes(" Auto ") == {TAG: WriteBackMode.AUTO, NOTE: WriteBackMode.AUTO}
    assert write_back_modes("tag=auto, note=propose") == {TAG: WriteBackMode.AUTO, NOTE: WriteBackMode.PROPOSE}
    assert write_back_modes("note=auto") == {TAG: WriteBackMode.OFF, NOTE: WriteBackMode.AUTO}


@pytest.mark.parametrize("text", ["", "on", "tag", "tag=yes", "time=auto", "tag:auto", "tag=auto;note=off"])
def test_any_other_mode_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither off, propose or auto"):
        write_back_modes(text)


@pytest.mark.parametrize(
    "text", ["billed", "{year}", "{month", "a,{month}", " {month}", "{month}\n", "x" * 95 + "{month}"]
)
def test_a_template_that_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"template|tag"):
        checked_template(text)


def test_a_ticket_is_billed_when_its_month_is_closed_or_all_of_it_is_exported() -> None:
    assert CLOSED.billed is Because.CLOSED
    assert EXPORTED.billed is Because.EXPORTED
    assert replace(CLOSED, closing="").billed is None
    assert replace(CLOSED, sheets=0).billed is None
    assert replace(EXPORTED, sheets=2).billed is None
    assert replace(EXPORTED, waiting=1).billed is None
    assert replace(CLOSED, waiting=1).billed is Because.CLOSED


def test_billed_tickets_get_their_tag_once_and_the_newest_month_comes_first() -> None:
    later = replace(CLOSED, month=NOVEMBER)
    lines = planned([EXPORTED, CLOSED, later], [], {TAG})
    assert [(line.number, line.content, line.operation, line.because) for line in lines] == [
        ("57011", "billed:2025-11", ADD, Because.CLOSED),
        ("57011", "billed:2025-10", ADD, Because.CLOSED),
        ("57012", "billed:2025-10", ADD, Because.EXPORTED),
    ]
    assert planned([CLOSED], [bears(CLOSED)], {TAG}) == []
    assert planned([CLOSED], [bears(CLOSED, ours=False)], {TAG}) == []


def test_a_tag_of_ours_that_is_no_longer_true_is_taken_off_and_nobody_elses() -> None:
    reopened = replace(CLOSED, closing="")
    (line,) = planned([reopened], [bears(CLOSED)], {TAG})
    assert (line.operation, line.because, line.replaces, line.content) == (
        REMOVE,
        Because.NOT_BILLED,
        7,
        "billed:2025-10",
    )
    assert planned([reopened], [bears(CLOSED, ours=False)], {TAG}) == []
    assert [line.operation for line in planned([], [bears(CLOSED)], {TAG})] == [REMOVE]


def test_another_template_replaces_the_tag() -> None:
    lines = planned([CLOSED], [bears(CLOSED)], {TAG}, template="invoiced {month}")
    assert {(line.operation, line.content) for line in lines} == {(ADD, "invoiced 2025-10"), (REMOVE, "billed:2025-10")}


def test_a_note_is_written_once_for_a_ticket_and_month_and_stays() -> None:
    (line,) = planned([CLOSED], [], {NOTE})
    noted = bears(CLOSED, NOTE, line.content)
    assert planned([replace(CLOSED, minutes=Decimal(10))], [noted], {NOTE}) == []
    assert planned([], [noted], {NOTE}) == []


def test_a_kind_that_is_off_is_neither_added_nor_taken_off() -> None:
    assert planned([CLOSED], [], set()) == []
    assert planned([], [bears(CLOSED)], {NOTE}) == []


def test_a_note_says_hours_statement_and_invoice_as_far_as_they_are_known() -> None:
    assert note_text(CLOSED, "en") == "Billed 2025-10: 3 h 15, statement ab12cd34ef56. [zk-billed-2025-10]"
    told = replace(CLOSED, invoice="R-2025-114")
    assert note_text(told, "de") == (
        "Abgerechnet 2025-10: 3 h 15, Nachweis ab12cd34ef56, Rechnung R-2025-114. [zk-billed-2025-10]"
    )
    assert note_text(EXPORTED, "fr") == "Facturé 2025-10 : 30 min. [zk-billed-2025-10]"


def test_the_same_facts_have_the_same_hash_and_another_closing_has_another() -> None:
    def hashed(fact: TicketMonth) -> str:
        (line,) = planned([fact], [], {TAG})
        return line.facts_hash

    assert hashed(CLOSED) == hashed(replace(CLOSED, minutes=Decimal(5), sheets=3))
    assert hashed(CLOSED) != hashed(replace(CLOSED, closing_id=4))
    assert hashed(EXPORTED) != hashed(replace(EXPORTED, closing="ab12", closing_id=4))


def test_more_than_the_limits_allow_waits_for_a_person() -> None:
    lines = [*planned([CLOSED, EXPORTED], [], {TAG}), *planned([], [bears(CLOSED)], {TAG})]
    assert not WriteBackLimits(3, 1).exceeded(lines)
    assert WriteBackLimits(2, 1).exceeded(lines)
    assert WriteBackLimits(3, 0).exceeded(lines)


def test_a_refused_write_is_tried_later_and_later_and_at_least_once_a_day() -> None:
    now = datetime(2025, 11, 3, tzinfo=UTC)
    assert due_again(1, now) == now + timedelta(minutes=2)
    assert due_again(3, now) == now + timedelta(minutes=8)
    assert due_again(99, now) == now + timedelta(days=1)
