"""The nightly jobs that keep house: walking along the audit chain, and deleting what was kept long enough."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import dagster as dg

from zk_pipeline.alerting import anchors
from zk_pipeline.alerting.book import tell_failure
from zk_pipeline.dagster_server import run_url
from zk_pipeline.defs.days import stopping_on_system_errors
from zk_pipeline.defs.requested import requested_by, tags_of_schedule
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.alerts import Trouble
from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import Settings, load_settings
from zk_pipeline.store import audit, dagster_logs, retention
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline.store.retention import Prune

VERIFY, RETENTION = "verify_audit", "apply_retention"

KEEP_ACTS_DAYS = 1
"""For as long as a key that somebody sent with a request stands for it; see `operations/acts.py`."""


@dg.op(out=dg.Out(dg.Nothing))
def verify_chain(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Walk along the whole chain. When a row does not fit, people are alerted at once, whatever ZK_ALERT_AFTER says.

    It is compared with the anchors in the home; when all fits, its end is the next one.
    """
    with stopping_on_system_errors(), zk.runtime.database.transaction() as connection:
        found = audit.verify(connection, anchors.kept(zk.runtime))
    if found.broken_at is not None:
        sentence = audit.broken_sentence(found)
        link = run_url(zk.runtime.settings.dagster_link, context.run_id)
        tell_failure(zk.runtime, Trouble(VERIFY, sentence, sentence, (), link))
        raise dg.Failure(description=sentence, metadata={"broken_at": found.broken_at})
    with stopping_on_system_errors():
        anchor = anchors.publish(zk.runtime, "daily")
    context.add_output_metadata({"rows": found.rows, "head": found.head, "anchor": str(anchor)})


@dg.job(name=VERIFY, description="Walks along the audit chain, and fails when a row was changed or is gone.")
def verify_audit() -> None:
    """The whole chain, verified."""
    verify_chain()


@dg.op(out=dg.Out(dg.Nothing))
def prune(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Delete each class of rows that was kept for as long as the settings say."""
    actor, removed = requested_by(context, zk), dict[str, int]()
    with stopping_on_system_errors():
        try:
            for name, (remove, days) in _classes(zk.runtime.settings).items():
                removed[name] = _in_batches(zk.runtime.database, remove, zk.now() - timedelta(days=days))
            removed["dagster_logs"] = _dagster_logs(zk)
        finally:
            _record(zk.runtime, removed, actor, context.run_id)
    context.add_output_metadata(removed)


@dg.job(name=RETENTION, description="Deletes what was kept for as long as ZK_KEEP_… says.")
def apply_retention() -> None:
    """What is too old, deleted."""
    prune()


verify_audit_schedule = dg.ScheduleDefinition(
    name=VERIFY,
    job=verify_audit,
    cron_schedule="0 2 * * *",
    execution_timezone=load_settings().timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Verifies the audit chain every night.",
)
apply_retention_schedule = dg.ScheduleDefinition(
    name=RETENTION,
    job=apply_retention,
    tags_fn=tags_of_schedule(RETENTION),
    cron_schedule="30 2 * * *",
    execution_timezone=load_settings().timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Deletes every night what was kept long enough.",
)


def _classes(settings: Settings) -> Mapping[str, tuple[Prune, int]]:
    """What is deleted, and after how many days."""
    return {
        "requests": (retention.requests, settings.keep_requests_days),
        "webhooks": (retention.webhooks, settings.keep_webhooks_days),
        "day_requests": (retention.carried_out_requests, settings.keep_webhooks_days),
        "sessions": (retention.ended_sessions, settings.keep_logins_days),
        "failed_logins": (retention.failed_sign_ins, settings.keep_logins_days),
        "acts": (retention.keyed_acts, KEEP_ACTS_DAYS),
        "launched_runs": (retention.keyed_runs, KEEP_ACTS_DAYS),
        "run_requests": (retention.old_run_requests, KEEP_ACTS_DAYS),
        "audit_details": (retention.details, settings.keep_audit_days),
    }


def _dagster_logs(zk: ZkResource) -> int:
    """Delete old log lines from Dagster's database; returns how many went."""
    url = zk.runtime.settings.dagster_url
    if url is None:
        return 0
    with dagster_logs.opened(url.get_secret_value()) as database:
        before = zk.now() - timedelta(days=zk.runtime.settings.keep_dagster_logs_days)
        return _in_batches(database, dagster_logs.chatter, before)


def _in_batches(database: Database, remove: Prune, before: datetime) -> int:
    """Delete batch by batch, each in a transaction of its own; returns how many rows went."""
    total = 0
    while True:
        with database.transaction() as connection:
            removed = remove(connection, before, retention.BATCH)
        total += removed
        if removed < retention.BATCH:
            return total


def _record(runtime: Runtime, removed: Mapping[str, int], actor: str, run_id: str) -> None:
    """One event for all that went; a night on which nothing did leaves no trace."""
    if not any(removed.values()):
        return
    with runtime.database.transaction() as connection:
        audit.append(connection, [AuditEvent("retention.applied", actor, "retention", removed, run_id)])
