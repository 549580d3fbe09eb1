"""Stored invoices are those of the last reading that succeeded, and what kept the last one from it is known."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Connection

from zk_pipeline.domain.records import Invoice, InvoiceReading
from zk_pipeline.store import invoices
from zk_pipeline.store.database import Database

FIRST = Invoice(
    1, "2025/001", 7, "EUR", Decimal("119.00"), Decimal("19.00"), Decimal(19), "new", datetime(2025, 9, 1, tzinfo=UTC),
    30, None,
)  # fmt: skip


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.transaction() as connection:
        yield connection


def test_a_reading_replaces_the_last_one(connection: Connection) -> None:
    assert invoices.load(connection, "kimai") == invoices.StoredInvoices((), None, "")
    second = replace(FIRST, id=2, number="2025/002")
    invoices.save(connection, "kimai", InvoiceReading((FIRST, second)))
    invoices.save(connection, "kimai", InvoiceReading((second,)))
    known = invoices.load(connection, "kimai")
    assert (known.rows, known.problem) == ((second,), "")
    assert known.read_at is not None
    assert invoices.load(connection, "another").rows == ()


def test_without_a_reading_what_was_known_stays_and_the_problem_is_told(connection: Connection) -> None:
    invoices.save(connection, "kimai", InvoiceReading((FIRST,)))
    read_at = invoices.load(connection, "kimai").read_at
    invoices.save(connection, "kimai", InvoiceReading(problem="The account may not."))
    assert invoices.load(connection, "kimai") == invoices.StoredInvoices((FIRST,), read_at, "The account may not.")


def test_before_any_reading_succeeded_there_is_no_moment_of_one(connection: Connection) -> None:
    invoices.save(connection, "kimai", InvoiceReading(problem="The account may not."))
    assert invoices.load(connection, "kimai") == invoices.StoredInvoices((), None, "The account may not.")
