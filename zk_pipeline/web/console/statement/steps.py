"""The way of a month to its closing: five steps, each with its state and what to do, and the closed month."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date

from nicegui import ui

from zk_pipeline.billing import months, periods
from zk_pipeline.billing.months import CustomerReview, MonthProgress
from zk_pipeline.domain.month_steps import Finding, StepState
from zk_pipeline.domain.month_steps import Step as StepName
from zk_pipeline.domain.periods import billed_tag, last_day, month_name, next_month
from zk_pipeline.domain.statement import Statement
from zk_pipeline.identity.actors import OperationError, Role
from zk_pipeline.operate import sync
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.statement import figures
from zk_pipeline.web.console.visit import EXPECTED, Visit, new_key

_TO_SYNC = frozenset({Finding.UNREAD, Finding.READ_EARLY, Finding.UNEXPLAINED, Finding.NETTING})
_TO_MAKE = frozenset({Finding.UNMADE, Finding.STALE})
_ICONS: Mapping[str, str] = {
    "done": "check_circle",
    "current": "radio_button_checked",
    "open": "radio_button_unchecked",
}


class Steps:
    """Draws the steps of a month; `refresh` loads the page again, `offer_refresh` draws the way to a new statement."""

    def __init__(
        self,
        visit: Visit,
        month: date,
        progress: MonthProgress,
        refresh: Callable[[], Awaitable[None]],
        offer_refresh: Callable[[], None],
    ) -> None:
        self._visit, self._month, self._progress = visit, month, progress
        self._refresh, self._offer_refresh = refresh, offer_refresh
        self._sync_key, self._tag_key = new_key(), new_key()

    @property
    def closed(self) -> bool:
        """Whether the month is closed."""
        return self._progress.steps[-1].is_done

    @property
    def offers_refresh(self) -> bool:
        """Whether a step offers to make the statement."""
        return not self.closed and self._progress.steps[0].finding in _TO_MAKE

    def show(self, shown: Statement | None) -> None:
        """The five steps; of a closed month only who closed it, what changed since, and the way back."""
        if self.closed:
            with widgets.card(classes="zk-stack"):
                self._show_closed(shown)
            return
        current = next(state.step for state in self._progress.steps if not state.is_done)
        with widgets.card(self._visit.words("month.steps")), widgets.box("zk-steps", "ol").props("role=list"):
            for state in self._progress.steps:
                self._show_step(state, "done" if state.is_done else "current" if state.step is current else "open")

    def _show_step(self, state: StepState, standing: str) -> None:
        words = self._visit.words
        with widgets.box(f"zk-step zk-step-{standing}", "li").props(f"data-step={state.step}") as line:
            if standing == "current":
                line.props["aria-current"] = "step"
            ui.icon(_ICONS[standing]).props("aria-hidden=true")
            with widgets.box("zk-two-lines"):
                with widgets.box("zk-step-title"):
                    widgets.text("span", words(f"month.step.{state.step}"))
                    widgets.text("span", words(f"month.state.{standing}"), "zk-sr")
                widgets.text("span", self._sentence(state), "zk-muted")
            with widgets.box("zk-step-action"):
                self._show_action(state, primary=standing == "current")

    def _sentence(self, state: StepState) -> str:
        words = self._visit.words
        return words(
            f"month.{state.step}.{state.finding}",
            number=words.number(state.number),
            hours=words.hours(state.minutes),
            month=words.month(self._month),
            day=words.day(next_month(self._month)),
        )

    def _show_action(self, state: StepState, *, primary: bool) -> None:
        """The one button or link of a step."""
        visit, words, kind = self._visit, self._visit.words, "primary" if primary else "plain"
        operator = visit.may(Role.OPERATOR)
        if state.finding in _TO_MAKE:
            self._offer_refresh()
        elif state.finding in _TO_SYNC and operator:
            widgets.button(words("month.sync"), visit.act(Role.OPERATOR, self._sync), kind=kind)
        elif state.finding is Finding.REQUESTED:
            widgets.link(words("runs.title"), "/runs")
        elif state.step is StepName.DECIDED and state.finding in {Finding.OPEN, Finding.QUESTIONS}:
            widgets.link(words("statement.decide"), "/reconcile")
        elif state.step is StepName.REVIEWED and state.finding is Finding.OPEN and operator:
            label = words("month.review.all", number=words.number(state.number))
            widgets.button(label, visit.act(Role.OPERATOR, self._review_all), kind=kind)
        elif state.finding in {Finding.READY, Finding.WITH_WAITING}:
            if visit.may(Role.ADMIN):
                label = words("month.close.open", month=words.month(self._month))
                widgets.button(label, visit.act(Role.ADMIN, self._ask_to_close), kind=kind)
            else:
                widgets.text("span", words("month.closed.admin"), "zk-muted")

    async def _sync(self) -> None:
        visit = self._visit
        first, last = self._month, last_day(self._month)
        await visit.once(self._sync_key, sync.request_days, visit.runtime, visit.actor, first, last)
        visit.notify(visit.words("month.sync.done"))
        await self._refresh()

    async def _review_all(self) -> None:
        seen = {months.customer_key(row.customer): row.hash for row in self._progress.customers if not row.holds}
        await self._visit.ask(months.review, self._visit.runtime, self._visit.actor, month_name(self._month), seen)
        await self._refresh()

    # Closing.

    async def _ask_to_close(self) -> None:
        # As it is now: the page may still show what was left before the last click.
        now = await self._visit.ask(months.progress, self._visit.runtime, month_name(self._month))
        _CloseDialog(self._visit, self._month, now, self._refresh)

    # The closed month.

    def _show_closed(self, shown: Statement | None) -> None:
        visit, words = self._visit, self._visit.words
        closing = shown.closing if shown else None
        with widgets.box("zk-row"):
            if closing:
                widgets.text("span", figures.style_for(visit).closing_sentence(closing), "zk-lead")
                if closing.kind == "outdated":
                    self._offer_refresh()
            widgets.box("zk-grow")
            if visit.may(Role.ADMIN):
                widgets.button(words("month.tag"), visit.act(Role.ADMIN, self._tag))
                widgets.button(words("month.reopen.open"), visit.act(Role.ADMIN, self._ask_to_reopen))

    async def _tag(self) -> None:
        visit = self._visit
        await visit.once(self._tag_key, periods.launch_tagging, visit.runtime, visit.actor, month_name(self._month))
        visit.notify(visit.words("month.tag.done"))

    def _ask_to_reopen(self) -> None:
        visit, words, key = self._visit, self._visit.words, new_key()
        month = words.month(self._month)
        with widgets.dialog(words("month.reopen.title", month=month), words("close")) as dialog:
            widgets.text("p", words("month.reopen.about"))
            reason = widgets.field(words("month.reopen.reason")).props("maxlength=1000 autofocus")

            async def reopen() -> None:
                given = (reason.value or "").strip()
                if not given:
                    raise OperationError(words("month.reopen.missing"), "reason")
                await visit.once(key, periods.reopen, visit.runtime, visit.actor, month_name(self._month), given)
                dialog.close()
                visit.notify(words("month.reopen.done", month=month))
                await self._refresh()

            form = feedback.Form(visit, Role.ADMIN, {"reason": reason}, cancel=dialog.close)
            form.button(words("month.reopen"), reopen)


class _CloseDialog:
    """Says what is left, and closes the month once its name was typed."""

    def __init__(
        self, visit: Visit, month: date, progress: MonthProgress, refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._visit, self._month, self._refresh, self._key = visit, month, refresh, new_key()
        self._waiting = next(state for state in progress.steps if state.step is StepName.DECIDED)
        words, name = visit.words, visit.words.month(month)
        with widgets.dialog(words("month.close.title", month=words.month(month)), words("close")) as self._dialog:
            widgets.text("p", words("month.close.about"), "zk-muted")
            self._show_left(progress.customers)
            self._with_waiting = None
            if not self._waiting.is_done:
                key = "with_questions" if self._waiting.finding is Finding.QUESTIONS else "with_waiting"
                hours = words.hours(self._waiting.minutes)
                self._with_waiting = ui.checkbox(words(f"month.close.{key}", hours=hours))
            self._tag = ui.checkbox(words("month.close.tag", tag=billed_tag(month)))
            self._typed = widgets.field(words("month.close.type", name=name)).props("maxlength=30 autocomplete=off")
            form = feedback.Form(visit, Role.ADMIN, {"month": self._typed}, cancel=self._dialog.close)
            form.button(words("month.close"), self._close)

    def _show_left(self, customers: tuple[CustomerReview, ...]) -> None:
        words, unreviewed = self._visit.words, sum(not row.holds for row in customers)
        left: list[str] = []
        if not self._waiting.is_done:
            number, hours = words.number(self._waiting.number), words.hours(self._waiting.minutes)
            left.append(words(f"month.decided.{self._waiting.finding}", number=number, hours=hours))
        if unreviewed:
            left.append(words("month.close.unreviewed", number=words.number(unreviewed)))
        if not left:
            widgets.text("p", words("month.close.nothing"))
            return
        widgets.text("h3", words("month.close.left"), "zk-card-title")
        with widgets.box("zk-left", "ul"):
            for each in left:
                widgets.text("li", each)

    async def _close(self) -> None:
        visit, words = self._visit, self._visit.words
        month = words.month(self._month)
        if (self._typed.value or "").strip().casefold() != month.casefold():
            raise OperationError(words("month.close.typed", name=month), "month")
        if self._with_waiting is not None and not self._with_waiting.value:
            raise OperationError(words("month.close.accept"))
        try:
            closed = await visit.once(
                self._key,
                periods.close_and_tag,
                visit.runtime,
                visit.actor,
                month_name(self._month),
                with_waiting=self._with_waiting is not None,
                tag=bool(self._tag.value),
            )
        except EXPECTED:
            # The objection of now may be another one, so it may be tried again.
            self._key = new_key()
            raise
        self._dialog.close()
        if closed.tag_problem:
            visit.warn(words("month.close.untagged", month=month, problem=words.said(closed.tag_problem)))
        else:
            visit.notify(words("month.close.tagging" if closed.tag_run_id else "month.close.done", month=month))
        await self._refresh()
