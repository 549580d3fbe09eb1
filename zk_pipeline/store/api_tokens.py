"""Queries on API tokens: whose they are, with which role, and until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, text, true, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.account_tables import api_tokens, users


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it can be listed: without the token itself, which nobody has but its owner."""

    id: int
    user_id: int
    email: str
    name: str
    role: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who shows a token that counts: the user, the user's role now, and the role of the token."""

    token_id: int
    user_id: int
    user_role: str
    token_role: str


_COLUMNS = (
    api_tokens.c.id,
    api_tokens.c.user_id,
    users.c.email,
    api_tokens.c.name,
    api_tokens.c.role,
    api_tokens.c.created_at,
    api_tokens.c.expires_at,
    api_tokens.c.last_used_at,
    api_tokens.c.revoked_at,
)
_OWNED = api_tokens.join(users, users.c.id == api_tokens.c.user_id)


def add(
    connection: Connection, *, user_id: int, name: str, role: str, token_hash: str, expires_at: datetime
) -> ApiToken:
    """Store a token by its hash."""
    values = {"user_id": user_id, "name": name, "role": role, "token_hash": token_hash, "expires_at": expires_at}
    token_id = connection.execute(insert(api_tokens).values(values).returning(api_tokens.c.id)).scalar_one()
    return _token(connection.execute(select(*_COLUMNS).select_from(_OWNED).where(api_tokens.c.id == token_id)).one())


def bearer(connection: Connection, token_hash: str) -> Bearer | None:
    """Who shows the token of this hash; `None` for one that is unknown, revoked, expired or of a deactivated user.

    Its use is noted, to the minute.
    """
    counts = api_tokens.c.revoked_at.is_(None) & (api_tokens.c.expires_at > func.now()) & users.c.active
    stale = api_tokens.c.last_used_at.is_(None) | (api_tokens.c.last_used_at < func.now() - text("interval '1 minute'"))
    row = connection.execute(
        select(api_tokens.c.id, users.c.id, users.c.role, api_tokens.c.role, stale)
        .select_from(_OWNED)
        .where(api_tokens.c.token_hash == token_hash, counts)
    ).first()
    if row is None:
        return None
    *found, is_stale = row
    if is_stale:
        connection.execute(update(api_tokens).where(api_tokens.c.id == found[0]).values(last_used_at=func.now()))
    return Bearer(*found)


def of_id(connection: Connection, token_id: int) -> ApiToken | None:
    """The token of this number."""
    row = connection.execute(select(*_COLUMNS).select_from(_OWNED).where(api_tokens.c.id == token_id)).first()
    return None if row is None else _token(row)


def listed(connection: Connection, user_id: int | None, *, offset: int, limit: int) -> Sequence[ApiToken]:
    """Some tokens, the newest first: those of a user, or everybody's."""
    query = select(*_COLUMNS).select_from(_OWNED).where(_of(user_id)).order_by(api_tokens.c.id.desc())
    return [_token(row) for row in connection.execute(query.offset(offset).limit(limit))]


def number(connection: Connection, user_id: int | None) -> int:
    """How many tokens there are: those of a user, or everybody's."""
    return connection.execute(select(func.count()).select_from(api_tokens).where(_of(user_id))).scalar_one()


def revoke(connection: Connection, token_id: int) -> None:
    """End a token now."""
    connection.execute(update(api_tokens).where(api_tokens.c.id == token_id).values(revoked_at=func.now()))


def revoke_all(connection: Connection, user_id: int) -> None:
    """End all tokens of a user now."""
    going_on = (api_tokens.c.user_id == user_id) & api_tokens.c.revoked_at.is_(None)
    connection.execute(update(api_tokens).where(going_on).values(revoked_at=func.now()))


def _of(user_id: int | None) -> ColumnElement[bool]:
    return true() if user_id is None else api_tokens.c.user_id == user_id


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(**row._mapping)  # noqa: SLF001 (the documented way to the columns by name)
