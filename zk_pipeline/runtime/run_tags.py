"""The tags of runs: where a run writes, its days, what requested it, and what is checked with it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

OUR_TAGS = "zk/"
"""What our tags begin with. Nobody sets them from outside: Dagster's door (`web/dagster_ui`) lets none through."""

ACTOR_TAG = "zk/actor"
"""Who had the run started, as the audit trail names them."""

FAILURE_TAG = "zk/failure"
"""Why the run failed, as a sentence with the next step, for the top of its page; empty in one that repeats a run."""

REQUEST_TAG = "zk/request"
"""The request by which a run may do what takes one (`store/runs.py`); it is spent by the first run."""

UNDO_JOB = "undo"
UNDO_STEP = "take_back"
"""The step of the job `undo`, by which its configuration names the run to undo."""

NO_RETRY = {"dagster/max_retries": "0"}
"""On runs that need a request: Dagster would start them again with one that is spent."""

REQUESTED_JOBS = frozenset({UNDO_JOB, "tag_billed", "mend", "apply_retention", "rehearse_backup"})
"""The jobs that take back, tag, mend, delete history or restore: each run of theirs needs a request of ours."""

TARGET_POOL = "kimai"
"""Dagster's pool of all steps that write to Kimai; dagster.yaml lets one queued run with such a step run at a time."""

MONTH_TAG = "zk/month"
"""The month whose time sheets a run tags, as `2025-08`."""

MEND_TAG = "zk/mend"
"""What a run mends in the target, as `extend_project:7:2025-10-31`."""

OVERRIDE_TAG = "zk/override-limits"
"""A run with this tag is not stopped by the write limits, if its request is about just these days."""

FORMER_OVERRIDE_TAG = "zk/let-pass"
"""The tag's name before 0.2, for runs that were queued then; it goes in 0.3."""

DAY_TAG = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

REASON_TAG = "zk/reason"
"""What asked for the run."""

COMMAND = "command"
"""The reason of a run that a person started at the command line, who waits for it."""

RUN_KEY_TAG = "zk/run_key"
"""What a run was started for, by which it is found again when the answer of its start was lost."""

CHANGE = "change"
"""The reason of the runs that the sensor asks for."""

WRITE_BACK = "write_back"
"""The reason of the runs that write into tickets because a sensor asks for them."""

AUTOMATIC_REASONS = frozenset({CHANGE, "catch_up", "deep_check", WRITE_BACK})
"""The reasons of runs that nobody started: those of the sensor and of the schedules."""

_REPEATED_TAG = "dagster/retry_number"
_AGAIN_TAG = "dagster/parent_run_id"

CHECKED_TAG = "zk/checked"
"""The days that the runs of one tick look at together, as `first/last`."""


def range_tags(first: date, last: date, reason: str) -> dict[str, str]:
    """The tags of a run over the days `first` to `last`, both included."""
    days = {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}
    return {**(days if last > first else {DAY_TAG: first.isoformat()}), REASON_TAG: reason}


def range_subject(first: date, last: date) -> str:
    """The subject of the audited request for a run that overrides the limits on these days."""
    return f"{first}/{last}"


def checked_tag(first: date, last: date) -> dict[str, str]:
    """The tag for the days checked together."""
    return {CHECKED_TAG: f"{first}/{last}"}


def checked_days(tags: Mapping[str, str]) -> tuple[date, date] | None:
    """The days being checked: those of the whole tick, or those of the run; `None` for a run without days."""
    if CHECKED_TAG not in tags:
        return range_of(tags)
    first, last = tags[CHECKED_TAG].split("/")
    return date.fromisoformat(first), date.fromisoformat(last)


def range_of(tags: Mapping[str, str]) -> tuple[date, date] | None:
    """The days of a run, or `None` for one without."""
    first, last = tags.get(RANGE_START, tags.get(DAY_TAG)), tags.get(RANGE_END, tags.get(DAY_TAG))
    return None if first is None or last is None else (date.fromisoformat(first), date.fromisoformat(last))


def is_started_by_person(tags: Mapping[str, str]) -> bool:
    """Whether a person started this run: by a command, in the console, or in Dagster's UI, including *Re-execute*.

    Runs of the sensor and the schedules do not count, nor those that Dagster restarts after a crash.
    """
    if _REPEATED_TAG in tags:
        return False
    return _AGAIN_TAG in tags or tags.get(REASON_TAG) not in AUTOMATIC_REASONS


def undo_config(run_id: str) -> dict[str, Any]:
    """The configuration of the run that undoes this one."""
    return {"ops": {UNDO_STEP: {"config": {"run_id": run_id}}}}
