"""The runs as a table, and runs under way, watched in a dialog."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from nicegui.element import Element

from zk_pipeline.operate import runs
from zk_pipeline.operate.runs import RunDetails
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Handler, Tone
from zk_pipeline.web.console.words import Words

# The runs as a table: days, result, what was read, planned and written with links to it, and the link to Dagster.

TONES: Mapping[str, Tone] = {"success": "good", "failure": "bad", "canceled": "warn", "unknown": "calm"}

ENDED = frozenset({"success", "failure", "canceled"})
"""States in which nothing more happens. A Dagster that does not answer has not ended anything."""

_DAYS, _WRITES, _REFUSED, _ASKED = (
    "/reconcile?view=all&from={run.first}&to={run.last}",
    "/audit?run={run.run_id}",
    "/reconcile?view=conflicts&reason=refused_by_kimai&from={run.first}&to={run.last}",
    "/reconcile?view=conflicts&from={run.first}&to={run.last}",
)
WRITTEN = ("created", "updated", "deleted", "linked", "adopted", "mended", "tagged")
"""Counts of what an undo takes back."""

_COUNTS: Mapping[str, str] = {
    **dict.fromkeys(("entries", "planned"), _DAYS),
    **dict.fromkeys((*WRITTEN, "undone", "written_back"), _WRITES),
    **dict.fromkeys(("unapproved", "withheld", "held", "left"), _DAYS),
    "conflicts": _ASKED,
    "parked": _REFUSED,
    "failed": _DAYS,
}
"""The counts of a run, in this order, each with the address of what it counts."""

REFUSALS = ("parked", "failed")
_SHORTFALLS = ("withheld", "held", "unapproved", "left")
"""Counts of what a run planned and did not write, though nothing went wrong."""


def show(words: Words, runs: Sequence[RunDetails], open_run: Handler, act: Callable[[RunDetails], None]) -> None:
    """The table, or that there are none; `act` draws what can be done with a run, `open_run` shows one."""
    if not runs:
        widgets.empty(words("runs.none"), words("runs.none.hint"))
        return
    names = ("started", "days", "state", "counts", "link", "actions")
    columns = [Column(words(f"runs.{name}"), whole=name in {"started", "days"}) for name in names]
    rows: list[list[Cell]] = [[*_row(words, run, open_run), lambda run=run: act(run)] for run in runs]
    widgets.table(words("runs.title"), columns, rows).classes("zk-runs")


def status(words: Words, run: RunDetails) -> None:
    """A run's state: one that was refused something, or left something, is not simply done."""
    label, tone = verdict(words, run)
    widgets.chip(label, tone)


def verdict(words: Words, run: RunDetails) -> tuple[str, Tone]:
    """A run's state in a few words. What our own tables know is said where Dagster does not answer."""
    is_done = run.status == "success" or (run.status == "unknown" and run.carried_out)
    if not is_done:
        known = "failure" if run.status == "unknown" and run.failure else run.status
        return words.known(f"run.{known}", known), TONES.get(known, "info")
    for key, names in (("run.refused", REFUSALS), ("run.short", _SHORTFALLS)):
        number = sum(run.counts.get(name, 0) for name in names)
        if number:
            return words(key, number=words.number(number)), "warn"
    if only_planned(run):
        return words("run.planned"), "info"
    return words("run.success"), "good"


def only_planned(run: RunDetails) -> bool:
    """Whether a run made a plan and was not to carry it out."""
    return run.status == "success" and not run.carried_out and "planned" in run.counts


def outcome(words: Words, run: RunDetails) -> None:
    """What a run did, and why it failed if it did: the sentence that says what to do."""
    with widgets.box("zk-row zk-counts"):
        for name, text in counts(words, run).items():
            has_days = run.first is not None or _COUNTS[name] is _WRITES
            if has_days:
                widgets.link(text, _COUNTS[name].format(run=run))
            else:
                widgets.text("span", text)
        if not any(run.counts.get(name) for name in (*WRITTEN, "undone", *REFUSALS, *_SHORTFALLS)):
            widgets.text("span", words("count.nothing" if run.carried_out else "count.unwritten"))
    if run.taken_back:
        widgets.text("div", words("runs.taken_back"), "zk-muted")
    if run.failure:
        widgets.text("div", words.said(run.failure), "zk-muted")


def counts(words: Words, run: RunDetails) -> dict[str, str]:
    """What a run did, by kind, without what it did not do."""
    counted = {name: number for name in _COUNTS if (number := run.counts.get(name))}
    return {name: f"{words.number(number)} {words(f'count.{name}')}" for name, number in counted.items()}


def shortfalls(words: Words, runs: Sequence[RunDetails]) -> list[str]:
    """What runs that ended well did not write of their plans, in sentences; empty when they wrote everything."""
    done = [run for run in runs if run.carried_out]
    names = (*_SHORTFALLS, *REFUSALS)
    sums = {name: sum(run.counts.get(name, 0) for run in done) for name in names}
    return [words(f"sync.done.{name}", number=words.number(number)) for name, number in sums.items() if number]


def _row(words: Words, run: RunDetails, open_run: Handler) -> list[Cell]:
    days = words.days(run.first, run.last) if run.first and run.last else ""
    return [
        lambda: widgets.open_button(words.instant(run.started_at), lambda: open_run(run)),
        days,
        lambda: status(words, run),
        lambda: outcome(words, run),
        lambda: widgets.link(words("dagster"), run.url, outside=True),
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
            outcome(self._visit.words, run)

    def _state(self, status: str, url: str) -> None:
        words = self._visit.words
        widgets.chip(words.known(f"run.{status}", status), TONES.get(status, "info"))
        widgets.link(words("dagster"), url, outside=True)
        if status == "unknown":
            widgets.text("span", words("runs.slow"))
            widgets.link(words("runs.title"), "/runs")
