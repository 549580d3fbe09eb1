"""The assets `marts/*`, one per dbt model, built in one step; their job, and the sensor that requests it."""

from collections.abc import Iterator, Sequence

import dagster as dg

from zk_pipeline.defs import lineage
from zk_pipeline.defs.checks import of_stored_rows
from zk_pipeline.defs.common import LAYER, OWNERS, stopping_on_system_errors
from zk_pipeline.defs.jobs import UNFINISHED, deep_check
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.runtime.run_tags import REASON_TAG
from zk_pipeline.stages.marts import (
    BuiltModel,
    MartsError,
    Model,
    build,
    failure_of,
    load_manifest,
    row_counts,
    source_states,
)

# The assets `marts/*`: one per dbt model, all built in one step by one call of dbt.

GROUP, FRESH = "marts", "source_is_fresh"

_MANIFEST = load_manifest()
_VIEWS = {model.name for model in _MANIFEST.models if model.materialized == "lasting_view"}
"""Their rows are not counted: each reads all that is stored."""


def key_of(name: str) -> dg.AssetKey:
    """The asset key of a model: its schema and its name."""
    return dg.AssetKey([GROUP, name])


def spec_of(model: Model) -> dg.AssetSpec:
    """A model as dbt's manifest describes it, with the tables of the chain that it reads."""
    # A mart has no partitions: it is made of all days.
    of_all_days = (dg.AssetDep(dg.AssetKey(key), partition_mapping=dg.AllPartitionMapping()) for key in model.sources)
    deps = [*map(key_of, model.models), *of_all_days]
    return dg.AssetSpec(
        key_of(model.name),
        deps=deps,
        description=model.description,
        group_name=GROUP,
        owners=OWNERS,
        tags={LAYER: "mart"},
        code_version=model.checksum[:12],
        kinds={"dbt", "postgres", "view" if model.materialized == "lasting_view" else "table"},
        metadata={
            "dagster/table_name": f"{GROUP}.{model.name}",
            **lineage.described(
                f"{GROUP}/{model.name}",
                [dg.TableColumn(name, description=text) for name, text in model.columns.items()],
            ),
        },
    )


class MartsConfig(dg.Config):
    """How the marts are built: `full` rebuilds the entries of all days, not only of those that changed."""

    full: bool = False


@dg.multi_asset(
    name="marts_build",
    specs=[spec_of(model) for model in _MANIFEST.models],
    check_specs=[
        dg.AssetCheckSpec(name, asset=key_of(model), description=f"dbt's test {name} of {model}.")
        for name, model in _MANIFEST.tests.items()
    ],
)
def marts(
    context: dg.AssetExecutionContext, config: MartsConfig, zk: ZkResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Build all models and run dbt's tests; what was built is recorded even if something else failed."""
    with stopping_on_system_errors():
        try:
            built = build(zk.runtime, full=config.full)
            made = [row for row in built if row.kind == "model" and row.good]
            rows = row_counts(zk.runtime, [row.name for row in made if row.name not in _VIEWS])
        except MartsError as error:
            raise dg.Failure(description=str(error)) from error
    for row in made:
        counted = {"dagster/row_count": rows[row.name]} if row.name in rows else {}
        yield dg.MaterializeResult(asset_key=key_of(row.name), metadata={**_metadata(row), **counted})
    for row in built:
        if row.kind == "test" and row.status != "skipped":
            yield _checked(row)
    failure = failure_of(built)
    if failure is not None:
        context.log.error("%s", failure)
        raise dg.Failure(description=str(failure))


def _metadata(row: BuiltModel) -> dict[str, float | int]:
    written = {"rows_written": row.rows} if row.rows is not None and row.rows >= 0 else {}
    return {"seconds": round(row.seconds, 2), **written}


def _checked(row: BuiltModel) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=row.status == "pass",
        asset_key=key_of(_MANIFEST.tests[row.name]),
        check_name=row.name,
        severity=dg.AssetCheckSeverity.WARN if row.status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={"rows": row.rows or 0},
        description=row.message or None,
    )


def _first_reader(source: Sequence[str]) -> dg.AssetKey:
    """The first model that reads a source.

    Its freshness is a check of that model: a check of the source itself would start dbt within each backfill of the
    chain from Dagster's UI.
    """
    return key_of(next(model.name for model in _MANIFEST.models if list(source) in map(list, model.sources)))


@dg.multi_asset_check(
    name="source_freshness",
    specs=[
        dg.AssetCheckSpec(
            FRESH,
            asset=_first_reader(key),
            description=f"dbt's source freshness: when {'/'.join(key)} was last read completely.",
        )
        for key in _MANIFEST.timed_sources
    ],
)
def sources_are_fresh(zk: ZkResource) -> Iterator[dg.AssetCheckResult]:
    """What `dbt source freshness` says. A source that is not fresh stops nothing; `days_are_fresh` alerts people."""
    with stopping_on_system_errors():
        try:
            states = source_states(zk.runtime)
        except MartsError as error:
            raise dg.Failure(description=str(error)) from error
    for state in states:
        yield dg.AssetCheckResult(
            passed=state.status == "pass",
            asset_key=_first_reader(_MANIFEST.asset_key(state.name)),
            check_name=FRESH,
            severity=dg.AssetCheckSeverity.WARN if state.status == "warn" else dg.AssetCheckSeverity.ERROR,
            metadata={"read_completely_at": state.read_at or "never"},
            description=state.message or None,
        )


# The job `marts`, and the sensor that requests it after the nightly deep check.

marts_job = dg.define_asset_job(
    "marts",
    selection=dg.AssetSelection.groups(GROUP) | dg.AssetSelection.checks(*of_stored_rows, sources_are_fresh),
    description="Builds the marts of the days that changed, and checks what is stored. Reads neither Zammad nor Kimai.",
)


@dg.sensor(
    name="marts_after_deep_check",
    job=marts_job,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the marts when all runs of the deep check have ended.",
)
def marts_after_deep_check(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Requests the marts once per deep check, when the last of its runs has ended.

    Failed runs count too, because the checks on stored data matter most then. The cursor is the run that was requested.
    """
    runs = context.instance.get_runs(dg.RunsFilter(job_name=deep_check.name), limit=1)
    if not runs or runs[0].run_id == context.cursor:
        return dg.SkipReason("There was no deep check since the marts were requested.")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=deep_check.name, statuses=UNFINISHED)):
        return dg.SkipReason("Runs of the deep check are not finished.")
    newest = runs[0].run_id
    context.update_cursor(newest)
    return dg.RunRequest(run_key=newest, tags={REASON_TAG: deep_check.name})
