"""The runs as a table, and runs under way, watched in a dialog."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from nicegui.element import Element

from zk_pipeline.operate import runs
from zk_pipeline.operate.runs import RunDetails
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Tone
from zk_pipeline.web.console.words import Words

# The runs as a table: days, result, what was written, and the link to Dagster.

TONES: Mapping[str, Tone] = {"success": "good", "failure": "bad", "canceled": "warn", "unknown": "calm"}

ENDED = frozenset({"success", "failure", "canceled", "unknown"})
"""States in which nothing more happens."""

_COUNTS = (
    *("created", "updated", "deleted", "linked", "adopted", "undone"),
    *("unapproved", "withheld", "held", "left", "conflicts", "parked", "failed"),
)

_SHORTFALLS = ("withheld", "held", "unapproved", "left")
"""Counts of what a run planned and did not write, though nothing went wrong."""


def show(words: Words, runs: Sequence[RunDetails], act: Callable[[RunDetails], None]) -> None:
    """The table, or that there are none; `act` draws what can be done with a run."""
    if not runs:
        widgets.empty(words("runs.none"), words("runs.none.hint"))
        return
    columns = [Column(words(f"runs.{name}")) for name in ("started", "days", "state", "counts", "link", "actions")]
    widgets.table(words("runs.title"), columns, [[*_row(words, run), lambda run=run: act(run)] for run in runs])


def status(words: Words, run: RunDetails) -> None:
    """A run's state."""
    widgets.chip(words.known(f"run.{run.status}", run.status), TONES.get(run.status, "info"))


def outcome(words: Words, run: RunDetails) -> None:
    """What a run did, and why it failed if it did: the sentence that says what to do."""
    widgets.text("div", counts(words, run))
    if run.taken_back:
        widgets.text("div", words("runs.taken_back"), "zk-muted")
    if run.failure:
        widgets.text("div", run.failure, "zk-muted")


def counts(words: Words, run: RunDetails) -> str:
    """What a run did, without what it did not do."""
    parts = [f"{words(f'count.{name}')} {words.number(run.counts[name])}" for name in _COUNTS if run.counts.get(name)]
    return " · ".join(parts) or words("count.nothing" if run.carried_out else "count.unwritten")


def shortfalls(words: Words, runs: Sequence[RunDetails]) -> list[str]:
    """What runs that ended well did not write of their plans, in sentences; empty when they wrote everything."""
    done = [run for run in runs if run.carried_out]
    sums = {name: sum(run.counts.get(name, 0) for run in done) for name in _SHORTFALLS}
    return [words(f"sync.done.{name}", number=words.number(number)) for name, number in sums.items() if number]


def _row(words: Words, run: RunDetails) -> list[Cell]:
    days = words.days(run.first, run.last) if run.first and run.last else ""
    return [
        words.instant(run.started_at),
        days,
        lambda: status(words, run),
        lambda: outcome(words, run),
        lambda: widgets.link(run.run_id[:8], run.url, outside=True),
    ]


# Runs under way, refreshed in the box of a dialog.

SECONDS = 1.5
"""Between two looks."""


class Watch:
    """The box, which tells screen readers what changes in it."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._box = widgets.box("zk-stack").props("aria-live=polite")

    def drawn(self) -> Element:
        """The box, empty, to be drawn again."""
        self._box.clear()
        return self._box

    async def until(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Refresh until it is done, or the dialog is closed."""
        with self.drawn():
            widgets.skeleton(self._visit.words("loading"))
        while not await look() and not self._box.is_deleted:
            with self._box:
                await asyncio.sleep(SECONDS)

    async def started(self, labels: Sequence[tuple[str, str, str]]) -> list[str]:
        """Draw runs that were just started, given as label, id and address; their states."""
        visit = self._visit
        states = await visit.ask(runs.statuses, visit.runtime, [run_id for _, run_id, _ in labels])
        with self.drawn():
            for label, run_id, url in labels:
                with widgets.box("zk-row"):
                    widgets.text("span", label)
                    self._state(states[run_id], url)
        return list(states.values())

    def run(self, run: RunDetails) -> None:
        """Draw a run and what it did so far."""
        with widgets.box("zk-row"):
            self._state(run.status, run.url)
            widgets.text("span", counts(self._visit.words, run), "zk-muted")
        if run.failure:
            widgets.text("p", run.failure)

    def _state(self, status: str, url: str) -> None:
        words = self._visit.words
        widgets.chip(words.known(f"run.{status}", status), TONES.get(status, "info"))
        widgets.link(words("dagster"), url, outside=True)
