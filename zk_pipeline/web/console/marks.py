"""Actors and subjects of the audit trail as people call them, instead of their marks such as `user:1`."""

import re
from collections.abc import Mapping
from datetime import date, datetime

from zk_pipeline.languages import actors
from zk_pipeline.web.console.words import Words

_DAYS = re.compile(r"days?:(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?", re.ASCII)
_MONTH = re.compile(r"period:(\d{4}-\d\d)", re.ASCII)
_ERASED = re.compile(r"person-([0-9a-f]+)")
_OF_KIMAI = re.compile(r"(kimai:[a-z]+):(.+)")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CHARACTERS = 8


def actor(words: Words, said: str) -> str:
    """Who acted, from a name, or from the mark of an actor that has none: `cli:anna`, or `user:5` who was deleted."""
    return actors.called(said, words.language)


def named(words: Words, mark: str, names: Mapping[str, str]) -> str:
    """Who or what a mark such as `user:1` or `booking:73` means; `names` has the stored names by mark.

    A mark of an unknown kind is returned as it is.
    """
    if mark.startswith("user:"):
        return names.get(mark) or actor(words, mark)
    return _dated(words, mark) or words.known(f"subject.{mark.replace(':', '.')}", "") or _counted(words, mark, names)


def run(words: Words, run_id: str, names: Mapping[str, str]) -> str:
    """A run by when it started; by the beginning of its id where that is not known."""
    started_at = names.get(f"run:{run_id}")
    return words.instant(datetime.fromisoformat(started_at)) if started_at else shortened(run_id)


def shortened(key: str) -> str:
    """The beginning of an id or hash, which is enough to tell it from others."""
    return key[:_CHARACTERS]


def _dated(words: Words, mark: str) -> str:
    if days := _DAYS.fullmatch(mark):
        return words.days(date.fromisoformat(days[1]), date.fromisoformat(days[2] or days[1]))
    if month := _MONTH.fullmatch(mark):
        return words.month(date.fromisoformat(f"{month[1]}-01"))
    return ""


def _counted(words: Words, mark: str, names: Mapping[str, str]) -> str:
    """A kind in words with the name of the one that is meant, or its number."""
    if erased := _ERASED.fullmatch(mark):
        return f"{words('subject.erased')} {shortened(erased[1])}"
    part = _OF_KIMAI.fullmatch(mark)
    kind, number = part.groups() if part else mark.partition(":")[::2]
    kind_said = words.known(f"subject.{kind.replace(':', '.')}", "")
    if not kind_said:
        return actor(words, mark)
    if kind == "run":
        return f"{kind_said} {run(words, number, names)}"
    return f"{kind_said} {names.get(mark) or _number(kind, number)}"


def _number(kind: str, number: str) -> str:
    match kind:
        case "account":
            return shortened(number)
        case "audit":  # A digest may follow the rows.
            return number.partition(":")[0].replace(",", ", ")
        case "dagster":
            return _CAPITAL.sub(" ", number).lower() if number.isalpha() else number
        case _:
            return number
