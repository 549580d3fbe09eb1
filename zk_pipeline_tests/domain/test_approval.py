"""What an approval covers: a line that would write anything else than was approved needs another one."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from zk_pipeline.domain.approval import Limits, approvable, limit_violation, permitted
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.mapping import CustomerPlan, ProjectPlan
from zk_pipeline.domain.normalize import TimeSpan
from zk_pipeline.domain.plan import Draft, PlanLine
from zk_pipeline_tests.domain.builders import DAY, at, desired

PROJECT = ProjectPlan(None, "ZO7", "Acme", CustomerPlan(None, "zammad-org-7", "Acme"))
BEGIN = at("2025-08-16T08:00")
DRAFT = Draft(desired(), TimeSpan(BEGIN, BEGIN + timedelta(minutes=15)), PROJECT, "Ticket #50", ("zammad",))
MOVED = {"project": ("ZO7", "ZO8")}


def line(draft: Draft, action: Action = Action.CREATE, diff: Mapping[str, tuple[str, str]] | None = None) -> PlanLine:
    return PlanLine(DAY, "6", None, Status.MISSING, action, Decimal(15), draft=draft, diff=dict(diff or {}))


def is_covered(approved: PlanLine, now: PlanLine) -> bool:
    """Whether the approval of one line allows another."""
    return permitted([now], approvable([approved])).lines == (now,)


OTHER_NAMES = [
    replace(DRAFT, project=replace(PROJECT, name="Acme Ltd")),
    replace(DRAFT, project=replace(PROJECT, customer=CustomerPlan(None, "zammad-org-7", "Acme Ltd"))),
    replace(DRAFT, project=replace(PROJECT, customer=CustomerPlan(3, "C3", "Acme"))),
]


@pytest.mark.parametrize(
    "draft", [replace(DRAFT, description="Ticket #50 secret"), replace(DRAFT, tags=("zammad", "vip")), *OTHER_NAMES]
)
def test_a_create_with_other_texts_than_were_approved_waits(draft: Draft):
    assert is_covered(line(DRAFT), line(DRAFT))
    assert not is_covered(line(DRAFT), line(draft))


def test_a_create_at_another_place_than_was_approved_waits():
    later = TimeSpan(BEGIN + timedelta(hours=1), BEGIN + timedelta(minutes=75))
    assert not is_covered(line(DRAFT), line(replace(DRAFT, span=later)))


@pytest.mark.parametrize("draft", OTHER_NAMES)
def test_an_update_that_would_make_another_project_than_was_approved_waits(draft: Draft):
    assert not is_covered(line(DRAFT, Action.UPDATE, MOVED), line(draft, Action.UPDATE, MOVED))


def test_an_update_needs_no_other_approval_for_texts_that_it_does_not_write():
    other = replace(OTHER_NAMES[0], description="Ticket #50 secret", tags=())
    longer = {"duration": ("1800", "900")}
    assert is_covered(line(DRAFT, Action.UPDATE, longer), line(other, Action.UPDATE, longer))


def test_a_create_stays_approved_when_another_line_has_made_its_project():
    made = replace(PROJECT, id=12, customer=replace(PROJECT.customer, id=3))
    assert is_covered(line(DRAFT), line(replace(DRAFT, desired=replace(DRAFT.desired, project_id=12), project=made)))


LIMITS = Limits(changes=None, deletes=20)


def deletions(number: int, decided: str = "") -> list[PlanLine]:
    deletion = PlanLine(DAY, None, 1, Status.ORPHANED, Action.DELETE, Decimal(0), decided=decided)
    return [replace(deletion, kimai_id=kimai_id) for kimai_id in range(number)]


@pytest.mark.parametrize(
    ("number", "timesheets", "told"),
    [
        (20, 10_000, None),
        (21, 10_000, "It would delete 21 time sheets, more than ZK_MAX_DELETES=20."),
        (5, 100, None),
        (6, 100, "It would delete 6 of the 100 time sheets of its days, more than 5 %."),
        (1, 1, None),
        (2, 2, "It would delete 2 of the 2 time sheets of its days, more than 5 %."),
    ],
)
def test_a_run_stops_when_it_would_delete_more_than_a_number_or_a_share(number: int, timesheets: int, told: str | None):
    assert limit_violation(deletions(number), timesheets, LIMITS) == told


def test_deletions_that_a_person_decided_do_not_count():
    assert limit_violation(deletions(30, decided="delete"), 30, LIMITS) is None
