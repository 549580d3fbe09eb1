"""The log output of runs, sensors and schedules: Dagster's coloured lines, or one JSON object per line."""

import logging
import sys
from typing import Any

from zk_pipeline.runtime.dagster_internals import create_console_logger, replace_console_loggers
from zk_pipeline.runtime.logs import JsonFormatter, LogFormat
from zk_pipeline.runtime.settings import SettingsError, load_settings


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


def use_everywhere() -> None:
    """Make runs, sensors and schedules use this logger; by default Dagster would write coloured text."""
    replace_console_loggers(console_logger)


def _record_details(record: logging.LogRecord) -> dict[str, Any] | None:
    """Dagster's data of the record; `None` if it is not Dagster's."""
    return getattr(record, "dagster_meta", None)
