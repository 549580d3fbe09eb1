"""Examinations of both systems: clocks, zones, tags, versions and permissions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
from sqlalchemy import text

from zk_pipeline.connectors import network
from zk_pipeline.connectors.answer import ApiDialect, http_date
from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.errors import PermissionDeniedError, ValidationFailedError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.connectors.kimai.errors import PROBE_FIELD, KimaiDialect
from zk_pipeline.connectors.kimai.masterdata import TAGS, same_tag
from zk_pipeline.connectors.ssrf_guard import checked_base_url
from zk_pipeline.connectors.zammad.errors import ZammadDialect
from zk_pipeline.connectors.zammad.window import NEEDS, FlatList
from zk_pipeline.domain.mapping import AssignmentProblem
from zk_pipeline.domain.records import TargetUser
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.observe.doctor.report import SYSTEMS, Installation
from zk_pipeline.store.database import Database

# Clocks: ours against those of the database, Zammad and Kimai.

WARN_AFTER = timedelta(seconds=5)
FAIL_AFTER = timedelta(seconds=60)

_HALF_SECOND = timedelta(milliseconds=500)  # The header has whole seconds: on average that much was cut off.
_SECONDS = 10.0


def examine_database_clock(installation: Installation) -> Iterator[Finding]:
    """Our clock against PostgreSQL's."""
    yield judge("PostgreSQL", _database_skew(installation.runtime.database))


def examine_source_clock(installation: Installation) -> Iterator[Finding]:
    """Our clock against Zammad's web server's."""
    with installation.reached_source() as connector:
        yield judge(SYSTEMS["source"], server_skew(connector.endpoint))


def examine_target_clock(installation: Installation) -> Iterator[Finding]:
    """Our clock against Kimai's web server's."""
    with installation.reached_target() as connector:
        yield judge(SYSTEMS["target"], server_skew(connector.endpoint))


def server_skew(endpoint: Endpoint) -> timedelta | None:
    """How far a web server's clock is ahead of ours; any answer tells it, so none is asked for that needs a token.

    `None` where no answer came: the examination of the system itself says why.
    """
    base_url = checked_base_url(endpoint)
    with network.client(ca_bundle=endpoint.ca_bundle, timeout=_SECONDS) as http:
        sent = datetime.now(UTC)
        try:
            answer = http.head(base_url)
        except httpx.HTTPError:
            return None
    return header_skew(answer.headers.get("Date", ""), sent, datetime.now(UTC))


def header_skew(date_header: str, sent: datetime, received: datetime) -> timedelta | None:
    """How far the clock behind a Date header is ahead of ours; `None` for a header that cannot be read."""
    theirs = http_date(date_header)
    return None if theirs is None else theirs + _HALF_SECOND - _between(sent, received)


def judge(system: str, skew: timedelta | None) -> Finding:
    """What a skew means."""
    if skew is None:
        return Finding(system, Level.PASS, f"{system} does not tell its time.")
    seconds = round(abs(skew).total_seconds())
    direction = "ahead of" if skew > timedelta(0) else "behind"
    if abs(skew) <= WARN_AFTER:
        return Finding(system, Level.PASS, f"The clocks agree ({seconds} s apart).")
    return Finding(
        system,
        Level.FAIL if abs(skew) > FAIL_AFTER else Level.WARN,
        f"The clock of {system} is {seconds} s {direction} ours: changes may be overlooked or counted for another day.",
        "Let both machines set their clocks by NTP (timedatectl set-ntp true).",
    )


def _database_skew(database: Database) -> timedelta:
    with database.transaction() as connection:
        sent = datetime.now(UTC)
        theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return theirs - _between(sent, datetime.now(UTC))


def _between(sent: datetime, received: datetime) -> datetime:
    return sent + (received - sent) / 2


# Time zones: of Kimai's service account, of the agents' Kimai users, of Zammad, and the business zone.

_YEAR = 366
_NAMED = 5


def examine_zones(installation: Installation) -> Iterator[Finding]:
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
    agents = {user.id: user for user in found if not isinstance(user, AssignmentProblem)}
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


# Reads of Zammad and Kimai that nothing but the doctor needs.

NEWEST = 500
"""How many bookings tell the unit before any is stored."""


@dataclass(frozen=True, slots=True)
class TagStates:
    """Tags by what Kimai says about them."""

    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    missing: tuple[str, ...]


def unit_label(endpoint: Endpoint) -> str | None:
    """Zammad's label on its numbers; `None` without one, and when the account may not see it (docs/zammad.md §4)."""
    with _client(endpoint, ZammadDialect()) as http:
        try:
            rows = http.get("/api/v1/settings", needs=NEEDS).rows("setting")
        except PermissionDeniedError:
            return None
    states = [row.raw.get("state_current") for row in rows if row.text("name") == "time_accounting_unit"]
    return next((state.get("value") or None for state in states if isinstance(state, dict)), None)


def newest_units(endpoint: Endpoint) -> list[Decimal]:
    """The numbers of the bookings that were made or changed last, in Zammad's unit."""
    with _client(endpoint, ZammadDialect()) as http:
        rows, _total = FlatList(http).newest_changes(NEWEST)
    return [row.units for row in rows if not row.faults]


def tag_states(endpoint: Endpoint, names: tuple[str, ...]) -> TagStates:
    """Which tags exist and are visible in Kimai; creates none."""
    with _client(endpoint, KimaiDialect()) as http:
        visible = tuple(name for name in names if _is_visible(http, name))
        others = [name for name in names if name not in visible]
        hidden = tuple(name for name in others if _is_taken(http, name))
    return TagStates(visible, hidden, tuple(name for name in others if name not in hidden))


def _is_visible(http: HttpClient, name: str) -> bool:
    rows = http.get(f"{TAGS}/find", {"name": name}).rows("tag")
    return any(same_tag(row.text("name"), name) and row.boolean("visible") for row in rows)


def _is_taken(http: HttpClient, name: str) -> bool:
    """Whether a tag of that name exists, seen or unseen: told by a form that Kimai must refuse (docs/kimai.md §9)."""
    try:
        http.write("POST", TAGS, {PROBE_FIELD: True, "name": name, "visible": True}, needs=("create_tag",))
    except ValidationFailedError as refusal:
        return "already used" in str(refusal.fields.get("name", ()))
    return False


@contextmanager
def _client(endpoint: Endpoint, dialect: ApiDialect) -> Iterator[HttpClient]:
    http = HttpClient(endpoint, dialect)
    try:
        yield http
    finally:
        http.close()


# Tags: Kimai drops unknown ones from a time sheet without a word, and hidden ones cannot be found again.

_SUBJECT = "ZK_TAGS"


def examine_tags(installation: Installation) -> Iterator[Finding]:
    """Tell which of ZK_TAGS are visible, hidden, or not there yet (docs/kimai.md §9)."""
    names = installation.runtime.settings.tags
    with installation.reached_target() as connector:
        endpoint = connector.endpoint if isinstance(connector, KimaiConnector) else None
    if endpoint is None or not names:
        yield Finding(_SUBJECT, Level.PASS, "No tags are to be looked at.")
        return
    tags = tag_states(endpoint, names)
    if tags.hidden:
        yield Finding(
            _SUBJECT,
            Level.FAIL,
            f"Hidden in Kimai: {', '.join(tags.hidden)}. Nothing can be written with a hidden tag.",
            "Let an administrator of Kimai make them visible under Tags, or name others in ZK_TAGS.",
        )
    if tags.missing:
        text = f"Not in Kimai yet: {', '.join(tags.missing)}. The first write creates them, visible."
        yield Finding(_SUBJECT, Level.PASS, text)
    if tags.visible:
        yield Finding(_SUBJECT, Level.PASS, f"Visible in Kimai: {', '.join(tags.visible)}.")


# Connections, versions and permissions of both systems, as their connectors tell them.


def examine_source(installation: Installation) -> Iterable[Finding]:
    """Zammad: connection, version, permissions, groups."""
    return installation.source.findings


def examine_target(installation: Installation) -> Iterable[Finding]:
    """Kimai: connection, version, permissions. Its zones have an examination of their own, which names the users."""
    return (finding for finding in installation.target.findings if finding.subject != "time zones")
