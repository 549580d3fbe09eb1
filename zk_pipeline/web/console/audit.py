"""The section Audit: the audit trail, and the story of one entry."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from zk_pipeline.audit import trail
from zk_pipeline.audit.traces import Fields, find_traces
from zk_pipeline.audit.trail import TrailEntry, TrailFilter
from zk_pipeline.domain.instants import day_start
from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.dagster_server import run_url
from zk_pipeline.web.console import details, widgets
from zk_pipeline.web.console.details import plain
from zk_pipeline.web.console.marks import named, run
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Panel

# The audit trail as a list: filters, pages, the detail of a row, and the export of what is filtered.

SIZE = 20

EXPORT = "/api/v1/audit/export"

_KINDS = ("conflict.", "mapping.", "connector.", "kimai.", "plan.", "days.", "schedule.", "user.", "token.", "privacy.")


Loaded = tuple[list[TrailEntry], int, dict[str, str]]
"""A page of the trail, the number of its rows in all, and the names of whom and what they are about."""


class Trail:
    """The list with its filters, which count for the export too."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._page = 1
        words = visit.words
        self._run = visit.client.request.query_params.get("run", "")
        with widgets.card(words("audit.trail")):
            if self._run:
                with widgets.box("zk-note zk-row"):
                    self._of_run = widgets.text("span", "")
                    widgets.link(words("audit.of_all"), "/audit")
            with widgets.box("zk-filters"):
                self._kind = widgets.choice(words("audit.kind"), {"": words("all")}, "", self._filtered)
                self._actor = widgets.choice(words("audit.who"), {}, None, self._filtered, typed=True)
                self._text = widgets.search(words("audit.search"), self._filtered)
                self._first = widgets.day_field(words("from"), on_change=self._filtered)
                self._last = widgets.day_field(words("to"), on_change=self._filtered)
                widgets.box("zk-grow")
                self._export = widgets.link(words("audit.export"), EXPORT)
            self._panel = Panel(visit, self._load, self._show)
        visit.live(self.refresh)

    async def open(self) -> None:
        """Load the first page, and what it may be narrowed to."""
        await self.refresh()
        visit, words = self._visit, self._visit.words
        with visit.showing_errors():
            found = await visit.ask(trail.options, visit.runtime, visit.actor)
            kinds = {kind: sum(found.events[one] for one in found.events if one.startswith(kind)) for kind in _KINDS}
            shown = {kind: words.counted(words(f"audit.kind.{kind[:-1]}"), number) for kind, number in kinds.items()}
            self._kind.set_options({"": words("all")} | shown)
            actors = {mark: words.counted(named(words, mark, found.names), found.actors[mark]) for mark in found.actors}
            self._actor.set_options(dict(sorted(actors.items(), key=lambda pair: pair[1].casefold())))

    async def refresh(self) -> None:
        """Load the page again."""
        await self._panel.refresh()

    def _wanted(self) -> TrailFilter:
        zone = self._visit.runtime.settings.zone
        first, last = widgets.day_of(self._first), widgets.day_of(self._last)
        return TrailFilter(
            event=self._kind.value,
            actor=self._actor.value or "",
            run_id=self._run,
            text=self._text.value or "",
            since=day_start(first, zone) if first else None,
            until=day_start(last + timedelta(days=1), zone) if last else None,
        )

    async def _filtered(self) -> None:
        self._page = 1
        await self._panel.refresh()

    async def _go(self, page: int) -> None:
        self._page = page
        await self._panel.refresh()

    def _load(self) -> Loaded:
        visit = self._visit
        entries, total = trail.page(visit.runtime, visit.actor, self._wanted(), SIZE, (self._page - 1) * SIZE)
        marks = {
            mark for entry in entries for mark in (entry.actor, entry.subject, *details.marks_of(entry.detail or {}))
        }
        marks |= {f"run:{run_id}" for run_id in (self._run, *(entry.run_id for entry in entries)) if run_id}
        return entries, total, trail.names(visit.runtime, marks)

    def _show(self, loaded: Loaded) -> None:
        entries, total, self._names = loaded
        words = self._visit.words
        if self._run:
            self._of_run.text = words("audit.of_run", run=run(words, self._run, self._names))
        self._export.props["href"] = f"{EXPORT}?{self._query()}"
        if not entries:
            widgets.empty(words("audit.none"), words("audit.none.hint"))
            return
        columns = [Column(words(f"audit.{name}")) for name in ("at", "who", "what", "about_what", "run")]
        widgets.table(words("audit.trail"), columns, [self._row(entry) for entry in entries])
        widgets.pager(words, self._page, SIZE, total, self._go)

    def _query(self) -> str:
        wanted = self._wanted()
        given = {
            "event": wanted.event,
            "actor": wanted.actor,
            "search": wanted.text,
            "since": wanted.since,
            "until": wanted.until,
        }
        csv = {"format": "csv", **self._visit.words.csv}
        return urlencode({**csv, **{name: str(value) for name, value in given.items() if value}})

    def _row(self, entry: TrailEntry) -> list[Cell]:
        words = self._visit.words
        what = event_text(self._visit, entry.event)
        return [
            lambda: widgets.text("span", words.instant(entry.at), "zk-when"),
            named(words, entry.actor, self._names),
            lambda: widgets.open_button(what, self._visit.act(Role.VIEWER, lambda: self._open(entry))),
            named(words, entry.subject, self._names),
            lambda: run_link(self._visit, entry.run_id, self._names),
        ]

    def _open(self, entry: TrailEntry) -> None:
        words = self._visit.words
        with widgets.dialog(event_text(self._visit, entry.event), words("close")):
            known: list[tuple[str, Cell]] = [
                (words("audit.at"), words.instant(entry.at)),
                (words("audit.who"), named(words, entry.actor, self._names)),
                (words("audit.about_what"), named(words, entry.subject, self._names)),
                (words("audit.number"), str(entry.id)),
                (words("audit.hash"), entry.hash),
            ]
            widgets.facts(known)
            widgets.text("h3", words("audit.detail"), "zk-card-title")
            if entry.detail is None:
                widgets.text("p", words("audit.erased"), "zk-muted")
            else:
                widgets.facts([*details.facts(words, entry.detail, self._names)])


def event_text(visit: Visit, event: str) -> str:
    """What happened, in the visitor's language where there is a text for it."""
    return visit.words.known(f"event.{event}", event)


def run_link(visit: Visit, run_id: str | None, names: Mapping[str, str]) -> None:
    """A link to the run in Dagster, if there is one, by when it started."""
    if run_id:
        address = run_url(visit.runtime.settings.dagster_link, run_id)
        widgets.link(run(visit.words, run_id, names), address, outside=True).classes("zk-when")
    else:
        ui.label("")


# The history of an entry: what was read, decided, planned and written about a booking, a ticket or a time sheet.

_ENTRY = ("ticket_number", "ticket_title", "user_name", "organization_name", "activity_name", "entry_date")
_SECONDS_OF_MINUTE = 60
_OF_ENTRY = ("booked_minutes", "time_minutes", "open_minutes")
_AMOUNTS = (*_OF_ENTRY, "duration_seconds")


class Tracer:
    """The search field and the dialog with the history."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        words = visit.words
        with widgets.card(words("trace.title")):
            widgets.text("p", words("trace.about"), "zk-muted")
            with widgets.box("zk-filters"):
                tell = visit.act(Role.VIEWER, self._tell)
                asked = widgets.field(words("trace.field"), hint=words("trace.hint")).classes("zk-long")
                self._asked = asked.on("keydown.enter", tell)
                widgets.button(words("trace.tell"), tell, icon="manage_search")

    async def _tell(self) -> None:
        reference = (self._asked.value or "").strip()
        if reference:
            await show_story(self._visit, reference)


async def show_story(visit: Visit, reference: str) -> None:
    """Open the dialog with the history of `123`, `#50001` or `kimai:7`."""
    found = await visit.ask(find_traces, visit.runtime, reference)
    marks = {row[name] for story in found for row in story["audit"] for name in ("actor", "subject")}
    marks |= {row["decided_by"] for story in found for row in story["conflicts"] if row["decided_by"]}
    names = await visit.ask(trail.names, visit.runtime, marks)
    with widgets.dialog(visit.words("trace.of", reference=reference), visit.words("close"), wide=True):
        for story in found:
            _Story(visit, story, names).show()


class _Story:
    def __init__(self, visit: Visit, story: Fields, names: Mapping[str, str]) -> None:
        self._visit, self._words, self._story, self._names = visit, visit.words, story, names

    def show(self) -> None:
        story, words = self._story, self._words
        title = words("trace.booking", id=story["source_id"]) if story["source_id"] else words("trace.timesheet")
        widgets.text("h3", title, "zk-card-title")
        if story["entry"]:
            widgets.facts(
                [(words(f"trace.{name}"), self._cell(name, story["entry"][name])) for name in (*_ENTRY, *_OF_ENTRY)]
            )
        self._table("plan", ("entry_date", "status", "action", "reason", "kimai_id"), story["plan"])
        self._table(
            "conflicts", ("opened_at", "reason", "resolution_status", "decision", "decided_by"), story["conflicts"]
        )
        self._table("writes", ("written_at", "operation", "kimai_id"), story["writes"])
        self._table("sheets", ("id", "begin_at", "duration_seconds", "gone_at"), story["timesheets"])
        self._events()
        self._runs()

    def _events(self) -> None:
        rows: list[list[Cell]] = [
            [
                self._plain(row["created_at"]),
                named(self._words, row["actor"], self._names),
                event_text(self._visit, row["event"]),
                named(self._words, row["subject"], self._names),
            ]
            for row in self._story["audit"]
        ]
        self._drawn("audit", [self._words(f"audit.{name}") for name in ("at", "who", "what", "about_what")], rows)

    def _runs(self) -> None:
        rows: list[list[Cell]] = [
            [
                self._plain(row["started_at"]),
                lambda row=row: widgets.link(self._words("dagster"), row["url"], outside=True),
            ]
            for row in self._story["runs"]
        ]
        self._drawn("runs", [self._words("audit.at"), self._words("audit.run")], rows)

    def _table(self, name: str, fields: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        cells: list[list[Cell]] = [[self._cell(field, row[field]) for field in fields] for row in rows]
        self._drawn(name, [self._words(f"trace.{field}") for field in fields], cells)

    def _drawn(self, name: str, titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        if rows:
            title = self._words(f"trace.{name}")
            widgets.text("h4", title, "zk-card-title")
            widgets.table(title, [Column(one) for one in titles], rows)

    def _cell(self, field: str, value: Any) -> Cell:
        if field in _AMOUNTS and value is not None:
            minutes = Decimal(value) / (_SECONDS_OF_MINUTE if field == "duration_seconds" else 1)
            return lambda: widgets.hours(self._words, minutes)
        if field == "decided_by" and value:
            return named(self._words, value, self._names)
        return self._plain(value)

    def _plain(self, value: object) -> str:
        return plain(self._words, value)


async def _show(visit: Visit) -> None:
    Tracer(visit)
    await Trail(visit).open()
    asked = visit.client.request.query_params.get("trace", "")
    if asked:
        with visit.showing_errors():
            await show_story(visit, asked)


SECTION = Section("audit", "history", _show)
