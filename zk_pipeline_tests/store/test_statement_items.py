"""The single rows of a statement: which time sheets a month has, what they cost, and what a credit is worth."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, insert, text

from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.markers import marker
from zk_pipeline.domain.statement_rows import AdjustmentLine, Origin, StatementCustomer, StatementItem
from zk_pipeline.store import raw_tables, statements
from zk_pipeline.store.connectors import ActiveConnectors
from zk_pipeline.store.database import Database
from zk_pipeline.store.tables import pushes
from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.credits import credited

MONTH, NEXT = date(2025, 8, 1), date(2025, 9, 1)
ZONE = ZoneInfo("Europe/Berlin")
NAMES = ActiveConnectors("zammad", "kimai")
ACME = StatementCustomer("Acme", 1)
DAY = datetime(2025, 8, 5, 8, tzinfo=UTC)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """Acme's desk in Kimai, and marts without any row, for one transaction."""
    with database.transaction() as connection:
        empty_marts.make(connection)
        for table, values in (
            (raw_tables.customers, {"id": 1, "name": "Acme", "visible": True, "currency": "EUR"}),
            (
                raw_tables.projects,
                {
                    "id": 2,
                    "name": "Desk",
                    "number": "ZO7",
                    "customer_id": 1,
                    "visible": True,
                    "global_activities": True,
                },
            ),
            (
                raw_tables.kimai_users,
                {"id": 10, "username": "anna", "name": "Anna", "enabled": True, "timezone": "Europe/Berlin"},
            ),
            (raw_tables.activities, {"id": 20, "name": "Consulting", "visible": True}),
        ):
            connection.execute(insert(table).values(connector="kimai", **values))
        yield connection
        connection.rollback()


def sheet(connection: Connection, number: int, **changed: Any) -> None:
    """A time sheet of an hour at 60.00 on the desk of Acme, but for what is changed."""
    values: dict[str, Any] = {
        "connector": "kimai",
        "id": number,
        "user_id": 10,
        "project_id": 2,
        "activity_id": 20,
        "begin_at": DAY,
        "end_at": DAY,
        "duration_seconds": 3600,
        "description": "Meeting [zk-another-5]",
        "tags": [],
        "exported": False,
        "billable": True,
        "rate": Decimal(60),
        "raw": {},
    }
    connection.execute(insert(raw_tables.timesheets).values(values | changed))


def line(connection: Connection) -> None:
    """Acme is in the statement of the month."""
    connection.execute(
        text("INSERT INTO marts.statement_lines (month, customer, customer_id) VALUES (:month, 'Acme', 1)"),
        {"month": MONTH},
    )


def booked(connection: Connection, number: int, minutes: int = 60) -> None:
    """The time sheet is that of a booking, which the marts know."""
    connection.execute(
        text(
            "INSERT INTO marts.int_entries_named (entry_date, entry_key, source_id, kimai_id, customer, customer_id, "
            "agent_name, agent_address, activity, ticket_number, minutes_kimai) "
            "VALUES (:day, :id, :id, :sheet, 'Acme', 1, 'Anna', 'anna@example.com', 'Support', '50001', :minutes)"
        ),
        {"day": DAY.date(), "id": str(number), "sheet": number, "minutes": minutes},
    )


def written(connection: Connection, source_id: str, number: int) -> None:
    """The ledger knows the time sheet as that of an entry."""
    values = {"source_id": source_id, "kimai_id": number, "state": "confirmed", "operation": "create"}
    values |= {"entry_date": DAY.date(), "payload_hash": "", "asked": {}, "base": {}, "run_id": "r"}
    connection.execute(insert(pushes).values(connector="kimai", **values))


def items(connection: Connection, month: date = MONTH) -> list[StatementItem]:
    return sorted(statements.read_items(connection, NAMES, month, ZONE), key=lambda item: item.timesheet)


def credits_of(connection: Connection, month: date = MONTH) -> list[AdjustmentLine]:
    return sorted(statements.adjustments(connection, NAMES, month), key=lambda row: row.id)


def test_a_booking_costs_what_kimai_says_nothing_where_it_is_not_billable_and_is_unknown_where_it_is_hidden(
    connection: Connection,
) -> None:
    line(connection)
    for number, changed in enumerate(({"rate": Decimal("33.3333")}, {"billable": False}, {"rate": None}), 1):
        sheet(connection, number, **changed)
        booked(connection, number)
    found = items(connection)
    assert [(item.amount, item.billable) for item in found] == [
        (Decimal("33.3333"), True),
        (0, False),
        (None, True),
    ]
    assert {(item.customer, item.ticket, item.agent, item.currency, item.origin) for item in found} == {
        (ACME, "50001", "Anna", "EUR", None)
    }


def test_a_flat_fee_without_a_minute_is_an_item_and_nothing_else_without_a_minute(connection: Connection) -> None:
    line(connection)
    sheet(connection, 1, duration_seconds=0, rate=Decimal(90))
    sheet(connection, 2, duration_seconds=0, rate=Decimal(0))
    found = items(connection)
    assert [(item.minutes, item.amount, item.title) for item in found] == [(0, 90, "Meeting")]
    assert statements.beside(found) == []


def test_the_month_goes_by_the_business_zone(connection: Connection) -> None:
    line(connection)
    sheet(connection, 1, begin_at=datetime(2025, 7, 31, 22, 30, tzinfo=UTC))
    sheet(connection, 2, begin_at=datetime(2025, 8, 31, 22, 30, tzinfo=UTC))
    assert [(item.timesheet, item.day) for item in items(connection)] == [(1, MONTH)]


def test_time_of_a_customer_who_is_not_ours_is_nobodys_business(connection: Connection) -> None:
    sheet(connection, 1)
    assert items(connection) == []
    sheet(connection, 2, description="copied [zk-zammad-6]")
    assert [item.origin for item in items(connection)] == [Origin.NOT_FROM_A_TICKET, Origin.COPIES]


def test_a_copy_is_of_the_booking_whose_id_its_marker_encodes(connection: Connection) -> None:
    sheet(connection, 1, description=f"copied {marker(NAMES.source, 'B-1')}")
    sheet(connection, 2, description="written by hand [zk-zammad-xff] [zk-zammad-x00]")
    assert [(item.booking, item.origin) for item in items(connection)] == [
        ("B-1", Origin.COPIES),
        ("xff", Origin.COPIES),
    ]


def test_a_customer_that_we_made_for_any_source_is_ours(connection: Connection) -> None:
    sheet(connection, 1)
    connection.execute(
        text(
            "INSERT INTO sync.connectors (name, role, kind, base_url, token_encrypted, active, number_space) "
            "VALUES ('jira', 'source', 'jira', '', '', false, 'jira')"
        )
    )
    for number, ours in (("jira-org-7", True), ("jira-org-", False), ("K-7", False), ("jira-org-x422d31", True)):
        connection.execute(text("UPDATE kimai.customers SET number = :number"), {"number": number})
        assert bool(items(connection)) == ours, number


def test_a_booking_whose_time_sheet_lies_in_another_month_is_taken_off_and_added_there(connection: Connection) -> None:
    line(connection)
    sheet(connection, 1, begin_at=datetime(2025, 9, 2, 8, tzinfo=UTC))
    booked(connection, 1)
    written(connection, "1", 1)
    assert [(item.origin, item.minutes, item.amount) for item in items(connection)] in (
        [(None, 60, 60), (Origin.IN_OTHER_MONTHS, -60, -60)],
        [(Origin.IN_OTHER_MONTHS, -60, -60), (None, 60, 60)],
    )
    connection.execute(text("DELETE FROM marts.int_entries_named"))
    (moved,) = items(connection, NEXT)
    assert (moved.origin, moved.minutes, moved.amount, moved.booking) == (Origin.OF_OTHER_MONTHS, 60, 60, "1")


@pytest.mark.parametrize("amount", [Decimal("12.50"), Decimal(0), None])
def test_a_credit_is_worth_what_was_kept_with_it(connection: Connection, amount: Decimal | None) -> None:
    credited(connection, project_id=2, amount=amount)
    (found,) = credits_of(connection)
    worth = None if amount is None else -amount
    assert (found.customer, found.minutes, found.amount, found.currency) == (ACME, -15, worth, "EUR")


@pytest.mark.parametrize(
    ("changed", "minutes", "amount"),
    [({}, 60, 60), ({"billable": False}, 60, 0), ({"rate": None}, 60, None), ({"gone_at": DAY}, 15, None)],
    ids=["billed", "not billable", "hidden", "gone"],
)
def test_an_adjustment_is_told_with_what_kimai_made_of_it(
    connection: Connection, changed: dict[str, Any], minutes: int, amount: int | None
) -> None:
    number = credited(connection, minutes=Decimal(15), state=AdjustmentState.BOOKED, original={}, project_id=2)
    sheet(connection, 7, **changed)
    written(connection, f"a{number}", 7)
    (found,) = credits_of(connection)
    assert (found.minutes, found.amount, found.elsewhere, found.is_credit) == (minutes, amount, True, False)


def test_a_credit_is_told_where_it_is_booked_and_with_its_booking(connection: Connection) -> None:
    credited(connection, entry_date=date(2025, 9, 3))
    settled = {"state": AdjustmentState.SETTLED, "note": "note 12", "facts_hash": "g"}
    credited(connection, entry_date=date(2025, 8, 20), **settled)
    told = [
        [(row.day, row.booked_on.month, row.elsewhere, row.state, row.note) for row in credits_of(connection, month)]
        for month in (MONTH, NEXT, date(2025, 10, 1))
    ]
    day = date(2025, 8, 16)
    assert told == [
        [(day, 9, True, "open", ""), (day, 8, False, "settled", "note 12")],
        [(day, 9, False, "open", "")],
        [],
    ]
    assert {row.customer for row in credits_of(connection)} == {ACME}


def test_a_credit_of_a_project_that_nobody_knows_is_told_under_its_number(connection: Connection) -> None:
    credited(connection, project_number="ZO8", entry_date=date(2025, 8, 20))
    assert [row.customer for row in credits_of(connection)] == [StatementCustomer("ZO8")]


def test_a_month_of_3000_time_sheets_is_one_query_of_a_moment(connection: Connection) -> None:
    line(connection)
    sheet(connection, 1)
    connection.execute(
        text(
            "INSERT INTO kimai.timesheets SELECT made.* FROM kimai.timesheets sheet, generate_series(2, 6000) number, "
            "jsonb_populate_record(sheet, jsonb_build_object('id', number)) made WHERE sheet.id = 1"
        )
    )
    booked(connection, 1)
    connection.execute(
        text(
            "INSERT INTO marts.int_entries_named SELECT made.* FROM marts.int_entries_named entry, "
            "generate_series(2, 3000) number, jsonb_populate_record(entry, jsonb_build_object('kimai_id', number, "
            "'source_id', number::text)) made"
        )
    )
    began = time.monotonic()
    found = items(connection)
    assert time.monotonic() - began < 10
    assert [len([item for item in found if item.origin is origin]) for origin in (None, Origin.NOT_FROM_A_TICKET)] == [
        3000,
        3000,
    ]
