"""The section's controls: which month and customer, and having Dagster bring the statement up to date."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from nicegui import ui

from zk_pipeline.billing import statements
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import month_name, month_of
from zk_pipeline.domain.statement import Statement, StatementCustomer
from zk_pipeline.identity.actors import Role, StaleError
from zk_pipeline.operate import runs
from zk_pipeline.runtime.dagster_server import run_url
from zk_pipeline.web.console import runs as run_table
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.statement import figures, sheet
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Panel

SECONDS = 3.0
"""Between two looks at a run that makes the statement."""


@dataclass(frozen=True, slots=True)
class View:
    """What is shown: a month's statement of one customer or of all; `None` before the first was made.

    `closed` tells whether the month has a closed statement, and so two versions.
    """

    months: tuple[date, ...]
    month: date
    statement: Statement | None
    closed: bool
    customer: StatementCustomer | None
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
        self._month: date | None = None
        self._customer: StatementCustomer | None = None
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
        months = statements.months(runtime) or (month_of(local_day(datetime.now(zone), zone)),)
        month = next((month for month in months if month == self._month), months[0])
        found = self._today(month)
        closed = found is not None and found.closing is not None and found.closing.kept
        if closed and self._as_closed:
            found = statements.statement(runtime, month_name(month), closed=True)
        customers = [account.customer for account in found.accounts] if found else []
        customer = self._customer if self._customer in customers else None
        return View(months, month, found, closed, customer, self._page, self._run_id)

    def _today(self, month: date) -> Statement | None:
        try:
            return statements.statement(self._visit.runtime, month_name(month), refresh=False)
        except StaleError:
            return None

    def _show(self, view: View) -> None:
        self._follow(view)
        shown = view.shown
        if shown is None or (shown.stale_days and not shown.accounts):
            self._unmade()
        else:
            self._freshness(shown)
            sheet.show(self._visit, shown, view.customer, view.page, self._go)

    def _follow(self, view: View) -> None:
        """Fill the fields with the choices, and show the chosen ones."""
        self._month, self._customer = view.month, view.customer
        self._as_closed = self._as_closed and view.closed
        self._versions.set_value(self._as_closed)
        self._versions.set_visibility(view.closed)
        self._months.set_options({month: month_name(month) for month in view.months}, value=view.month)
        accounts = view.statement.accounts if view.statement else ()
        names = {account.customer: figures.customer_name(self._visit.words, account.customer) for account in accounts}
        self._customers.set_options({None: self._visit.words("all"), **names}, value=view.customer)

    def _unmade(self) -> None:
        words = self._visit.words
        hint = "operator" if self._visit.may(Role.OPERATOR) else "viewer"
        widgets.empty(words("statement.unmade"), words(f"statement.unmade.{hint}"))
        with widgets.actions():
            self._offer_refresh()

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
