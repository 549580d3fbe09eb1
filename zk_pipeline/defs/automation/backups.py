"""The jobs that back up both databases, and prove the newest backup by restoring it."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from zk_pipeline.defs.days import stopping_on_system_errors
from zk_pipeline.defs.requested import PIPELINE, requested_by, tags_of_schedule
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.closing import month_name
from zk_pipeline.run_tags import REQUESTED_JOBS
from zk_pipeline.settings import load_settings


@dg.op(out=dg.Out(dg.Nothing))
def make_backup(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Back up both databases into ZK_BACKUP_DIR, and remove what was kept long enough."""
    from zk_pipeline import safekeeping  # noqa: PLC0415 - every run imports the definitions, and few are backups.

    with _explained():
        made = safekeeping.back_up(zk.runtime, zk.runtime.settings.backups, PIPELINE, zk.now())
    context.add_output_metadata(
        {"file": dg.MetadataValue.path(made.path), "bytes": made.size, "expired": len(made.expired)}
    )


@dg.job(name="backup", description="Backs up both databases into one encrypted file, and removes old ones.")
def backup() -> None:
    """Both databases, backed up."""
    make_backup()


@dg.op(out=dg.Out(dg.Nothing))
def rehearse_restoration(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Restore the newest backup into scratch databases, and verify its audit chain, its rows and its statement."""
    from zk_pipeline import safekeeping  # noqa: PLC0415

    actor = requested_by(context, zk)
    with _explained():
        found = safekeeping.rehearse(zk.runtime, zk.runtime.settings.backups, actor)
    context.add_output_metadata(
        {
            "file": dg.MetadataValue.path(found.path),
            "made_at": dg.MetadataValue.timestamp(found.made_at),
            "seconds": found.seconds,
            **({"statement": month_name(found.statement.month)} if found.statement else {}),
            **found.rows,
        }
    )


@dg.job(
    name="rehearse_backup", description="Proves the newest backup: restores it beside, and verifies what came back."
)
def rehearse_backup() -> None:
    """The newest backup, proven."""
    rehearse_restoration()


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
        for job, cron in ((backup, settings.backup_cron), (rehearse_backup, settings.rehearsal_cron))
    ]


@contextmanager
def _explained() -> Iterator[None]:
    """A backup that fails says so in one sentence, and is not tried again by itself."""
    from zk_pipeline.store.backups import BackupError  # noqa: PLC0415

    with stopping_on_system_errors():
        try:
            yield
        except BackupError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
