"""The jobs: the whole chain, the chain up to the plan, and the chain with a look at the target's changes."""

import dagster as dg

from zk_pipeline.partitions import days

CHANGES = dg.AssetSelection.assets(["kimai", "changes"])
# The checks that watch the chain run by themselves, not as further steps of each run.
CHAIN = (dg.AssetSelection.groups("zammad", "kimai", "sync") - CHANGES).without_checks()

UNFINISHED = [
    status
    for status in dg.DagsterRunStatus
    if status not in {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
]

sync = dg.define_asset_job(
    "sync",
    selection=CHAIN,
    partitions_def=days,
    description="Carries the bookings of one day, or of a range, into Kimai.",
)
plan = dg.define_asset_job(
    "plan",
    selection=CHAIN - dg.AssetSelection.assets(["sync", "kimai_pushes"]),
    partitions_def=days,
    description="Shows what a sync would do, and writes nothing to Kimai.",
)
deep_check = dg.define_asset_job(
    "deep_check",
    selection=CHAIN | CHANGES,
    partitions_def=days,
    description="Carries the bookings of a range into Kimai, and asks for the days of others that were edited there.",
)
