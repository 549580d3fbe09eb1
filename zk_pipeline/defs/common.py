"""What the assets have in common: owner, group, kinds, partitions and the backfill policy."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from zk_pipeline.partitions import days

# The parameter has been in beta for years; without the filter every process says so once for each asset.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

OWNERS = ["team:billing"]
WHOLE_CHAIN = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)

Decorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]


def asset_of_now(prefix: str) -> Decorator:
    """An asset without partitions: what a system has now. The prefix is its schema and group."""
    return dg.asset(key_prefix=prefix, group_name=prefix, owners=OWNERS, kinds={"python", "postgres"})


def asset_by_day(
    prefix: str, *, deps: Sequence[Sequence[str]] = (), kinds: Sequence[str] = ("python", "postgres")
) -> Decorator:
    """An asset of the daily chain. The prefix is its schema and group."""
    return dg.asset(
        key_prefix=prefix,
        group_name=prefix,
        owners=OWNERS,
        kinds=set(kinds),
        partitions_def=days,
        backfill_policy=WHOLE_CHAIN,
        deps=[dg.AssetKey(list(key)) for key in deps],
    )
