"""The audit trail shows every tampering, and survives the erasure of personal data."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import text

from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database


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
        for statement in tampering.split("; "):
            connection.execute(text(statement))
        assert audit.verify(connection).broken_at in {3, 4}


def test_erased_details_leave_the_chain_whole(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
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
