"""The section Home: whether everything is all right, where a month's time is, what keeps it, and the last runs."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from nicegui import ui
from nicegui.element import Element

from zk_pipeline.decisions import plans
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import last_day
from zk_pipeline.identity.actors import Role
from zk_pipeline.operate import home, overview, runs, sync
from zk_pipeline.operate.home import Home
from zk_pipeline.operate.runs import RunDetails
from zk_pipeline.operate.sync import HeldDays
from zk_pipeline.runtime.settings import PushMode
from zk_pipeline.web.console import causes, charts, widgets
from zk_pipeline.web.console.causes import Cause, causes_of
from zk_pipeline.web.console.reconcile.fixes import Fixes
from zk_pipeline.web.console.run_actions import show_held, show_runs
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.statement import figures
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Panel, Tone

RUNS_SHOWN = 6
SECONDS_AT_WORK = 3.0
"""Seconds between two looks at a run under way."""

_BOTH_SIDES = 2


CAUSES_SHOWN = 3


Loaded = tuple[Home, tuple[Cause, ...], int]
"""A month, the causes with most hours, and how many planned writes wait for an approval."""


class Dashboard:
    """The section's parts, for the month that was chosen."""

    def __init__(self, visit: Visit) -> None:
        self._visit, words = visit, visit.words
        self._month: date | None = None
        with widgets.box("zk-home-month"):
            self._months = widgets.choice(words("month.choose"), {}, None, self._chosen)
        self._held = Panel(visit, lambda: sync.held_days(visit.runtime), self._show_held)
        self._state = Panel(visit, self._load, self._show)
        with widgets.card(words("runs.recent")):
            self._runs = Panel(visit, lambda: runs.page(visit.runtime, RUNS_SHOWN, 0)[0], self._show_runs)
        self._again = ui.timer(SECONDS_AT_WORK, self._runs.refresh, active=False)
        visit.live(self._held.refresh)
        visit.live(self._state.refresh)
        visit.live(self._runs.refresh)

    async def refresh(self) -> None:
        """Load everything."""
        await self._held.refresh()
        await self._state.refresh()
        await self._runs.refresh()

    def _show_held(self, held: Sequence[HeldDays]) -> None:
        words = self._visit.words
        if not held:
            return
        with widgets.box("zk-note zk-warn zk-stack"):
            widgets.text("h3", words("held.title"), "zk-card-title")
            for row in held:
                show_held(self._visit, row, self._held.refresh)

    def _load(self) -> Loaded:
        runtime = self._visit.runtime
        found = home.home(runtime, self._month)
        known = causes_of(self._visit, found.month, last_day(found.month))
        largest = tuple(cause for cause in known if cause.asked < cause.conflicts)[:CAUSES_SHOWN]
        unapproved = 0
        if runtime.settings.push_mode is PushMode.REVIEW and found.days:
            first = max(found.month, runtime.settings.start_date)
            last = found.days[-1].day
            unapproved = sum(day.waiting for day in plans.days(runtime, first, last)) if first <= last else 0
        return found, largest, unapproved

    async def _chosen(self) -> None:
        """Show the month that was chosen; the field also changes when it follows what was loaded."""
        if self._months.value != self._month:
            self._month = self._months.value
            await self._state.refresh()

    def _show(self, loaded: Loaded) -> None:
        found, largest, unapproved = loaded
        words, self._month = self._visit.words, found.month
        self._months.set_options({month: words.month(month) for month in found.months}, value=found.month)
        _Sentence(self._visit, found, unapproved).show()
        if found.shares.bookings:
            with widgets.card(words("home.shares", month=words.month(found.month))):
                _shares(self._visit, found)
            with widgets.box("zk-columns"):
                with widgets.card(words("dashboard.minutes")):
                    charts.show_days(self._visit, found.days)
                with widgets.card(words("home.causes")):
                    fixes = Fixes(self._visit, lambda: self._state.refresh)
                    causes.show(words, largest, *([fixes.first] if self._visit.may(Role.OPERATOR) else []))

    def _show_runs(self, shown: Sequence[RunDetails]) -> None:
        show_runs(self._visit, shown)
        self._again.active = any(run.is_under_way for run in shown)


class _Sentence:
    """What there is to know in one coloured line; each part leads to where it can be changed."""

    def __init__(self, visit: Visit, found: Home, unapproved: int) -> None:
        self._visit, self._words, self._found, self._unapproved = visit, visit.words, found, unapproved

    def show(self) -> None:
        """Draw it, in the colour of the worst that it says."""
        tone, icon = self._tone()
        with widgets.box(f"zk-status zk-{tone}").props("role=status"):
            ui.icon(icon)
            with widgets.box("zk-status-text", "p"):
                self._time()
                if self._found.elsewhere:
                    self._part(self._words.count("home.elsewhere", self._found.elsewhere), "/reconcile")
                if self._unapproved:
                    self._part(self._words.count("home.unapproved", self._unapproved), "/reconcile")
                self._connectors()
                self._sync()

    def _tone(self) -> tuple[Tone, str]:
        found = self._found
        if found.failure or any(row.failing_since for row in found.systems):
            return "bad", "error"
        if found.shares.waiting or found.elsewhere or self._unapproved or len(found.systems) < _BOTH_SIDES:
            return "warn", "schedule"
        return "good", "check_circle"

    def _time(self) -> None:
        words, shares = self._words, self._found.shares
        month = words.month(self._found.month)
        if not shares.bookings:
            self._part(words("home.nothing", month=month))
        elif not shares.bookings_waiting:
            self._part(words("home.all_there", month=month))
        else:
            hours = words.hours(shares.waiting)
            text = words.count("home.waits", shares.bookings_waiting, month=month, hours=hours)
            self._part(text, "/reconcile?view=conflicts").props["title"] = words.minutes(shares.waiting)

    def _connectors(self) -> None:
        words, systems = self._words, self._found.systems
        failing = [row for row in systems if row.failing_since]
        if len(systems) < _BOTH_SIDES:
            self._part(words("home.connect"), "/connectors")
        for row in failing:
            key = "home.refused" if row.refused else "home.away"
            since = self._when(row.failing_since) if row.failing_since else ""
            self._part(words(key, name=row.name.capitalize(), since=since), "/connectors")
        if not failing and len(systems) >= _BOTH_SIDES:
            self._part(words("home.connected"), "/connectors")

    def _sync(self) -> None:
        words, found = self._words, self._found
        if found.failure:
            self._part(words("home.failed", why=words.said(found.failure)), "/runs")
        last = words("home.last", at=self._when(found.last_sync_at)) if found.last_sync_at else words("home.never")
        self._part(last, "/runs")
        schedule = "/schedule" if self._visit.may(Role.ADMIN) else ""
        following = found.next_sync_at
        self._part(words("home.next", at=self._when(following)) if following else words("home.no_next"), schedule)
        if found.days_queued:
            self._part(words.count("home.queued", found.days_queued), "/runs")

    def _part(self, text: str, target: str = "") -> Element:
        return widgets.link(text, target) if target else widgets.text("span", text)

    def _when(self, instant: datetime) -> str:
        """The time alone where it is today's."""
        zone = self._words.zone
        local = instant.astimezone(zone)
        return f"{local:%H:%M}" if local.date() == local_day(datetime.now(UTC), zone) else self._words.instant(instant)


def _shares(visit: Visit, found: Home) -> None:
    """One bar of the three parts; each is a link to its bookings.

    What is in the target is the target's own sum, as in Month, with its amounts; and why it is not what was booked.
    """
    words, style, shares = visit.words, figures.style_for(visit), found.shares
    days = f"from={found.month}&to={last_day(found.month)}"
    parts = [
        ("in_target", found.in_target, f"/reconcile?view=matches&{days}"),
        ("waiting", shares.waiting, f"/reconcile?view=conflicts&{days}"),
        ("left_out", shares.left_out, f"/reconcile?view=left_out&{days}"),
    ]
    whole = sum((abs(minutes) for _, minutes, _ in parts), overview.ZERO)
    with widgets.box("zk-shares").props("aria-hidden=true"):
        for name, minutes, address in parts:
            if minutes:
                part = widgets.link("", address).classes(f"zk-share zk-share-{name}", remove="zk-link")
                part.props("tabindex=-1").style(f"flex-grow: {abs(minutes)}")
                part.props["title"] = f"{words(f'home.{name}')}: {words.minutes(minutes)}"
    with widgets.box("zk-share-names", "ul"):
        for name, minutes, address in parts:
            with widgets.box("", "li"):
                widgets.box(f"zk-dot zk-share-{name}", "span")
                widgets.link(words(f"home.{name}"), address)
                widgets.hours(words, minutes, "zk-lead")
                widgets.text("span", words.percent(minutes, whole), "zk-muted")
                for currency, amount in found.amounts if name == "in_target" else ():
                    widgets.text("span", f"{style.amount(amount)} {currency}".strip())
    if found.in_target != shares.in_target:
        booked = words("home.in_target.booked", booked=words.hours(shares.in_target))
        widgets.text("p", booked, "zk-muted").props["title"] = words.minutes(shares.in_target)


async def _show(visit: Visit) -> None:
    await Dashboard(visit).refresh()


SECTION = Section("dashboard", "dashboard", _show)
