"""What the assets have in common: owner, group, kinds, partitions, the backfill policy and their spans."""

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import dagster as dg

from zk_pipeline.defs.days import days_of
from zk_pipeline.partitions import days
from zk_pipeline.tracing import spans

# The parameter has been in beta for years; without the filter every process says so once for each asset.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

OWNERS = ["team:billing"]
WHOLE_CHAIN = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)

Stage = Callable[..., Any]
Decorator = Callable[[Stage], dg.AssetsDefinition]


def asset_of_now(prefix: str) -> Decorator:
    """An asset without partitions: what a system has now. The prefix is its schema and group."""
    asset = dg.asset(key_prefix=prefix, group_name=prefix, owners=OWNERS, kinds={"python", "postgres"})
    return lambda stage: asset(traced(stage))


def asset_by_day(
    prefix: str,
    *,
    deps: Sequence[Sequence[str]] = (),
    kinds: Sequence[str] = ("python", "postgres"),
    pool: str | None = None,
) -> Decorator:
    """An asset of the daily chain. The prefix is its schema and group; one run at a time is in a pool."""
    asset = dg.asset(
        key_prefix=prefix,
        group_name=prefix,
        owners=OWNERS,
        kinds=set(kinds),
        partitions_def=days,
        backfill_policy=WHOLE_CHAIN,
        deps=[dg.AssetKey(list(key)) for key in deps],
        pool=pool,
    )
    return lambda stage: asset(traced(stage))


def traced(stage: Stage) -> Stage:
    """The stage of an asset with a span around it."""

    @wraps(stage)
    def in_a_span(context: dg.AssetExecutionContext, **resources: Any) -> Any:
        asset = context.asset_key.to_user_string()
        with spans.span(asset, spans.step_attributes(context.run.run_id, asset, days_of(context))):
            return stage(context, **resources)

    return in_a_span
