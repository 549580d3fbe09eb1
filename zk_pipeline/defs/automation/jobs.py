"""The jobs: the whole chain, and the chain up to the plan."""

import dagster as dg

from zk_pipeline.partitions import days

CHAIN = dg.AssetSelection.groups("zammad", "kimai", "sync")

TARGET_TAG = {"zk/target": "kimai"}
"""Runs with this tag write to the same Kimai; dagster.yaml lets one of them run at a time."""

sync = dg.define_asset_job(
    "sync",
    selection=CHAIN,
    partitions_def=days,
    tags=TARGET_TAG,
    description="Carries the bookings of one day, or of a range, into Kimai.",
)
plan = dg.define_asset_job(
    "plan",
    selection=CHAIN - dg.AssetSelection.assets(["sync", "kimai_pushes"]),
    partitions_def=days,
    description="Shows what a sync would do, and writes nothing to Kimai.",
)
