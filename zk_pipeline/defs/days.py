"""Per-day truth: a run over a range of days records each good day, and names each bad one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from zk_pipeline import logs
from zk_pipeline.connectors.base import Connector
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.runtime import SetupError
from zk_pipeline.settings import SettingsError
from zk_pipeline.store import runs
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.tracing import spans

Metadata = Mapping[str, Any]

CAUSE = "cause"
"""Metadata of a failure by which those of one cause are told apart from others."""

SYSTEM_ERRORS = (ConnectorError, DatabaseUnavailableError, SetupError, SettingsError, EncryptionError)
"""A system's problem: the following days would meet it too, so the run stops."""

DAY_ERRORS = (SQLAlchemyError, ValueError, LookupError, TypeError, ArithmeticError)
"""A problem of one day's rows: the other days go on."""


class DayFailedError(Exception):
    """Some rows of a day could not be carried out for now; the others were."""


class RunCancelledError(Exception):
    """Somebody cancelled this run, which goes on all the same: it writes no further day."""


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The days of this run, whether it is one or a range; none where an asset has no partitions."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    return [date.fromisoformat(key) for key in context.partition_keys]


def each_day(context: dg.AssetExecutionContext, work: Callable[[date], Metadata]) -> None:
    """Do the work day by day. Raises `Failure` naming the bad days, after the good ones were recorded."""
    good: dict[date, Metadata] = {}
    bad: dict[date, Exception] = {}
    for day in days_of(context):
        try:
            with logs.about(day=day.isoformat()), spans.span("day", {"zk.day": day.isoformat()}):
                good[day] = work(day)
        except (*DAY_ERRORS, DayFailedError) as error:
            context.log.exception("%s failed.", day)
            bad[day] = error
        except (*SYSTEM_ERRORS, RunCancelledError) as error:
            bad[day] = error
            break
    if not bad:
        for day, metadata in good.items():
            context.add_asset_metadata(metadata, partition_key=day.isoformat())
        return
    for day, metadata in good.items():
        context.log_event(dg.AssetMaterialization(context.asset_key, partition=day.isoformat(), metadata=metadata))
    sentences = " ".join(f"{day}: {_told(error)}" for day, error in bad.items())
    raise dg.Failure(description=sentences, metadata={"bad_days": ", ".join(map(str, bad))}) from next(
        iter(bad.values())
    )


def _told(error: Exception) -> str:
    """The error for people: a database's is shown without the statement that it failed on."""
    if not isinstance(error, DBAPIError):
        return str(error)
    reason = str(error.orig).strip().splitlines()[0]
    return f"The database failed ({reason}). Run the day again; if it stays so, look at PostgreSQL's log."


@contextmanager
def stopping_on_system_errors() -> Iterator[None]:
    """Turn a system's problem into a failure whose text is the sentence for the operator."""
    try:
        yield
    except SYSTEM_ERRORS as error:
        raise dg.Failure(description=str(error), metadata={CAUSE: _cause(error)}) from error


def _cause(error: Exception) -> str:
    """The same for all stages that met the same problem of a system, whatever they were calling."""
    return f"{error.system}: {error.problem} {error.remedy}" if isinstance(error, ConnectorError) else str(error)


@contextmanager
def counted_requests(context: dg.AssetExecutionContext, zk: ZkResource, connector: Connector) -> Iterator[None]:
    """Add the requests sent meanwhile to the run's counts, also when the stage fails."""
    before = connector.requests
    try:
        yield
    finally:
        after = connector.requests
        counts = {
            f"{connector.endpoint.name}_read": after.reads - before.reads,
            f"{connector.endpoint.name}_write": after.writes - before.writes,
        }
        add_counts(context, zk, counts)


def add_counts(context: dg.AssetExecutionContext, zk: ZkResource, counts: Mapping[str, int]) -> None:
    """Add to the counts of this run; a stage that did nothing costs nothing."""
    added = {name: number for name, number in counts.items() if number}
    if not added:
        return
    span = days_of(context)
    with zk.runtime.database.transaction() as connection:
        runs.add(connection, context.run.run_id, min(span, default=None), max(span, default=None), added)
