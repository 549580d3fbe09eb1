"""What waits, as a card for each cause: how much of it there is, what solves all of it, and its rows."""

from dataclasses import dataclass
from functools import partial

from nicegui import ui
from nicegui.element import Element

from zk_pipeline.billing import credit_list, invoices, statements
from zk_pipeline.decisions import causes, conflicts, mapping_names, mending, plans
from zk_pipeline.decisions.causes import Cause
from zk_pipeline.decisions.conflicts import Conflict, ConflictList
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.decisions.mapping_names import MappingOption
from zk_pipeline.decisions.plans import WaitingPlans
from zk_pipeline.domain.mapping_lines import OWN, Kind
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import ALLOWED, Choice
from zk_pipeline.identity.actors import Role
from zk_pipeline.operate import sync
from zk_pipeline.operate.sync import HeldDays
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import PushMode
from zk_pipeline.web.console import feedback, marks, widgets
from zk_pipeline.web.console.causes import next_step_of, subject_of, title_of
from zk_pipeline.web.console.reconcile import detail
from zk_pipeline.web.console.reconcile.bulk import Bulk
from zk_pipeline.web.console.reconcile.fixes import Done, Fixes, is_unmapped
from zk_pipeline.web.console.reconcile.pane import Pane
from zk_pipeline.web.console.run_actions import show_held
from zk_pipeline.web.console.sync_dialog import SyncDialog
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Panel

SIZE = 50
SUGGESTED = 2
"""Suggestions that are buttons of a card; the others stand in the list."""

LOOKED_AT = 200
"""Decisions whose authors are named."""

_BULK = (Choice.LINK, Choice.CREATE, Choice.UPDATE, Choice.DELETE, Choice.KEEP, Choice.MOVE, Choice.ADJUST)

_REVIEWED = frozenset({Reason.DUPLICATE, Reason.FUZZY_CANDIDATE})
"""Reasons whose conflicts are looked at one by one beside the decision for all: each pair may be a coincidence."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything that the cards show; `rows` are those of the card that is open.

    `decided` are the decisions that no run has carried out yet, `deciders` the people who made them; `carried_out`
    is what is done of decisions, mappings and other tries of which a part is not done yet. `money` counts the questions
    about money that Month shows, and the credits to settle.
    """

    found: tuple[Cause, ...]
    decided: int
    carried_out: int
    deciders: tuple[str, ...]
    held: tuple[HeldDays, ...]
    plans: WaitingPlans | None
    money: int
    opened: str
    rows: ConflictList | None


class Cards:
    """The cards; one of them at a time is open."""

    def __init__(self, visit: Visit, pane: Pane, wanted: ConflictFilter, opened: str) -> None:
        self._visit, self._pane, self._wanted = visit, pane, wanted
        self._opened, self._page = opened, 1
        self._bulk = Bulk(visit, pane)
        self._direct = Fixes(visit, self._mapped)
        self._panel: Panel[Loaded] = Panel(visit, self._load, self._show)

    async def refresh(self) -> None:
        """Load the cards again."""
        await self._panel.refresh()

    def _load(self) -> Loaded:
        runtime = self._visit.runtime
        found = causes.causes(runtime, self._wanted)
        opened = next((cause for cause in found if cause.key == self._opened), None)
        rows = None
        if opened is not None:
            wanted = ConflictFilter(ids=frozenset(opened.ids))
            rows = conflicts.list_conflicts(runtime, wanted, SIZE, (self._page - 1) * SIZE)
        decided = conflicts.list_conflicts(runtime, ConflictFilter(status="decided"), LOOKED_AT)
        names = {row.decided_by_name for row in decided.items if row.decided_by_name}
        deciders = tuple(sorted(marks.actor(self._visit.words, name) for name in names))
        held = sync.held_days(runtime)
        carried_out = conflicts.carried_out_so_far(runtime)
        waiting, money = plans.waiting(runtime), _money_questions(runtime)
        return Loaded(found, decided.total, carried_out, deciders, held, waiting, money, self._opened, rows)

    def _show(self, loaded: Loaded) -> None:
        words, visit = self._visit.words, self._visit
        if visit.runtime.settings.push_mode is PushMode.OFF:
            widgets.text("p", words("todo.off"), "zk-note zk-warn")
        for row in loaded.held:
            self._held(row)
        if loaded.plans is not None:
            self._approval(loaded.plans)
        if loaded.money:
            with widgets.box("zk-note zk-row"):
                widgets.text("span", words.count("todo.money", loaded.money))
                widgets.link(words("todo.money.open"), "/statement")
        if self._wanted != ConflictFilter():
            with widgets.box("zk-row"):
                widgets.text("span", words("todo.narrowed"), "zk-muted")
                widgets.link(words("todo.all_of_it"), "/reconcile")
        waiting = [cause for cause in loaded.found if cause.asked < cause.conflicts]
        under_way = loaded.decided + sum(row.conflicts for row in loaded.found if row not in waiting)
        self._progress(under_way, loaded.carried_out, loaded.deciders)
        if not waiting:
            if loaded.plans is None and not loaded.held:
                widgets.empty(words("todo.none.bookings" if loaded.money else "todo.none"), words("todo.none.hint"))
            return
        for cause in waiting:
            self._card(cause, loaded.rows if cause.key == loaded.opened else None)

    def _progress(self, under_way: int, carried_out: int, deciders: tuple[str, ...]) -> None:
        """How much is carried out of each decision, mapping and other try that is under way."""
        words = self._visit.words
        if not under_way:
            return
        done, total = carried_out, under_way + carried_out
        sentences = [words("todo.progress", done=words.number(done), total=words.number(total))] if done else []
        sentences.append(words.count("todo.under_way", under_way))
        if deciders:
            sentences.append(words("todo.decided_by", names=", ".join(deciders)))
        with widgets.box("zk-under-way").props("role=status"):
            ui.element("progress").props(f"max={total} value={done}").props["aria-label"] = sentences[0]
            widgets.text("p", " ".join(sentences))

    # A card: its title opens the rows, and its fixes stand beside it.

    def _card(self, cause: Cause, rows: ConflictList | None) -> None:
        words, visit = self._visit.words, self._visit
        with widgets.box("zk-card zk-cause", "article"):
            with widgets.box("zk-cause-head"):
                with widgets.box("zk-cause-what"):
                    with widgets.box("zk-cause-name", "h3"):
                        toggle = visit.act(Role.VIEWER, partial(self._toggle, cause))
                        title = widgets.open_button(title_of(words, cause), toggle)
                        title.props["data-zk-item"] = True
                        title.props["aria-expanded"] = str(rows is not None).lower()
                    number = words.count("todo.bookings", cause.conflicts)
                    sum_ = widgets.text("p", f"{number} · {words.hours(cause.minutes)}", "zk-muted zk-cause-sum")
                    sum_.props["title"] = words.minutes(cause.minutes)
                    if cause.kind == Reason.REFUSED_BY_KIMAI:  # All such cards have one title; this tells them apart.
                        widgets.text("p", words.said(cause.text), "zk-muted")
                if visit.may(Role.OPERATOR):
                    with widgets.box("zk-cause-fixes"):
                        self._fixes(cause)
            if rows is not None:
                self._rows(cause, rows)

    async def _toggle(self, cause: Cause) -> None:
        """Open the rows, or of a single conflict the pane at once."""
        if cause.conflicts == 1:
            await detail.of_conflict(self._visit, self._pane, cause.ids[0])
            return
        self._opened = "" if self._opened == cause.key else cause.key
        self._page = 1
        self._bulk.clear()
        await self.refresh()
        self._visit.client.run_javascript("setTimeout(() => zkConsole.toList(), 60)")

    def _rows(self, cause: Cause, rows: ConflictList) -> None:
        words, may = self._visit.words, self._visit.may(Role.OPERATOR)
        widgets.text("p", next_step_of(words, cause), "zk-muted")
        choices = [choice for choice in _BULK if choice in ALLOWED[Reason(cause.reason)]]
        if may:
            self._bulk.bar(cause.ids, [*choices, *_leaving(cause)])
        names = ("day", "ticket", "agent", "customer")
        columns = [*([Column(words("reconcile.select"))] if may else [])]
        columns += [*(Column(words(f"reconcile.{name}")) for name in names), Column(words("todo.hours"), number=True)]
        table = widgets.table(title_of(words, cause), columns, [self._row(row, may=may) for row in rows.items])
        table.classes("zk-dense")
        if rows.total > SIZE:
            widgets.pager(words, self._page, SIZE, rows.total, self._go)

    def _row(self, row: Conflict, *, may: bool) -> list[Cell]:
        words, visit = self._visit.words, self._visit
        ticket = " ".join(filter(None, (row.ticket_number, row.ticket_title)))
        title = subject_of(words, ticket, row.kimai_id, row.key)
        open_row = visit.act(Role.VIEWER, lambda: detail.of_conflict(visit, self._pane, row.id))
        return [
            *([lambda: self._bulk.box(row)] if may else []),
            words.day(row.entry_date),
            lambda: widgets.open_button(title, open_row).props("data-zk-item"),
            row.user_name or "",
            row.organization_name or row.customer_name or "",
            lambda: widgets.hours(words, row.minutes),
        ]

    async def _go(self, page: int) -> None:
        self._page = page
        await self.refresh()

    # What solves all of a cause.

    def _mapped(self) -> Done:
        """What follows a mapping that is set now: the pane closes, unless something else was opened meanwhile."""
        shown = self._pane.shown

        async def done() -> None:
            self._pane.close(shown)
            await self._pane.changed()

        return done

    def _fixes(self, cause: Cause) -> None:
        words, visit = self._visit.words, self._visit
        if cause.maps is not None and cause.zammad:
            other = "todo.other" if self._direct.suggestions(cause, SUGGESTED) else "todo.map"
            choose = visit.act(Role.OPERATOR, partial(self._choose, cause))
            widgets.button(words(other), choose).props["aria-label"] = f"{words(other)}: {cause.name}"
            if is_unmapped(cause) and cause.maps is Kind.CUSTOMER:
                self._direct.mapping(cause, words("todo.create_customer"), OWN)
        self._direct.mend(cause)
        is_asked = cause.maps is None and cause.mend is None
        if is_asked and (not self._suggested(cause) or cause.reason in _REVIEWED):
            review = visit.act(Role.VIEWER, lambda: detail.one_by_one(visit, self._pane, cause.ids))
            button = widgets.button(words("todo.review"), review)
            button.props["aria-label"] = f"{words('todo.review')}: {title_of(words, cause)}"
        if Choice.IGNORE in ALLOWED[Reason(cause.reason)][:1] or cause.reason == Reason.REFUSED_BY_KIMAI:
            again = widgets.button(words("todo.again"), kind="quiet")
            again.props["aria-label"] = f"{words('todo.again')}: {cause.name}"
            again.on_click(visit.act(Role.OPERATOR, partial(self._try_again, cause, again)))
        if cause.url:
            widgets.link(words("todo.open_in_kimai"), cause.url, outside=True)
        if cause.conflicts > 1 and _leaving(cause):
            leave = partial(self._bulk.preview, Choice.IGNORE, frozenset(cause.ids))
            button = widgets.button(words("todo.leave_out.many"), visit.act(Role.OPERATOR, leave), kind="quiet")
            button.props["aria-label"] = f"{words('todo.leave_out.many')}: {title_of(words, cause)}"

    def _suggested(self, cause: Cause) -> bool:
        """The suggested decision for all, after a look at what it writes; whether there is one that fits them all."""
        choice = ALLOWED[Reason(cause.reason)][0]
        differs = cause.reason in {Reason.AMBIGUOUS, Reason.BILLED, Reason.REFUSED_BY_KIMAI}
        if differs or cause.conflicts == 1 or choice not in _BULK:
            return False
        words, ids = self._visit.words, frozenset(cause.ids)
        label = words("todo.all", choice=words(f"choice.{choice}"), number=words.number(cause.conflicts))
        widgets.button(label, self._visit.act(Role.OPERATOR, partial(self._bulk.preview, choice, ids)))
        return True

    async def _choose(self, cause: Cause) -> None:
        """Show in the pane what a mapping may lead to; what is clicked is taken."""
        visit, words = self._visit, self._visit.words
        await visit.ask(mapping_names.ensure_read, visit.runtime)
        shown: dict[str, Element] = {}
        with self._pane.showing(words("todo.map.title", name=cause.name)):
            text = widgets.search(words("mappings.search"), lambda: self._list(cause, text, found, shown))
            found = widgets.box("zk-options").props("role=list")
        await self._list(cause, text, found, shown)

    async def _list(self, cause: Cause, text: ui.input, found: Element, shown: dict[str, Element]) -> None:
        """List what fits the text. What is `shown` and still fits stays: a click on it meanwhile must not be lost."""
        visit, wanted = self._visit, (text.value or "").strip()
        with visit.showing_errors():
            options = await visit.ask(mapping_names.kimai_options, visit.runtime, cause.maps or Kind.USER, wanted)
            if wanted != (text.value or "").strip():  # typed on meanwhile: the next answer is the one to show
                return
            for value in shown.keys() - {option.value for option in options}:
                shown.pop(value).delete()
            for place, option in enumerate(options):
                if option.value not in shown:
                    with found:
                        shown[option.value] = self._option(cause, option)
                shown[option.value].move(found, place)

    def _option(self, cause: Cause, option: MappingOption) -> Element:
        words = self._visit.words
        unused = "" if option.usable else words("mappings.unused")
        label = " · ".join(filter(None, (option.name, option.note, unused)))
        with widgets.box("").props("role=listitem") as line:
            button = widgets.open_button(label, lambda: None)
            button.on_click(self._visit.act(Role.OPERATOR, partial(self._direct.map, cause, option.value, button)))
        return line

    async def _try_again(self, cause: Cause, button: ui.button) -> None:
        visit = self._visit
        with feedback.working(button):
            wanted = ConflictFilter(ids=frozenset(cause.ids))
            days = await visit.ask(mending.try_again, visit.runtime, visit.actor, wanted)
        visit.notify(visit.words.count("todo.again.done", len(days)))
        await self._pane.changed()

    # What waits since a run was cancelled, and what waits for approval.

    def _held(self, row: HeldDays) -> None:
        with widgets.box("zk-card zk-cause", "article"):
            widgets.text("h3", self._visit.words("held.title"), "zk-cause-name")
            show_held(self._visit, row, self.refresh)

    def _approval(self, found: WaitingPlans) -> None:
        words, visit = self._visit.words, self._visit
        with widgets.box("zk-card zk-cause", "article"), widgets.box("zk-cause-head"):
            with widgets.box("zk-cause-what"):
                widgets.text("h3", words("todo.approval"), "zk-cause-name")
                sums = f"{words.count('todo.lines', found.lines)} · {words.hours(found.minutes)}"
                widgets.text("p", f"{sums} · {words.days(found.first, found.last)}", "zk-muted zk-cause-sum")
            if visit.may(Role.OPERATOR):
                look = visit.act(Role.OPERATOR, lambda: SyncDialog(visit).show_plan((found.first, found.last)))
                widgets.button(words("todo.approve"), look, kind="primary")


def _money_questions(runtime: Runtime) -> int:
    booked = statements.months(runtime)
    return (len(invoices.questions(runtime, booked[0])) if booked else 0) + len(credit_list.list_credits(runtime))


def _leaving(cause: Cause) -> list[Choice]:
    return [Choice.IGNORE] if Choice.IGNORE in ALLOWED[Reason(cause.reason)] else []
