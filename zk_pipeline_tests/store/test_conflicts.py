"""Conflicts: one open row for each line and reason, however often a day is reconciled."""

from datetime import date
from decimal import Decimal

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.plan import Result
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.store import conflicts
from zk_pipeline.store.database import Database

DAY = date(2025, 10, 1)
MORE_THAN_BEFORE_A_STATEMENT_IS_PREPARED = 12


def line(source_id: str, text: str = "", reason: Reason = Reason.UNMAPPED_USER) -> Result:
    return Result(DAY, source_id, None, Status.MISSING, Action.REVIEW, Decimal(15), reason=reason, text=text)


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
