"""Logs: text for people, or one JSON object per line for machines, with the current run, day, booking and request."""

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
"""The name of the handler that `set_up` adds."""

_context_fields: ContextVar[Mapping[str, str] | None] = ContextVar("at_hand", default=None)


class LogFormat(StrEnum):
    """The format of the logs."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Add these fields to every line logged within the block: `run_id`, `day`, `entry_id`, `request_id`.

    Nested blocks add to them. Other threads carry them if they run in a copy of this context.
    """
    before = _context_fields.get()
    _context_fields.set({**(before or {}), **fields})
    try:
        yield
    finally:
        # A token works in the same context only, and a generator may be closed in another.
        _context_fields.set(before)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: `time` (UTC), `level`, `logger`, `message`, the context's fields, and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its newline."""
        line = {**self.heading(record), **(_context_fields.get() or {}), **self.details(record)}
        return json.dumps(line, ensure_ascii=False, default=str)

    def heading(self, record: logging.LogRecord) -> dict[str, Any]:
        """The fields of every line."""
        return {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }

    def details(self, record: logging.LogRecord) -> dict[str, Any]:
        """The fields that only some records have."""
        return {"exception": self.formatException(record.exc_info)} if record.exc_info else {}


class TextFormatter(logging.Formatter):
    """A line for people; text from outside cannot start a new line or move the cursor."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name in `logging`)
        """The line without a traceback, with control characters escaped."""
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in super().formatMessage(record))


def formatter(chosen: LogFormat) -> logging.Formatter:
    """The formatter of this format."""
    if chosen is LogFormat.JSON:
        return JsonFormatter()
    return TextFormatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S%z")


def set_up(chosen: LogFormat, name: str | None = None) -> None:
    """Log to standard error in this format, from INFO on; calling it again changes the format.

    With a `name`, only loggers below it, if something else handles the rest.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(_HANDLER)
    handler.setFormatter(formatter(chosen))
    logger = logging.getLogger(name)
    for former in [known for known in logger.handlers if known.get_name() == _HANDLER]:
        logger.removeHandler(former)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
