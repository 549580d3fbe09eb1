"""The audit trail for people: pages with the names of those who acted, export as a stream, and verification."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from zk_pipeline.alerting import anchors
from zk_pipeline.domain import spreadsheets
from zk_pipeline.domain.spreadsheets import Dialect
from zk_pipeline.operations.actors import Actor, Role
from zk_pipeline.operations.errors import OperationError
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import audit, trail
from zk_pipeline.store.audit import Anchor, Verification
from zk_pipeline.store.database import to_json
from zk_pipeline.store.trail import TrailFilter, TrailRow

ROWS_AT_ONCE = 1000


class ExportFormat(StrEnum):
    """What an export of the trail can be."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One row of the trail as people see it.

    `actor_name` is empty for what is no user, or none any more; `detail` is `None` once it was erased.
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
    """One page of the trail as far as `reader` may read it, newest first, and how many rows fit in all.

    Viewers read neither sign-ins nor addresses of others.

    Raises `OperationError` for a span that ends before it begins.
    """
    checked = _checked(wanted, reader)
    with runtime.database.transaction() as connection:
        total = trail.count(connection, checked)
        rows = trail.newest(connection, checked, limit, offset)
        names = trail.names_of(connection, {row.actor for row in rows})
    return _entries(rows, names, checked.reader), total


def export(
    runtime: Runtime, reader: Actor, wanted: TrailFilter, kind: ExportFormat, dialect: Dialect = Dialect.PLAIN
) -> Iterator[str]:
    """What `page` shows `reader` as text, oldest first, in pieces: however long it is, little of it is in memory.

    The first piece is read at once, so that what is wrong is raised before anything is sent.
    """
    pieces = _pieces(runtime, _checked(wanted, reader))
    first = next(pieces)
    return _written(first, pieces, kind, dialect)


def verify(runtime: Runtime, given: Collection[Anchor] = ()) -> Verification:
    """Walk along the whole chain, and compare it with these anchors and those in the home."""
    with runtime.database.transaction() as connection:
        return audit.verify(connection, [*anchors.kept(runtime), *given])


def anchor_of(written: str) -> Anchor:
    """An anchor as it was published, or the line that holds it. Raises `OperationError` for what holds none."""
    anchor = Anchor.parsed(written)
    if anchor is None:
        raise OperationError(
            f"anchor={written!r} is no anchor. Give it as it was told: the number of a row, a colon, and 64 letters "
            "and digits."
        )
    return anchor


def _checked(wanted: TrailFilter, reader: Actor) -> TrailFilter:
    """Times without a zone are taken as UTC."""
    since, until = _with_zone(wanted.since), _with_zone(wanted.until)
    if since and until and since >= until:
        raise OperationError(f"from={since.isoformat()} is not before to={until.isoformat()}. Correct one of them.")
    limited = "" if reader.role.covers(Role.OPERATOR) else reader.name
    return replace(wanted, since=since, until=until, reader=limited)


def _with_zone(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _pieces(runtime: Runtime, wanted: TrailFilter) -> Iterator[list[TrailEntry]]:
    """Pieces by the id, each in a transaction of its own: none stays open for as long as a slow client reads."""
    last = 0
    while True:
        with runtime.database.transaction() as connection:
            rows = trail.following(connection, wanted, last, ROWS_AT_ONCE)
            names = trail.names_of(connection, {row.actor for row in rows})
        yield _entries(rows, names, wanted.reader)
        if len(rows) < ROWS_AT_ONCE:
            return
        last = rows[-1].id


def _written(
    first: list[TrailEntry], others: Iterator[list[TrailEntry]], kind: ExportFormat, dialect: Dialect
) -> Iterator[str]:
    if kind is ExportFormat.CSV:
        yield dialect.beginning + spreadsheets.lines([[field.name for field in fields(TrailEntry)]], dialect)
    yield _text(first, kind, dialect)
    for entries in others:
        yield _text(entries, kind, dialect)


def _text(entries: Sequence[TrailEntry], kind: ExportFormat, dialect: Dialect) -> str:
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
    """With a `reader`, details lose the addresses of others."""
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
    return row.detail and {name: value for name, value in row.detail.items() if name != trail.ADDRESS}
