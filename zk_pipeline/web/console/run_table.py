"""The runs as a table: which days, how it went, what was written, and the way to Dagster."""

from collections.abc import Callable, Mapping, Sequence

from zk_pipeline.operations.runs import Run
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Cell, Column, Tone
from zk_pipeline.web.console.words import Words

TONES: Mapping[str, Tone] = {"success": "good", "failure": "bad", "canceled": "warn", "unknown": "calm"}

ENDED = frozenset({"success", "failure", "canceled", "unknown"})
"""States in which nothing more happens."""

_COUNTS = (
    *("created", "updated", "deleted", "linked", "adopted", "undone"),
    *("unapproved", "withheld", "held", "left", "conflicts", "parked", "failed"),
)

_SHORTFALLS = ("withheld", "held", "unapproved", "left")
"""Counts of what a run planned and did not write, though nothing went wrong."""


def show(words: Words, runs: Sequence[Run], act: Callable[[Run], None]) -> None:
    """The table, or that there are none; `act` draws what can be done with a run."""
    if not runs:
        parts.empty(words("runs.none"), words("runs.none.hint"))
        return
    columns = [Column(words(f"runs.{name}")) for name in ("started", "days", "state", "counts", "link", "actions")]
    parts.table(words("runs.title"), columns, [[*_row(words, run), lambda run=run: act(run)] for run in runs])


def status(words: Words, run: Run) -> None:
    """How a run stands."""
    parts.chip(words.known(f"run.{run.status}", run.status), TONES.get(run.status, "info"))


def outcome(words: Words, run: Run) -> None:
    """What a run did, and why it failed if it did: the sentence that says what to do."""
    parts.text("div", counts(words, run))
    if run.taken_back:
        parts.text("div", words("runs.taken_back"), "zk-muted")
    if run.failure:
        parts.text("div", run.failure, "zk-muted")


def counts(words: Words, run: Run) -> str:
    """What a run did, without what it did not do."""
    told = [f"{words(f'count.{name}')} {words.number(run.counts[name])}" for name in _COUNTS if run.counts.get(name)]
    return " · ".join(told) or words("count.nothing" if run.carried_out else "count.unwritten")


def shortfalls(words: Words, runs: Sequence[Run]) -> list[str]:
    """What runs that ended well did not write of their plans, in sentences; empty when they wrote everything."""
    done = [run for run in runs if run.carried_out]
    sums = {name: sum(run.counts.get(name, 0) for run in done) for name in _SHORTFALLS}
    return [words(f"sync.done.{name}", number=words.number(number)) for name, number in sums.items() if number]


def _row(words: Words, run: Run) -> list[Cell]:
    days = words.days(run.first, run.last) if run.first and run.last else ""
    return [
        words.instant(run.started_at),
        days,
        lambda: status(words, run),
        lambda: outcome(words, run),
        lambda: parts.link(run.run_id[:8], run.url, outside=True),
    ]
