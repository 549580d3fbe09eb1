"""Every cell of the table of decisions, for each field that is ours, through the plan of a day."""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.mapping import Mappings
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.policy import Policy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.reconcile import Reconciler
from zk_pipeline.domain.records import Activity, Customer, Project, TargetUser, Timesheet
from zk_pipeline_tests.domain.builders import (
    ACME,
    ACME_PROJECT,
    ANNA,
    BEN,
    DAY,
    POLICY,
    SUPPORT,
    TRAVEL,
    at,
    entry,
    excluded,
    inputs,
    ledger_row,
    ours,
    resolver,
    target_directory,
)

CLARA = TargetUser(12, "clara", "clara@example.org", "Clara Agent", enabled=True, timezone="UTC")
TRAINING = Activity(22, "Training", None, None, visible=True)
GLOBEX = Customer(31, "Globex", "zammad-org-8", visible=True)
GLOBEX_PROJECT = replace(ACME_PROJECT, id=41, name="Globex", number="ZO8", customer_id=GLOBEX.id)
INITECH_PROJECT: Project = replace(ACME_PROJECT, id=42, name="Initech", number="ZO9")
DIRECTORY = target_directory(
    users=(ANNA, BEN, CLARA),
    customers=(ACME, GLOBEX),
    projects=(ACME_PROJECT, GLOBEX_PROJECT, INITECH_PROJECT),
    activities=(SUPPORT, TRAVEL, TRAINING),
)
MAPPINGS = Mappings(activities={("3", None): SUPPORT.id, ("4", None): TRAVEL.id})
DELETING = replace(POLICY, delete_unwanted=True)


class Lock(StrEnum):
    """Whether the time sheet may still be written."""

    OPEN = "open"
    EXPORTED = "exported"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of ours: an edit of the booking, the same edit of the time sheet, and another one."""

    name: str
    booking: dict[str, Any]
    same_way: dict[str, Any]
    otherwise: dict[str, Any]


FIELDS = (
    Field(
        "user",
        {"agent_id": "2", "user_email": BEN.email, "user_name": "Ben Agent"},
        {"user_id": BEN.id},
        {"user_id": CLARA.id},
    ),
    Field(
        "begin",
        {"begin": "2025-08-16T09:00"},
        {"begin": "2025-08-16T09:00"},
        {"begin": "2025-08-16T10:00"},
    ),
    Field("duration", {"minutes": "30"}, {"minutes": 30}, {"minutes": 5}),
    Field(
        "project",
        {"organization_id": "8", "organization_name": "Globex"},
        {"project_id": GLOBEX_PROJECT.id},
        {"project_id": INITECH_PROJECT.id},
    ),
    Field(
        "activity",
        {"activity_type_id": "4", "activity_name": "Travel"},
        {"activity_id": TRAVEL.id},
        {"activity_id": TRAINING.id},
    ),
)
BOOKINGS: dict[str, Entry | None] = {
    "same": entry(),
    **{field.name: entry(**field.booking) for field in FIELDS},
    "corrected to nothing": excluded(booked="15"),
    "gone": None,
}
TIMESHEETS: dict[str, Timesheet | None] = {
    "same": ours(),
    **{f"{field.name} same way": ours(**field.same_way) for field in FIELDS},
    **{f"{field.name} otherwise": ours(**field.otherwise) for field in FIELDS},
    "deleted": None,
}
CELLS = list(product(BOOKINGS, TIMESHEETS, Lock))

Verdict = tuple[Status, Action, Reason | None]


def review(status: Status, reason: Reason) -> Verdict:
    return (status, Action.REVIEW, reason)


IN_SYNC: Verdict = (Status.IN_SYNC, Action.NONE, None)
NEW_BASE: Verdict = (Status.IN_SYNC, Action.LINK, None)
UPDATE: Verdict = (Status.MISMATCH, Action.UPDATE, None)
DELETED_IN_KIMAI = review(Status.MISSING, Reason.DELETED_IN_KIMAI)
LOCKED_PERIOD = review(Status.MISSING, Reason.LOCKED_PERIOD)
BILLED = review(Status.MISMATCH, Reason.BILLED)
ORPHAN_BILLED = review(Status.ORPHANED, Reason.BILLED)
DONE: Verdict | None = None

TABLE: dict[tuple[str, str], tuple[Verdict | None, Verdict | None]] = {
    ("same", "same"): (IN_SYNC, IN_SYNC),
    ("same", "edited"): (review(Status.MISMATCH, Reason.KIMAI_EDITED), IN_SYNC),
    ("same", "deleted"): (DELETED_IN_KIMAI, DELETED_IN_KIMAI),
    ("edited", "same"): (UPDATE, BILLED),
    ("edited", "edited the same way"): (NEW_BASE, NEW_BASE),
    ("edited", "edited"): (review(Status.MISMATCH, Reason.BOTH_CHANGED), BILLED),
    ("edited", "deleted"): (DELETED_IN_KIMAI, DELETED_IN_KIMAI),
    ("gone", "same"): (review(Status.ORPHANED, Reason.DELETED_IN_ZAMMAD), ORPHAN_BILLED),
    ("gone", "edited"): (review(Status.ORPHANED, Reason.BOTH_CHANGED), ORPHAN_BILLED),
    ("gone", "deleted"): (DONE, DONE),
}
"""Zammad and Kimai since base, and the verdicts on an open and on a locked time sheet."""


def row_of_table(booking: str, sheet: str) -> tuple[str, str]:
    """The row of the table to which a cell belongs."""
    since = {"same": "same", "gone": "gone", "corrected to nothing": "gone"}.get(booking, "edited")
    if sheet in {"same", "deleted"}:
        return (since, sheet)
    return (since, "edited the same way" if sheet == f"{booking} same way" else "edited")


def plan(booking: Entry | None, sheet: Timesheet | None, lock: Lock, policy: Policy = POLICY) -> PlanLine | None:
    """The line about the booking and its time sheet, which were alike when they were written."""
    if sheet is not None and lock is Lock.EXPORTED:
        sheet = replace(sheet, exported=True)
    facts = inputs(
        *([booking] if booking else []),
        ledger=(ledger_row(),),
        timesheets=(sheet,) if sheet else (),
        gone=frozenset() if sheet else frozenset({100}),
        locked_before=DAY + timedelta(days=1) if lock is Lock.CLOSED else None,
    )
    lines = Reconciler("zammad", resolver(DIRECTORY, MAPPINGS, policy), policy).day(facts)
    assert len(lines) <= 1
    return lines[0] if lines else None


def verdict(line: PlanLine | None) -> Verdict | None:
    """What the plan says, where it says that anything is left to be looked at."""
    if line is None or line.status is Status.EXCLUDED:
        return DONE
    return (line.status, line.action, line.reason)


@pytest.mark.parametrize(("booking", "sheet", "lock"), CELLS)
def test_a_cell_of_the_table_is_decided_as_the_table_says(booking: str, sheet: str, lock: Lock) -> None:
    when_open, when_locked = TABLE[row_of_table(booking, sheet)]
    expected = when_open if lock is Lock.OPEN else when_locked
    if lock is Lock.CLOSED and expected == DELETED_IN_KIMAI:
        expected = LOCKED_PERIOD  # Nothing can be created there again, but its time can be booked elsewhere.
    assert verdict(plan(BOOKINGS[booking], TIMESHEETS[sheet], lock)) == expected


def test_the_cells_fill_every_row_of_the_table() -> None:
    assert {row_of_table(booking, sheet) for booking, sheet, _ in CELLS} == TABLE.keys()
    assert len(CELLS) == len(BOOKINGS) * len(TIMESHEETS) * len(Lock) == 288


@pytest.mark.parametrize("lock", Lock)
@pytest.mark.parametrize("sheet", TIMESHEETS)
@pytest.mark.parametrize("booking", ["gone", "corrected to nothing"])
def test_the_rule_to_delete_covers_only_an_open_time_sheet_that_nobody_touched(
    booking: str, sheet: str, lock: Lock
) -> None:
    line = plan(BOOKINGS[booking], TIMESHEETS[sheet], lock, DELETING)
    deletes = line is not None and line.action is Action.DELETE
    assert deletes == (sheet == "same" and lock is Lock.OPEN)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_an_update_names_the_edited_field_alone(field: Field) -> None:
    line = plan(entry(**field.booking), ours(), Lock.OPEN)
    assert line is not None
    assert line.diff.keys() == {field.name}


OF_KIMAIS_PEOPLE = {
    "description": {"description": "Polished for the invoice [zk-zammad-6]"},
    "tags": {"tags": ("urgent",)},
    "billable": {"billable": False},
}


@pytest.mark.parametrize("lock", Lock)
@pytest.mark.parametrize("name", OF_KIMAIS_PEOPLE)
@pytest.mark.parametrize("booking", BOOKINGS)
def test_description_tags_and_billable_are_never_an_edit(booking: str, name: str, lock: Lock) -> None:
    polished = plan(BOOKINGS[booking], ours(**OF_KIMAIS_PEOPLE[name]), lock)
    assert verdict(polished) == verdict(plan(BOOKINGS[booking], ours(), lock))


ROUNDED = {
    "begin down": {"begin": "2025-08-16T07:45"},
    "begin up": {"begin": "2025-08-16T08:05"},
    "duration up": {"minutes": 60},
    "duration down": {"minutes": 10},
    "both": {"begin": "2025-08-16T07:45", "minutes": 60},
    "below a minute": {"begin": "2025-08-16T08:00:30", "minutes": 15, "duration_seconds": 930},
}


@pytest.mark.parametrize("lock", Lock)
@pytest.mark.parametrize("rounding", ROUNDED)
def test_what_kimai_returned_rounded_is_never_an_edit(rounding: str, lock: Lock) -> None:
    returned = replace(ours(**ROUNDED[rounding]), exported=lock is Lock.EXPORTED)
    closed = DAY + timedelta(days=1) if lock is Lock.CLOSED else None
    row = ledger_row(base=replace(returned, exported=False))
    facts = inputs(entry(), ledger=(row,), timesheets=(returned,), locked_before=closed)
    [line] = Reconciler("zammad", resolver(DIRECTORY, MAPPINGS), POLICY).day(facts)
    assert verdict(line) == IN_SYNC


def test_an_edit_beside_a_rounded_time_sheet_leaves_the_rounding_as_it_is() -> None:
    returned = ours(begin="2025-08-16T07:45", minutes=60)
    facts = inputs(
        entry(activity_type_id="4", activity_name="Travel"), ledger=(ledger_row(base=returned),), timesheets=(returned,)
    )
    [line] = Reconciler("zammad", resolver(DIRECTORY, MAPPINGS), POLICY).day(facts)
    assert (verdict(line), line.diff.keys()) == (UPDATE, {"activity"})
    assert line.draft is not None
    assert line.draft.span.begin == at("2025-08-16T07:45")
