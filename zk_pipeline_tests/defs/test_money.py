"""Random months with rates, rounding, invoices and edits: what each customer pays is what the bookings are worth.

The judge is a Kimai of its own, into which the bookings of the end are typed as if nothing had ever been billed: its
rules and its arithmetic say what they are worth. `MONEY_SEEDS` sets how many months there are.
"""

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from zk_pipeline.billing import credit_list
from zk_pipeline.decisions import conflicts
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.stages.read_target import check_invoices
from zk_pipeline_tests.defs.billing import ADMIN, today
from zk_pipeline_tests.defs.world import MONDAY, World, at
from zk_sandbox.kimai import KimaiServer

LAST = MONDAY + timedelta(days=2)
CUSTOMERS = {"acme": ("EUR", "92.5"), "globex": ("CHF", "133.33")}
CENT, HALF_A_CENT = Decimal("0.01"), Decimal("0.005")
SEEDS = int(os.environ.get("MONEY_SEEDS", "20"))


@dataclass
class Booked:
    """A booking as it is now; `minutes` is `None` once it is deleted."""

    id: int
    ticket: str
    agent: str
    moment: datetime
    minutes: int | None


@dataclass
class Month:
    """One month of a seed, lived by people on both sides."""

    world: World
    random: Random
    bookings: list[Booked]
    customers: dict[str, int]

    @property
    def server(self) -> KimaiServer:
        return self.world.office.server

    def sync(self) -> None:
        self.world.sync(MONDAY, LAST)
        self.world.sync(today())

    def book(self, number: int) -> None:
        for _ in range(number):
            ticket, agent = self.random.choice(["acme", "globex"]), self.random.choice(["anna", "ben"])
            day, hour = MONDAY + timedelta(days=self.random.randrange(3)), len(self.bookings)
            moment, minutes = at(f"{hour:02}:{self.random.randrange(60):02}", day), self.random.randint(1, 50)
            booking = self.world.desk.book(minutes, moment, ticket=ticket, agent=agent)
            self.bookings.append(Booked(booking, ticket, agent, moment, minutes))

    def edit(self, number: int) -> None:
        """Agents correct and delete bookings in Zammad."""
        for booked in self.random.sample(self.bookings, number):
            if booked.minutes is None:
                continue
            if self.random.random() < 0.25:
                self.world.desk.server.delete(booked.id)
                booked.minutes = None
            else:
                booked.minutes = self.random.randint(1, 60)
                self.world.desk.server.edit(booked.id, units=booked.minutes)

    def decide(self) -> None:
        """Decide about everything that waits as the product suggests."""
        runtime = self.world.environment.runtime
        for row in self.world.conflicts():
            conflicts.decide(runtime, ADMIN, row.id, Choice(row.suggested_action))
        self.world.sync(MONDAY, LAST)

    def invoice(self, first: date, last: date) -> None:
        """Somebody invoices some of the customers, or forgets to, cancels, or merely exports."""
        for customer in self.customers.values():
            match self.random.choice(["invoice", "invoice", "leave", "cancel"]):
                case "invoice":
                    self.server.invoice(self.world.office.users["sync"], customer, first, last)
                case "cancel":
                    made = self.server.invoice(self.world.office.users["sync"], customer, first, last)
                    if made is not None:
                        self.server.change_invoice(made.id, "canceled")
                case _:
                    pass

    def paid(self, ticket: str) -> Decimal:
        """What the customer pays in the end: invoices, what is still to be billed, less credits, without tax.

        What is exported without an invoice that holds is a question by itself: Kimai will not bill it again.
        """
        customer, kimai = self.customers[ticket], self.server.kimai
        runtime = self.world.environment.runtime
        with runtime.target() as target:
            found, _ = check_invoices(runtime, target)
        asked = sum((row.difference for row in found if row.customer_id == customer), Decimal(0))
        invoiced = sum(
            (row.total - row.tax for row in kimai.invoices if row.customer == customer and row.status != "canceled"),
            Decimal(0),
        )
        ours = [row for row in self.world.office.rows if kimai.projects.rows[row.project].customer == customer]
        left = sum((row.rate for row in ours if row.billable and not row.exported), Decimal(0))
        rows = credit_list.list_credits(runtime, settled=True)
        credited = sum((row.amount or 0 for row in rows if row.currency == CUSTOMERS[ticket][0]), Decimal(0))
        return invoiced + left + asked - credited

    def worth(self, ticket: str) -> Decimal:
        """What the bookings of the customer are worth by Kimai's own rules."""
        kimai = KimaiServer()
        kimai.restore(self.server.snapshot())
        for row in list(kimai.kimai.timesheets):
            kimai.kimai.timesheets.remove(row.id)
        user, activity = self.world.office.users, self.world.office.activity
        project = next(row.id for row in kimai.kimai.projects if row.customer == self.customers[ticket])
        for booked in self.bookings:
            if booked.minutes and booked.ticket == ticket:
                end = booked.moment + timedelta(minutes=booked.minutes)
                sheet = kimai.add_timesheet(user[booked.agent], project, activity, booked.moment, end)
                kimai.edit_timesheet(sheet, end=int(end.astimezone(UTC).timestamp()))
        return sum((row.rate for row in kimai.kimai.timesheets), Decimal(0))


@pytest.fixture
def month(world: World, request: pytest.FixtureRequest) -> Month:
    """Two customers with rates, each in a currency of its own, and a rounding rule of the seed's."""
    random, server = Random(request.param), world.office.server
    rule, minutes = "timesheet.rounding.default", random.choice([1, 1, 5, 15])
    mode = random.choice(["default", "ceil", "floor", "closest"])
    server.configure({f"{rule}.mode": mode, f"{rule}.begin": 1, f"{rule}.end": 1, f"{rule}.duration": minutes})
    customers: dict[str, int] = {}
    for row in world.desk.server.state.organizations.values():
        ticket = row.name.lower()
        currency, rate = CUSTOMERS[ticket]
        customers[ticket] = server.add_customer(row.name, number=f"zammad-org-{row.id}", currency=currency)
        server.add_rate("customers", customers[ticket], rate)
    return Month(world, random, [], customers)


@pytest.mark.parametrize("month", range(SEEDS), indirect=True)
def test_what_is_paid_in_the_end_is_what_the_bookings_are_worth(month: Month) -> None:
    month.book(8)
    month.world.sync(MONDAY, LAST)
    month.invoice(MONDAY, LAST)
    month.world.sync(MONDAY, LAST)
    uncertain: set[str] = set()
    for _ in range(2):
        month.edit(3)
        month.book(1)
        month.world.sync(MONDAY, LAST)
        uncertain |= {str(row.source_id) for row in month.world.conflicts() if row.uncertain}
        month.decide()
        month.invoice(today(), today())
        month.sync()
    asked = {str(row.source_id) for row in month.world.conflicts()} | uncertain
    unclear = {booked.ticket for booked in month.bookings if str(booked.id) in asked}
    for ticket in CUSTOMERS:
        paid, worth = month.paid(ticket), month.worth(ticket)
        rounded = HALF_A_CENT * len(month.server.kimai.invoices.rows) + CENT / 10
        assert ticket in unclear or abs(paid - worth) <= rounded, f"{ticket} pays {paid} of {worth}"
    known = {source_id for row in month.world.office.rows for source_id in marked_ids(row.description or "", "zammad")}
    assert known, "something was billed"
