"""Conflicts: one open row for each line and reason, and the life of a decision."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, text

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.matching import Candidate, Tier
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import MEANT, Choice, resolved
from zk_pipeline.store import conflicts, day_requests, plans, tables
from zk_pipeline.store.conflicts import DecisionError
from zk_pipeline.store.database import Database

DAY = date(2025, 10, 1)
MORE_THAN_BEFORE_A_STATEMENT_IS_PREPARED = 12


def line(source_id: str, detail: str = "", reason: Reason = Reason.UNMAPPED_USER) -> PlanLine:
    return PlanLine(DAY, source_id, None, Status.MISSING, Action.REVIEW, Decimal(15), reason=reason, text=detail)


def open_rows(database: Database) -> list[tuple[str, str]]:
    with database.transaction() as connection:
        return [(row.source_id, row.reason) for row in conflicts.open_conflicts(connection, DAY, DAY)]


def test_a_day_reconciled_again_and_again_keeps_one_open_conflict_for_each_line(database: Database) -> None:
    with database.transaction() as connection:
        for _ in range(MORE_THAN_BEFORE_A_STATEMENT_IS_PREPARED):
            conflicts.replace_day(connection, "kimai", DAY, [line("1"), line("2")])

    assert open_rows(database) == [("1", "unmapped_user"), ("2", "unmapped_user")]


def test_an_open_conflict_takes_the_latest_text(database: Database) -> None:
    with database.transaction() as connection:
        conflicts.replace_day(connection, "kimai", DAY, [line("1", "Agent A.")])
        conflicts.replace_day(connection, "kimai", DAY, [line("1", "Agent B.")])
        [row] = conflicts.open_conflicts(connection, DAY, DAY)

    assert "Agent B." in row.text


def test_a_conflict_whose_line_is_gone_expires(database: Database) -> None:
    with database.transaction() as connection:
        conflicts.replace_day(connection, "kimai", DAY, [line("1"), line("2")])
        conflicts.replace_day(connection, "kimai", DAY, [line("2")])

    assert open_rows(database) == [("2", "unmapped_user")]


def test_another_reason_opens_another_conflict(database: Database) -> None:
    with database.transaction() as connection:
        conflicts.replace_day(connection, "kimai", DAY, [line("1")])
        conflicts.replace_day(connection, "kimai", DAY, [line("1", reason=Reason.UNMAPPED_ACTIVITY)])

    assert open_rows(database) == [("1", "unmapped_activity")]


def resolve(database: Database, choice: Choice = Choice.IGNORE, **options: Any) -> None:
    """Decide about the one open conflict."""
    with database.transaction() as connection:
        (row,) = conflicts.open_conflicts(connection)
        conflicts.decide(connection, row.id, choice, actor="cli:anna", **options)


def plan(database: Database, *lines: PlanLine) -> list[PlanLine]:
    """Reconcile the day to these lines, with the decisions in force."""
    with database.transaction() as connection:
        decided = resolved(lines, conflicts.resolutions_of_day(connection, "kimai", DAY))
        conflicts.replace_day(connection, "kimai", DAY, decided)
    return decided


def states(database: Database) -> list[str]:
    with database.transaction() as connection:
        query = select(tables.conflicts.c.resolution_status).order_by(tables.conflicts.c.id)
        return list(connection.execute(query).scalars())


def test_a_decision_that_writes_nothing_is_carried_out_by_the_plan_and_holds_until_the_facts_change(
    database: Database,
) -> None:
    plan(database, line("1"))
    resolve(database)
    assert states(database) == ["decided"]
    for _ in range(2):
        assert [row.action for row in plan(database, line("1"))] == [Action.NONE]
        assert states(database) == ["carried_out"]
    plan(database, replace(line("1"), facts_hash="other"))
    assert states(database) == ["expired", "open"]


def test_facts_that_come_back_after_they_were_others_ask_again(database: Database) -> None:
    plan(database, line("1"))
    resolve(database)
    plan(database, line("1"))
    plan(database)
    assert [row.action for row in plan(database, line("1"))] == [Action.REVIEW]


def test_a_decision_whose_facts_changed_before_it_was_carried_out_expires(database: Database) -> None:
    plan(database, line("1", reason=Reason.DELETED_IN_KIMAI))
    resolve(database)
    plan(database, replace(line("1", reason=Reason.DELETED_IN_KIMAI), facts_hash="other"))
    assert states(database) == ["expired", "open"]


def test_a_decision_that_writes_waits_for_its_write_and_does_not_hold_after_it(database: Database) -> None:
    clone = replace(line("1", reason=Reason.MARKER_CLONED), kimai_id=7, status=Status.DUPLICATE)
    plan(database, clone)
    resolve(database, Choice.DELETE)
    (decided,) = plan(database, clone)
    assert (decided.action, states(database)) == (Action.DELETE, ["decided"])
    with database.transaction() as connection:
        conflicts.carry_out(connection, "kimai", [decided])
    assert states(database) == ["carried_out"]
    assert [row.action for row in plan(database, clone)] == [Action.REVIEW]


def test_a_decision_is_recorded_and_asks_for_its_day(database: Database) -> None:
    plan(database, line("1"))
    resolve(database)
    with database.transaction() as connection:
        events = connection.execute(select(tables.audit_logs.c.event, tables.audit_logs.c.actor)).all()
        assert [tuple(event) for event in events] == [("conflict.decided", "cli:anna")]
        assert [row.day for row in day_requests.unclaimed(connection, "decision")] == [DAY]


def test_of_two_decisions_at_once_the_first_holds_and_the_second_is_told(database: Database) -> None:
    plan(database, line("1", reason=Reason.DELETED_IN_KIMAI))
    with database.transaction() as connection:
        (row,) = conflicts.open_conflicts(connection)
    choices = [Choice.CREATE, Choice.IGNORE]
    together = Barrier(len(choices))

    def attempt(choice: Choice) -> str:
        with database.transaction() as connection:
            together.wait()
            try:
                conflicts.decide(connection, row.id, choice, actor=f"cli:{choice}")
            except DecisionError as error:
                return str(error)
        return ""

    with ThreadPoolExecutor() as pool:
        told = list(pool.map(attempt, choices))
    (winner,) = (choice for choice, sentence in zip(choices, told, strict=True) if not sentence)
    assert f"Conflict {row.id} is no longer open: cli:{winner} decided to {MEANT[winner]}." in told
    with database.transaction() as connection:
        assert conflicts.one(connection, row.id).decision == winner


def test_a_decision_taken_while_the_day_is_planned_holds_in_the_next_plan(database: Database) -> None:
    plan(database, line("1"))
    with ThreadPoolExecutor() as pool:
        with database.transaction() as connection:
            assert conflicts.resolutions_of_day(connection, "kimai", DAY) == []
            (row,) = conflicts.open_conflicts(connection)
            pending = pool.submit(resolve, database)
            wait_until_it_is_blocked(database, pending)
            conflicts.replace_day(connection, "kimai", DAY, [line("1")])
        pending.result()
    with database.transaction() as connection:
        assert conflicts.one(connection, row.id).resolution_status == "decided"
    assert [row.action for row in plan(database, line("1"))] == [Action.NONE]


def wait_until_it_is_blocked(database: Database, pending: "Future[None]") -> None:
    """Return as soon as a session waits for a lock of another, or nothing is pending any more."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with database.transaction() as connection:
        while not pending.done() and not connection.execute(query).scalar_one():
            pass


def test_a_conflict_that_changed_since_somebody_looked_is_not_decided(database: Database) -> None:
    plan(database, line("1"))
    with pytest.raises(DecisionError, match="changed meanwhile: look at it again"):
        resolve(database, seen="other")
    assert states(database) == ["open"]


@pytest.mark.parametrize(
    ("choice", "options", "sentence"),
    [
        (Choice.UPDATE, {}, "not possible to update the time sheet; possible: link the time sheet, create"),
        (Choice.LINK, {}, "has several candidates: name the time sheet that is meant."),
        (Choice.LINK, {"timesheet_id": 7}, "time sheet 7 is not a candidate; candidates: 5, 6"),
        (Choice.CREATE, {"timesheet_id": 5}, "time sheet 5 is named to link it, not to create the time sheet."),
    ],
)
def test_what_cannot_be_decided_is_told_in_a_sentence(
    database: Database, choice: Choice, options: dict[str, int], sentence: str
) -> None:
    candidates = tuple(Candidate("1", timesheet_id, Tier.SAME, 200) for timesheet_id in (5, 6))
    offered = replace(line("1", reason=Reason.DUPLICATE), candidates=candidates)
    with database.transaction() as connection:
        plans.replace_day(connection, "kimai", DAY, [offered], "run")
    plan(database, offered)
    with pytest.raises(DecisionError, match=sentence):
        resolve(database, choice, **options)
    assert states(database) == ["open"]


def test_an_unknown_conflict_is_told_in_a_sentence(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(DecisionError, match="There is no conflict 7"):
        conflicts.decide(connection, 7, Choice.IGNORE, actor="cli:anna")
