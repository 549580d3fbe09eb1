"""What a failed run says: the operator's sentences, once for each cause, and the days that are not done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from zk_pipeline.defs.days import CAUSE
from zk_pipeline.domain.instants import days_between
from zk_pipeline.run_tags import RANGE_END, RANGE_START

DAY_TAG = "dagster/partition"
RETRIED_TAG = "dagster/will_retry"
"""On a failed run that Dagster itself starts again: only the last of them counts."""


@dataclass(frozen=True, slots=True)
class Report:
    """Sentences for the operator, what makes this failure the same as another, and the days that it left undone."""

    sentence: str
    cause: str
    days: tuple[date, ...]


def report_of(run: dg.DagsterRun, failure: dg.DagsterEvent, steps: Iterable[dg.DagsterEvent]) -> Report:
    """The report of a failed run. An unexpected error is named by its type alone: its text may hold anything."""
    by_cause: dict[str, str] = {}
    bad_days: set[date] = set()
    for step in steps:
        metadata = _metadata(step)
        sentence = _sentence(step)
        by_cause.setdefault(metadata.get(CAUSE, sentence), sentence)
        bad_days |= _days(metadata.get("bad_days", "").split(", "))
    if not by_cause:
        sentence = (failure.message or "It failed without a word.").strip().splitlines()[0]
        by_cause[sentence] = sentence
    return Report(" ".join(by_cause.values()), "\n".join(by_cause), tuple(sorted(bad_days or days_of_run(run.tags))))


def days_of_run(tags: Mapping[str, str]) -> set[date]:
    """The days of a run, by its tags; none for a run without days."""
    span = _days(tags.get(name, "") for name in (DAY_TAG, RANGE_START, RANGE_END))
    return set(days_between(min(span), max(span))) if span else set()


def _days(keys: Iterable[str]) -> set[date]:
    days: set[date] = set()
    for key in keys:
        try:
            days.add(date.fromisoformat(key))
        except ValueError:  # A run of another code location may have other partitions.
            continue
    return days


def _metadata(step: dg.DagsterEvent) -> Mapping[str, str]:
    told = step.step_failure_data.user_failure_data
    return {name: str(value.value) for name, value in told.metadata.items()} if told else {}


def _sentence(step: dg.DagsterEvent) -> str:
    data = step.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description.strip()
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{step.step_key} met an unexpected {error.cls_name if error else 'error'}. The log of the run has it."


def finished_runs(instance: dg.DagsterInstance, job_name: str, limit: int) -> Sequence[tuple[str, bool]]:
    """The newest finished runs of a job as (id, succeeded), newest first, without those that Dagster starts again."""
    statuses = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    runs = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=statuses), limit=limit)
    return [
        (run.run_id, run.status is dg.DagsterRunStatus.SUCCESS) for run in runs if run.tags.get(RETRIED_TAG) != "true"
    ]
