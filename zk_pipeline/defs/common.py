"""What the assets have in common: owner, groups and the backfill policy."""

import warnings

import dagster as dg

# The parameter has been in beta for years; without the filter every process says so once for each asset.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

OWNERS = ["team:billing"]
WHOLE_CHAIN = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)
