"""The asset `kimai/changes`: edits of our time sheets whose days nobody is looking at."""

import dagster as dg

from zk_pipeline.defs.common import asset_of_now
from zk_pipeline.defs.days import counted_requests, stopping_on_system_errors
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.run_tags import checked_days
from zk_pipeline.stages.target_feed import look_for_changes


@asset_of_now("kimai")
def changes(context: dg.AssetExecutionContext, zk: ZkResource) -> dg.MaterializeResult:
    """Asks for the days of our time sheets that were edited in Kimai since the last look and that no check looks at."""
    with stopping_on_system_errors(), counted_requests(context, zk, zk.target):
        source = zk.runtime.stored("source").name
        look = look_for_changes(zk.runtime, zk.target, source, zk.now(), checked_days(context.run.tags))
    return dg.MaterializeResult(
        metadata={
            "changed": look.changed,
            "ours": look.ours,
            "days_asked_for": ", ".join(map(str, look.days)) or "none",
        }
    )
