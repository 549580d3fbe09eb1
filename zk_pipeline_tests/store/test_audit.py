"""The audit trail shows every tampering, and survives the erasure of personal data."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from zk_pipeline.store import audit, periods
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline_tests.databases import without_guards


def events(number: int) -> list[AuditEvent]:
    return [
        AuditEvent(
            "kimai.timesheet.created",
            "pipeline",
            f"booking:{id_}",
            {"b": {"z": 1, "a": "ü"}, "a": Decimal("7.5")},
            "run",
        )
        for id_ in range(number)
    ]


def test_an_untouched_trail_verifies(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(3))
        audit.append(connection, events(2))
    with database.transaction() as connection:
        found = audit.verify(connection)
    assert (found.rows, found.broken_at) == (5, None)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE sync.audit_logs SET actor = 'somebody' WHERE id = 3",
        "UPDATE sync.audit_logs SET created_at = created_at + interval '1 day' WHERE id = 3",
        "UPDATE sync.audit_details SET detail = '{}' WHERE id = 3",
        "DELETE FROM sync.audit_details WHERE id = 3; DELETE FROM sync.audit_logs WHERE id = 3",
    ],
)
def test_a_changed_or_missing_row_is_found(database: Database, tampering: str) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
    with database.transaction() as connection:
        without_guards(connection)
        for statement in tampering.split("; "):
            connection.execute(text(statement))
        assert audit.verify(connection).broken_at in {3, 4}


@pytest.mark.parametrize("afterwards", [0, 1, 3], ids=lambda number: f"{number} more")
@pytest.mark.parametrize(
    "head",
    ["", "DELETE FROM sync.audit_head", "UPDATE sync.audit_head SET number = 3"],
    ids=["head left", "head gone", "head put back"],
)
def test_rows_that_are_cut_off_the_end_are_missed_for_ever(database: Database, head: str, afterwards: int) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
    with database.transaction() as connection:
        without_guards(connection)
        for statement in (
            "DELETE FROM sync.audit_details WHERE id > 3",
            "DELETE FROM sync.audit_logs WHERE id > 3",
            head,
        ):
            connection.execute(text(statement or "SELECT 1"))
    with database.transaction() as connection:
        audit.append(connection, events(afterwards))
    with database.transaction() as connection:
        assert audit.verify(connection).broken_at in {4, 5, 6}


def test_the_head_that_a_closed_month_kept_is_missed_when_the_trail_is_cut_before_it(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
        _, head = audit.head(connection)
        values = {"actor": "cli:anna", "statement": {}, "statement_hash": "", "kept_hash": "", "waiting": Decimal(0)}
        periods.close(connection, date(2025, 8, 1), audit_head=head, **values)
        assert audit.verify(connection).broken_at is None
    with database.transaction() as connection:
        without_guards(connection)
        connection.execute(text("DELETE FROM sync.audit_logs WHERE id > 3"))
        last = "(SELECT hash FROM sync.audit_logs WHERE id = 3)"
        connection.execute(text(f"UPDATE sync.audit_head SET number = 3, hash = {last}"))
    with database.transaction() as connection:
        assert audit.verify(connection).broken_at == 4


def test_a_row_that_was_put_in_beside_the_product_is_found(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(2))
        connection.execute(text("CREATE TEMP TABLE head ON COMMIT DROP AS TABLE sync.audit_head"))
        audit.append(connection, events(1))
        without_guards(connection)
        connection.execute(text("UPDATE sync.audit_head SET number = head.number, hash = head.hash FROM head"))
        assert audit.verify(connection).broken_at == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sync.audit_logs SET actor = 'somebody'",
        "DELETE FROM sync.audit_logs WHERE id = 5",
        "TRUNCATE sync.audit_logs CASCADE",
        "UPDATE sync.audit_details SET detail = '{}'",
        "DELETE FROM sync.audit_details",
        "TRUNCATE sync.audit_details",
        "UPDATE sync.audit_head SET number = number - 1",
        "UPDATE sync.audit_head SET hash = 'another'",
        "DELETE FROM sync.audit_head",
        "TRUNCATE sync.audit_head",
    ],
)
def test_the_database_refuses_every_change_of_the_trail(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
    with pytest.raises(ProgrammingError, match="the audit trail only grows"), database.transaction() as connection:
        connection.execute(text(statement))


def test_details_may_go_for_one_transaction_alone(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
        audit.let_details_go(connection)
        connection.execute(text("DELETE FROM sync.audit_details WHERE id = 3"))
    with pytest.raises(ProgrammingError, match="the audit trail only grows"), database.transaction() as connection:
        connection.execute(text("DELETE FROM sync.audit_details WHERE id = 4"))


def test_erased_details_leave_the_chain_whole(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
        audit.let_details_go(connection)
        connection.execute(text("DELETE FROM sync.audit_details WHERE id = 3"))
        assert audit.verify(connection).broken_at is None


def test_writers_at_once_make_one_chain(database: Database) -> None:
    def write(_: int) -> None:
        with database.transaction() as connection:
            audit.append(connection, events(4))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    with database.transaction() as connection:
        found = audit.verify(connection)
    assert (found.rows, found.broken_at) == (32, None)
