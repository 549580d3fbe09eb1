"""The one partitions definition: a day of the business zone, today included."""

import dagster as dg

from zk_pipeline.settings import load_settings

_settings = load_settings()

days = dg.DailyPartitionsDefinition(
    start_date=_settings.start_date.isoformat(), timezone=_settings.timezone, end_offset=1
)
