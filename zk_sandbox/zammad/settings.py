"""Settings of a simulated Zammad: version, zone, clock, and those that concern time accounting."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zk_sandbox.zammad.records import instant_of, stored_instant

UNITS = ("", "hour", "quarter", "minute", "custom")
SEARCH_BACKENDS = ("sql", "elasticsearch_down")
DATABASES = ("up", "cancelling", "down")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server is set up; `now` freezes its clock (ISO with offset, None: the real time).

    `search_backend` "elasticsearch_down" answers every text query with an empty list, as Zammad does when its
    search engine fails (docs/zammad.md §5). `database` "cancelling" ends every statement at its time limit and "down"
    has none at all; both fail every request (docs/zammad.md §8).
    """

    version: str = "6.5.0"
    zone: str = "UTC"
    now: str | None = None
    maintenance_mode: bool = False
    token_access: bool = True
    search_backend: str = "sql"
    database: str = "up"
    tag_new: bool = True
    time_accounting: bool = True
    unit: str = "minute"
    unit_custom: str = ""
    types: bool = True
    type_default: int | None = None

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """The settings with some changed; ValueError names an unknown one or a value that cannot be."""
        unknown = sorted(set(changes) - set(asdict(self)))
        if unknown:
            raise ValueError(f"Zammad has no setting {', '.join(unknown)}; there are {', '.join(asdict(self))}.")
        settings = replace(self, **changes)
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse values that no Zammad could have."""
        if not re.fullmatch(r"\d+\.\d+(\.\d+)?", self.version):
            raise ValueError(f"version is {self.version!r}; use numbers such as 6.5.0.")
        if self.unit not in UNITS:
            raise ValueError(f"unit is {self.unit!r}; use one of {UNITS}.")
        if self.search_backend not in SEARCH_BACKENDS:
            raise ValueError(f"search_backend is {self.search_backend!r}; use one of {SEARCH_BACKENDS}.")
        if self.database not in DATABASES:
            raise ValueError(f"database is {self.database!r}; use one of {DATABASES}.")
        if self.now is not None:
            instant_of(self.now)
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"zone is {self.zone!r}; use an IANA name such as Europe/Berlin.") from error

    def at_least(self, major: int, minor: int) -> bool:
        """Whether the version is that or a later one."""
        return tuple(int(part) for part in self.version.split(".")[:2]) >= (major, minor)

    def clock(self) -> datetime:
        """The server's present instant, to the millisecond."""
        return stored_instant(datetime.now(UTC) if self.now is None else instant_of(self.now))
