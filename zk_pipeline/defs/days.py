"""What a stage of the pipeline did, in Dagster: each good day is recorded, each bad one named."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any, TypeVar

import dagster as dg

from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.pipeline import SYSTEM_ERRORS, DaysFailedError, Pipeline
from zk_pipeline.stages.systems import Run

Metadata = Mapping[str, Any]
Done = TypeVar("Done")

CAUSE = "cause"
"""Metadata of a failure by which those of one cause are told apart from others."""


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The days of this run, whether it is one or a range; none where an asset has no partitions."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    return [date.fromisoformat(key) for key in context.partition_keys]


def pipeline_of(context: dg.AssetExecutionContext, zk: ZkResource) -> Pipeline:
    """The pipeline for the days of this run."""
    return Pipeline(zk.systems, zk.systems.run or Run(context.run.run_id), days_of(context), context.log)


def recorded(
    context: dg.AssetExecutionContext,
    stage: Callable[[], Mapping[date, Done]],
    metadata: Callable[[date, Done], Metadata],
) -> None:
    """Carry out a stage and record each day. Raises `Failure` naming the bad days, after the good ones are recorded."""
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
            raise dg.Failure(description=str(error), metadata={"bad_days": bad_days}) from error.__cause__
    for day, of_day in done.items():
        context.add_asset_metadata(metadata(day, of_day), partition_key=day.isoformat())


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
