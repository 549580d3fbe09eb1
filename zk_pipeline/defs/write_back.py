"""Writing into tickets: the job that carries the plan out, and the sensor that asks for it where it is switched on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.defs.common import stopping_on_system_errors
from zk_pipeline.defs.jobs import UNFINISHED
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.pipeline import SYSTEM_ERRORS
from zk_pipeline.runtime.run_tags import REASON_TAG, WRITE_BACK
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.push.pusher import is_sandbox
from zk_pipeline.store import runs, write_backs
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.write_back import plans
from zk_pipeline.write_back.sending import WriteBackReport, WriteBackSender

JOB = "write_back"
SECONDS = 30
AFTER_A_FAILURE = timedelta(minutes=5)
"""A run that failed before its first write changes nothing by which the sensor would see it."""


@dataclass(frozen=True, slots=True)
class WriteBackSummary:
    """What a run wrote into tickets, by kind and operation; `left` are sentences about what it could not write.

    The step has all but the id as metadata of these names.
    """

    run_id: str
    written: Mapping[str, int]
    left: Sequence[str]
    unsettled: int


@dg.op(out=dg.Out(dg.Nothing))
def write_into_tickets(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Carry out what is due, and what a person approved or wants taken back."""
    with stopping_on_system_errors():
        before = zk.source.requests
        try:
            report = WriteBackReport() if _only_developing(context, zk) else _sender(context, zk).carry_out()
        finally:
            sent, name = zk.source.requests, zk.source.endpoint.name
            counts = {f"{name}_read": sent.reads - before.reads, f"{name}_write": sent.writes - before.writes}
            with zk.runtime.database.transaction() as connection:
                runs.add(connection, context.run.run_id, None, None, counts)
    with zk.runtime.database.transaction() as connection:
        runs.add(connection, context.run.run_id, None, None, {"written_back": report.done.total()})
    for sentence in report.left:
        context.log.warning("%s", sentence)
    metadata = {"written": dict(report.done), "left": report.left}
    context.add_output_metadata(
        {**{name: dg.MetadataValue.json(value) for name, value in metadata.items()}, "unsettled": report.unsettled}
    )


@dg.job(name=JOB, description="Writes into tickets what became of their time, as far as ZK_WRITE_BACK allows.")
def write_back() -> None:
    """Tickets that say what is billed."""
    write_into_tickets()


@dg.sensor(
    name="write_back_due",
    job=write_back,
    description="Starts the job write_back when a month was closed or reopened, time was exported, or a person asked.",
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def write_back_due(context: dg.SensorEvaluationContext, zk: ZkResource) -> dg.SensorResult:
    """Looks at the facts only if something has changed since the last look, or what was refused is due again."""
    try:
        return _look(context, zk)
    except SYSTEM_ERRORS as error:
        return dg.SensorResult(skip_reason=str(error))
    except SQLAlchemyError as error:  # It may quote a statement.
        return dg.SensorResult(
            skip_reason=f"The database failed just now ({type(error).__name__}). The next tick tries again."
        )


def _look(context: dg.SensorEvaluationContext, zk: ZkResource) -> dg.SensorResult:
    now, seen = zk.now(), json.loads(context.cursor or "{}")
    version = _version(zk.runtime)
    again_at = seen.get("again_at")
    if seen.get("version") == version and (again_at is None or datetime.fromisoformat(again_at) > now):
        return dg.SensorResult(skip_reason="Nothing has changed since the last look.")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=JOB, statuses=UNFINISHED)):
        return dg.SensorResult(skip_reason="A run is writing into tickets.")
    found = plans.due(zk.runtime, now)
    if not found.is_due:
        reason = "Nothing is to be written into tickets, or it waits for a person."
        return dg.SensorResult(skip_reason=reason, cursor=_cursor(version, found.again_at))
    request = dg.RunRequest(tags={REASON_TAG: WRITE_BACK})
    return dg.SensorResult(run_requests=[request], cursor=_cursor(version, now + AFTER_A_FAILURE))


def _cursor(version: str, again_at: datetime | None) -> str:
    return json.dumps({"version": version, "again_at": again_at.isoformat() if again_at else None})


def _version(runtime: Runtime) -> str:
    """The version of the facts and of the settings that decide."""
    settings = runtime.settings
    decided = (settings.write_back, settings.write_back_tag, settings.write_back_since, settings.write_back_limit)
    with runtime.database.transaction() as connection:
        facts = write_backs.facts_version(connection, active_connectors(connection).source)
    return "/".join((facts, *map(str, decided), str(settings.max_deletes)))


def _sender(context: dg.OpExecutionContext, zk: ZkResource) -> WriteBackSender:
    return WriteBackSender(zk.runtime, zk.source, context.run.run_id, zk.now)


def _only_developing(context: dg.OpExecutionContext, zk: ZkResource) -> bool:
    """In `dagster dev`, which has no sign-in, nothing is written unless the system is simulated."""
    run, address = zk.systems.run, zk.source.endpoint.base_url
    if run is None or not run.in_development or is_sandbox(address):
        return False
    context.log.warning("Nothing is written to %s: this is `dagster dev`, and no sandbox is behind it.", address)
    return True


def sensors() -> list[Any]:
    """The sensor, where something is written into tickets; switched off, there is none."""
    return [write_back_due] if load_settings().writes_back else []
