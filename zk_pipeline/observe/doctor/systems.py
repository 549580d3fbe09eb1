"""Checks of both systems: clocks, time zones, tags, versions and permissions."""

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
from zk_pipeline.connectors.write_back import writer_of
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

_HALF_SECOND = timedelta(milliseconds=500)  # The header has whole seconds, so this much is cut off on average.
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
    """How far a web server's clock is ahead of ours, from any answer, without a token.

    `None` without an answer: the check of the system itself says why.
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
    """How far the clock of a Date header is ahead of ours; `None` for an invalid header."""
    theirs = http_date(date_header)
    return None if theirs is None else theirs + _HALF_SECOND - _between(sent, received)


def judge(system: str, skew: timedelta | None) -> Finding:
    """The finding for a skew."""
    if skew is None:
        return Finding(system, Level.PASS, f"{system} does not report its time.")
    seconds = round(abs(skew).total_seconds())
    direction = "ahead of" if skew > timedelta(0) else "behind"
    if abs(skew) <= WARN_AFTER:
        return Finding(system, Level.PASS, f"The clocks agree ({seconds} s apart).")
    return Finding(
        system,
        Level.FAIL if abs(skew) > FAIL_AFTER else Level.WARN,
        f"The clock of {system} is {seconds} s {direction} ours: changes may be missed or counted on another day.",
        "Synchronize both clocks by NTP (timedatectl set-ntp true).",
    )


def _database_skew(database: Database) -> timedelta:
    with database.transaction() as connection:
        sent = datetime.now(UTC)
        theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return theirs - _between(sent, datetime.now(UTC))


def _between(sent: datetime, received: datetime) -> datetime:
    return sent + (received - sent) / 2


# Time zones of Kimai's service account, of the agents' Kimai users, of Zammad, and ZK_TIMEZONE.

_YEAR = 366
_NAMED = 5


def examine_zones(installation: Installation) -> Iterator[Finding]:
    """Compare the zones; zones with the same clock all year are equal."""
    business = installation.runtime.settings.timezone
    directory = installation.directory
    account = directory.server.caller_timezone
    yield _account(account, business, installation.now)
    yield _users(account, _agents(installation), installation.now)
    yield _source(installation, business)


def zones_agree(one: str, other: str, now: datetime) -> bool:
    """Whether two zones (IANA names) have the same time throughout the year around `now`.

    A zone that this machine does not know is equal only to itself.
    """
    try:
        zones = ZoneInfo(one), ZoneInfo(other)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return one == other
    moments = (now.astimezone(UTC) + timedelta(days=day) for day in range(-_YEAR // 2, _YEAR // 2))
    return all(len({moment.astimezone(zone).utcoffset() for zone in zones}) == 1 for moment in moments)


def users_elsewhere(account: str, users: Iterable[TargetUser], now: datetime) -> dict[str, list[str]]:
    """The names of users in other zones than the account's, by zone."""
    elsewhere: dict[str, list[str]] = defaultdict(list)
    for user in users:
        if not zones_agree(account, user.timezone, now):
            elsewhere[user.timezone].append(user.name or user.username)
    return {zone: sorted(names) for zone, names in sorted(elsewhere.items())}


def _agents(installation: Installation) -> list[TargetUser]:
    """The users with recent bookings; before the first run all enabled users."""
    found = [installation.resolver.user(entry) for entry in installation.entries]
    agents = {user.id: user for user in found if not isinstance(user, AssignmentProblem)}
    return list(agents.values()) or [user for user in installation.directory.users if user.enabled]


def _account(account: str, business: str, now: datetime) -> Finding:
    subject = "service account"
    if zones_agree(account, business, now):
        return Finding(
            subject, Level.PASS, f"Kimai's account is in {account}, which agrees with ZK_TIMEZONE={business}."
        )
    return Finding(
        subject,
        Level.WARN,
        f"Kimai's account is in {account}, but days are those of ZK_TIMEZONE={business}: bookings near midnight count"
        " on different days in Kimai and here.",
        f"Set ZK_TIMEZONE={account} (then run zk rederive), or choose {business} in the account's"
        " preferences in Kimai.",
    )


def _users(account: str, users: Iterable[TargetUser], now: datetime) -> Finding:
    subject = "agents"
    elsewhere = users_elsewhere(account, users, now)
    if not elsewhere:
        return Finding(subject, Level.PASS, f"All agents' Kimai users are in the account's zone {account}.")
    # Kimai assigns an entry to the caller's calendar day, not the owner's.
    named = "; ".join(f"{_names(names)} in {zone}" for zone, names in elsewhere.items())
    return Finding(
        subject,
        Level.WARN,
        f"Not in the account's zone {account}: {named}. Kimai's reports may count their entries near midnight on"
        " another day; the times themselves are exact.",
        "Set the same time zone for these users and the account in their Kimai preferences.",
    )


def _source(installation: Installation, business: str) -> Finding:
    with installation.reached_source():
        zone = installation.source.timezone
    if zone is None:
        text = "Zammad shows its zone only to administrators; its times have an offset, so nothing depends on it."
        return Finding("Zammad", Level.PASS, text)
    if zones_agree(zone, business, installation.now):
        return Finding("Zammad", Level.PASS, f"Zammad is in {zone}.")
    return Finding(
        "Zammad",
        Level.WARN,
        f"Zammad is in {zone}, but days are those of ZK_TIMEZONE={business}: its monthly reports differ from ours.",
        f"Set ZK_TIMEZONE={zone} (then run zk rederive), or Zammad's time zone to {business}.",
    )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


# Reads of Zammad and Kimai that only `zk doctor` needs.

NEWEST = 500
"""Bookings by which the unit is checked before any is stored."""


@dataclass(frozen=True, slots=True)
class TagStates:
    """Tags by their state in Kimai."""

    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    missing: tuple[str, ...]


def unit_label(endpoint: Endpoint) -> str | None:
    """Zammad's label of its time unit; `None` without one, or without permission to see it."""
    with _client(endpoint, ZammadDialect()) as http:
        try:
            rows = http.get("/api/v1/settings", needs=NEEDS).rows("setting")
        except PermissionDeniedError:
            return None
    states = [row.raw.get("state_current") for row in rows if row.text("name") == "time_accounting_unit"]
    return next((state.get("value") or None for state in states if isinstance(state, dict)), None)


def newest_units(endpoint: Endpoint) -> list[Decimal]:
    """The values of the last changed bookings, in Zammad's unit."""
    with _client(endpoint, ZammadDialect()) as http:
        rows, _total = FlatList(http).newest_changes(NEWEST)
    return [row.units for row in rows if not row.faults]


def tag_states(endpoint: Endpoint, names: tuple[str, ...]) -> TagStates:
    """Which tags exist and are visible in Kimai."""
    with _client(endpoint, KimaiDialect()) as http:
        visible = tuple(name for name in names if _is_visible(http, name))
        others = [name for name in names if name not in visible]
        hidden = tuple(name for name in others if _is_taken(http, name))
    return TagStates(visible, hidden, tuple(name for name in others if name not in hidden))


def _is_visible(http: HttpClient, name: str) -> bool:
    rows = http.get(f"{TAGS}/find", {"name": name}).rows("tag")
    return any(same_tag(row.text("name"), name) and row.boolean("visible") for row in rows)


def _is_taken(http: HttpClient, name: str) -> bool:
    """Whether a tag of this name exists, even hidden: by an invalid form that Kimai always refuses."""
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


# Tags: Kimai silently drops unknown tags from a time sheet, and does not find hidden ones.

_SUBJECT = "ZK_TAGS"


def examine_tags(installation: Installation) -> Iterator[Finding]:
    """Report which of ZK_TAGS are visible, hidden or missing."""
    names = installation.runtime.settings.tags
    with installation.reached_target() as connector:
        endpoint = connector.endpoint if isinstance(connector, KimaiConnector) else None
    if endpoint is None or not names:
        yield Finding(_SUBJECT, Level.PASS, "There are no tags to check.")
        return
    tags = tag_states(endpoint, names)
    if tags.hidden:
        yield Finding(
            _SUBJECT,
            Level.FAIL,
            f"Hidden in Kimai: {', '.join(tags.hidden)}. Time sheets cannot be written with hidden tags.",
            "Have an administrator make them visible in Kimai under Tags, or use others in ZK_TAGS.",
        )
    if tags.missing:
        text = f"Not in Kimai yet: {', '.join(tags.missing)}. The first write creates them, visible."
        yield Finding(_SUBJECT, Level.PASS, text)
    if tags.visible:
        yield Finding(_SUBJECT, Level.PASS, f"Visible in Kimai: {', '.join(tags.visible)}.")


# Writing into tickets: whether the source takes it, and whether the account may.


def examine_write_back(installation: Installation) -> Iterator[Finding]:
    """What is switched on, and what the account lacks for it."""
    subject, kinds = "ZK_WRITE_BACK", installation.runtime.settings.writes_back
    if not kinds:
        yield Finding(subject, Level.PASS, "Nothing is written into tickets (ZK_WRITE_BACK=off).")
        return
    with installation.reached_source() as connector:
        writer = writer_of(connector)
        lacking = sorted(kinds - (writer.writes if writer else frozenset()))
        if lacking:
            yield Finding(
                subject,
                Level.FAIL,
                f"The source's connector cannot write this into tickets: {', '.join(lacking)}.",
                "Set ZK_WRITE_BACK=off, or name only what it can write.",
            )
        if writer is not None:
            yield from writer.writing_findings(kinds & writer.writes)


# Connections, versions and permissions, from the connectors.


def examine_source(installation: Installation) -> Iterable[Finding]:
    """Zammad: connection, version, permissions, groups."""
    return installation.source.findings


def examine_target(installation: Installation) -> Iterable[Finding]:
    """Kimai: connection, version, permissions; zones have their own check."""
    return (finding for finding in installation.target.findings if finding.subject != "time zones")
