"""All checks, in the order in which they are shown."""

from zk_pipeline.observe.doctor import data, settings, systems
from zk_pipeline.observe.doctor.report import DoctorReport, Examination, Installation, examine
from zk_pipeline.runtime.runtime import Runtime

EXAMINATIONS = (
    Examination("Zammad", systems.examine_source),
    Examination("Kimai", systems.examine_target),
    Examination("Time zones", systems.examine_zones),
    Examination("Unit", data.examine_units),
    Examination("Tags", systems.examine_tags),
    Examination("Write back", systems.examine_write_back),
    Examination("Mappings", data.examine_mappings),
    Examination("Webhook", settings.examine_webhook),
    Examination("Clocks", systems.examine_database_clock),
    Examination("Clocks", systems.examine_source_clock),
    Examination("Clocks", systems.examine_target_clock),
    Examination("Vital signs", data.examine_signs),
    Examination("Settings", settings.examine_settings),
)


def examined(runtime: Runtime) -> DoctorReport:
    """All checks of a running installation."""
    home = runtime.settings.home.expanduser().resolve()
    return examine(EXAMINATIONS, Installation.present(runtime.as_given(), home), lambda _name: None)
