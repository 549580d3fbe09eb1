"""The nightly jobs: verifying the audit trail, retention, backups and their verification."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

import dagster as dg

from zk_pipeline.audit import anchors
from zk_pipeline.defs.common import stopping_on_system_errors
from zk_pipeline.defs.jobs import PIPELINE, requested_by, tags_of_schedule
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.periods import month_name
from zk_pipeline.observe.alert_delivery import alert_failure
from zk_pipeline.observe.alerts import Failure
from zk_pipeline.privacy import retention
from zk_pipeline.privacy.retention import Prune
from zk_pipeline.runtime import dagster_internals
from zk_pipeline.runtime.links import alert_about
from zk_pipeline.runtime.run_tags import REQUESTED_JOBS
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings, load_settings
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database

# The nightly jobs that verify the audit chain and delete expired rows.

VERIFY, RETENTION = "verify_audit", "apply_retention"

KEEP_ACTS_DAYS = 1
"""Days for which an idempotency key is kept; see `operate/runs.py`."""


@dg.op(out=dg.Out(dg.Nothing))
def verify_chain(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Verify the whole chain. If a row does not match, people are alerted at once, whatever ZK_ALERT_AFTER says.

    It is compared with the anchors in ZK_HOME; if everything matches, its end becomes the next anchor.
    """
    with stopping_on_system_errors(), zk.runtime.database.transaction() as connection:
        found = audit.verify(connection, anchors.stored_anchors(zk.runtime))
    if found.broken_at is not None:
        sentence = audit.broken_sentence(found)
        link = alert_about(zk.runtime.settings, context.run.run_id)
        alert_failure(zk.runtime, Failure(VERIFY, sentence, sentence, (), link))
        raise dg.Failure(description=sentence, metadata={"broken_at": found.broken_at})
    with stopping_on_system_errors():
        anchor = anchors.publish(zk.runtime, "daily")
    context.add_output_metadata({"rows": found.rows, "head": found.head, "anchor": str(anchor)})


@dg.job(name=VERIFY, description="Verifies the audit chain, and fails if a row was changed or is missing.")
def verify_audit() -> None:
    """The whole chain, verified."""
    verify_chain()


@dg.op(out=dg.Out(dg.Nothing))
def prune(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Delete each class of rows that is older than its setting allows."""
    actor, removed = requested_by(context, zk), dict[str, int]()
    with stopping_on_system_errors():
        try:
            for name, (remove, days) in _classes(zk.runtime.settings).items():
                removed[name] = _in_batches(zk.runtime.database, remove, zk.now() - timedelta(days=days))
            removed["dagster_logs"] = _dagster_logs(zk)
        finally:
            _record(zk.runtime, removed, actor, context.run.run_id)
    context.add_output_metadata(removed)


@dg.job(name=RETENTION, description="Deletes data older than the ZK_KEEP_… settings allow.")
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
    description="Deletes expired data every night.",
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
    """Delete old log lines from Dagster's database; returns how many."""
    url = zk.runtime.settings.dagster_url
    if url is None:
        return 0
    with dagster_internals.opened(url.get_secret_value()) as database:
        before = zk.now() - timedelta(days=zk.runtime.settings.keep_dagster_logs_days)
        return _in_batches(database, dagster_internals.prune_events, before)


def _in_batches(database: Database, remove: Prune, before: datetime) -> int:
    """Delete in batches, each in its own transaction; returns the number of rows."""
    total = 0
    while True:
        with database.transaction() as connection:
            removed = remove(connection, before, retention.BATCH)
        total += removed
        if removed < retention.BATCH:
            return total


def _record(runtime: Runtime, removed: Mapping[str, int], actor: str, run_id: str) -> None:
    """One event for everything deleted; none for a night without deletions."""
    if not any(removed.values()):
        return
    with runtime.database.transaction() as connection:
        audit.append(connection, [AuditEvent("retention.applied", actor, "retention", removed, run_id)])


# The jobs that back up both databases, and verify the newest backup by restoring it.


@dg.op(out=dg.Out(dg.Nothing))
def make_backup(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Back up both databases into ZK_BACKUP_DIR, and remove expired backups."""
    from zk_pipeline.recovery import backup as backups  # noqa: PLC0415 - every run imports the definitions, and few are backups.

    with _explained():
        made = backups.back_up(zk.runtime, zk.runtime.settings.backups, PIPELINE, zk.now())
    context.add_output_metadata(
        {"file": dg.MetadataValue.path(made.path), "bytes": made.size, "expired": len(made.expired)}
    )


@dg.job(name="backup", description="Backs up both databases into one encrypted file, and removes old ones.")
def backup() -> None:
    """Both databases, backed up."""
    make_backup()


@dg.op(out=dg.Out(dg.Nothing))
def restore_newest_backup(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Restore the newest backup into scratch databases, and verify its audit chain, its rows and its statement."""
    from zk_pipeline.recovery import backup as backups  # noqa: PLC0415

    actor = requested_by(context, zk)
    with _explained():
        found = backups.verify_restore(zk.runtime, zk.runtime.settings.backups, actor)
    context.add_output_metadata(
        {
            "file": dg.MetadataValue.path(found.path),
            "made_at": dg.MetadataValue.timestamp(found.made_at),
            "seconds": found.seconds,
            **({"statement": month_name(found.statement.month)} if found.statement else {}),
            **found.rows,
        }
    )


@dg.job(name="rehearse_backup", description="Verifies the newest backup by restoring it into scratch databases.")
def verify_backup() -> None:
    """The newest backup, proven."""
    restore_newest_backup()


def build_schedules() -> list[dg.ScheduleDefinition]:
    """When both run, in the business zone."""
    settings = load_settings()
    return [
        dg.ScheduleDefinition(
            name=job.name,
            job=job,
            cron_schedule=cron,
            execution_timezone=settings.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=job.description,
            tags_fn=tags_of_schedule(job.name) if job.name in REQUESTED_JOBS else None,
        )
        for job, cron in ((backup, settings.backup_cron), (verify_backup, settings.rehearsal_cron))
    ]


@contextmanager
def _explained() -> Iterator[None]:
    """A backup that fails says so in one sentence, and is not tried again by itself."""
    from zk_pipeline.recovery.dumps import BackupError  # noqa: PLC0415

    with stopping_on_system_errors():
        try:
            yield
        except BackupError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
