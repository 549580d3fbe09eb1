"""The audit trail as a list: filters, pages, the detail of a row, and the export of what is filtered."""

from datetime import timedelta
from urllib.parse import urlencode

from nicegui import ui

from zk_pipeline.dagster_server import run_url
from zk_pipeline.domain.instants import day_start
from zk_pipeline.operations import audit
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.audit import TrailEntry
from zk_pipeline.store.trail import TrailFilter
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.panel import Panel
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.visit import Visit

SIZE = 20
EXPORT = "/api/v1/audit/export"

_KINDS = ("conflict.", "mapping.", "connector.", "kimai.", "plan.", "days.", "schedule.", "user.", "token.", "privacy.")


class Trail:
    """The list with its filters; what is filtered is also what is exported."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._page = 1
        words = visit.words
        with parts.card(words("audit.trail")):
            with parts.box("zk-filters"):
                kinds = {"": words("all"), **{kind: words(f"audit.kind.{kind[:-1]}") for kind in _KINDS}}
                self._kind = parts.choice(words("audit.kind"), kinds, "", self._filtered)
                self._text = parts.search(words("audit.search"), self._filtered)
                self._first = parts.day_field(words("from"), on_change=self._filtered)
                self._last = parts.day_field(words("to"), on_change=self._filtered)
                parts.box("zk-grow")
                self._export = parts.link(words("audit.export"), EXPORT)
            self._panel = Panel(visit, self._load, self._show)
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load the page again."""
        await self._panel.refresh()

    def _wanted(self) -> TrailFilter:
        zone = self._visit.runtime.settings.zone
        first, last = parts.day_of(self._first), parts.day_of(self._last)
        return TrailFilter(
            event=self._kind.value,
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

    def _load(self) -> tuple[list[TrailEntry], int]:
        return audit.page(self._visit.runtime, self._visit.actor, self._wanted(), SIZE, (self._page - 1) * SIZE)

    def _show(self, loaded: tuple[list[TrailEntry], int]) -> None:
        entries, total = loaded
        words = self._visit.words
        self._export.props["href"] = f"{EXPORT}?{self._query()}"
        if not entries:
            parts.empty(words("audit.none"), words("audit.none.hint"))
            return
        columns = [Column(words(f"audit.{name}")) for name in ("at", "who", "what", "about_what", "run")]
        parts.table(words("audit.trail"), columns, [self._row(entry) for entry in entries])
        parts.pager(words, self._page, SIZE, total, self._go)

    def _query(self) -> str:
        wanted = self._wanted()
        given = {"event": wanted.event, "text": wanted.text, "from": wanted.since, "to": wanted.until}
        csv = {"format": "csv", **self._visit.words.csv}
        return urlencode({**csv, **{name: str(value) for name, value in given.items() if value}})

    def _row(self, entry: TrailEntry) -> list[Cell]:
        words = self._visit.words
        what = event_text(self._visit, entry.event)
        return [
            words.instant(entry.at),
            entry.actor_name or entry.actor,
            lambda: parts.open_button(what, self._visit.act(Role.VIEWER, lambda: self._open(entry))),
            entry.subject,
            lambda: run_link(self._visit, entry.run_id),
        ]

    def _open(self, entry: TrailEntry) -> None:
        words = self._visit.words
        with parts.dialog(event_text(self._visit, entry.event), words("close")):
            known: list[tuple[str, Cell]] = [
                (words("audit.at"), words.instant(entry.at)),
                (words("audit.who"), " · ".join(filter(None, (entry.actor_name, entry.actor)))),
                (words("audit.about_what"), entry.subject),
                (words("audit.number"), str(entry.id)),
                (words("audit.hash"), entry.hash),
            ]
            parts.facts(known)
            parts.text("h3", words("audit.detail"), "zk-card-title")
            if entry.detail is None:
                parts.text("p", words("audit.erased"), "zk-muted")
            else:
                parts.facts([(name, str(value)) for name, value in entry.detail.items() if value not in (None, "")])


def event_text(visit: Visit, event: str) -> str:
    """What happened, in the visitor's language where there is a text for it."""
    return visit.words.known(f"event.{event}", event)


def run_link(visit: Visit, run_id: str | None) -> None:
    """A link to the run in Dagster, if there is one."""
    if run_id:
        parts.link(run_id[:8], run_url(visit.runtime.settings.dagster_link, run_id), outside=True)
    else:
        ui.label("")
