"""One line of the plan in the pane: what to do first, then what differs, and whom it is billed to."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from zk_pipeline.decisions import comparison, conflicts
from zk_pipeline.decisions.comparison import FieldComparison, PlanRow, TimesheetCandidate
from zk_pipeline.decisions.conflicts import ChoiceOption, ConflictView, PastConflict
from zk_pipeline.domain.decision import Status
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.resolutions import RECORDED, Choice, needs_why, stands
from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import feedback, marks, widgets
from zk_pipeline.web.console.audit import show_story
from zk_pipeline.web.console.causes import subject_of
from zk_pipeline.web.console.details import compared
from zk_pipeline.web.console.reconcile.pane import Pane
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.widgets import Cell, Column
from zk_pipeline.web.console.words import Words

LETTERS = {
    Choice.CREATE: "C",
    Choice.UPDATE: "U",
    Choice.LINK: "L",
    Choice.DELETE: "D",
    Choice.ADJUST: "A",
    Choice.REDUCE: "R",
    Choice.MOVE: "M",
    Choice.KEEP: "E",
    Choice.IGNORE: "O",
}
"""The key of each decision; J, K and X move and select."""

UNDO_SECONDS = 10


async def of_line(visit: Visit, pane: Pane, line: PlanRow) -> None:
    """Open a line without conflict."""
    view = await visit.ask(comparison.plan_line_detail, visit.runtime, line.day, line.key)
    words = visit.words
    sheet = line.timesheet.timesheet_id if line.timesheet else None
    number = subject_of(words, line.booking.ticket_number if line.booking else None, sheet, line.key)
    with pane.showing(words("detail.line", what=number, day=words.day(line.day)), _title_of(line)):
        if line.taken_back_by:
            widgets.text("p", words("value.taken_back"), "zk-note zk-warn")
        if line.text:
            widgets.text("p", words.said(line.text), "zk-note")
        _sides(visit, view.sides)
        timesheet = line.timesheet.url if line.timesheet else None
        _links(visit, line.booking.ticket_url if line.booking else None, timesheet, line.day_url, line.key)


def _title_of(line: PlanRow) -> str:
    return line.booking.ticket_title if line.booking else ""


async def of_conflict(visit: Visit, pane: Pane, conflict_id: int) -> None:
    """Open a conflict."""
    _show(visit, pane, await visit.ask(conflicts.conflict_view, visit.runtime, conflict_id), ())


async def one_by_one(visit: Visit, pane: Pane, conflict_ids: Sequence[int]) -> None:
    """Open the first of these conflicts that is still open; each decision opens the next one, the last closes.

    What is opened while that is looked for stays open.
    """
    shown = pane.shown
    for number, conflict_id in enumerate(conflict_ids, start=1):
        view = await visit.ask(conflicts.conflict_view, visit.runtime, conflict_id)
        if pane.shown != shown:
            return
        if view.choices:
            _show(visit, pane, view, conflict_ids[number:])
            return
    pane.close(shown)


def _show(visit: Visit, pane: Pane, view: ConflictView, following: Sequence[int]) -> None:
    conflict, words = view.conflict, visit.words
    about = subject_of(words, conflict.ticket_number, conflict.kimai_id, conflict.key)
    title = f"{about} · {words.day(conflict.entry_date)}"
    with pane.showing(title, conflict.ticket_title or ""):
        _ConflictPane(visit, view, pane, following).show()


def leaving_out(visit: Visit, conflict_hours: str) -> str:
    """What the button says that leaves time out."""
    return visit.words("todo.leave_out", hours=conflict_hours)


def offer_undo(visit: Visit, pane: Pane, text: str, ids: Sequence[int]) -> None:
    """Say what was left out, and let it be brought back for ten seconds."""
    words = visit.words

    async def bring_back() -> None:
        snack.set_visibility(False)  # It is deleted later: this is called from within.
        left = await visit.ask(conflicts.reopen_many, visit.runtime, visit.actor, list(ids))
        for row in left:
            visit.warn(words.said(row.why))
        if len(left) < len(ids):
            visit.notify(words("left_out.undone"))
        await pane.changed()

    with visit.client.layout:
        snack = widgets.box("zk-snack").props("role=alert")
        with snack:
            widgets.text("span", text)
            widgets.button(words("todo.undo"), visit.act(Role.OPERATOR, bring_back), kind="quiet")
        ui.timer(UNDO_SECONDS, lambda: None if snack.is_deleted else snack.delete(), once=True)


class _ConflictPane:
    def __init__(self, visit: Visit, view: ConflictView, pane: Pane, following: Sequence[int]) -> None:
        self._visit, self._words, self._view, self._pane = visit, visit.words, view, pane
        self._following = following
        self._candidate: ui.radio | None = None
        self._booking: ui.radio | None = None
        self._key = new_key()
        self._hours = visit.words.hours(view.conflict.minutes)
        # What has a time sheet, or only corrects another booking, changes nothing of the bill when it is left as it is.
        self._is_unbilled = view.conflict.status in {Status.MISSING, Status.DUPLICATE}

    def show(self) -> None:
        conflict, words = self._view.conflict, self._words
        reason = words.known(f"reason.{conflict.reason}", conflict.reason)
        widgets.text("p", f"{reason}. {words.known(f'next.{conflict.reason}', '')}".strip())
        if self._following:
            widgets.text("p", words.count("detail.following", len(self._following)), "zk-muted")
        self._candidates()
        self._bookings()
        self._choices()
        self._facts()
        _sides(self._visit, self._view.sides)
        with widgets.box("zk-details", "details"):
            widgets.text("summary", words("detail.text"))
            # The next step that it ends with is one at the command line; the pane has buttons for it.
            text = conflict.text.removesuffix(EXPLANATIONS[Reason(conflict.reason)].next_step).strip()
            widgets.text("p", words.said(text), "zk-muted")
        _links(self._visit, conflict.ticket_url, conflict.timesheet_url, conflict.day_url, conflict.key)
        self._history()

    def _facts(self) -> None:
        conflict, words = self._view.conflict, self._words
        billed = self._view.billed_to or words("detail.billed_to.unknown")
        pairs: list[tuple[str, Cell]] = [(words("detail.billed_to"), billed)]
        customer = conflict.organization_name or conflict.customer_name
        pairs += [(words("reconcile.customer"), customer)] if customer and customer != billed else []
        pairs += [(words("reconcile.agent"), conflict.user_name)] if conflict.user_name else []
        hours = partial(widgets.hours, words, conflict.minutes)
        pairs += [(words("todo.hours"), hours)] if conflict.source_id else []
        widgets.facts(pairs)

    def _candidates(self) -> None:
        """The time sheets that may be the booking's; one of several is chosen."""
        candidates, words = self._view.candidates, self._words
        if len(candidates) < 2 or self._view.conflict.kimai_id is not None:
            for row in candidates[:1]:
                widgets.text("p", words("detail.candidate", what=_described(words, row)), "zk-note")
            return
        names = {row.timesheet_id: _described(words, row) for row in candidates}
        self._candidate = self._radio(words("detail.which"), names)

    def _chosen_sheet(self) -> int | None:
        """The candidate to link: the chosen one, or the only one that the pane shows."""
        if self._candidate is not None:
            return self._candidate.value
        alone = self._view.candidates if self._view.conflict.kimai_id is None else ()
        return alone[0].timesheet_id if len(alone) == 1 else None

    def _bookings(self) -> None:
        """The bookings that a correction may be about, best first; one of them is chosen."""
        bookings, words = self._view.bookings, self._words
        names = {
            row.booking_id: " · ".join(
                filter(
                    None,
                    (words.day(row.day), row.ticket_number, row.agent, words.hours(row.minutes), words.said(row.note)),
                )
            )
            for row in bookings
        }
        if len(bookings) > 1:
            self._booking = self._radio(words("detail.which_booking"), names)
        elif names:
            widgets.text("p", next(iter(names.values())), "zk-note")

    def _radio(self, question: str, names: Mapping[Any, str]) -> ui.radio:
        """A choice of one; the first is preselected."""
        with widgets.box("", "fieldset").classes("zk-fieldset"):
            widgets.text("legend", question, "zk-muted")
            return ui.radio(dict(names), value=next(iter(names))).props("dense").classes("zk-picker-list")

    def _choices(self) -> None:
        if not self._view.choices:
            self._way_back()
            return
        if not self._visit.may(Role.OPERATOR):
            return
        with widgets.box("zk-choices"):
            for number, option in enumerate(self._view.choices):
                if option.choice is Choice.IGNORE:
                    self._leave_out()
                else:
                    self._choice(option, suggested=number == 0)

    def _choice(self, option: ChoiceOption, *, suggested: bool) -> None:
        words, choice = self._words, option.choice
        kind = "danger" if choice is Choice.DELETE else "primary" if suggested else "plain"
        with widgets.box("zk-choice"):
            decide = self._visit.act(Role.OPERATOR, partial(self._decide, choice))
            button = widgets.button(words(f"choice.{choice}"), decide, kind=kind)
            _lettered(button, choice)
            effect = widgets.text("span", words(f"effect.{choice}"), "zk-muted")
            button.props["aria-describedby"] = effect.html_id

    def _leave_out(self) -> None:
        """Last, never suggested, and with its price; above an hour it asks why."""
        visit, words, conflict = self._visit, self._words, self._view.conflict
        label = leaving_out(visit, self._hours) if self._is_unbilled else words("todo.leave_alone")
        with widgets.box("zk-choice zk-leave"):
            if needs_why(Choice.IGNORE, conflict.minutes):
                self._why = widgets.field(words("left_out.why"), hint=words("left_out.why.hint"))
                decide = visit.act(Role.OPERATOR, self._decide_with_reason)
            else:
                decide = visit.act(Role.OPERATOR, partial(self._decide, Choice.IGNORE))
            _lettered(widgets.button(label, decide), Choice.IGNORE)

    async def _decide_with_reason(self) -> None:
        why = (self._why.value or "").strip()
        if not why:
            feedback.refuse(self._why, self._words("left_out.why.missing"))
            return
        await self._decide(Choice.IGNORE, why)

    def _way_back(self) -> None:
        """Taking back a decision that wrote nothing by itself."""
        conflict, words = self._view.conflict, self._words
        widgets.text("p", words("detail.closed", by=marks.actor(words, conflict.decided_by_name)), "zk-note")
        holds = conflict.resolution_status in {"decided", "carried_out"} and conflict.decision is not None
        if not holds or not self._visit.may(Role.OPERATOR):
            return
        choice = Choice(conflict.decision or "")
        if choice in RECORDED or stands(choice, Status(conflict.status)):
            back = self._visit.act(Role.OPERATOR, self._reopen)
            label = "left_out.back" if choice is Choice.IGNORE else "detail.reopen"
            widgets.button(words(label), back, kind="plain")

    async def _reopen(self) -> None:
        visit, shown = self._visit, self._pane.shown
        done = await visit.once(self._key, conflicts.reopen, visit.runtime, visit.actor, self._view.conflict.id)
        self._pane.close(shown)
        visit.notify(self._words("detail.reopened", day=self._words.day(done.day)))
        await self._pane.changed()

    async def _decide(self, choice: Choice, why: str = "") -> None:
        visit, conflict, words, shown = self._visit, self._view.conflict, self._words, self._pane.shown
        timesheet = self._chosen_sheet() if choice is Choice.LINK else None
        booking = self._booking.value if self._booking and choice is Choice.REDUCE else None
        done = await visit.once(
            self._key,
            conflicts.decide,
            visit.runtime,
            visit.actor,
            conflict.id,
            choice,
            timesheet_id=timesheet,
            booking_id=booking,
            seen=conflict.facts_hash,
            why=why,
        )
        if choice is Choice.IGNORE:
            done_text = words("left_out.done", hours=self._hours) if self._is_unbilled else words("left_out.left_alone")
            offer_undo(visit, self._pane, done_text, [conflict.id])
        else:
            visit.notify(words("detail.decided", choice=words(f"choice.{choice}"), day=words.day(done.day)))
        if self._pane.shown == shown:
            await one_by_one(visit, self._pane, self._following)
        await self._pane.changed()

    def _history(self) -> None:
        words, past = self._words, [row for row in self._view.history if row.id != self._view.conflict.id]
        if not past:
            return
        with widgets.box("zk-details", "details"):
            widgets.text("summary", words("detail.history"))
            columns = [
                Column(words(f"trace.{name}")) for name in ("opened_at", "reason", "resolution_status", "decision")
            ]
            widgets.table(words("detail.history"), columns, [self._past_row(row) for row in past])

    def _past_row(self, past: PastConflict) -> list[Cell]:
        words = self._words
        decision = words.known(f"choice.{past.decision}", past.decision or "")
        reason = words.known(f"reason.{past.reason}", past.reason)
        return [words.instant(past.opened_at), reason, words(f"value.{past.resolution_status}"), decision]


def _lettered(button: ui.button, choice: Choice) -> None:
    """Show the key of a decision on its button, and let it press the button."""
    letter = LETTERS[choice]
    button.props["data-zk-key"] = letter.lower()
    button.props["aria-keyshortcuts"] = letter
    with button:
        widgets.text("kbd", letter, "zk-kbd").props("aria-hidden=true")


def _described(words: Words, row: TimesheetCandidate) -> str:
    fields = (
        compared(words, name, row.fields.get(name, "")) for name in ("begin", "duration", "project", "description")
    )
    return " · ".join(filter(None, fields))


def _sides(visit: Visit, sides: Sequence[FieldComparison]) -> None:
    """What differs side by side; the rest is folded away, and is all there is without a time sheet."""
    words = visit.words
    differing = [side for side in sides if side.differs]
    same = [side for side in sides if not side.differs]
    columns = [Column(words(f"detail.{name}")) for name in ("field", "booking", "timesheet")]
    if differing:
        widgets.table(words("detail.sides"), columns, [_side(visit, side) for side in differing]).classes("zk-sides")
    if not same:
        return
    if not any(side.found for side in sides):
        widgets.facts([(_field(words, side), compared(words, side.field, side.wanted)) for side in same if side.wanted])
        return
    with widgets.box("zk-details", "details"):
        widgets.text("summary", words("detail.rest" if differing else "detail.same"))
        widgets.table(words("detail.rest"), columns, [_side(visit, side) for side in same]).classes("zk-sides")


def _side(visit: Visit, side: FieldComparison) -> list[Cell]:
    words = visit.words
    return [_field(words, side), *(compared(words, side.field, value) for value in (side.wanted, side.found))]


def _field(words: Words, side: FieldComparison) -> str:
    return words.known(f"field.{side.field}", side.field)


def _links(visit: Visit, ticket: str | None, timesheet: str | None, day: str, key: str) -> None:
    words = visit.words
    with widgets.box("zk-row"):
        for name, target in (("ticket", ticket), ("timesheet", timesheet), ("day", day)):
            if target:
                widgets.link(words(f"detail.open_{name}"), target, outside=True)
        widgets.button(words("trace.tell"), visit.act(Role.VIEWER, lambda: show_story(visit, key)), kind="quiet")
