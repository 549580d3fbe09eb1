"""The section's controls: which month and customer, its steps, and having Dagster bring the statement up to date."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial

from nicegui import ui

from zk_pipeline.billing import credit_list, invoices, months, statements
from zk_pipeline.billing.credit_list import Credit
from zk_pipeline.billing.invoices import Question
from zk_pipeline.billing.months import CustomerReview, MonthProgress
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import MonthError, month_name, month_of, parse_month
from zk_pipeline.domain.statement import Statement, StatementCustomer
from zk_pipeline.identity.actors import Role, StaleError
from zk_pipeline.operate import runs
from zk_pipeline.runtime.dagster_server import run_url
from zk_pipeline.web.console import runs as run_table
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.statement import credit_table, figures, questions, sheet
from zk_pipeline.web.console.statement.customers import Listed
from zk_pipeline.web.console.statement.steps import Steps
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Panel

SECONDS = 3.0
"""Between two looks at a run that makes the statement."""


@dataclass(frozen=True, slots=True)
class View:
    """What is shown: how far a month is, and its statement of one customer or of all; `None` before the first was made.

    `closed` tells whether the month has a closed statement, and so two versions.
    """

    months: tuple[date, ...]
    month: date
    progress: MonthProgress
    statement: Statement | None
    closed: bool
    customer: StatementCustomer | None
    credits: Sequence[Credit]
    questions: Sequence[Question]
    page: int
    run_id: str

    @property
    def shown(self) -> Statement | None:
        """The statement of those customers that were chosen."""
        if self.statement is None or self.customer is None:
            return self.statement
        chosen = tuple(account for account in self.statement.accounts if account.customer == self.customer)
        return replace(self.statement, accounts=chosen)


class Board:
    """The month, the customer and the page that were chosen, and the run that is waited for."""

    def __init__(self, visit: Visit) -> None:
        self._visit, words = visit, visit.words
        given = visit.client.request.query_params
        self._month: date | None = _month_in(given.get("month", ""))
        self._customer: StatementCustomer | None = None
        self._wanted = given.get("customer", "")
        self._ticked: StatementCustomer | None = None
        self._as_closed = False
        self._page, self._run_id = 1, ""
        with widgets.box("zk-filters"):
            self._months = widgets.choice(words("statement.month"), {}, None, self._picked)
            self._customers = widgets.choice(words("statement.customer"), {None: words("all")}, None, self._picked)
            versions = {False: words("statement.version.today"), True: words("statement.version.closed")}
            self._versions = widgets.choice(words("statement.version"), versions, self._as_closed, self._picked)
        self._panel = Panel(visit, self._load, self._show)
        self._again = ui.timer(SECONDS, self._look, active=False)
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load the statement again."""
        await self._panel.refresh()

    async def _picked(self) -> None:
        chosen = (self._months.value, self._customers.value, self._versions.value)
        if chosen == (self._month, self._customer, self._as_closed):
            return  # The fields only follow what was loaded.
        self._month, self._customer, self._as_closed = chosen
        self._page = 1
        await self.refresh()

    async def _go(self, page: int) -> None:
        self._page = page
        await self.refresh()

    def _load(self) -> View:
        runtime, zone = self._visit.runtime, self._visit.words.zone
        booked = statements.months(runtime) or (month_of(local_day(datetime.now(zone), zone)),)
        month = next((month for month in booked if month == self._month), booked[0])
        found = self._today(month)
        progress = months.progress(runtime, month_name(month), found)
        closed = found is not None and found.closing is not None and found.closing.kept
        if closed and self._as_closed:
            found = statements.statement(runtime, month_name(month), closed=True)
        customers = [account.customer for account in found.accounts] if found else []
        asked = [each for each in customers if self._wanted and self._wanted == months.customer_key(each)]
        wanted = asked[0] if asked else self._customer
        customer = wanted if wanted in customers else None
        credited = credit_list.list_credits(runtime)
        asked = invoices.questions(runtime, month)
        return View(booked, month, progress, found, closed, customer, credited, asked, self._page, self._run_id)

    def _today(self, month: date) -> Statement | None:
        try:
            return statements.statement(self._visit.runtime, month_name(month), refresh=False)
        except StaleError:
            return None

    def _show(self, view: View) -> None:
        self._follow(view)
        shown, words = view.shown, self._visit.words
        steps = Steps(self._visit, view.month, view.progress, self.refresh, self._offer_refresh)
        steps.show(shown)
        self._ask(view.questions, view.customer)
        credit_table.show(self._visit, view.credits, self.refresh)
        if shown is None or (shown.stale_days and not shown.accounts):
            hint = "operator" if self._visit.may(Role.OPERATOR) else "viewer"
            widgets.empty(words("statement.unmade"), words(f"statement.unmade.{hint}"))
            return
        if not (steps.closed or steps.offers_refresh):
            self._freshness(shown)
        reviews = {} if steps.closed else {row.customer: row for row in view.progress.customers}
        tick = self._tick if self._visit.may(Role.OPERATOR) else None
        ask = partial(self._ask, view.questions)
        listed = Listed(view.page, self._go, reviews, tick, self._ticked, ask)
        sheet.show(self._visit, shown, view.customer, listed)
        self._ticked = None

    def _ask(self, asked: Sequence[Question], customer: StatementCustomer | None) -> None:
        """What is to be asked about the money of a customer, or of all; by number, since a name may have changed."""
        meant = asked if customer is None else invoices.about_customer(asked, customer.id)
        questions.show(self._visit, meant, self.refresh)

    async def _tick(self, found: CustomerReview, reviewed: bool) -> None:  # noqa: FBT001 - the value of a checkbox
        visit, self._ticked = self._visit, found.customer
        name = month_name(self._month) if self._month else ""
        seen = {months.customer_key(found.customer): found.hash}
        try:
            await visit.ask(months.review, visit.runtime, visit.actor, name, seen, withdraw=not reviewed)
        finally:
            await self.refresh()

    def _follow(self, view: View) -> None:
        """Fill the fields with the choices, and show the chosen ones."""
        self._month, self._customer, self._wanted = view.month, view.customer, ""
        self._as_closed = self._as_closed and view.closed
        self._versions.set_value(self._as_closed)
        self._versions.set_visibility(view.closed)
        self._months.set_options({month: self._visit.words.month(month) for month in view.months}, value=view.month)
        accounts = view.statement.accounts if view.statement else ()
        names = {account.customer: figures.customer_name(self._visit.words, account) for account in accounts}
        self._customers.set_options({None: self._visit.words("all"), **names}, value=view.customer)

    def _freshness(self, shown: Statement) -> None:
        words = self._visit.words
        if not shown.stale_days and not self._run_id:
            return
        with widgets.box("zk-note zk-warn"), widgets.box("zk-row"):
            if shown.stale_days:
                widgets.text("span", words.count("statement.stale", len(shown.stale_days)))
            if not self._visit.may(Role.OPERATOR):
                widgets.text("span", words("statement.unmade.viewer"))
            widgets.box("zk-grow")
            self._offer_refresh()

    def _offer_refresh(self) -> None:
        """The button, or the run that it started."""
        visit, words = self._visit, self._visit.words
        if self._run_id:
            widgets.text("span", words("statement.refreshing"))
            address = run_url(visit.runtime.settings.dagster_link, self._run_id)
            widgets.link(words("dagster"), address, outside=True)
        elif visit.may(Role.OPERATOR):
            launch = visit.act(Role.OPERATOR, self._launch)
            widgets.button(words("statement.refresh"), launch, kind="primary", icon="update")

    async def _launch(self) -> None:
        self._run_id = await self._visit.ask(statements.launch_refresh, self._visit.runtime, self._visit.actor)
        self._again.active = True
        await self.refresh()

    async def _look(self) -> None:
        """Look at the run; once it has ended, show the result and load what it made."""
        visit = self._visit
        with visit.showing_errors():
            status = (await visit.ask(runs.statuses, visit.runtime, [self._run_id]))[self._run_id]
            if status not in run_table.ENDED:
                return
            self._again.active, self._run_id = False, ""
            if status == "success":
                visit.notify(visit.words("statement.refreshed"))
            else:
                visit.warn(visit.words("statement.not_refreshed"))
            await self.refresh()


def _month_in(text: str) -> date | None:
    """The month that an address asks for."""
    try:
        return parse_month(text)
    except MonthError:
        return None
