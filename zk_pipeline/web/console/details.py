"""The details of an entry of the audit trail as people read them, and stored values in the reader's form."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from zk_pipeline.decisions.comparison import INSTANT, NO_NAMES
from zk_pipeline.web.console import marks
from zk_pipeline.web.console.words import Words

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MONTH = re.compile(r"\d{4}-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)", re.ASCII)
_DURATION = re.compile(r"(?=\d)(?:(\d+(?:\.\d+)?) min)? ?(?:(\d+) s)?", re.ASCII)
_ARROW = "\N{RIGHTWARDS ARROW}"
_SECONDS_OF_MINUTE = 60
_PREFIXES = ("value", "reason", "choice", "subject.reason", "subject.dagster")
"""Under what keys there are texts for stored values."""
_MARKS = {
    "activity": "kimai:activity:",
    "activity_id": "kimai:activity:",
    "agent": "zammad:agent:",
    "booking": "booking:",
    "customer": "customer:",
    "kimai_activity_id": "kimai:activity:",
    "kimai_customer_id": "customer:",
    "kimai_user_id": "kimai:user:",
    "organization_id": "zammad:organization:",
    "owner": "user:",
    "project": "kimai:project:",
    "project_id": "kimai:project:",
    "type_id": "zammad:type:",
    "user": "kimai:user:",
    "user_id": "kimai:user:",
}
"""How the mark begins that a number under this key stands for."""
_RUNS = {"run", "undone_run"}
"""Keys of runs."""
_NUMBERED = {"kimai_id", "timesheet", "write"}
"""Keys of numbers that are names, and no amounts."""
_TEXTS = {"fate": "privacy.fate", "role": "role", "table": "privacy.place", "when_busy": "schedule.busy"}
"""Where the texts are for the values of a key."""


def plain(words: Words, value: object) -> str:
    """A stored value as people say it."""
    match value:
        case None:
            return ""
        case bool():
            return words("yes" if value else "no")
        case datetime():
            return words.instant(value)
        case date():
            return words.day(value)
        case Decimal() | int():
            return words.number(value)
        case str():
            return _known(words, value, _PREFIXES)
        case _:
            return str(value)


def _begun(words: Words, value: str) -> str:
    """When something began, in the business zone; seconds are said where there are any."""
    try:
        begin = datetime.strptime(value, INSTANT).replace(tzinfo=words.zone)
    except ValueError:  # Nothing, or a text.
        return value
    return words.instant(begin) + (f":{begin:%S}" if begin.second else "")


def compared(words: Words, field: str, value: str) -> str:
    """A value of `FieldComparison` as people say it; a name or a text of people stays, whatever it says."""
    if field in {"duration", "break"}:
        return _measured(words, value)
    if field == "begin":
        return _begun(words, value)
    is_ours = field == "exported" or (field not in {"description", "tags"} and value.startswith(NO_NAMES))
    return words.said(value) if is_ours else value


def marks_of(detail: Mapping[str, Any]) -> Iterator[str]:
    """The marks of whom and what a detail names by number, for `trail.names`."""
    for name, value in detail.items():
        for one in cast("list[Any]", value) if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from marks_of(cast("dict[str, Any]", one))
            elif name in _RUNS:
                yield f"run:{one}"
            elif name in _MARKS and one is not None:
                yield f"{_MARKS[name]}{one}"


def facts(words: Words, detail: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a detail tells, each under its name; `names` are those of `marks_of`."""
    return [
        (_called(words, name), _said(words, name, value, names))
        for name, value in detail.items()
        if value not in (None, "", {}, [])
    ]


def _called(words: Words, name: str) -> str:
    plain_name = words.known(f"field.{name}", name.replace("_", " "))
    return words.known(f"fact.{name}", words.known(f"privacy.place.{name}", plain_name))


def _said(words: Words, name: str, value: object, names: Mapping[str, str]) -> str:
    match value:
        case None:
            return words.known(f"fact.{name}.nothing", words("fact.nothing"))
        case dict():
            return _pairs(words, name, cast("dict[str, Any]", value), names)
        case [before, after] if name in {"visible", "end"}:
            return f"{_said(words, name, before, names)} {_ARROW} {_said(words, name, after, names)}"
        case list():
            return _listed(words, name, cast("list[Any]", value), names)
        case bool():
            return plain(words, value)
        case int() | str():
            return _single(words, name, value, names)
        case _:
            return plain(words, value)


def _pairs(words: Words, name: str, value: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """`Before: …; After: …`; what is nested in it once more stands in parentheses."""
    told: list[str] = []
    for inner, one in value.items():
        if name == "changed" and isinstance(one, list):  # A difference, as wanted and found.
            wanted, found = (_said(words, inner, each, names) for each in cast("list[Any]", one))
            told.append(f"{_called(words, inner)}: {found} {_ARROW} {wanted}")
        elif isinstance(one, dict):
            told.append(f"{_called(words, inner)} ({_said(words, inner, cast('dict[str, Any]', one), names)})")
        else:
            told.append(f"{_called(words, inner)}: {_said(words, inner, one, names)}")
    return "; ".join(told)


def _listed(words: Words, name: str, values: Sequence[Any], names: Mapping[str, str]) -> str:
    if name == "fields":
        return ", ".join(_called(words, one) for one in values)
    told = (_said(words, name, one, names) for one in values)
    return ", ".join(f"({text})" if isinstance(one, dict) else text for one, text in zip(values, told, strict=True))


def _single(words: Words, name: str, value: int | str, names: Mapping[str, str]) -> str:
    if name in _MARKS:
        mark = f"{_MARKS[name]}{value}"
        unnamed = marks.actor(words, mark) if name == "owner" else words.known(f"fact.{name}.{value}", str(value))
        return names.get(mark) or unnamed
    if name in _RUNS:
        return marks.run(words, str(value), names)
    if name in _NUMBERED:
        return str(value)
    if isinstance(value, int):
        return words.number(value)
    if name in {"minutes", "minutes_waiting"}:
        return words.minutes(Decimal(value))
    return _text(words, value, (f"fact.{name}", *filter(None, [_TEXTS.get(name)]), *_PREFIXES))


def _text(words: Words, value: str, prefixes: Sequence[str]) -> str:
    return _measured(words, value) or _known(words, value, prefixes)


def _known(words: Words, value: str, prefixes: Sequence[str]) -> str:
    return next((text for prefix in prefixes if (text := words.known(f"{prefix}.{value}", ""))), value)


def _measured(words: Words, value: str) -> str:
    """A day, month, instant or duration in the reader's form; empty for another text."""
    if duration := _DURATION.fullmatch(value):
        return words.hours(Decimal(duration[1] or 0) + Decimal(duration[2] or 0) / _SECONDS_OF_MINUTE)
    try:
        if _DAY.fullmatch(value):
            return words.day(date.fromisoformat(value))
        if _MONTH.fullmatch(value):
            return words.month(date.fromisoformat(f"{value}-01"))
        return words.instant(datetime.fromisoformat(value)) if _INSTANT.fullmatch(value) else ""
    except ValueError:  # It only looks like one, such as a project's number.
        return ""
