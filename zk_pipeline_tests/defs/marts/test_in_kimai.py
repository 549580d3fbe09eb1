"""Kimai's side of a statement is Kimai's own sum, whoever wrote what; and a month with a question is a draft."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from zk_pipeline.billing import periods
from zk_pipeline.billing.files import FileFormat, render
from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.billing.statements import statement
from zk_pipeline.defs.checks import also_in_kimai
from zk_pipeline.domain.periods import last_day
from zk_pipeline.domain.statement import Statement, Verdict, other_time_by_origin, questions_of, sum_of
from zk_pipeline.domain.statement_rows import Origin
from zk_pipeline.store import statements
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.statements import read_items
from zk_pipeline_tests.defs.marts.conftest import Marts
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, ZONE, World, at
from zk_sandbox.kimai.model import Timesheet

MONTHS = ("2025-09", "2025-10")
FIRST, LAST = date(2025, 9, 25), date(2025, 10, 20)
LOOK = DocumentStyle(ZoneInfo("Europe/Berlin"))


def move(world: World, row: Timesheet, day: date, clock: str = "09:00", **columns: object) -> None:
    begin = int(at(clock, day).timestamp())
    moved = replace(row, begin=begin, end=begin + row.duration, modified_at=world.office.server.kimai.now())
    world.office.server.kimai.timesheets.put(replace(moved, **columns))


def copy(world: World, booking: int, day: date, **columns: object) -> None:
    """Duplicate a booking's time sheet in Kimai and move the copy."""
    original = world.office.of(booking)[0]
    new_id = max(row.id for row in world.office.rows) + 1
    move(world, replace(original, id=new_id), day, **columns)


@pytest.fixture(scope="module")
def months(marts: Marts) -> Marts:
    """Two months in which all was carried over; then people copied, moved and typed time sheets in Kimai."""
    world = marts.world
    day = date(2025, 10, 6)
    world.desk.book("7.3333", at("16:00", day))
    kept = [world.desk.book(30, at("09:00", day + timedelta(days=number))) for number in range(3)]
    other = world.desk.book(50, at("09:00", day), agent="ben", ticket="globex")
    early = world.desk.book(45, at("09:00", date(2025, 9, 29)))
    late = world.desk.book(20, at("23:40", date(2025, 9, 30)))
    world.sync(FIRST, LAST)
    copy(world, kept[0], date(2025, 10, 15))
    copy(world, kept[1], date(2025, 9, 26))
    move(world, world.office.sheet(early), date(2025, 10, 2))
    project = world.office.sheet(other).project
    for clock in ("10:00", "12:00", "14:00"):
        world.office.type_by_hand(at(clock, date(2025, 10, 13)), 30, "Meeting")
        row = world.office.rows[-1]
        world.office.change(row, project=project)
    world.office.type_by_hand(at("10:00", date(2025, 10, 14)), 75, "Own work of nobody's customer")
    assert late
    price(world)
    world.sync(FIRST, LAST)
    return marts


def price(world: World) -> None:
    """Set a rate for each customer, have all time sheets saved again, and leave one of them unbilled."""
    office = world.office
    for customer in office.server.kimai.customers.rows:
        office.server.add_rate("customers", customer, "85.55")
    for row in office.rows:
        office.server.edit_timesheet(row.id)
    office.server.edit_timesheet(office.rows[-2].id, billable=False)


@pytest.fixture(scope="module")
def found(months: Marts) -> dict[str, Statement]:
    """The statement of each month, after one build."""
    return {month: statement(months.runtime, month, refresh=month == MONTHS[0]) for month in MONTHS}


def rows_of_kimai(marts: Marts, month: str, customer: int) -> list[dict[str, Any]]:
    """What Kimai's API says for a customer between the month's first instant and its last."""
    first = date.fromisoformat(f"{month}-01")
    base_url = marts.runtime.stored("target").base_url
    headers = {"Authorization": f"Bearer {KIMAI_TOKEN}"}
    after = (first + timedelta(days=31)).replace(day=1)
    query = {"user": "all", "size": "500", "customers[]": str(customer)}
    rows = httpx.get(f"{base_url}/api/timesheets", params=query, headers=headers).raise_for_status().json()
    return [row for row in rows if str(first) <= _berlin(row["begin"]) < str(after)]


def seconds_of(minutes: Decimal) -> int:
    return round(minutes * 60)


def _berlin(instant: str) -> str:
    return datetime.fromisoformat(instant).astimezone(ZONE).date().isoformat()


@pytest.mark.parametrize("month", MONTHS)
def test_the_statements_side_of_kimai_is_what_kimai_adds_up_to(
    months: Marts, found: dict[str, Statement], month: str
) -> None:
    accounts = found[month].accounts
    assert accounts
    for account in accounts:
        told = rows_of_kimai(months, month, account.customer.id)
        assert seconds_of(account.kimai_in_all) == sum(row["duration"] for row in told), account.customer


@pytest.mark.parametrize("month", MONTHS)
def test_the_time_sheets_of_a_statement_add_up_to_what_kimai_does_in_seconds_and_money(
    months: Marts, found: dict[str, Statement], month: str
) -> None:
    priced = 0
    for account in found[month].accounts:
        told = rows_of_kimai(months, month, account.customer.id)
        minutes, amount = sum_of(account.items)
        own, _ = sum_of(item for item in account.items if item.origin is None)
        billable = sum((Decimal(str(row["rate"])) for row in told if row["billable"]), Decimal(0))
        assert (seconds_of(minutes), amount) == (sum(row["duration"] for row in told), billable), account.customer
        assert minutes == account.kimai_in_all
        assert own == account.total.kimai
        assert [row.amount for row in account.money] == [billable]
        lying = [item.timesheet for item in account.items if item.origin is not Origin.IN_OTHER_MONTHS]
        away = [item.timesheet for item in account.items if item.origin is Origin.IN_OTHER_MONTHS]
        assert sorted(lying) == sorted([*(row["id"] for row in told), *away])
        priced += bool(billable)
    assert priced


def test_a_day_of_which_there_is_but_a_copied_time_sheet_is_not_out_of_date(
    months: Marts, found: dict[str, Statement]
) -> None:
    assert found.keys() == set(MONTHS), "built"
    with months.runtime.database.transaction() as connection:
        for month in MONTHS:
            first = date.fromisoformat(f"{month}-01")
            unit = months.runtime.settings.minutes_per_unit
            assert statements.stale_days(connection, first, last_day(first), unit) == []


def test_each_time_sheet_is_told_with_its_ticket_or_with_what_people_wrote(
    months: Marts, found: dict[str, Statement]
) -> None:
    october = {account.customer.name: account for account in found["2025-10"].accounts}
    desk = months.world.desk
    (copied,) = [item for item in october["Acme"].items if item.origin is Origin.COPIES]
    assert (copied.ticket, copied.title) == (desk.number().removeprefix("#"), "Printer is out of paper")
    (booked,) = [item for item in october["Globex"].items if item.origin is None]
    assert (booked.ticket, booked.title) == (desk.number("globex").removeprefix("#"), "VPN is slow")
    assert (booked.agent, booked.agent_email, booked.activity, booked.day) == (
        "Ben",
        "ben@example.com",
        "Support",
        date(2025, 10, 6),
    )
    meetings = [item for item in october["Globex"].items if item.origin is Origin.NOT_FROM_A_TICKET]
    assert [(item.title, item.ticket, item.agent, item.billable) for item in meetings].count(
        ("Meeting", "", "anna", True)
    ) == 2
    assert [item.amount for item in meetings if not item.billable] == [0]
    (moved,) = [item for item in october["Acme"].items if item.origin is Origin.OF_OTHER_MONTHS]
    assert (moved.day, moved.minutes, moved.title) == (date(2025, 10, 2), 45, "Printer is out of paper")


def test_copies_and_time_that_did_not_come_from_a_ticket_have_lines_of_their_own(
    months: Marts, found: dict[str, Statement]
) -> None:
    october, september = found["2025-10"], found["2025-09"]
    assert other_time_by_origin(october.accounts) == {
        "copies": (1, Decimal(30)),
        "not_from_a_ticket": (3, Decimal(90)),
        "of_other_months": (1, Decimal(45)),
    }
    assert other_time_by_origin(september.accounts) == {
        "copies": (1, Decimal(30)),
        "in_other_months": (1, Decimal(-45)),
    }
    (globex,) = (account for account in october.accounts if account.customer.name == "Globex")
    told = "Also in Kimai for this customer: 3 time sheets, 90 min, not from a ticket. Kimai adds up to 140 min."
    assert LOOK.other_time_sentence([globex]) == told
    assert '"origin": "not_from_a_ticket"' in render(october, FileFormat.JSON, LOOK).decode()


def test_a_month_with_a_question_is_a_draft_that_names_its_minutes(months: Marts, found: dict[str, Statement]) -> None:
    october = found["2025-10"]
    assert october.balanced
    assert not any(line.amounts.waiting for line in october.lines)
    assert (october.verdict, october.is_draft) == (Verdict.WAITING, True)
    assert questions_of(october.accounts) == {"marker_cloned": (1, Decimal(30))}
    assert (
        LOOK.questions_sentence(october.accounts)
        == "Open conflicts: 1 \N{MULTIPLICATION SIGN} Marker duplicated (30 min)."
    )
    standing = periods.closing_state(months.runtime, "2025-10")
    assert any("open conflicts: 1 (30 min)" in text for text in standing.objections), standing.objections


def test_the_check_names_what_did_not_come_from_a_ticket(months: Marts, found: dict[str, Statement]) -> None:
    assert found
    with months.runtime.database.transaction() as connection:
        month = date(2025, 10, 1)
        told = also_in_kimai([(month, read_items(connection, active_connectors(connection), month, ZONE))])
    assert "Globex" in told
    assert "3 time sheets, 90 minutes, not from a ticket." in told
