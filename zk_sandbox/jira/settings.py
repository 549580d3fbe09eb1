"""Settings of a simulated Jira: kind, version, clock, and switches for what is unknown of a real one (docs/jira.md)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zk_sandbox.jira.records import instant_of, stored_instant

DEPLOYMENTS = ("cloud", "server")
CHOICES: dict[str, tuple[str, ...]] = {
    "deployment": DEPLOYMENTS,
    "feeds_for_strangers": ("refused", "anonymous"),
    "feed_rows": ("worklog", "change"),
    "printed_zone": ("utc", "site"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How the site is set up; `now` freezes its clock (ISO with offset, None: the real time).

    What no document says of a real Jira is a switch, and tests run both ways:

    - `feeds_for_strangers`: feeds refuse a dead token (401), or answer it as an anonymous visitor;
    - `feed_shows_hidden`: feeds name worklogs of projects that the account may not browse;
    - `feed_rows`: one row for each worklog, or one for each change;
    - `tombstones_of_issues`: a deleted issue leaves its worklogs in the feed of deletions;
    - `tombstones_kept_days`: how long that feed knows a deletion; None is for good;
    - `moves_in_feed`: worklogs moved to another issue are in the feed of changes;
    - `issue_moves_in_feed`: so are those of an issue moved to another project;
    - `keeps_seconds`: less than a minute is kept, or cut off;
    - `inclusive_bounds`: `startedAfter` and `startedBefore` hold their bounds;
    - `printed_zone`: the offset in which instants are printed.

    Troubles that last: `index_lag_seconds`, `index_misses` (issues that searches leave out), `user_service_down`,
    `next_page_host`, `repeats_page_token`, `feed_stands_still`, `total_too_high`, `time_tracking` switched off.
    """

    deployment: str = "cloud"
    version: str = "1001.0.0-SNAPSHOT"
    zone: str = "UTC"
    now: str | None = None
    cloud_id: str = "11223344-a1b2-4c3d-8e9f-0123456789ab"
    base_url: str = "https://acme.example.net"
    hours_per_day: float = 8.0
    time_tracking: bool = True
    organizations_field: int | None = 10002
    feeds_for_strangers: str = "refused"
    feed_shows_hidden: bool = False
    feed_rows: str = "worklog"
    tombstones_of_issues: bool = True
    tombstones_kept_days: int | None = None
    moves_in_feed: bool = True
    issue_moves_in_feed: bool = False
    keeps_seconds: bool = True
    inclusive_bounds: bool = True
    printed_zone: str = "utc"
    index_lag_seconds: float = 0.0
    index_misses: tuple[int, ...] = ()
    user_service_down: bool = False
    next_page_host: str = ""
    repeats_page_token: bool = False
    feed_stands_still: bool = False
    total_too_high: int = 0

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """The settings with some changed; ValueError names an unknown one or a value that cannot be."""
        unknown = sorted(set(changes) - set(asdict(self)))
        if unknown:
            raise ValueError(f"Jira has no setting {', '.join(unknown)}; there are {', '.join(asdict(self))}.")
        settings = replace(self, **changes)
        settings = replace(settings, index_misses=tuple(settings.index_misses))
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse values that no Jira could have."""
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; use one of {choices}.")
        if self.now is not None:
            instant_of(self.now)
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"zone is {self.zone!r}; use an IANA name such as Europe/Berlin.") from error

    @property
    def is_cloud(self) -> bool:
        """Whether it is Jira Cloud, with version 3 of the API; otherwise Data Center with version 2."""
        return self.deployment == "cloud"

    def clock(self) -> datetime:
        """The site's present instant, to the millisecond."""
        return stored_instant(datetime.now(UTC) if self.now is None else instant_of(self.now))

    def index_clock(self) -> datetime:
        """What the search index knows: changes up to this instant."""
        return self.clock() - timedelta(seconds=self.index_lag_seconds)

    def printed(self, moment: datetime) -> str:
        """An instant as Jira writes it: milliseconds, and an offset without a colon."""
        zone = ZoneInfo(self.zone) if self.printed_zone == "site" else UTC
        local = moment.astimezone(zone)
        return f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03d}{local:%z}"
