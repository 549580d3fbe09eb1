"""Common parts of the assets: partitions, backfill policy, owners, recording of days, tables for people."""

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import wraps
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import dagster as dg
from sqlalchemy import Table

from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.defs import lineage
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.pipeline import SYSTEM_ERRORS, DayFailedError, DaysFailedError, Pipeline, RunCancelledError
from zk_pipeline.runtime import links, tracing
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.systems import RunContext

# The result of a pipeline stage in Dagster: each good day is recorded, each bad one named.

Metadata = Mapping[str, Any]
Done = TypeVar("Done")

CAUSE = "cause"
"""Metadata of a failure; failures with the same value have the same cause."""


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The days of this run, one or a range; empty if an asset has no partitions."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    return [date.fromisoformat(key) for key in context.partition_keys]


def pipeline_of(context: dg.AssetExecutionContext, zk: ZkResource) -> Pipeline:
    """The pipeline for the days of this run."""
    return Pipeline(zk.systems, zk.systems.run or RunContext(context.run.run_id), days_of(context), context.log)


def recorded(
    context: dg.AssetExecutionContext,
    stage: Callable[[], Mapping[date, Done]],
    metadata: Callable[[date, Done], Metadata],
) -> None:
    """Run a stage and record each day. Raises `Failure` with the bad days, after recording the good ones."""
    with stopping_on_system_errors():
        try:
            done = stage()
        except DaysFailedError as error:
            for day, of_day in error.good.items():
                materialized = dg.AssetMaterialization(
                    context.asset_key, partition=day.isoformat(), metadata=metadata(day, of_day)
                )
                context.log_event(materialized)
            bad_days = ", ".join(map(str, error.bad))
            raise dg.Failure(description=str(error), metadata={"bad_days": bad_days}) from _shown(error.__cause__)
    for day, of_day in done.items():
        context.add_asset_metadata(metadata(day, of_day), partition_key=day.isoformat())


@contextmanager
def stopping_on_system_errors() -> Iterator[None]:
    """Turn a system's error into a failure whose text is the sentence for the operator, without a traceback."""
    try:
        yield
    except SYSTEM_ERRORS as error:
        raise dg.Failure(description=str(error), metadata={CAUSE: _cause(error)}) from _shown(error)


def _shown(error: BaseException | None) -> BaseException | None:
    """The error as Dagster shows it: what a system or a person did has no traceback, which would look like a defect."""
    if isinstance(error, (*SYSTEM_ERRORS, DayFailedError, RunCancelledError)):
        error.__traceback__, error.__cause__, error.__suppress_context__ = None, None, True
    return error


def _cause(error: Exception) -> str:
    """The same value for all stages that met the same problem of a system, whatever they called."""
    return f"{error.system}: {error.problem} {error.remedy}" if isinstance(error, ConnectorError) else str(error)


# Metadata for people: minutes, small tables with links, for the materialization pages of Dagster's UI.

ROWS_SHOWN = 20
HIDDEN = "(hidden)"


def plotted(minutes: Decimal) -> dg.MetadataValue:
    """Minutes as a number of hours that Dagster plots over the days; for display only, never for sums."""
    return dg.MetadataValue.float(round(float(minutes / 60), 2))


def hours(minutes: Decimal) -> str:
    """Minutes as hours for people, such as 0.75."""
    return f"{minutes / 60:.2f}"


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    """An instant by the clock of the business."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue:
    """The first rows as a table; cells may contain links made by `link`."""
    listed = list(rows)
    lines = [_line(columns), _line(["---"] * len(columns)), *(_line(row) for row in listed[:ROWS_SHOWN])]
    if len(listed) > ROWS_SHOWN:
        lines.append(_line([f"… and {len(listed) - ROWS_SHOWN} more", *[""] * (len(columns) - 1)]))
    return dg.MetadataValue.md("\n".join(lines))


def link(text: str, url: str) -> str:
    """A link to a page of the source or the target."""
    return f"[{_plain(text)}]({url})"


def ticket_link(base_url: str, number: str, ticket_id: str) -> str:
    """The ticket in Zammad."""
    return link(number, links.ticket(base_url, ticket_id))


def timesheet_link(base_url: str, timesheet_id: int | None) -> str:
    """The time sheet in Kimai, or nothing."""
    return link(str(timesheet_id), links.timesheet(base_url, timesheet_id)) if timesheet_id else ""


def cell(value: object) -> str:
    """A value that cannot break out of its cell."""
    return _plain("" if value is None else str(value))


def named(value: object, *, shown: bool) -> str:
    """A value that may name people, customers or tickets: only shown if previews show names (ZK_PREVIEW_NAMES)."""
    return cell(value) if shown else HIDDEN


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join("" if value is None else str(value) for value in cells) + " |"


def _plain(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("[", "\\[").replace("<", "&lt;")
    return " ".join(escaped.split())


# The one partitions definition: a day of the business zone, today included.

_settings = load_settings()

days = dg.DailyPartitionsDefinition(
    start_date=_settings.start_date.isoformat(), timezone=_settings.timezone, end_offset=1
)

# Common arguments of the assets: owner, group, kinds, partitions, backfill policy; and their trace spans.

# The parameter has been in beta for years; without the filter, every process warns once per asset.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
warnings.filterwarnings("ignore", message=".*(code_references|CodeReference)", category=dg.BetaWarning)

OWNERS = ["team:billing"]
LAYER = "layer"
"""The tag that says whether an asset is what a system has (raw), what we make of it (derived), or a mart."""

CODE_VERSION = "1"
"""Raise it when the same rows would be stored differently: Dagster then marks what was stored before."""

WHOLE_CHAIN = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)

Stage = Callable[..., Any]
Decorator = Callable[[Stage], dg.AssetsDefinition]


def asset_of_now(prefix: str, *, tables: Sequence[Table] = ()) -> Decorator:
    """An asset without partitions: a system's current state. The prefix is its schema and group."""

    def decorated(stage: Stage) -> dg.AssetsDefinition:
        columns = [column for table in tables for column in _columns_of(table, f"{table.name}.")]
        described = lineage.described(f"{prefix}/{stage.__name__}", columns) if columns else {}
        asset = dg.asset(
            key_prefix=prefix,
            group_name=prefix,
            owners=OWNERS,
            tags={LAYER: "raw"},
            kinds={"python", "postgres"},
            code_version=CODE_VERSION,
            metadata={**described, **_code_reference(stage)},
        )
        return asset(traced(stage))

    return decorated


def asset_by_day(
    prefix: str,
    *,
    table: Table,
    deps: Sequence[Sequence[str]] = (),
    kinds: Sequence[str] = ("python", "postgres"),
    pool: str | None = None,
) -> Decorator:
    """An asset of the daily chain and its table. The prefix is its schema and group; a pool runs one at a time."""

    def decorated(stage: Stage) -> dg.AssetsDefinition:
        columns = lineage.described(f"{prefix}/{stage.__name__}", _columns_of(table))
        asset = dg.asset(
            key_prefix=prefix,
            group_name=prefix,
            owners=OWNERS,
            tags={LAYER: "derived" if prefix == "sync" else "raw"},
            kinds=set(kinds),
            partitions_def=days,
            backfill_policy=WHOLE_CHAIN,
            deps=[_dep(key) for key in deps],
            pool=pool,
            code_version=CODE_VERSION,
            metadata={"dagster/table_name": table.fullname, **columns, **_code_reference(stage)},
        )
        return asset(traced(stage))

    return decorated


def _code_reference(stage: Stage) -> Metadata:
    """Where the stage begins; Dagster's own reference would lead to the function that traces it."""
    _, first_line = inspect.getsourcelines(stage)
    place = dg.LocalFileCodeReference(file_path=inspect.getfile(stage), line_number=first_line)
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[place])}


def _dep(key: Sequence[str]) -> dg.AssetDep:
    """A day depends on the same day, and each day on the whole of a directory."""
    mapping = dg.AllPartitionMapping() if key[-1] == "directory" else dg.TimeWindowPartitionMapping()
    return dg.AssetDep(dg.AssetKey(list(key)), partition_mapping=mapping)


def _columns_of(table: Table, prefix: str = "") -> list[dg.TableColumn]:
    """The columns of a table; those that are described in its definition, as people need no others."""
    return [
        dg.TableColumn(
            f"{prefix}{column.name}",
            str(column.type).lower(),
            column.doc,
            dg.TableColumnConstraints(nullable=bool(column.nullable), unique=False),
        )
        for column in table.columns
        if column.doc
    ]


def traced(stage: Stage) -> Stage:
    """The stage of an asset within a trace span."""

    @wraps(stage)
    def in_a_span(context: dg.AssetExecutionContext, **resources: Any) -> Any:
        asset = context.asset_key.to_user_string()
        with tracing.span(asset, tracing.step_attributes(context.run.run_id, asset, days_of(context))):
            return stage(context, **resources)

    return in_a_span
