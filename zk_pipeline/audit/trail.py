"""Reading the audit trail: pages with the names of actors, export, verification."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, Text, and_, cast, func, or_, select, true

from zk_pipeline.audit import anchors
from zk_pipeline.domain import spreadsheets
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.identity.actors import Actor, OperationError, Role
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit
from zk_pipeline.store.audit import Anchor, Verification
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.counted import counted, values_of
from zk_pipeline.store.database import to_json
from zk_pipeline.store.raw_tables import (
    activities,
    activity_types,
    agents,
    customers,
    kimai_users,
    organizations,
    projects,
)
from zk_pipeline.store.tables import (
    adjustments,
    audit_details,
    audit_logs,
    conflicts,
    normalized_entries,
    pushes,
    sync_runs,
    users,
)

USER_PREFIX = "user:"

_IN_KIMAI = {
    "customer:": customers,
    "kimai:customer:": customers,
    "kimai:project:": projects,
    "kimai:activity:": activities,
    "kimai:user:": kimai_users,
}
_IN_ZAMMAD = {
    "zammad:agent:": agents,
    "zammad:organization:": organizations,
    "zammad:type:": activity_types,
}
"""Which table has the names of a kind of mark."""

_LONGEST_ID = 18
"""Digits of the longest id."""

SIGN_INS = ("user.signed_in", "user.signed_out", "user.sign_in_failed", "session.token_reused")
"""Events that show when and from where people sign in."""

ADDRESS = "address"
"""The key of the actor's IP address in a detail."""


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """A filter of the trail; empty fields match everything.

    `event` is a prefix; `text` matches a part of event, subject or detail, ignoring case. Times are in UTC, with
    `since <= t < until`. With a `reader`, sign-ins of others are left out, and their addresses are not searched.
    """

    event: str = ""
    actor: str = ""
    subject: str = ""
    run_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    reader: str = ""


@dataclass(frozen=True, slots=True)
class TrailRow:
    """One row of the trail. `detail` is `None` if it was erased; `created_at` is in UTC."""

    id: int
    created_at: datetime
    event: str
    actor: str
    subject: str
    run_id: str | None
    detail: dict[str, Any] | None
    hash: str


def count(connection: Connection, wanted: TrailFilter) -> int:
    """The number of matching rows. Ids have no gaps, so the unfiltered trail need not be counted."""
    if wanted == TrailFilter():
        return connection.execute(select(func.coalesce(func.max(audit_logs.c.id), 0))).scalar_one()
    query = select(func.count()).select_from(_joined(wanted)).where(_condition(wanted))
    return connection.execute(query).scalar_one()


def newest(connection: Connection, wanted: TrailFilter, limit: int, offset: int = 0) -> list[TrailRow]:
    """A page of matching rows, newest first."""
    ids = select(audit_logs.c.id).select_from(_joined(wanted)).where(_condition(wanted))
    page = ids.order_by(audit_logs.c.id.desc()).limit(limit).offset(offset).subquery()
    query = _rows().where(audit_logs.c.id.in_(select(page.c.id))).order_by(audit_logs.c.id.desc())
    return [TrailRow(*row) for row in connection.execute(query)]


def following(connection: Connection, wanted: TrailFilter, after: int, limit: int) -> list[TrailRow]:
    """The matching rows after the row with this id, oldest first."""
    query = _rows().where(audit_logs.c.id > after, _condition(wanted)).order_by(audit_logs.c.id).limit(limit)
    return [TrailRow(*row) for row in connection.execute(query)]


def names_of(connection: Connection, actors: Collection[str]) -> dict[str, str]:
    """The names of the actors that are existing users; the chain itself holds no names."""
    ids = {
        int(number) for actor in actors if (number := actor.removeprefix(USER_PREFIX)) != actor and number.isdecimal()
    }
    if not ids:
        return {}
    query = select(users.c.id, users.c.name, users.c.email).where(users.c.id.in_(ids))
    return {f"{USER_PREFIX}{row.id}": row.name or row.email for row in connection.execute(query)}


def _rows() -> Any:
    columns = [audit_logs.c[name] for name in ("id", "created_at", "event", "actor", "subject", "run_id")]
    beside = audit_logs.outerjoin(audit_details, audit_details.c.id == audit_logs.c.id)
    return select(*columns, audit_details.c.detail, audit_logs.c.hash).select_from(beside)


def _joined(wanted: TrailFilter) -> Any:
    """Details are large, so they are joined only for a text search."""
    if not wanted.text:
        return audit_logs
    return audit_logs.outerjoin(audit_details, audit_details.c.id == audit_logs.c.id)


def _condition(wanted: TrailFilter) -> ColumnElement[bool]:
    logs = audit_logs.c
    parts: list[ColumnElement[bool]] = []
    if wanted.event:
        parts.append(logs.event.startswith(wanted.event, autoescape=True))
    for column, value in ((logs.actor, wanted.actor), (logs.subject, wanted.subject), (logs.run_id, wanted.run_id)):
        if value:
            parts.append(column == value)
    if wanted.since is not None:
        parts.append(logs.created_at >= wanted.since)
    if wanted.until is not None:
        parts.append(logs.created_at < wanted.until)
    if wanted.reader:
        own = or_(logs.actor == wanted.reader, logs.subject == wanted.reader)
        parts.append(or_(logs.event.not_in(SIGN_INS), own))
    if wanted.text:
        detail = audit_details.c.detail.op("-")(ADDRESS) if wanted.reader else audit_details.c.detail
        searched = (logs.event, logs.subject, cast(detail, Text))
        parts.append(or_(*(column.icontains(wanted.text, autoescape=True) for column in searched)))
    return and_(true(), *parts)


ROWS_AT_ONCE = 1000


class ExportFormat(StrEnum):
    """The formats of an export."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One row of the trail, for people.

    `actor_name` is empty if the actor is not an existing user; `detail` is `None` if it was erased.
    """

    id: int
    at: datetime
    event: str
    actor: str
    actor_name: str
    subject: str
    run_id: str | None
    detail: dict[str, Any] | None
    hash: str


def page(runtime: Runtime, reader: Actor, wanted: TrailFilter, limit: int, offset: int) -> tuple[list[TrailEntry], int]:
    """One page of the trail that `reader` may read, newest first, and the total.

    Viewers do not see sign-ins and addresses of others. Raises `OperationError` for an empty range of times.
    """
    checked = _checked(wanted, reader)
    with runtime.database.transaction() as connection:
        total = count(connection, checked)
        rows = newest(connection, checked, limit, offset)
        names = names_of(connection, {row.actor for row in rows})
    return _entries(rows, names, checked.reader), total


@dataclass(frozen=True, slots=True)
class TrailOptions:
    """The events and actors of the trail, each with the number of its rows, which is counted up to `COUNTED`.

    `names` are those of the actors that are existing users.
    """

    events: Mapping[str, int]
    actors: Mapping[str, int]
    names: Mapping[str, str]


def options(runtime: Runtime, reader: Actor) -> TrailOptions:
    """What the trail may be narrowed to. For viewers, who see no sign-ins of others, sign-ins are not counted."""
    logs = audit_logs.c
    seen = [] if reader.role.covers(Role.OPERATOR) else [logs.event.not_in(SIGN_INS)]
    with runtime.database.transaction() as connection:
        events, actors = (
            {row.shown: row.number for row in connection.execute(counted(values, column, *seen, shown=column))}
            for column, values in [(one, values_of(one, f"seen_{one.key}")) for one in (logs.event, logs.actor)]
        )
        return TrailOptions(events, actors, names_of(connection, actors))


def export(
    runtime: Runtime, reader: Actor, wanted: TrailFilter, kind: ExportFormat, dialect: CsvFormat = CsvFormat.PLAIN
) -> Iterator[str]:
    """What `page` shows `reader`, as a stream of text, oldest first.

    The first piece is read at once, so that errors are raised before anything is sent.
    """
    pieces = _pieces(runtime, _checked(wanted, reader))
    first = next(pieces)
    return _written(first, pieces, kind, dialect)


def verify(runtime: Runtime, given: Collection[Anchor] = ()) -> Verification:
    """Verify the whole chain against these anchors and those in the home."""
    with runtime.database.transaction() as connection:
        return audit.verify(connection, [*anchors.stored_anchors(runtime), *given])


def anchor_of(written: str) -> Anchor:
    """Parse an anchor, or a line that contains one. Raises `OperationError`."""
    anchor = Anchor.parsed(written)
    if anchor is None:
        raise OperationError(
            f"anchor={written!r} is not an anchor. Give it as it was published: the number of a row, a colon, and 64 "
            "letters and digits."
        )
    return anchor


def _checked(wanted: TrailFilter, reader: Actor) -> TrailFilter:
    """The filter for this reader; times without a zone are in UTC."""
    since, until = _with_zone(wanted.since), _with_zone(wanted.until)
    if since and until and since >= until:
        raise OperationError(f"from={since.isoformat()} is not before to={until.isoformat()}. Correct one of them.")
    limited = "" if reader.role.covers(Role.OPERATOR) else reader.name
    return replace(wanted, since=since, until=until, reader=limited)


def _with_zone(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _pieces(runtime: Runtime, wanted: TrailFilter) -> Iterator[list[TrailEntry]]:
    """Chunks by id, each in its own transaction, so that a slow client keeps none open."""
    last = 0
    while True:
        with runtime.database.transaction() as connection:
            rows = following(connection, wanted, last, ROWS_AT_ONCE)
            names = names_of(connection, {row.actor for row in rows})
        yield _entries(rows, names, wanted.reader)
        if len(rows) < ROWS_AT_ONCE:
            return
        last = rows[-1].id


def _written(
    first: list[TrailEntry], others: Iterator[list[TrailEntry]], kind: ExportFormat, dialect: CsvFormat
) -> Iterator[str]:
    if kind is ExportFormat.CSV:
        yield dialect.beginning + spreadsheets.lines([[field.name for field in fields(TrailEntry)]], dialect)
    yield _text(first, kind, dialect)
    for entries in others:
        yield _text(entries, kind, dialect)


def _text(entries: Sequence[TrailEntry], kind: ExportFormat, dialect: CsvFormat) -> str:
    if kind is ExportFormat.JSONL:
        return "".join(f"{to_json(asdict(entry))}\n" for entry in entries)
    rows = (
        [
            value.isoformat() if isinstance(value, datetime) else to_json(value) if isinstance(value, dict) else value
            for value in astuple(entry)
        ]
        for entry in entries
    )
    return spreadsheets.lines(rows, dialect)


def _entries(rows: Sequence[TrailRow], names: dict[str, str], reader: str) -> list[TrailEntry]:
    """With a `reader`, addresses of others are left out of the details."""
    return [
        TrailEntry(
            id=row.id,
            at=row.created_at.astimezone(UTC),
            event=row.event,
            actor=row.actor,
            actor_name=names.get(row.actor, ""),
            subject=row.subject,
            run_id=row.run_id,
            detail=_without_address(row) if reader and reader != row.actor else row.detail,
            hash=row.hash,
        )
        for row in rows
    ]


def _without_address(row: TrailRow) -> dict[str, Any] | None:
    return row.detail and {name: value for name, value in row.detail.items() if name != ADDRESS}


# Names instead of numbers, for people who read the trail.


def names(runtime: Runtime, marks: Collection[str]) -> dict[str, str]:
    """The names of actors and subjects such as `user:1`, `booking:73` and `conflict:5`, where they have one.

    Bookings, their time sheets, conflicts and adjustments are named by their tickets, runs by when they started.
    """
    ids: dict[str, list[str]] = {}
    for kind, _, number in (mark.partition(":") for mark in marks):
        ids.setdefault(kind, []).append(number)
    with runtime.database.transaction() as connection:
        connectors = active_connectors(connection)
        entry, push, asked = normalized_entries.c, pushes.c, conflicts.c
        tickets = (entry.ticket_number, entry.ticket_title)
        of_source = entry.source == connectors.source
        queries = {
            "booking": select(entry.source_id, *tickets).where(of_source, entry.source_id.in_(ids.get("booking", []))),
            "timesheet": select(push.kimai_id, *tickets)
            .join_from(pushes, normalized_entries, of_source & (entry.source_id == push.source_id))
            .where(push.connector == connectors.target, push.kimai_id.in_(_numbers(ids.get("timesheet", [])))),
            "conflict": select(asked.id, *tickets)
            .join_from(conflicts, normalized_entries, of_source & (entry.source_id == asked.source_id))
            .where(asked.id.in_(_numbers(ids.get("conflict", [])))),
            "adjustment": select(adjustments.c.id, *tickets)
            .join_from(adjustments, normalized_entries, of_source & (entry.source_id == adjustments.c.source_id))
            .where(adjustments.c.id.in_(_numbers(ids.get("adjustment", [])))),
        }
        started = select(sync_runs.c.run_id, sync_runs.c.started_at).where(sync_runs.c.run_id.in_(ids.get("run", [])))
        found = names_of(connection, marks)
        found |= _names_in(connection, connectors.target, _IN_KIMAI, marks)
        found |= _names_in(connection, connectors.source, _IN_ZAMMAD, marks)
        found |= {f"run:{row.run_id}": row.started_at.isoformat() for row in connection.execute(started)}
        for kind, query in queries.items():
            if kind in ids:
                for number, ticket, title in connection.execute(query):
                    found[f"{kind}:{number}"] = f"{ticket} {title}".strip()
    return found


def _names_in(
    connection: Connection, connector: str, tables: Mapping[str, Table], marks: Collection[str]
) -> dict[str, str]:
    """The names of people, customers and the like that these marks mean, where they have been read."""
    found: dict[str, str] = {}
    for kind, table in tables.items():
        named = [mark.removeprefix(kind) for mark in marks if mark.startswith(kind)]
        ids = named if isinstance(table.c.id.type, Text) else _numbers(named)
        if ids:
            query = select(table.c.id, table.c.name).where(table.c.connector == connector, table.c.id.in_(ids))
            found |= {f"{kind}{row.id}": row.name for row in connection.execute(query)}
    return found


def _numbers(ids: Collection[str]) -> list[int]:
    return [int(one) for one in ids if one.isascii() and one.isdigit() and len(one) <= _LONGEST_ID]
