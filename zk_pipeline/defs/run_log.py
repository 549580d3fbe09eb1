"""The log output of runs, sensors and schedules: Dagster's coloured lines, or one JSON object per line."""

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions import instigation_logger
from dagster._core.execution import context_creation_job
from dagster._utils.log import create_console_logger

from zk_pipeline.runtime.logs import JsonFormatter, LogFormat
from zk_pipeline.runtime.settings import SettingsError, load_settings

CONSOLE = "console"
"""The name by which run configurations choose its level."""


class RunFormatter(JsonFormatter):
    """Lines of a run or tick: what Dagster puts into the message becomes separate fields."""

    def heading(self, record: logging.LogRecord) -> dict[str, Any]:
        """The usual fields, with the original message."""
        details = _record_details(record)
        return {**super().heading(record), **({"message": details["orig_message"]} if details else {})}

    def details(self, record: logging.LogRecord) -> dict[str, Any]:
        """The run, its job and step, or the sensor; the kind of event, and the error."""
        details = _record_details(record)
        if details is None:
            return super().details(record)
        event = details.get("dagster_event")
        error = getattr(event.event_specific_data, "error", None) if event else None
        fields = {
            "run_id": details.get("run_id"),
            "job": details.get("job_name"),
            "step": details.get("step_key"),
            "automation": details.get("name"),
            "event": event.event_type_value if event else None,
            "exception": error.to_string() if error else None,
        }
        return {**{name: value for name, value in fields.items() if value is not None}, **super().details(record)}


def console_logger(name: str, level: str | int) -> logging.Logger:
    """A logger to standard output, which Dagster stores with the run, in the format of the settings."""
    if _log_format() is LogFormat.TEXT:
        return create_console_logger(name, level)
    logger = logging.Logger(name, level)  # noqa: LOG001 - a registered one has a parent, which would write it again.
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RunFormatter())
    logger.addHandler(handler)
    return logger


def _log_format() -> LogFormat:
    """By the setting. A wrong setting is reported by the code that needs it, which must be able to log."""
    try:
        return load_settings().log_format
    except SettingsError:
        return LogFormat.TEXT


console = dg.LoggerDefinition(
    lambda context: console_logger(context.logger_config["name"], context.logger_config["log_level"]),
    config_schema=dg.colored_console_logger.config_schema,
    description="What a run prints, as ZK_LOG_FORMAT says.",
)


def use_everywhere() -> None:
    """Make runs, sensors and schedules use this logger; by default Dagster would write coloured text.

    `Definitions(loggers=...)` is not enough: Dagster only uses those if a run's configuration names them.
    """
    context_creation_job.default_system_loggers = _defaults  # pyright: ignore[reportPrivateImportUsage]
    instigation_logger.create_console_logger = console_logger  # pyright: ignore[reportPrivateImportUsage]


def _defaults(instance: dg.DagsterInstance | None) -> Sequence[tuple[dg.LoggerDefinition, Mapping[str, object]]]:
    level = (instance.python_log_level if instance else None) or "DEBUG"
    return [(console, {"name": "dagster", "log_level": level})]


def _record_details(record: logging.LogRecord) -> dict[str, Any] | None:
    """Dagster's data of the record; `None` if it is not Dagster's."""
    return getattr(record, "dagster_meta", None)
