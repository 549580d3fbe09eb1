"""The lines that machines read: one object each, with what is at hand where it is logged."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import Any

import pytest

from zk_pipeline.runtime import logs
from zk_pipeline.runtime.logs import JsonFormatter


def line(message: str, *values: object, exc_info: Any = None) -> dict[str, Any]:
    """The object that a record becomes."""
    record = logging.LogRecord("zk_pipeline.tests", logging.WARNING, "", 1, message, values, exc_info)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_tells_when_how_grave_who_and_what() -> None:
    told = line("Attempt %d\nof %d", 1, 3)
    assert datetime.fromisoformat(told.pop("time")).utcoffset() == timedelta(0)
    assert told == {"level": "warning", "logger": "zk_pipeline.tests", "message": "Attempt 1\nof 3"}


def test_a_line_names_what_it_is_about_while_that_lasts() -> None:
    with logs.log_context(run_id="r", day="2026-03-01"):
        with logs.log_context(entry_id="7"):
            inner = line("x")
        outer = line("x")
    assert (inner["run_id"], inner["day"], inner["entry_id"]) == ("r", "2026-03-01", "7")
    assert "entry_id" not in outer
    assert "run_id" not in line("x")


def test_another_thread_names_it_in_a_copy_of_the_context() -> None:
    with ThreadPoolExecutor(1) as pool, logs.log_context(run_id="r"):
        copied = pool.submit(copy_context().run, line, "x").result()
        plain = pool.submit(line, "x").result()
    assert copied["run_id"] == "r"
    assert "run_id" not in plain


def test_a_defect_keeps_its_traceback_in_one_line() -> None:
    with pytest.raises(ValueError, match="invalid literal") as raised:
        int("a reason")
    told = line("It failed.", exc_info=(raised.type, raised.value, raised.tb))
    assert "ValueError: invalid literal" in told["exception"]


def test_what_comes_from_outside_begins_no_line_in_a_text_for_people() -> None:
    record = logging.LogRecord(
        "zk_pipeline", logging.WARNING, "", 1, "Zammad: %s", ("a\n2026-01-01 INFO b\x1b[2J",), None
    )
    text = logs.formatter(logs.LogFormat.TEXT).format(record)
    when, rest = text[:24], text[24:]
    assert datetime.strptime(when, "%Y-%m-%d %H:%M:%S%z").tzinfo is not None
    assert rest == " WARNING Zammad: a\\n2026-01-01 INFO b\\x1b[2J"
