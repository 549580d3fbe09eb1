"""All examinations, in the order in which they are shown."""

from zk_pipeline.doctor import (
    clocks,
    configuration,
    mapped,
    signs,
    systems,
    tags,
    units,
    webhook,
    zones,
)
from zk_pipeline.doctor.examination import Examination

EXAMINATIONS = (
    Examination("Zammad", systems.examine_source),
    Examination("Kimai", systems.examine_target),
    Examination("Time zones", zones.examine),
    Examination("Unit", units.examine),
    Examination("Tags", tags.examine),
    Examination("Mappings", mapped.examine),
    Examination("Webhook", webhook.examine),
    Examination("Clocks", clocks.examine_database),
    Examination("Clocks", clocks.examine_source),
    Examination("Clocks", clocks.examine_target),
    Examination("Vital signs", signs.examine),
    Examination("Settings", configuration.examine),
)
