"""The audit trail: append-only, each row hashed with the one before it; details stand beside the chain.

Erasing a detail leaves its salted hash in the chain, so that the chain still verifies. Triggers refuse every other
change; whoever can switch them off is found by the hashes, by the head, which is kept beside the chain, and by the
heads that closed months kept.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select, text
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.database import insert_rows, to_json
from zk_pipeline.store.period_tables import periods
from zk_pipeline.store.tables import audit_details, audit_head, audit_logs

GENESIS = "0" * 64
_KEPT_HEADS = select(audit_head.c.hash).union(
    select(periods.c.audit_head).where(periods.c.audit_head.regexp_match("^[0-9a-f]{64}$"))
)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that was done: `event` names it, `actor` did it, `subject` is what it was done to."""

    event: str
    actor: str
    subject: str
    detail: Mapping[str, Any]
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk along the chain found; `broken_at` is the first row that does not fit, or that is gone."""

    rows: int
    head: str
    broken_at: int | None


def head(connection: Connection) -> tuple[int, str]:
    """The number and the hash of the last row. Nobody appends until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:audit', 0))"))
    kept = _head(connection)
    if kept is not None:
        return kept.number, kept.hash
    query = select(audit_logs.c.id, audit_logs.c.hash).order_by(audit_logs.c.id.desc()).limit(1)
    last = connection.execute(query).first()
    # Where the head was taken away the chain goes on, but a number is left out, which no verification overlooks.
    return (last.id + 1, last.hash) if last else (0, GENESIS)


def append(connection: Connection, events: Iterable[AuditEvent]) -> None:
    """Append events to the chain. Writers are serialized until the transaction ends."""
    row_id, previous = head(connection)
    logs: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    for event in events:
        row_id += 1
        salt = secrets.token_hex(16)
        # As it will be read back from jsonb: keys in their stored order do not matter, the text is canonical.
        row = {
            "id": row_id,
            "event": event.event,
            "actor": event.actor,
            "subject": event.subject,
            "run_id": event.run_id,
            "created_at": datetime.now(UTC),
            "detail_hash": _detail_hash(salt, event.detail),
            "previous_hash": previous,
        }
        previous = _row_hash(row)
        logs.append({**row, "hash": previous})
        details.append({"id": row_id, "salt": salt, "detail": dict(event.detail)})
    insert_rows(connection, audit_logs, logs)
    insert_rows(connection, audit_details, details)
    if logs:
        at = {"number": row_id, "hash": previous}
        moved = insert(audit_head).values(id=1, **at).on_conflict_do_update(index_elements=["id"], set_=at)
        connection.execute(moved)


def let_details_go(connection: Connection) -> None:
    """Allow details to be deleted until the transaction ends: for retention and for erasing a person."""
    connection.execute(text("SELECT set_config('zk.erasing_audit_details', 'on', true)"))


def verify(connection: Connection) -> Verification:
    """Walk the whole chain: every hash, every link, every detail that was not erased, and every head that was kept."""
    kept = set(connection.execute(_KEPT_HEADS).scalars())
    before = _head(connection)
    found = _walk(connection, kept)
    if found.broken_at is not None:
        return found
    # Others may append meanwhile: the chain ends between the heads of before and after the walk.
    after = _head(connection)
    first, last = before.number if before else 0, after.number if after else 0
    if kept or not first <= found.rows <= last:
        beyond = after is not None and found.rows > last
        return replace(found, broken_at=(last if beyond else found.rows) + 1)
    return found


def _head(connection: Connection) -> Row | None:
    return connection.execute(select(audit_head)).first()


def _walk(connection: Connection, kept: set[str]) -> Verification:
    """Along the rows; the hashes that are met are taken out of `kept`."""
    query = (
        select(audit_logs, audit_details.c.salt, audit_details.c.detail)
        .outerjoin(audit_details, audit_details.c.id == audit_logs.c.id)
        .order_by(audit_logs.c.id)
        .execution_options(yield_per=5000)
    )
    previous, rows = GENESIS, 0
    kept.discard(GENESIS)
    for row in connection.execute(query).mappings():
        rows += 1
        erased = row["salt"] is None
        fits = (
            row["id"] == rows
            and row["previous_hash"] == previous
            and row["hash"] == _row_hash(row)
            and (erased or row["detail_hash"] == _detail_hash(row["salt"], row["detail"]))
        )
        if not fits:
            return Verification(rows, previous, row["id"])
        previous = row["hash"]
        kept.discard(previous)
    return Verification(rows, previous, None)


def broken_sentence(found: Verification) -> str:
    """What a broken chain means and what to do, or nothing when it is whole."""
    if found.broken_at is None:
        return ""
    return (
        f"Row {found.broken_at} of the audit trail does not fit the rows before it: it was changed or one is gone. "
        "Compare the trail with a backup, and find out who can write to the database."
    )


def _detail_hash(salt: str, detail: Mapping[str, Any]) -> str:
    canonical = to_json(_sorted(detail))
    return hashlib.sha256(f"{salt}{canonical}".encode()).hexdigest()


def _row_hash(row: Mapping[Any, Any]) -> str:
    instant = row["created_at"].astimezone(UTC).isoformat()
    parts = (row["id"], row["event"], row["actor"], row["subject"], row["run_id"], instant)
    return hashlib.sha256(to_json([*parts, row["detail_hash"], row["previous_hash"]]).encode()).hexdigest()


def _sorted(value: Any) -> Any:
    """The value with its keys in order all the way down, since jsonb keeps an order of its own."""
    match value:
        case Mapping():
            return {key: _sorted(value[key]) for key in sorted(value)}
        case list() | tuple():
            return [_sorted(item) for item in value]
        case _:
            return value
