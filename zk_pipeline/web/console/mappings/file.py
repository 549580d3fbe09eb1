"""Taking over a CSV file: it is tried first, every bad line is named, and what would change is shown."""

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui
from nicegui.events import UploadEventArguments

from zk_pipeline.domain.mapping_files import COLUMNS, SIZE_LIMIT
from zk_pipeline.operations import mappings
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.mappings import Outcome
from zk_pipeline.web.console import feedback, parts
from zk_pipeline.web.console.mappings import forms
from zk_pipeline.web.console.parts import Column
from zk_pipeline.web.console.visit import Visit

ROWS_SHOWN = 50
"""So many lines are shown of a long list; the file itself has the others."""


def take(visit: Visit, changed: Callable[[], Awaitable[None]]) -> None:
    """Open the dialog."""
    _Import(visit, changed).open()


class _Import:
    """The dialog, and the file that was tried last."""

    def __init__(self, visit: Visit, changed: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._words, self._changed = visit, visit.words, changed
        self._content, self._shared = b"", False

    def open(self) -> None:
        visit, words = self._visit, self._words
        with parts.dialog(words("mappings.import"), words("close"), wide=True) as self._dialog:
            parts.text("p", words("mappings.import.about", columns=",".join(COLUMNS)), "zk-muted")
            self._upload = ui.upload(
                on_upload=self._arrived, on_rejected=self._rejected, auto_upload=True, max_file_size=SIZE_LIMIT
            )
            self._upload.props('accept=".csv,text/csv"').classes("zk-upload")
            with parts.box("zk-row"):
                self._choose = parts.button(words("mappings.import.choose"), icon="upload_file")
                self._choose.on("click", js_handler=f"() => getElement({self._upload.id}).$refs.qRef.pickFiles()")
                self._name = parts.text("span", "", "zk-muted")
            self._told = parts.box("zk-stack").props("aria-live=polite")
            with parts.actions():
                parts.button(words("cancel"), self._dialog.close)
                self._take = parts.button(
                    words("mappings.import.take"), visit.act(Role.OPERATOR, self._take_over), kind="primary"
                )
                self._take.disable()

    def _rejected(self) -> None:
        self._visit.warn(self._words("mappings.import.rejected", megabytes=SIZE_LIMIT // 1_000_000))

    async def _arrived(self, event: UploadEventArguments) -> None:
        await self._visit.act(Role.OPERATOR, lambda: self._try(event))()

    async def _try(self, event: UploadEventArguments) -> None:
        self._name.text = event.file.name
        self._content, self._shared = await event.file.read(), False
        self._upload.reset()
        await self._look()

    async def _confirm_shared(self) -> None:
        self._shared = True
        await self._look()

    async def _look(self) -> None:
        visit = self._visit
        self._take.disable()
        with feedback.working(self._choose):
            ask = partial(mappings.try_content, shared=self._shared)
            outcome = await visit.ask(ask, visit.runtime, visit.actor, self._content)
        self._told.clear()
        with self._told:
            if outcome.problems:
                self._problems(outcome)
            else:
                self._changes(outcome)
        self._take.set_enabled(bool(outcome.changes))

    def _problems(self, outcome: Outcome) -> None:
        words, problems = self._words, outcome.problems
        parts.text("p", words.count("mappings.import.problems", len(problems)), "zk-note zk-warn")
        with parts.box("zk-findings", "ul"):
            for problem in problems[:ROWS_SHOWN]:
                parts.text("li", problem.text)
        self._more(len(problems))
        if outcome.shared:
            confirm = self._visit.act(Role.OPERATOR, self._confirm_shared)
            parts.button(words("mappings.shared.confirm"), confirm, kind="danger")

    def _changes(self, outcome: Outcome) -> None:
        words, told = self._words, outcome.to_json()
        numbers = {name: words.number(told[name]) for name in ("new", "changed", "unchanged")}
        parts.text("p", words("mappings.import.sums", **numbers), "zk-lead")
        for warning in outcome.warnings:
            parts.text("p", warning, "zk-note zk-warn")
        if not outcome.changes:
            parts.text("p", words("mappings.import.same"), "zk-muted")
            return
        parts.text("p", words.count("mappings.import.days", len(outcome.days)), "zk-muted")
        columns = [Column(words(f"mappings.import.{name}")) for name in ("kind", "zammad", "before", "after")]
        rows = [
            [words(f"mappings.kind.{one['kind']}"), one["zammad"], one["before"] or words("none"), one["kimai"]]
            for one in told["changes"][:ROWS_SHOWN]
        ]
        parts.table(words("mappings.import"), columns, rows)
        self._more(len(outcome.changes))

    def _more(self, number: int) -> None:
        if number > ROWS_SHOWN:
            parts.text("p", self._words("sync.more", number=self._words.number(number - ROWS_SHOWN)), "zk-muted")

    async def _take_over(self) -> None:
        visit = self._visit
        with feedback.working(self._take):
            ask = partial(mappings.import_content, shared=self._shared)
            outcome = await visit.ask(ask, visit.runtime, visit.actor, self._content)
        forms.tell(visit, outcome)
        self._dialog.close()
        await self._changed()
