"""The asset `sync/kimai_pushes`."""

from datetime import date

import dagster as dg

from zk_pipeline.defs.common import asset_by_day
from zk_pipeline.defs.days import Metadata, pipeline_of, recorded
from zk_pipeline.defs.preview import minutes
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.pipeline import Pushed
from zk_pipeline.run_tags import TARGET_POOL


@asset_by_day("sync", deps=[("sync", "reconciliation_results")], kinds=("python", "kimai"), pool=TARGET_POOL)
def kimai_pushes(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """The plan carried out in Kimai: once and only once, with a row of the ledger for each write.

    What Kimai refuses is parked with its reason and the next step, and all others go on. Days that are held since
    somebody cancelled their run are left out, unless a person started this one.
    """

    def metadata(_: date, pushed: Pushed) -> Metadata:
        return {
            "dagster/partition_row_count": pushed.carried_out,
            **pushed.counts,
            "minutes_written": minutes(pushed.minutes),
            "mode": pushed.mode,
        }

    recorded(context, pipeline_of(context, zk).push, metadata)
