"""The story of one entry: what was read, decided, planned and written about a booking, a ticket or a time sheet."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.traces import stories
from zk_pipeline.store.traces import Fields
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.audit.trail import event_text
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.visit import Visit

_ENTRY = ("ticket_number", "ticket_title", "user_name", "organization_name", "activity_name", "entry_date")
_AMOUNTS = ("booked_minutes", "time_minutes", "open_minutes")


class Tracer:
    """The line to ask with, and the dialog that tells."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        words = visit.words
        with parts.card(words("trace.title")):
            parts.text("p", words("trace.about"), "zk-muted")
            with parts.box("zk-filters"):
                tell = visit.act(Role.VIEWER, self._tell)
                self._asked = parts.field(words("trace.field"), hint=words("trace.hint")).on("keydown.enter", tell)
                parts.button(words("trace.tell"), tell, icon="manage_search")

    async def _tell(self) -> None:
        reference = (self._asked.value or "").strip()
        if reference:
            await tell(self._visit, reference)


async def tell(visit: Visit, reference: str) -> None:
    """Open the dialog with the stories behind `123`, `#50001` or `kimai:7`."""
    found = await visit.ask(stories, visit.runtime, reference)
    with parts.dialog(visit.words("trace.of", reference=reference), visit.words("close"), wide=True):
        for story in found:
            _Telling(visit, story).show()


class _Telling:
    def __init__(self, visit: Visit, story: Fields) -> None:
        self._visit, self._words, self._story = visit, visit.words, story

    def show(self) -> None:
        story, words = self._story, self._words
        title = words("trace.booking", id=story["source_id"]) if story["source_id"] else words("trace.timesheet")
        parts.text("h3", title, "zk-card-title")
        if story["entry"]:
            parts.facts([(words(f"trace.{name}"), self._plain(story["entry"][name])) for name in (*_ENTRY, *_AMOUNTS)])
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
            [self._plain(row["created_at"]), row["actor"], event_text(self._visit, row["event"]), row["subject"]]
            for row in self._story["audit"]
        ]
        self._drawn("audit", [self._words(f"audit.{name}") for name in ("at", "who", "what", "about_what")], rows)

    def _runs(self) -> None:
        rows: list[list[Cell]] = [
            [self._plain(row["started_at"]), lambda row=row: parts.link(row["run_id"][:8], row["url"], outside=True)]
            for row in self._story["runs"]
        ]
        self._drawn("runs", [self._words("audit.at"), self._words("audit.run")], rows)

    def _table(self, name: str, fields: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        cells: list[list[Cell]] = [[self._plain(row[field]) for field in fields] for row in rows]
        self._drawn(name, [self._words(f"trace.{field}") for field in fields], cells)

    def _drawn(self, name: str, titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        if rows:
            title = self._words(f"trace.{name}")
            parts.text("h4", title, "zk-card-title")
            parts.table(title, [Column(one) for one in titles], rows)

    def _plain(self, value: object) -> str:
        match value:
            case None:
                return ""
            case datetime():
                return self._words.instant(value)
            case date():
                return self._words.day(value)
            case Decimal() | int():
                return self._words.number(value)
            case str():
                return self._words.known(f"value.{value}", value)
            case _:
                return str(value)
