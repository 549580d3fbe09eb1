"""Logs: text for people, or one JSON object a line for machines, with the run, day, booking and request at hand."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

_HANDLER = "zk_pipeline"
"""The name of the handler that `set_up` sets."""

_context_fields: ContextVar[Mapping[str, str] | None] = ContextVar("at_hand", default=None)


class LogFormat(StrEnum):
    """How the processes write their logs."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Have every line that is logged within the block carry these fields: `run_id`, `day`, `entry_id`, `request_id`.

    A block within the block adds to them. Other threads carry them when they run in a copy of this context.
    """
    before = _context_fields.get()
    _context_fields.set({**(before or {}), **fields})
    try:
        yield
    finally:
        # A token would insist on the very same context, which a generator that others end does not have.
        _context_fields.set(before)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`, what is at hand, and a defect's traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its end."""
        line = {**self.heading(record), **(_context_fields.get() or {}), **self.details(record)}
        return json.dumps(line, ensure_ascii=False, default=str)

    def heading(self, record: logging.LogRecord) -> dict[str, Any]:
        """What every line begins with."""
        return {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }

    def details(self, record: logging.LogRecord) -> dict[str, Any]:
        """What only some records have."""
        return {"exception": self.formatException(record.exc_info)} if record.exc_info else {}


class TextFormatter(logging.Formatter):
    """A line for people; what comes from outside begins no line of its own, and moves no cursor."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name in `logging`)
        """The line without a traceback, control characters in the spelling of Python."""
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in super().formatMessage(record))


def formatter(chosen: LogFormat) -> logging.Formatter:
    """The formatter of this format."""
    if chosen is LogFormat.JSON:
        return JsonFormatter()
    return TextFormatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S%z")


def set_up(chosen: LogFormat, name: str | None = None) -> None:
    """Have this process write its log to standard error in this format, from INFO on; once more changes the format.

    With a `name` only what is logged below it, where something else looks after the rest.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(_HANDLER)
    handler.setFormatter(formatter(chosen))
    logger = logging.getLogger(name)
    for former in [known for known in logger.handlers if known.get_name() == _HANDLER]:
        logger.removeHandler(former)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
