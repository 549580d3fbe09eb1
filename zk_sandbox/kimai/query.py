"""Query parameters as PHP and Kimai read them: strict patterns, maps in brackets, empty = absent (docs/kimai.md §2)."""

import re
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.datetimes import parse_date, parse_query, start_of
from zk_sandbox.kimai.errors import bad_request

_MAP = re.compile(r"(\w+)\[\w*\]")


class Query:
    """The parameters of a URL; every reader answers 400 when a value fails its pattern, unknown ones are ignored."""

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        self._scalars: dict[str, str] = {}
        self._maps: dict[str, list[str]] = {}
        for name, value in items:
            bracketed = _MAP.fullmatch(name)
            if bracketed is None:
                self._scalars[name] = value
            else:
                self._maps.setdefault(bracketed[1], []).append(value)

    def text(self, name: str) -> str | None:
        """A scalar; None if it is absent or empty."""
        if name in self._maps:
            raise bad_request()
        return self._scalars.get(name) or None

    def texts(self, name: str) -> list[str]:
        """The values of a map parameter such as `tags[]`."""
        if name in self._scalars:
            raise bad_request()
        return self._maps.get(name, [])

    def matching(self, name: str, pattern: str) -> str | None:
        """A scalar that matches a pattern wholly."""
        value = self.text(name)
        if value is not None and re.fullmatch(pattern, value) is None:
            raise bad_request()
        return value

    def one_of(self, name: str, default: str, *others: str) -> str:
        """A scalar out of a list, in exactly that letter case."""
        return self.matching(name, "|".join((default, *others))) or default

    def number(self, name: str, default: int) -> int:
        """A whole number, zero or more."""
        return int(self.matching(name, "[0-9]+") or default)

    def flag(self, name: str, pattern: str = "0|1|true|false") -> bool | None:
        """A yes or no; None if absent."""
        value = self.matching(name, pattern)
        return None if value is None else value in {"1", "true"}

    def ids(self, name: str) -> list[int]:
        """Ids from a map such as `users[]`."""
        values = self.texts(name)
        if any(re.fullmatch("[0-9]+", value) is None for value in values):
            raise bad_request()
        return [int(value) for value in values]

    def one_or_more_ids(self, one: str, many: str) -> list[int]:
        """Ids from a scalar such as `project` and a map such as `projects[]` together."""
        single = self.matching(one, "[0-9]+")
        return self.ids(many) + ([] if single is None else [int(single)])

    def is_empty(self, name: str) -> bool:
        """Whether a scalar is there without a value."""
        return self._scalars.get(name) == ""

    def instant(self, name: str, where: ZoneInfo) -> int | None:
        """An instant given as exactly `Y-m-dTH:i:s`, read in `where`."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return parse_query(value, where)
        except ValueError as error:
            raise bad_request() from error

    def day_or_instant(self, name: str, where: ZoneInfo) -> int | None:
        """An instant given as `Y-m-d` or `Y-m-dTH:i:s`."""
        value = self.text(name)
        if value is None or len(value) > len("2026-01-31"):
            return self.instant(name, where)
        try:
            return start_of(parse_date(value), where)
        except ValueError as error:
            raise bad_request() from error
