"""Time zones: of Kimai's service account, of the agents' Kimai users, of Zammad, and the business zone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.doctor.installation import Installation
from zk_pipeline.domain.mapping import Problem
from zk_pipeline.domain.records import TargetUser
from zk_pipeline.domain.vital_figures import Level

_YEAR = 366
_NAMED = 5


def examine(installation: Installation) -> Iterator[Finding]:
    """Compare the zones; those whose clocks agree all year count as one."""
    business = installation.runtime.settings.timezone
    directory = installation.directory
    account = directory.server.caller_timezone
    yield _account(account, business, installation.now)
    yield _users(account, _agents(installation), installation.now)
    yield _source(installation, business)


def zones_agree(one: str, other: str, now: datetime) -> bool:
    """Whether the clocks of two zones (IANA names) show the same time throughout the year around `now`.

    A zone that is unknown on this machine agrees with itself alone.
    """
    try:
        zones = ZoneInfo(one), ZoneInfo(other)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return one == other
    moments = (now.astimezone(UTC) + timedelta(days=day) for day in range(-_YEAR // 2, _YEAR // 2))
    return all(len({moment.astimezone(zone).utcoffset() for zone in zones}) == 1 for moment in moments)


def users_elsewhere(account: str, users: Iterable[TargetUser], now: datetime) -> dict[str, list[str]]:
    """The names of the users whose clocks differ from the account's, by their zones."""
    elsewhere: dict[str, list[str]] = defaultdict(list)
    for user in users:
        if not zones_agree(account, user.timezone, now):
            elsewhere[user.timezone].append(user.name or user.username)
    return {zone: sorted(names) for zone, names in sorted(elsewhere.items())}


def _agents(installation: Installation) -> list[TargetUser]:
    """The users for whom time was booked lately; before the first run all who can be booked for."""
    found = [installation.resolver.user(entry) for entry in installation.entries]
    agents = {user.id: user for user in found if not isinstance(user, Problem)}
    return list(agents.values()) or [user for user in installation.directory.users if user.enabled]


def _account(account: str, business: str, now: datetime) -> Finding:
    subject = "service account"
    if zones_agree(account, business, now):
        return Finding(subject, Level.PASS, f"Kimai's account lives in {account}, as ZK_TIMEZONE={business} says.")
    return Finding(
        subject,
        Level.WARN,
        f"Kimai's account lives in {account}, but days are cut in ZK_TIMEZONE={business}: bookings near midnight count"
        " for different days in Kimai and here.",
        f"Set ZK_TIMEZONE={account} (what is stored follows with zk rederive), or choose {business} in the account's"
        " preferences in Kimai.",
    )


def _users(account: str, users: Iterable[TargetUser], now: datetime) -> Finding:
    subject = "agents"
    elsewhere = users_elsewhere(account, users, now)
    if not elsewhere:
        return Finding(subject, Level.PASS, f"All agents' Kimai users live in the account's zone {account}.")
    # Kimai files an entry under the caller's calendar day, not the owner's (docs/kimai.md §3).
    named = "; ".join(f"{_names(names)} in {zone}" for zone, names in elsewhere.items())
    return Finding(
        subject,
        Level.WARN,
        f"Not in the account's zone {account}: {named}. Kimai's reports may count their entries near midnight for a"
        " neighbouring day; the times themselves are exact.",
        "Give these users and the account the same time zone in their Kimai preferences.",
    )


def _source(installation: Installation, business: str) -> Finding:
    with installation.reached_source():
        zone = installation.source.timezone
    if zone is None:
        text = "Zammad tells its zone to administrators alone; its times carry an offset, so nothing depends on it."
        return Finding("Zammad", Level.PASS, text)
    if zones_agree(zone, business, installation.now):
        return Finding("Zammad", Level.PASS, f"Zammad lives in {zone}.")
    return Finding(
        "Zammad",
        Level.WARN,
        f"Zammad lives in {zone}, but days are cut in ZK_TIMEZONE={business}: its monthly reports differ from ours.",
        f"Set ZK_TIMEZONE={zone} (what is stored follows with zk rederive), or Zammad's own time zone to {business}.",
    )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
