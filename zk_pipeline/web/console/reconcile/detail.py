"""One line of the plan in a dialog: both sides field by field, what it means, and the decisions it allows."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from zk_pipeline.decisions import comparison, conflicts
from zk_pipeline.decisions.comparison import FieldComparison, PlanRow, TimesheetCandidate
from zk_pipeline.decisions.conflicts import ChoiceOption, ConflictView, PastConflict
from zk_pipeline.domain.decision import Status
from zk_pipeline.domain.resolutions import RECORDED, Choice, stands
from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.audit import show_story
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.widgets import Cell, Column

Refresh = Callable[[], Awaitable[None]]


async def of_line(visit: Visit, line: PlanRow) -> None:
    """Open a line without conflict."""
    view = await visit.ask(comparison.plan_line_detail, visit.runtime, line.day, line.key)
    words = visit.words
    number = line.booking.ticket_number if line.booking else line.key
    with widgets.dialog(words("detail.line", what=number, day=words.day(line.day)), words("close"), wide=True):
        if line.booking:
            widgets.text("p", line.booking.ticket_title, "zk-lead")
        if line.taken_back_by:
            widgets.text("p", words("value.taken_back"), "zk-note zk-warn")
        if line.text:
            widgets.text("p", line.text, "zk-note")
        _sides(visit, view.sides)
        _links(visit, line.booking.ticket_url if line.booking else None, _url(line), line.day_url, line.key)


async def of_conflict(visit: Visit, conflict_id: int, decided: Refresh) -> None:
    """Open a conflict; `decided` is called after a decision."""
    view = await visit.ask(conflicts.conflict_view, visit.runtime, conflict_id)
    conflict, words = view.conflict, visit.words
    reason = words.known(f"reason.{conflict.reason}", conflict.reason)
    title = f"{reason} · {conflict.ticket_number or conflict.key} · {words.day(conflict.entry_date)}"
    with widgets.dialog(title, words("close"), wide=True) as dialog:
        _ConflictDialog(visit, view, dialog, decided).show()


class _ConflictDialog:
    def __init__(self, visit: Visit, view: ConflictView, dialog: ui.dialog, decided: Refresh) -> None:
        self._visit, self._words, self._view = visit, visit.words, view
        self._dialog, self._decided = dialog, decided
        self._candidate: ui.radio | None = None
        self._booking: ui.radio | None = None
        self._key = new_key()

    def show(self) -> None:
        conflict, words = self._view.conflict, self._words
        if conflict.ticket_title:
            widgets.text("p", conflict.ticket_title, "zk-lead")
        with widgets.box("zk-note"):
            widgets.text("p", words.known(f"next.{conflict.reason}", ""))
            widgets.text("p", conflict.text, "zk-muted")
        _sides(self._visit, self._view.sides)
        self._candidates()
        self._bookings()
        self._choices()
        _links(self._visit, conflict.ticket_url, conflict.timesheet_url, conflict.day_url, conflict.key)
        self._history()

    def _candidates(self) -> None:
        candidates, words = self._view.candidates, self._words
        if not candidates:
            return
        widgets.text("h3", words("detail.candidates"), "zk-card-title")
        columns = [Column(words(f"detail.{name}")) for name in ("sheet", "score")]
        columns += [Column(words(f"field.{name}")) for name in ("begin", "duration", "description")]
        widgets.table(words("detail.candidates"), columns, [self._candidate_row(row) for row in candidates])
        if len(candidates) > 1 and self._view.conflict.kimai_id is None:
            names = {row.timesheet_id: words("reconcile.sheet", id=row.timesheet_id) for row in candidates}
            self._candidate = self._radio(words("detail.which"), names)

    def _bookings(self) -> None:
        """The bookings that a correction may be about, best first; one of them is chosen."""
        bookings, words = self._view.bookings, self._words
        if not bookings:
            return
        title = words("detail.bookings")
        widgets.text("h3", title, "zk-card-title")
        names = ("entry", "date", "ticket", "agent", "minutes", "note")
        rows: list[list[Cell]] = [
            [
                str(row.booking_id),
                words.day(row.day),
                row.ticket_number,
                row.agent,
                words.number(row.minutes),
                row.note,
            ]
            for row in bookings
        ]
        widgets.table(title, [Column(words(f"detail.{name}")) for name in names], rows)
        if len(bookings) > 1:
            labels = {row.booking_id: f"{words('detail.entry')} {row.booking_id}" for row in bookings}
            self._booking = self._radio(words("detail.which_booking"), labels)

    def _radio(self, question: str, names: dict[int, str]) -> ui.radio:
        """A choice of one; the first is preselected."""
        with widgets.box("", "fieldset").classes("zk-fieldset"):
            widgets.text("legend", question, "zk-muted")
            return ui.radio(names, value=next(iter(names))).props("inline")

    def _candidate_row(self, partner: TimesheetCandidate) -> list[Cell]:
        label = str(partner.timesheet_id)
        sheet: Cell = label if partner.url is None else lambda: widgets.link(label, str(partner.url), outside=True)
        fields = [partner.fields.get(name, "") for name in ("begin", "duration", "description")]
        return [sheet, self._words.number(partner.score), *fields]

    def _choices(self) -> None:
        conflict, words = self._view.conflict, self._words
        if not self._view.choices:
            widgets.text("p", words("detail.closed", by=conflict.decided_by or ""), "zk-note")
            self._way_back()
            return
        if not self._visit.may(Role.OPERATOR):
            return
        widgets.text("h3", words("detail.decide"), "zk-card-title")
        with widgets.box("zk-choices"):
            for number, option in enumerate(self._view.choices):
                self._choice(option, suggested=number == 0)

    def _choice(self, option: ChoiceOption, *, suggested: bool) -> None:
        words, choice = self._words, option.choice
        kind = "danger" if choice is Choice.DELETE else "primary" if suggested else "plain"
        with widgets.box("zk-choice"):
            decide = self._visit.act(Role.OPERATOR, lambda: self._decide(choice))
            button = widgets.button(words(f"choice.{choice}"), decide, kind=kind)
            effect = widgets.text("span", words(f"effect.{choice}"), "zk-muted")
            button.props["aria-describedby"] = effect.html_id

    def _way_back(self) -> None:
        """Taking back a decision that wrote nothing by itself."""
        conflict = self._view.conflict
        holds = conflict.resolution_status in {"decided", "carried_out"} and conflict.decision is not None
        if not holds or not self._visit.may(Role.OPERATOR):
            return
        choice = Choice(conflict.decision or "")
        if choice in RECORDED or stands(choice, Status(conflict.status)):
            back = self._visit.act(Role.OPERATOR, self._reopen)
            widgets.button(self._words("detail.reopen"), back, kind="plain")

    async def _reopen(self) -> None:
        visit = self._visit
        done = await visit.once(self._key, conflicts.reopen, visit.runtime, visit.actor, self._view.conflict.id)
        self._dialog.close()
        visit.notify(self._words("detail.reopened", day=self._words.day(done.day)))
        await self._decided()

    async def _decide(self, choice: Choice) -> None:
        visit, conflict = self._visit, self._view.conflict
        timesheet = self._candidate.value if self._candidate and choice is Choice.LINK else None
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
        )
        self._dialog.close()
        visit.notify(
            self._words("detail.decided", choice=self._words(f"choice.{choice}"), day=self._words.day(done.day))
        )
        await self._decided()

    def _history(self) -> None:
        words, past = self._words, [row for row in self._view.history if row.id != self._view.conflict.id]
        if not past:
            return
        widgets.text("h3", words("detail.history"), "zk-card-title")
        columns = [Column(words(f"trace.{name}")) for name in ("opened_at", "reason", "resolution_status", "decision")]
        widgets.table(words("detail.history"), columns, [self._past_row(row) for row in past])

    def _past_row(self, past: PastConflict) -> list[Cell]:
        words = self._words
        decision = words.known(f"choice.{past.decision}", past.decision or "")
        by = " · ".join(filter(None, (decision, past.decided_by)))
        reason = words.known(f"reason.{past.reason}", past.reason)
        return [words.instant(past.opened_at), reason, words(f"value.{past.resolution_status}"), by]


def _sides(visit: Visit, sides: Sequence[FieldComparison]) -> None:
    words = visit.words
    columns = [Column(words(f"detail.{name}")) for name in ("field", "booking", "timesheet", "compared")]
    rows: list[list[Cell]] = [
        [
            words.known(f"field.{side.field}", side.field),
            side.wanted,
            side.found,
            lambda side=side: (
                widgets.chip(f"≠ {words('detail.differs')}", "warn") if side.differs else widgets.text("i", "")
            ),
        ]
        for side in sides
    ]
    widgets.table(words("detail.sides"), columns, rows).classes("zk-sides")


def _links(visit: Visit, ticket: str | None, timesheet: str | None, day: str, key: str) -> None:
    words = visit.words
    with widgets.box("zk-row"):
        for name, target in (("ticket", ticket), ("timesheet", timesheet), ("day", day)):
            if target:
                widgets.link(words(f"detail.open_{name}"), target, outside=True)
        widgets.button(words("trace.tell"), visit.act(Role.VIEWER, lambda: show_story(visit, key)), kind="quiet")


def _url(line: PlanRow) -> str | None:
    return line.timesheet.url if line.timesheet else None
