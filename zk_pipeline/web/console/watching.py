"""Runs that are at work, looked at again and again in the box of a dialog."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from nicegui.element import Element

from zk_pipeline.operations import runs
from zk_pipeline.operations.runs import Run
from zk_pipeline.web.console import parts, run_table
from zk_pipeline.web.console.visit import Visit

SECONDS = 1.5
"""Between two looks."""


class Watch:
    """The box, which tells screen readers what changes in it."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._box = parts.box("zk-stack").props("aria-live=polite")

    def drawn(self) -> Element:
        """The box, empty, to be drawn again."""
        self._box.clear()
        return self._box

    async def until(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Look again and again until it is done, or the dialog is closed."""
        with self.drawn():
            parts.skeleton(self._visit.words("loading"))
        while not await look() and not self._box.is_deleted:
            with self._box:
                await asyncio.sleep(SECONDS)

    async def started(self, labels: Sequence[tuple[str, str, str]]) -> list[str]:
        """Draw runs that were just started, given as label, id and address; their states."""
        visit = self._visit
        states = await visit.ask(runs.statuses, visit.runtime, [run_id for _, run_id, _ in labels])
        with self.drawn():
            for label, run_id, url in labels:
                with parts.box("zk-row"):
                    parts.text("span", label)
                    self._state(states[run_id], url)
        return list(states.values())

    def run(self, run: Run) -> None:
        """Draw a run and what it did so far."""
        with parts.box("zk-row"):
            self._state(run.status, run.url)
            parts.text("span", run_table.counts(self._visit.words, run), "zk-muted")
        if run.failure:
            parts.text("p", run.failure)

    def _state(self, status: str, url: str) -> None:
        words = self._visit.words
        parts.chip(words.known(f"run.{status}", status), run_table.TONES.get(status, "info"))
        parts.link(words("dagster"), url, outside=True)
