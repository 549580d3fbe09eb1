"""The plan of an undo: what each write's reverse is, and why a write is left."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.decision import owned
from zk_pipeline.domain.ledger import Desired, JournalEntry, MasterDataName, Operation, StoredJournalEntry
from zk_pipeline.domain.records import Timesheet, TimesheetChange
from zk_pipeline.domain.undo import CurrentState, Reversal, UndoStep, asked_before, change_back, plan, step
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline_tests.domain.builders import BERLIN, DAY, at, ours, timesheet

AFTER = ours(100)
BEFORE = replace(AFTER, duration_seconds=1800, end=AFTER.begin + timedelta(minutes=30))
TYPED = timesheet(100, description="#50 paper")
LINKED = replace(TYPED, description="#50 paper [zk-zammad-6]")
TOMORROW = DAY + timedelta(days=1)


def written(
    operation: str, before: Timesheet | None = None, after: Timesheet | None = None, **more: Any
) -> StoredJournalEntry:
    """A write about booking 6 and time sheet 100."""
    number = more.pop("id", 1)
    entry = JournalEntry(operation, "6", 100, DAY, before, after)
    return StoredJournalEntry(number, "run", replace(entry, **more), datetime(2025, 8, 17, tzinfo=UTC), None)


def present(*rows: Timesheet, bound: Mapping[str, int] | None = None, first_open: date | None = None) -> CurrentState:
    """What stands now."""
    return CurrentState({row.id: row for row in rows}, bound or {}, "zammad", WriteProtection(BERLIN, first_open))


CREATE = written("create", None, AFTER)
UPDATE = written("update", BEFORE, AFTER)
LINK = written("link", TYPED, LINKED)
DELETE = written("delete", AFTER)


@pytest.mark.parametrize(
    ("write", "now", "expected"),
    [
        (CREATE, present(AFTER), Reversal.DELETE),
        (UPDATE, present(AFTER), Reversal.RESTORE),
        (LINK, present(LINKED), Reversal.UNLINK),
        (DELETE, present(), Reversal.CREATE),
        (written("create_customer", named=MasterDataName("zammad-org-7", "Acme")), present(), Reversal.REMOVE),
        (written("create_project", named=MasterDataName("ZO7", "Acme")), present(), Reversal.REMOVE),
    ],
    ids=lambda value: getattr(getattr(value, "entry", None), "operation", None),
)
def test_each_write_has_its_reverse(write: StoredJournalEntry, now: CurrentState, expected: Reversal) -> None:
    found = step(write, now)
    assert (found.reversal, found.already) == (expected, False)


@pytest.mark.parametrize(
    ("write", "now", "expected"),
    [
        (CREATE, present(), Reversal.DELETE),
        (UPDATE, present(), Reversal.NOTHING),
        (UPDATE, present(BEFORE), Reversal.RESTORE),
        (LINK, present(), Reversal.NOTHING),
        (LINK, present(TYPED), Reversal.UNLINK),
    ],
)
def test_what_is_as_it_was_counts_as_undone(write: StoredJournalEntry, now: CurrentState, expected: Reversal) -> None:
    found = step(write, now)
    assert (found.reversal, found.already) == (expected, True)


@pytest.mark.parametrize("write", [CREATE, UPDATE, LINK], ids=lambda write: write.entry.operation)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exported": True}, "It is exported, and so billed."),
        ({"user_id": 11}, "It was edited since: user 10 → 11."),
        ({"activity_id": 21}, "It was edited since: activity 20 → 21."),
        ({"project_id": 41}, "It was edited since: project 40 → 41."),
        ({"duration_seconds": 901}, "It was edited since: duration 900 → 901."),
    ],
)
def test_what_is_billed_or_was_edited_is_left(write: StoredJournalEntry, change: dict[str, Any], reason: str) -> None:
    assert write.entry.after is not None
    found = step(write, present(replace(write.entry.after, **change)))
    assert (found.reversal, found.text) == (Reversal.LEAVE, reason)


@pytest.mark.parametrize("write", [CREATE, UPDATE, LINK, DELETE], ids=lambda write: write.entry.operation)
def test_what_lies_in_a_closed_period_is_left(write: StoredJournalEntry) -> None:
    rows = [write.entry.after] if write.entry.after else []
    found = step(write, present(*rows, first_open=TOMORROW))
    assert (found.reversal, found.text) == (
        Reversal.LEAVE,
        "2025-08-16 is closed: nothing is written before 2025-08-17.",
    )


def test_an_update_that_moved_out_of_a_closed_period_is_left() -> None:
    moved = replace(AFTER, begin=at("2025-08-20T08:00"), end=at("2025-08-20T08:15"))
    found = step(written("update", AFTER, moved), present(moved, first_open=TOMORROW))
    assert found.reversal is Reversal.LEAVE


def test_text_tags_and_billable_of_people_outlive_an_undone_update() -> None:
    edited = replace(AFTER, description="else", tags=("vip",), billable=False)
    assert step(UPDATE, present(edited)).reversal is Reversal.RESTORE


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"description": "else"}, "People edited its description since."),
        ({"tags": ("vip",)}, "People edited its tags since."),
        ({"billable": False}, "People edited its billable flag since."),
        ({"tags": ("vip",), "billable": False}, "People edited its tags, billable flag since."),
    ],
)
def test_a_new_time_sheet_on_which_people_worked_is_left(edit: dict[str, Any], told: str) -> None:
    found = step(CREATE, present(replace(AFTER, **edit)))
    assert (found.reversal, found.text) == (Reversal.LEAVE, told)


def test_a_linked_text_that_was_edited_is_left() -> None:
    edited = replace(LINKED, description=f"{LINKED.description} and toner")
    assert step(LINK, present(edited)).text == "Its description was edited since."


def test_a_time_sheet_that_may_not_be_read_is_left_and_not_taken_for_gone() -> None:
    found = step(CREATE, replace(present(), hidden={100: "A permission is missing."}))
    assert (found.reversal, found.text) == (Reversal.LEAVE, "A permission is missing.")


def test_a_booking_that_has_a_time_sheet_gets_no_second_one() -> None:
    found = step(DELETE, present(bound={"6": 107}))
    assert (found.reversal, found.text) == (
        Reversal.LEAVE,
        "Booking 6 has the time sheet 107; a second one is not created.",
    )


def test_a_deleted_time_sheet_without_ledger_is_known_by_its_marker() -> None:
    unbound = written("delete", AFTER, source_id=None)
    assert step(unbound, present()).reversal is Reversal.CREATE
    assert step(unbound, present(bound={"6": 99})).reversal is Reversal.LEAVE
    nameless = written("delete", timesheet(100), source_id=None)
    assert step(nameless, present()).reversal is Reversal.LEAVE


@pytest.mark.parametrize("operation", [Operation.UNLINK, Operation.DELETE_CUSTOMER, Operation.DELETE_PROJECT])
def test_writes_of_an_undo_are_left_to_the_next_sync(operation: Operation) -> None:
    assert step(written(operation), present()).reversal is Reversal.LEAVE


def test_the_newest_write_comes_first_and_master_data_last() -> None:
    customer = written("create_customer", id=1, named=MasterDataName("zammad-org-7", "Acme"))
    project = written("create_project", id=2, named=MasterDataName("ZO7", "Acme"))
    first, second = written("create", None, AFTER, id=3), written("create", None, AFTER, id=5)
    later = written("create_project", id=4, named=MasterDataName("ZO8", "Globex"))
    steps = plan([customer, project, first, later, second], present())
    assert [found.write.id for found in steps] == [5, 3, 4, 2, 1]


def test_what_was_undone_is_not_planned_again() -> None:
    assert plan([replace(CREATE, undone_by="undo")], present(AFTER)) == []


def test_only_the_fields_that_the_write_changed_are_sent_back() -> None:
    assert change_back(UPDATE.entry) == TimesheetChange(begin=BEFORE.begin, end=BEFORE.end)
    other_user = written("update", replace(AFTER, user_id=11), AFTER)
    assert change_back(other_user.entry) == TimesheetChange(user_id=11)


def test_what_counts_as_asked_is_what_stands_there_again() -> None:
    asked = Desired(10, 20, 40, "ZO7", at("2025-08-16T07:58"), 900)
    assert asked_before(asked, UPDATE.entry) == replace(asked, seconds=1800)
    moved = written("update", replace(AFTER, project_id=41), AFTER)
    assert asked_before(asked, moved.entry) == replace(asked, project_id=41, project_number="")


EDITS = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from([10, 11]),
        "duration_seconds": st.sampled_from([900, 1800]),
        "exported": st.booleans(),
        "description": st.sampled_from(["", LINKED.description, AFTER.description]),
    },
)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[StoredJournalEntry], dict[int, Timesheet]]:
    """The writes of a run, one for each time sheet, and what people made of the rows since."""
    writes: list[StoredJournalEntry] = []
    rows: dict[int, Timesheet] = {}
    for number, kind in enumerate(draw(st.lists(st.sampled_from([CREATE, UPDATE, LINK, DELETE]), max_size=8)), 100):
        before, after = (row and replace(row, id=number) for row in (kind.entry.before, kind.entry.after))
        entry = replace(kind.entry, kimai_id=number, source_id=str(number), before=before, after=after)
        writes.append(replace(kind, id=number, entry=entry))
        if after is not None and draw(st.integers(0, 4)):
            rows[number] = replace(after, **draw(EDITS))
    return writes, rows


def carried_out(steps: list[UndoStep], rows: Mapping[int, Timesheet]) -> tuple[dict[int, Timesheet], dict[str, int]]:
    """What stands after the steps: the time sheets, and those of the bookings that were created again."""
    found, bound = dict(rows), dict[str, int]()
    for number, taken in enumerate(steps, 1000):
        entry = taken.write.entry
        match taken.reversal:
            case Reversal.DELETE:
                found.pop(entry.kimai_id, None)
            case Reversal.RESTORE:
                found[entry.kimai_id] = changed(found[entry.kimai_id], change_back(entry))
            case Reversal.UNLINK if entry.before:
                found[entry.kimai_id] = replace(found[entry.kimai_id], description=entry.before.description)
            case Reversal.CREATE if entry.before:
                found[number] = replace(entry.before, id=number)
                bound[entry.source_id or ""] = number
            case _:
                pass
    return found, bound


def changed(row: Timesheet, change: TimesheetChange) -> Timesheet:
    """The time sheet as the target has it after the change."""
    begin, end = change.begin or row.begin, change.end or row.begin + timedelta(seconds=row.duration_seconds)
    return replace(
        row,
        user_id=change.user_id or row.user_id,
        begin=begin,
        end=end,
        duration_seconds=int((end - begin).total_seconds()),
    )


@given(runs())
def test_after_an_undo_there_is_nothing_more_to_do(run: tuple[list[StoredJournalEntry], dict[int, Timesheet]]) -> None:
    writes, rows = run
    steps = plan(writes, present(*rows.values()))
    found, bound = carried_out(steps, rows)
    again = plan(writes, present(*found.values(), bound=bound))
    assert [taken for taken in again if taken.reversal is not Reversal.LEAVE and not taken.already] == []


@given(runs())
def test_an_undo_touches_nothing_that_is_billed_or_was_edited(
    run: tuple[list[StoredJournalEntry], dict[int, Timesheet]],
) -> None:
    writes, rows = run
    found, _ = carried_out(plan(writes, present(*rows.values())), rows)
    after = {write.entry.kimai_id: write.entry.after for write in writes}
    for number, row in rows.items():
        left = after[number]
        assert left is not None
        if row.exported or owned(row) != owned(left):
            assert owned(found[number]) == owned(row)
