"""Months that are closed on the real statement: what changes afterwards is told where it is owed, to the minute."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

import pytest

from zk_pipeline.billing import credit_list, periods
from zk_pipeline.billing.statements import statement
from zk_pipeline.domain.statement import Statement
from zk_pipeline_tests.dbt_in_process import MODELS
from zk_pipeline_tests.defs.billing import ADMIN, Books, today
from zk_pipeline_tests.defs.marts.conftest import Marts
from zk_pipeline_tests.defs.world import MONDAY, at

SEPTEMBER, NOVEMBER = date(2025, 9, 15), date(2025, 11, 3)

Parts = Mapping[str, int]
"""Minutes by the column of the statement that tells of them, without those that are zero."""


@dataclass(frozen=True)
class Told:
    """What the marts told at one time: the parts of each customer of a month, those of their lines, and the gaps."""

    customers: Mapping[tuple[str, str], Parts]
    lines: Mapping[tuple[str, str, str, str], Parts]
    unexplained: Mapping[str, Decimal]

    def of(self, month: str) -> dict[str, Parts]:
        """The parts of each customer of a month."""
        return {customer: parts for (told, customer), parts in self.customers.items() if told == month}


@dataclass
class Ledgers:
    """Three months in which people book, close, change their minds, adjust, rename and merge."""

    marts: Marts
    bookings: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def books(self) -> Books:
        return Books(self.marts.world)

    def build(self, *options: str) -> Told:
        """Build, and tell what is in the marts now."""
        self.marts.build(options=options)
        columns = ("zammad", "kimai", "waiting", "excluded", "rounding", "netted", "agreed", "adjusted", "unexplained")
        sums = ", ".join(f"sum(minutes_{name}) AS {name}" for name in columns)
        customers: dict[tuple[str, str], dict[str, int]] = {}
        lines: dict[tuple[str, str, str, str], dict[str, int]] = {}
        rows = self.marts.rows(
            f"SELECT to_char(month, 'YYYY-MM') AS month, customer, agent, activity, {sums} "
            "FROM marts.statement_lines GROUP BY month, customer, agent, activity"
        )
        for row in rows:
            parts = {name: int(row[name]) for name in columns if row[name]}
            lines[row["month"], row["customer"], row["agent"], row["activity"]] = parts
            whole = customers.setdefault((row["month"], row["customer"]), defaultdict(int))
            for name, minutes in parts.items():
                whole[name] += minutes
        found = {key: {name: minutes for name, minutes in parts.items() if minutes} for key, parts in customers.items()}
        return Told(found, lines, self.marts.unexplained())

    def adjust(self) -> None:
        """Adjust all that waits, and book what that makes."""
        self.books.adjust()
        self.marts.world.sync(today())

    def owed(self) -> dict[str | None, int]:
        """The open credits of each customer by the credit list, in minutes."""
        sums: dict[str | None, int] = defaultdict(int)
        for credit in credit_list.list_credits(self.marts.runtime):
            sums[credit.customer] += int(credit.minutes)
        return dict(sums)

    def close(self, month: str) -> None:
        """Close a month on the statement that dbt built."""
        periods.close(self.marts.runtime, ADMIN, month)

    def book(self) -> None:
        """Bookings of three months, in Kimai."""
        desk, office = self.marts.world.desk, self.marts.world.office
        person = desk.server.state.tickets[desk.tickets["acme"]]
        desk.tickets["moving"] = desk.server.add_ticket(
            "Whose is it?", customer_id=person.customer_id, organization_id=person.organization_id
        )
        self.bookings = {
            "september": desk.book(45, at("09:00", SEPTEMBER)),
            "edited": desk.book(60, at("08:00")),
            "deleted": desk.book(30, at("08:00"), agent="ben"),
            "corrected": desk.book(40, at("09:00"), agent="ben", ticket="globex"),
            "moved": desk.book(50, at("10:00"), ticket="moving"),
            "retyped": desk.book(20, at("11:00")),
            "whole": desk.book(25, at("12:00"), ticket="globex"),
            "november": desk.book(15, at("09:00", NOVEMBER), agent="ben", ticket="globex"),
        }
        self.travel = desk.server.add_type("Travel")
        self.marts.world.execute(
            "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (:type, :activity)",
            type=self.travel,
            activity=office.server.add_activity("Driving"),
        )
        self.sync()
        self.price()
        self.sync()

    def price(self) -> None:
        """Set a rate of 60.00 for each customer, and have all time sheets saved again: a minute costs 1.00."""
        server = self.marts.world.office.server
        for customer in server.kimai.customers.rows:
            server.add_rate("customers", customer, "60.00")
        for row in self.marts.world.office.rows:
            server.edit_timesheet(row.id)

    def sync(self) -> None:
        """Sync every day on which something was booked."""
        for day in (NOVEMBER, SEPTEMBER, MONDAY):
            self.marts.world.sync(day)

    def change(self) -> None:
        """Edit, delete, correct, move and retype what is closed."""
        desk = self.marts.world.desk
        desk.server.edit(self.bookings["september"], units=50)
        desk.server.edit(self.bookings["edited"], units=75)
        desk.server.delete(self.bookings["deleted"])
        self.bookings["correction"] = desk.book(-10, at("08:00", NOVEMBER), agent="ben", ticket="globex")
        desk.server.edit(self.bookings["retyped"], type_id=self.travel)
        self.give("moving", "globex")
        self.sync()

    def give(self, ticket: str, customer: str) -> None:
        """Give a ticket to the customer of another one."""
        desk = self.marts.world.desk
        other = desk.server.state.tickets[desk.tickets[customer]]
        desk.server.reassign(desk.tickets[ticket], customer_id=other.customer_id, organization_id=other.organization_id)

    def rename_and_merge(self) -> None:
        """Acme gets another name in Kimai, and all that was Globex's is theirs from now on."""
        world = self.marts.world
        tables = world.office.server.kimai.tables
        by_name = {row.name: row for row in tables["customers"].rows.values()}
        acme, globex = by_name["Acme"], by_name["Globex"]
        tables["customers"].put(replace(acme, name="Acme International"))
        for project in list(tables["projects"].rows.values()):
            if project.customer == globex.id:
                tables["projects"].put(replace(project, customer=acme.id))
        organization = world.desk.server.state.tickets[world.desk.tickets["globex"]].organization_id
        world.execute(
            "INSERT INTO sync.customer_mappings (organization_id, kimai_customer_id) VALUES (:organization, :customer)",
            organization=organization,
            customer=acme.id,
        )
        self.sync()


@pytest.fixture(scope="module")
def ledgers(marts: Marts) -> Ledgers:
    found = Ledgers(marts)
    found.book()
    return found


@pytest.fixture(scope="module")
def closed(ledgers: Ledgers) -> Told:
    """October is closed before September."""
    told = ledgers.build(*MODELS)
    ledgers.close("2025-10")
    ledgers.close("2025-09")
    return told


@pytest.fixture(scope="module")
def asked(ledgers: Ledgers, closed: Told) -> Told:
    """Closed bookings changed, and nobody has decided."""
    ledgers.change()
    return ledgers.build(*MODELS)


@pytest.fixture(scope="module")
def adjusted(ledgers: Ledgers, asked: Told) -> Told:
    ledgers.adjust()
    return ledgers.build(*MODELS)


@pytest.fixture(scope="module")
def owed(ledgers: Ledgers, adjusted: Told) -> Mapping[str | None, int]:
    return ledgers.owed()


@pytest.fixture(scope="module")
def stated(ledgers: Ledgers, owed: Mapping[str | None, int]) -> Mapping[str, Statement]:
    """The statements of October and of the month in which it was adjusted, after a credit was settled."""
    del owed
    runtime = ledgers.marts.runtime
    credit = next(each for each in credit_list.list_credits(runtime, "2025-10") if each.minutes == 30)
    credit_list.settle(runtime, ADMIN, credit.id, "credit note 2025-113")
    return {month: statement(runtime, month) for month in ("2025-10", f"{today():%Y-%m}")}


@pytest.fixture(scope="module")
def merged(ledgers: Ledgers, stated: Mapping[str, Statement]) -> Told:
    """A customer was renamed and two were merged, and then the next month was closed."""
    ledgers.rename_and_merge()
    told = ledgers.build(*MODELS)
    ledgers.close("2025-11")
    return told


@pytest.fixture(scope="module")
def changed_again(ledgers: Ledgers, merged: Told) -> Told:
    """October is open again; what was adjusted changed once more, and nobody has decided about it."""
    periods.reopen(ledgers.marts.runtime, ADMIN, "2025-10", "Bookings are missing.")
    desk = ledgers.marts.world.desk
    ledgers.give("moving", "acme")
    desk.server.edit(ledgers.bookings["whole"], units=35)
    desk.server.edit(ledgers.bookings["edited"], units=80)
    desk.server.delete(ledgers.bookings["retyped"])
    ledgers.sync()
    return ledgers.build(*MODELS)


@pytest.fixture(scope="module")
def closed_again(ledgers: Ledgers, changed_again: Told) -> Told:
    ledgers.adjust()
    told = ledgers.build()  # With the tests of dbt, now that everything has happened.
    ledgers.close("2025-10")
    return told


def test_a_month_that_is_closed_is_in_kimai_customer_by_customer(closed: Told) -> None:
    assert closed.unexplained == {}
    assert closed.of("2025-10") == {"Acme": {"zammad": 160, "kimai": 160}, "Globex": {"zammad": 65, "kimai": 65}}


def test_what_changes_after_closing_is_explained_before_anybody_decides(asked: Told) -> None:
    assert asked.unexplained == {}


def test_what_is_adjusted_is_told_at_the_customer_that_it_concerns(adjusted: Told) -> None:
    assert adjusted.unexplained == {}
    assert adjusted.of("2025-10") == {
        "Acme": {"zammad": 95, "kimai": 160, "adjusted": -65},
        "Globex": {"zammad": 115, "kimai": 65, "netted": 10, "adjusted": 40},
    }


def test_what_is_adjusted_is_told_at_the_agent_and_the_activity_that_it_concerns(adjusted: Told) -> None:
    lines = {key[1:]: parts for key, parts in adjusted.lines.items() if key[0] == "2025-10"}
    assert lines == {
        ("Acme", "Anna", "Support"): {"zammad": 75, "kimai": 130, "adjusted": -55},
        ("Acme", "Anna", "Travel"): {"zammad": 20, "adjusted": 20},
        ("Acme", "Ben", "Support"): {"kimai": 30, "adjusted": -30},
        ("Globex", "Anna", "Support"): {"zammad": 75, "kimai": 25, "adjusted": 50},
        ("Globex", "Ben", "Support"): {"zammad": 40, "kimai": 40, "netted": 10, "adjusted": -10},
    }


def test_the_months_that_are_closed_out_of_order_keep_what_they_had_in_kimai(closed: Told, adjusted: Told) -> None:
    for key in [(month, customer) for month, customer in closed.customers if month != "2025-11"]:
        assert adjusted.customers[key]["kimai"] == closed.customers[key]["kimai"]
    assert adjusted.of("2025-09") == {"Acme": {"zammad": 50, "kimai": 45, "adjusted": 5}}


def test_the_time_sheets_of_adjustments_stand_in_the_month_in_which_they_were_booked(adjusted: Told) -> None:
    assert adjusted.of(f"{today():%Y-%m}") == {
        "Acme": {"kimai": 15 + 20 + 5, "adjusted": -40},
        "Globex": {"kimai": 50, "adjusted": -50},
    }


def test_what_the_statements_leave_adjusted_is_what_is_owed(adjusted: Told, owed: Mapping[str | None, int]) -> None:
    left: dict[str, int] = defaultdict(int)
    for (_, customer), parts in adjusted.customers.items():
        left[customer] -= parts.get("adjusted", 0)
    assert owed == dict(left) == {"Acme": 100, "Globex": 10}


def adjusted_of(found: Statement) -> dict[str, list[tuple[int, bool, str, str]]]:
    """The adjustments and credits of each customer: minutes, whether booked elsewhere, state and note."""
    return {
        account.customer.name: sorted(
            (int(row.minutes), row.elsewhere, str(row.state), row.note) for row in account.adjustments
        )
        for account in found.accounts
        if account.adjustments
    }


def test_credits_and_adjustments_stand_with_their_month_and_named_as_such_with_the_next(
    stated: Mapping[str, Statement],
) -> None:
    october, later = stated["2025-10"], stated[f"{today():%Y-%m}"]
    note = "credit note 2025-113"
    credited = {
        "Acme": [(-50, "open", ""), (-30, "settled", note), (-20, "open", "")],
        "Globex": [(-10, "open", "")],
    }
    booked = {"Acme": [(15, "booked", ""), (20, "booked", "")], "Globex": [(50, "booked", "")]}
    of_october = {name: sorted([*credited[name], *booked[name]]) for name in credited}
    assert adjusted_of(october) == {
        name: [(minutes, True, state, note) for minutes, state, note in rows] for name, rows in of_october.items()
    }
    assert adjusted_of(later) == {
        name: [(minutes, False, state, note) for minutes, state, note in rows] for name, rows in credited.items()
    }
    assert (october.credited, later.credited) == (0, 50 + 20 + 10)
    every = [row for found in (october, later) for account in found.accounts for row in account.adjustments]
    assert [row.amount for row in every] == [row.minutes for row in every]
    for account in later.accounts:
        assert sorted(int(item.minutes) for item in account.items) == sorted(
            [minutes for minutes, _, _ in booked[account.customer.name]]
            + ([5] if account.customer.name == "Acme" else [])
        )
        assert {item.adjusts for item in account.items} <= {MONDAY, SEPTEMBER}
        assert all(item.ticket and item.title for item in account.items)


def test_the_next_month_closes_after_customers_were_renamed_and_merged(adjusted: Told, merged: Told) -> None:
    assert merged.unexplained == {}
    assert merged.of("2025-11") == {"Acme International": {"zammad": 5, "kimai": 15, "netted": -10}}
    assert merged.of("2025-10") == {
        "Acme International": {"zammad": 210, "kimai": 225, "netted": 10, "adjusted": -25},
    }


def test_what_was_adjusted_and_changes_again_waits_on_the_account_that_it_concerns(changed_again: Told) -> None:
    assert changed_again.unexplained == {}
    assert changed_again.of("2025-10")["Acme International"]["waiting"] == 5 - 20


def test_a_month_that_was_opened_again_is_written_adjusted_and_closed_again(
    ledgers: Ledgers, closed_again: Told
) -> None:
    assert closed_again.unexplained == {}
    # 80 edited, 40 corrected, 50 moved back, 35 written again; the deleted and the retyped booking are gone.
    assert closed_again.of("2025-10") == {
        "Acme International": {"zammad": 205, "kimai": 235, "netted": 10, "adjusted": -40},
    }
    history = [(row.month, row.closed) for row in periods.history(ledgers.marts.runtime)]
    assert history == [("2025-11", True), ("2025-10", True), ("2025-10", False), ("2025-09", True)]
