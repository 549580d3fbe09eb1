"""The audit trail: append-only, each row chained to the previous one by an HMAC; details are stored separately.

The HMAC key is derived from ZK_ENCRYPTION_KEY, so that the database's owner can neither change nor add a row. Rows with
another key, or from before keys, count once a row under today's key vouches for all before it (`bind`). A deleted
detail leaves its salted hash in the chain, and a row that says which was deleted and why. The head is sealed and stored
separately; if an old one is restored with the rows after it cut off, the anchors stored elsewhere show it
(`audit/anchors.py`).
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Self

from sqlalchemy import Connection, Row, select, text

from zk_pipeline.store.database import insert_rows, to_json, trail_keys
from zk_pipeline.store.tables import audit_details, audit_head, audit_logs, connectors, periods

GENESIS = "0" * 64
BOUND, DETAILS_REMOVED = "audit.bound", "audit.details_removed"

_MOVE_HEAD = text("SELECT sync.move_audit_head(:seal)")
_REMOVE_DETAILS = text("SELECT sync.remove_audit_details(max(id)) FROM sync.audit_logs")
_KEPT_HEADS = select(periods.c.audit_head).where(periods.c.audit_head.regexp_match("^[0-9a-f]{64}$"))
_ANCHOR = re.compile(r"(?P<number>\d{1,18}):(?P<hash>[0-9a-f]{64})")
_VOUCHED = re.compile(r"audit:1-(?P<number>\d+):(?P<digest>[0-9a-f]{64})")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that was done: `actor` did `event` to `subject`."""

    event: str
    actor: str
    subject: str
    detail: Mapping[str, Any]
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """The number and hash of a row, stored where the database's owner cannot change it; as text `17:3f…`."""

    number: int
    hash: str

    @classmethod
    def parsed(cls, written: str) -> Self | None:
        """The anchor at the start of a text; `None` if there is none."""
        found = _ANCHOR.search(written)
        return cls(int(found["number"]), found["hash"]) if found else None

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying the chain; `broken_at` is the first missing or wrong row, `problem` the reason."""

    rows: int
    head: str
    broken_at: int | None = None
    problem: str = ""


class NoTrailKeyError(Exception):
    """Something was to be written into the audit trail on a connection without a key for it."""


def head(connection: Connection) -> tuple[int, str]:
    """The number and hash of the last row. No one else appends until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:audit', 0))"))
    kept = _head(connection)
    if kept is not None:
        return kept.number, kept.hash
    query = select(audit_logs.c.id, audit_logs.c.hash).order_by(audit_logs.c.id.desc()).limit(1)
    last = connection.execute(query).first()
    # If the head was removed, the chain continues but leaves out a number, which every verification finds.
    return (last.id + 1, last.hash) if last else (0, GENESIS)


def anchor(connection: Connection) -> Anchor | None:
    """The end of the trail, for storage elsewhere; `None` if it is empty."""
    kept = _head(connection)
    return Anchor(kept.number, kept.hash) if kept is not None else None


def append(connection: Connection, events: Iterable[AuditEvent]) -> None:
    """Append events to the chain. Writers wait for each other. Raises `NoTrailKeyError`."""
    row_id, previous = head(connection)
    key = _newest_key(connection)
    logs: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    for event in events:
        row_id += 1
        salt = secrets.token_hex(16)
        # As it will be read back from jsonb: the order of keys does not matter, because the text is canonical.
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
        previous = _mac(key, _canonical(row))
        logs.append({**row, "hash": previous})
        details.append({"id": row_id, "salt": salt, "detail": dict(event.detail)})
    insert_rows(connection, audit_logs, logs)
    insert_rows(connection, audit_details, details)
    if logs:  # By a function of the trail's owner, because our role may not be allowed to change it.
        connection.execute(_MOVE_HEAD, {"seal": _seal(key, row_id, previous)})


def bind(connection: Connection, *, upgrade: bool = False) -> bool:
    """Add a row under today's key that vouches for all before it, unless that key has sealed the head already.

    Called at each start (for the first row and after a change of the key), and by the `upgrade` from a trail without
    keys, which alone may vouch for rows without one. A trail that does not verify is left as it is, so that nothing
    vouches for changed rows. Returns whether a row was added.
    """
    number, _ = head(connection)
    kept, key = _head(connection), _newest_key(connection)
    if kept is not None and _is_sealed(kept, [key]):
        return False
    walk = _ChainVerifier(trail_keys(connection))
    walk.along(connection)
    if kept is None and walk.rows == 0 and connection.scalar(select(connectors.c.id).limit(1)) is not None:
        return False  # The trail of an installation that has started before was emptied.
    if not walk.can_be_vouched_for(without_key=upgrade) or number != walk.rows:
        return False
    events = [AuditEvent(BOUND, "pipeline", f"audit:1-{walk.rows}:{walk.digest}", {"rows": walk.rows})]
    if walk.unexplained:  # They were removed before a row had to record it.
        events.append(_removal(walk.unexplained, "pipeline", "before the trail was bound"))
    append(connection, events)
    return True


def remove_details(connection: Connection, ids: Sequence[int], actor: str, why: str) -> int:
    """Delete details of rows, for retention or an erasure, and record it in the chain; returns how many.

    The database only deletes details that a row of the chain names, so that row is written first.
    """
    number, _ = head(connection)
    query = select(audit_details.c.id).where(audit_details.c.id.in_(ids), audit_details.c.id <= number)
    going = connection.execute(query).scalars().all()
    if not going:
        return 0
    append(connection, [_removal(going, actor, why)])
    return connection.execute(_REMOVE_DETAILS).scalar_one()


def verify(connection: Connection, anchors: Collection[Anchor] = ()) -> Verification:
    """Verify the whole chain: every hash, link and detail, the heads stored by closings, and these anchors."""
    kept = set(connection.execute(_KEPT_HEADS).scalars()) - {GENESIS}
    before = _head(connection)
    named: dict[int, set[str]] = {}
    for each in anchors:
        named.setdefault(each.number, set()).add(each.hash)
    walk = _ChainVerifier(trail_keys(connection), named, kept)
    walk.along(connection)
    found = walk.found()
    if found.broken_at is not None:
        return found
    # Others may append meanwhile: the chain ends between the heads before and after the walk.
    after = _head(connection)
    if after is None or not _is_sealed(after, trail_keys(connection)):
        return walk.broken(walk.rows + 1, "the stored head is missing or not ours")
    first = before.number if before else 0
    if not first <= walk.rows <= after.number:
        return walk.broken(min(walk.rows, after.number) + 1, "the rows do not end where the stored head says")
    if walk.kept or any(each.number > walk.rows for each in anchors):
        return walk.broken(walk.rows + 1, "rows that an anchor or a closed month names are missing at the end")
    return found


def broken_sentence(found: Verification) -> str:
    """What a broken chain means and what to do; empty if it is intact."""
    if found.broken_at is None:
        return ""
    return (
        f"Row {found.broken_at} of the audit trail does not fit: {found.problem}. "
        "Compare the trail with a backup, and find out who can write to the database."
    )


@dataclass(slots=True)
class _ChainVerifier:
    """A walk along all rows. `anchors` are hashes by row number, `kept` hashes that must occur."""

    keys: Sequence[bytes]
    anchors: Mapping[int, set[str]] = field(default_factory=dict[int, set[str]])
    kept: set[str] = field(default_factory=set[str])
    rows: int = 0
    head: str = GENESIS
    digest: str = ""
    _broken: tuple[int, str] | None = None
    _unvouched: int | None = None
    """The first row that is not ours unless a later one vouches for it: from before keys, or with another key."""
    _strange: int | None = None
    """The first of these rows that has another key."""
    _keyed: bool = False
    _missing: list[int] = field(default_factory=list[int])
    _explained: set[int] = field(default_factory=set[int])

    def along(self, connection: Connection) -> None:
        """Walk to the end, or to the first row that does not match."""
        query = (
            select(audit_logs, audit_details.c.salt, audit_details.c.detail)
            .outerjoin(audit_details, audit_details.c.id == audit_logs.c.id)
            .order_by(audit_logs.c.id)
            .execution_options(yield_per=5000)
        )
        running = hashlib.sha256()
        for row in connection.execute(query).mappings():
            self.rows += 1
            canonical = _canonical(row)
            self._examine(row, canonical, running)
            if self._broken is not None:
                return
            running.update(canonical + row["hash"].encode())
            self.head = row["hash"]
            self.kept.discard(self.head)
        self.digest = running.hexdigest()

    @property
    def unexplained(self) -> list[int]:
        """The rows whose details are missing without a row that says why."""
        return [number for number in self._missing if number not in self._explained]

    def can_be_vouched_for(self, *, without_key: bool) -> bool:
        """Whether a row under today's key may confirm that all rows before it, with or without key, are unchanged."""
        unfit = self._strange if without_key else self._unvouched
        return self._broken is None and unfit is None and not (self._keyed and self.unexplained)

    def found(self) -> Verification:
        """The result for the rows themselves."""
        if self._broken is not None:
            return self.broken(*self._broken)
        if self.rows == 0:
            return self.broken(1, "there is no row, although the first start adds one")
        if self._unvouched is not None:
            return self.broken(
                self._unvouched, "it was changed, or written under a key that is missing in ZK_ENCRYPTION_KEY"
            )
        if self.unexplained:
            return self.broken(self.unexplained[0], "its detail is missing, and no row names an erasure or retention")
        return Verification(self.rows, self.head)

    def broken(self, at: int, problem: str) -> Verification:
        """A verification that names a row."""
        return Verification(self.rows, self.head, at, problem)

    def _examine(self, row: Mapping[Any, Any], canonical: bytes, running: Any) -> None:
        keyed = any(hmac.compare_digest(row["hash"], _mac(key, canonical)) for key in self.keys)
        self._keyed = self._keyed or keyed
        if not keyed:
            self._unvouched = self._unvouched or row["id"]
            if self._keyed or row["hash"] != _plain_hash(canonical):
                self._strange = self._strange or row["id"]
        self._broken = self._misfit(row)
        if row["salt"] is None:
            self._missing.append(row["id"])
        if row["event"] == DETAILS_REMOVED:
            self._explained.update(_numbers(row["subject"]))
        vouched = _VOUCHED.fullmatch(row["subject"]) if keyed and row["event"] == BOUND else None
        if vouched and (int(vouched["number"]), vouched["digest"]) == (row["id"] - 1, running.hexdigest()):
            self._unvouched = self._strange = None

    def _misfit(self, row: Mapping[Any, Any]) -> tuple[int, str] | None:
        if row["id"] != self.rows or row["previous_hash"] != self.head:
            return self._strange or self.rows, "a row before the next one was changed or is missing"
        if self.anchors.get(self.rows, {row["hash"]}) != {row["hash"]}:
            return self.rows, "it differs from the row that an anchor names"
        if row["salt"] is not None and row["detail_hash"] != _detail_hash(row["salt"], row["detail"]):
            return self.rows, "its detail was changed"
        return None


def _head(connection: Connection) -> Row | None:
    return connection.execute(select(audit_head)).first()


def _newest_key(connection: Connection) -> bytes:
    keys = trail_keys(connection)
    if not keys:
        raise NoTrailKeyError("The audit trail cannot be written here: this connection has no key for it.")
    return keys[0]


def _removal(ids: Iterable[int], actor: str, why: str) -> AuditEvent:
    return AuditEvent(DETAILS_REMOVED, actor, f"audit:{_ranges(ids)}", {"why": why})


def _ranges(ids: Iterable[int]) -> str:
    """`3,7-9` for 3, 7, 8 and 9."""
    runs = groupby(enumerate(sorted(ids)), lambda pair: pair[1] - pair[0])
    spans = [[number for _, number in run] for _, run in runs]
    return ",".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)


def _numbers(subject: str) -> Iterable[int]:
    for first, last in _RANGE.findall(subject):
        yield from range(int(first), int(last or first) + 1)


def _is_sealed(kept: Row, keys: Iterable[bytes]) -> bool:
    return any(hmac.compare_digest(kept.seal, _seal(key, kept.number, kept.hash)) for key in keys)


def _seal(key: bytes, number: int, hashed: str) -> str:
    return _mac(key, f"head {number} {hashed}".encode())


def _mac(key: bytes, content: bytes) -> str:
    return hmac.digest(key, content, "sha256").hex()


def _plain_hash(canonical: bytes) -> str:
    """The hash of rows from before keys."""
    return hashlib.sha256(canonical).hexdigest()


def _detail_hash(salt: str, detail: Mapping[str, Any]) -> str:
    canonical = to_json(_sorted(detail))
    return hashlib.sha256(f"{salt}{canonical}".encode()).hexdigest()


def _canonical(row: Mapping[Any, Any]) -> bytes:
    instant = row["created_at"].astimezone(UTC).isoformat()
    parts = (row["id"], row["event"], row["actor"], row["subject"], row["run_id"], instant)
    return to_json([*parts, row["detail_hash"], row["previous_hash"]]).encode()


def _sorted(value: Any) -> Any:
    """The value with its keys sorted at all levels, because jsonb has an order of its own."""
    match value:
        case Mapping():
            return {key: _sorted(value[key]) for key in sorted(value)}
        case list() | tuple():
            return [_sorted(item) for item in value]
        case _:
            return value
