"""Dagster runs that a command starts and waits for: the chain, an undo, the tagging of a month."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import dagster as dg
from sqlalchemy import Connection

from zk_pipeline.cli.sync_report import SyncReport
from zk_pipeline.defs.run_history import is_over_limits, sentences_by_cause
from zk_pipeline.domain.changed_days import LONGEST_RANGE, joined
from zk_pipeline.domain.instants import day_ranges, days_between
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.identity.actors import Actor
from zk_pipeline.runtime.run_tags import (
    ACTOR_TAG,
    COMMAND,
    OVERRIDE_TAG,
    REASON_TAG,
    REQUEST_TAG,
    range_subject,
    range_tags,
)
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import conflicts, day_requests, request_log, runs, summaries
from zk_pipeline.store.day_requests import ADJUSTMENT, CORRECTION, FORMER_DAY, MOVED, TICKET

SYNC = "sync"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Keeps Dagster's log out of the terminal; Dagster stores it with the run."""


R = TypeVar("R")


class SyncFailedError(Exception):
    """A run failed; the message is for the operator."""


class Ran(NamedTuple):
    """A run that ended, and the message for the operator if it failed."""

    run_id: str
    failure: str = ""


def sync_days(
    runtime: Runtime,
    job: dg.JobDefinition,
    first: date,
    last: date,
    notify: Callable[[str], None],
    *,
    override_by: Actor | None = None,
) -> SyncReport:
    """Run the job over these days, in Dagster runs of at most a month.

    Other days that these runs request, such as those whose bookings a correction changed, are run as well.
    `override_by` is who overrides the write limits; the audit trail has recorded it. Raises `SyncFailedError`.
    """
    with dg.DagsterInstance.get() as instance:

        def run(begin: date, end: date) -> Ran:
            given = range_tags(begin, end, COMMAND)
            if override_by:
                about = range_subject(begin, end)
                given |= {OVERRIDE_TAG: "yes", **_requested(runtime, override_by, job, about)}
            result = job.execute_in_process(instance=instance, tags=given, run_config=QUIET, raise_on_error=False)
            return Ran(result.run_id, "" if result.success else _failure(result))

        return run_over(runtime, run, first, last, notify, asked_meanwhile=job.name == SYNC)


def run_over(
    runtime: Runtime,
    run: Callable[[date, date], Ran],
    first: date,
    last: date,
    notify: Callable[[str], None],
    *,
    asked_meanwhile: bool = True,
) -> SyncReport:
    """Call `run` for ranges of at most a month, then, with `asked_meanwhile`, for the days requested by these runs.

    Raises `SyncFailedError` after the first run that failed.
    """
    started = time.monotonic()
    run_ids: list[str] = []
    counts: Counter[str] = Counter()
    _report_waiting_systems(runtime, notify)
    days: set[date] = set()
    for begin, end in chain(day_ranges(first, last, LONGEST_RANGE), _further_days(runtime) if asked_meanwhile else ()):
        notify(f"{begin} to {end}")
        ran = run(begin, end)
        run_ids.append(ran.run_id)
        days.update(days_between(begin, end))
        with runtime.database.transaction() as connection:
            counts.update(runs.counts_of(connection, ran.run_id))
        if ran.failure:
            raise SyncFailedError(ran.failure)
    with runtime.database.transaction() as connection:
        open_count, parked = waiting(connection, first, last)
        outcomes = summaries.outcomes(connection, runtime.stored("target").name, days, run_ids)
    seconds = time.monotonic() - started
    return SyncReport(tuple(run_ids), first, last, dict(counts), open_count, parked, seconds, outcomes)


def run_operation(
    runtime: Runtime,
    actor: Actor,
    job: dg.JobDefinition,
    about: str,
    report: Callable[..., R],
    *,
    tags: Mapping[str, str] = MappingProxyType({}),
    config: Mapping[str, Any] = MappingProxyType({}),
) -> R:
    """Run a job that needs a request, such as an undo, and make the report of its id and its step's metadata.

    `about` is what the request is about: the run to undo, the month to tag. Raises `SyncFailedError`.
    """
    asked = {REASON_TAG: COMMAND, **tags, **_requested(runtime, actor, job, about)}
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance, tags=asked, run_config={**QUIET, **config}, raise_on_error=False
        )
    if not result.success:
        raise SyncFailedError(_failure(result))
    (output,) = (event for event in result.all_node_events if event.is_successful_output)
    metadata = output.step_output_data.metadata
    return report(result.run_id, **{name: value.value for name, value in metadata.items()})


def _requested(runtime: Runtime, actor: Actor, job: dg.JobDefinition, about: str) -> dict[str, str]:
    """The tags of a run that a command requests; the run spends the request."""
    with runtime.database.transaction() as connection:
        return {ACTOR_TAG: actor.name, REQUEST_TAG: runs.ask(connection, actor.name, job.name, about)}


def _report_waiting_systems(runtime: Runtime, notify: Callable[[str], None]) -> None:
    """Report systems that asked to be left alone: they are called all the same, since a person is waiting."""
    now = datetime.now(UTC)
    with runtime.database.transaction() as connection:
        for state in request_log.active(connection):
            if state.asked_to_wait and (until := state.wait_until(now)):
                notify(
                    f"{state.connector.title()} asked for a pause until {until:%H:%M:%S} UTC; it is called once anyway."
                )


def _further_days(runtime: Runtime) -> Iterator[tuple[date, date]]:
    """Ranges of the days that the runs so far requested: for corrections, adjustments, moved time sheets, tickets."""
    with runtime.database.transaction() as connection:
        reasons = (CORRECTION, ADJUSTMENT, MOVED, FORMER_DAY, TICKET)
        asked = [row for reason in reasons for row in day_requests.unclaimed(connection, reason=reason)]
    yield from joined({request.day for request in asked})


def waiting(connection: Connection, first: date, last: date) -> tuple[int, int]:
    """The numbers of open conflicts of these days, and of entries that the target refuses."""
    rows = conflicts.open_conflicts(connection, first, last)
    parked = sum(row.reason == Reason.REFUSED_BY_KIMAI for row in rows)
    return len(rows) - parked, parked


def _failure(result: dg.ExecuteInProcessResult) -> str:
    failed = [event for event in result.all_events if event.is_step_failure]
    sentences = [*sentences_by_cause(failed, with_error_text=True).values()]
    if is_over_limits(failed):  # The sentence itself names no command, since the console shows it as well.
        sentences.append(
            "At the command line, zk sync --plan with the same days shows it, and zk sync --override-limits writes it."
        )
    return " ".join(sentences) or f"Run {result.run_id} failed; see it in Dagster."
