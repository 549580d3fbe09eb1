"""The asset `sync/kimai_pushes`."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from zk_pipeline.defs.common import asset_by_day
from zk_pipeline.defs.days import (
    DayFailedError,
    Metadata,
    RunCancelledError,
    add_counts,
    counted_requests,
    days_of,
    each_day,
    stopping_on_system_errors,
)
from zk_pipeline.defs.preview import minutes
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.approval import writes
from zk_pipeline.run_tags import is_wanted_by_a_person
from zk_pipeline.settings import PushMode
from zk_pipeline.stages.locks import locks_now
from zk_pipeline.stages.push.doubt import caution_now
from zk_pipeline.stages.push.guard import ALLOW_TAG, require_moderation
from zk_pipeline.stages.push.pusher import OutdatedPlanError, Pusher, PushSettings
from zk_pipeline.store import cancellations, plans, requests, target


@asset_by_day("sync", deps=[("sync", "reconciliation_results")], kinds=("python", "kimai"))
def kimai_pushes(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """The plan carried out in Kimai: once and only once, with a row of the ledger for each write.

    What Kimai refuses is parked with its reason and the next step, and all others go on. Days that are held since
    somebody cancelled their run are left out, unless a person started this one.
    """
    settings = zk.runtime.settings
    is_wanted = is_wanted_by_a_person(context.run.tags)
    with stopping_on_system_errors():
        if settings.push_mode is PushMode.AUTO:
            let_pass = ALLOW_TAG in context.run.tags
            days = days_of(context) if is_wanted else _free(zk, days_of(context))
            require_moderation(zk.runtime, zk.target.endpoint.name, days, let_pass=let_pass)
        pusher = Pusher(zk.runtime.database, zk.target, _settings(zk), context.run.run_id)

    def metadata(day: date) -> Metadata:
        if (cancelled := _cancelled(context, zk, day)) and not is_wanted:
            return {**_withhold(context, zk, day, "held"), "mode": f"held: run {cancelled} was cancelled"}
        is_off = settings.push_mode is PushMode.OFF
        told = _withhold(context, zk, day, "withheld") if is_off else _push(context, zk, pusher, day)
        with zk.runtime.database.transaction() as connection:
            plans.mark_carried_out(connection, zk.target.endpoint.name, day)
            requests.claim(connection, day, context.run.run_id)
        return told

    with counted_requests(context, zk, zk.target):
        each_day(context, metadata)


def _free(zk: ZkResource, days: Sequence[date]) -> list[date]:
    """Those of the days that are not held."""
    with zk.runtime.database.transaction() as connection:
        held = {day for run in cancellations.held(connection) for day in run.days}
    return [day for day in days if day not in held]


def _cancelled(context: dg.AssetExecutionContext, zk: ZkResource, day: date) -> str | None:
    """The cancelled run that holds a day. Raises `RunCancelledError` when it is this one."""
    with zk.runtime.database.transaction() as connection:
        run_id = cancellations.holder(connection, day)
    if run_id == context.run.run_id:
        raise RunCancelledError("Somebody cancelled this run. Run the day again, or leave it, when that is decided.")
    return run_id


def _withhold(context: dg.AssetExecutionContext, zk: ZkResource, day: date, count: str) -> Metadata:
    """Count what is not written, so that nobody takes silence for success."""
    with zk.runtime.database.transaction() as connection:
        withheld = sum(map(writes, plans.writes_of_day(connection, zk.target.endpoint.name, day)))
    add_counts(context, zk, {count: withheld})
    return {"dagster/partition_row_count": 0, count: withheld, "mode": "off: nothing is written"}


def _push(context: dg.AssetExecutionContext, zk: ZkResource, pusher: Pusher, day: date) -> Metadata:
    try:
        report = pusher.day(day)
    except OutdatedPlanError as error:
        raise DayFailedError(str(error)) from error
    add_counts(context, zk, report.counts())
    for problem in report.problems:
        context.log.warning("%s: %s", day, problem)
    if report.failed:
        raise DayFailedError(f"{report.failed} entries could not be written for now: {'; '.join(report.problems)}")
    return {
        "dagster/partition_row_count": report.carried_out,
        **report.counts(),
        "minutes_written": minutes(report.minutes),
        "mode": zk.runtime.settings.push_mode.value,
    }


def _settings(zk: ZkResource) -> PushSettings:
    settings = zk.runtime.settings
    with zk.runtime.database.transaction() as connection:
        server = target.load_server(connection, zk.target.endpoint.name)
        caution = caution_now(connection, zk.target.endpoint.name, zk.now())
    return PushSettings(
        source=zk.runtime.stored("source").name,
        locks=lambda connection: locks_now(connection, settings, zk.now()),
        concurrency=settings.kimai_concurrency,
        time_limit=settings.kimai_time_limit,
        serial_users=server is not None and not server.allow_overlapping,
        needs_approval=settings.push_mode is PushMode.REVIEW,
        caution=caution,
    )
