"""Queries that read the audit trail for people: pages, filters, and the names of those who acted."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, and_, cast, func, or_, select, true

from zk_pipeline.store.account_tables import users
from zk_pipeline.store.tables import audit_details, audit_logs

USER_PREFIX = "user:"

SIGN_INS = ("user.signed_in", "user.signed_out", "user.sign_in_failed", "session.token_reused")
"""Events that show when and from where somebody signs in."""

ADDRESS = "address"
"""Where a detail has the address of whoever acted."""


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """Which rows of the trail are wanted; what is empty does not narrow.

    `event` stands for everything that begins with it, `text` for a part of event, subject or detail in any case of
    letters. The span is half-open: `since <= t < until`, in UTC. With a `reader`, sign-ins of others are left out, and
    their addresses are not searched.
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
    """One row of the trail. `detail` is `None` once it was erased; `created_at` is in UTC."""

    id: int
    created_at: datetime
    event: str
    actor: str
    subject: str
    run_id: str | None
    detail: dict[str, Any] | None
    hash: str


def count(connection: Connection, wanted: TrailFilter) -> int:
    """How many rows fit. The ids of a chain have no gaps, so that the whole of it need not be counted."""
    if wanted == TrailFilter():
        return connection.execute(select(func.coalesce(func.max(audit_logs.c.id), 0))).scalar_one()
    query = select(func.count()).select_from(_joined(wanted)).where(_condition(wanted))
    return connection.execute(query).scalar_one()


def newest(connection: Connection, wanted: TrailFilter, limit: int, offset: int = 0) -> list[TrailRow]:
    """The newest rows that fit, newest first."""
    ids = select(audit_logs.c.id).select_from(_joined(wanted)).where(_condition(wanted))
    page = ids.order_by(audit_logs.c.id.desc()).limit(limit).offset(offset).subquery()
    query = _rows().where(audit_logs.c.id.in_(select(page.c.id))).order_by(audit_logs.c.id.desc())
    return [TrailRow(*row) for row in connection.execute(query)]


def following(connection: Connection, wanted: TrailFilter, after: int, limit: int) -> list[TrailRow]:
    """The rows that fit and come after the row of this id, oldest first."""
    query = _rows().where(audit_logs.c.id > after, _condition(wanted)).order_by(audit_logs.c.id).limit(limit)
    return [TrailRow(*row) for row in connection.execute(query)]


def names_of(connection: Connection, actors: Collection[str]) -> dict[str, str]:
    """The names of those actors that are users who still exist; the chain itself holds no name."""
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
    """Details are large, so they are only read along where their text decides."""
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
