"""Queries on sessions: who is signed in, until when, and which refresh token counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update

from zk_pipeline.store.account_tables import sessions, users
from zk_pipeline.store.second_factors import is_active_of


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that counts, and the role that its user has now.

    `has_proof` says whether it needs no second factor: its user has one, or the identity provider let them in.
    """

    id: str
    user_id: int
    role: str
    expires_at: datetime
    has_proof: bool = True


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a refresh token is judged by. `seconds` have passed since the last renewal."""

    session: OpenSession
    refresh_hash: str
    previous_hash: str
    seconds: float


_COUNTS = sessions.c.ended_at.is_(None) & (sessions.c.expires_at > func.now()) & users.c.active
_OWNED = sessions.join(users, users.c.id == sessions.c.user_id)
_COLUMNS = (
    sessions.c.id,
    sessions.c.user_id,
    users.c.role,
    sessions.c.expires_at,
    sessions.c.by_provider | is_active_of(users.c.id),
)


def add(connection: Connection, session: OpenSession, refresh_hash: str, *, by_provider: bool, confirmed: bool) -> None:
    """Store a new session, begun with a password or at the identity provider."""
    values = {
        "id": session.id,
        "user_id": session.user_id,
        "refresh_hash": refresh_hash,
        "expires_at": session.expires_at,
        "by_provider": by_provider,
        "confirmed_at": func.now() if confirmed else None,
    }
    connection.execute(insert(sessions).values(values))


def confirm(connection: Connection, session_id: str) -> None:
    """Note that somebody proved just now that the session is theirs."""
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(confirmed_at=func.now()))


def is_confirmed(connection: Connection, session_id: str, within: timedelta) -> bool:
    """Whether somebody proved within this time that the session is theirs."""
    lately = (sessions.c.id == session_id) & (sessions.c.confirmed_at > func.now() - within)
    return connection.execute(select(sessions.c.id).where(lately)).first() is not None


def opened(connection: Connection, session_id: str) -> OpenSession | None:
    """The session; `None` for one that is unknown, ended, over, or of a deactivated user."""
    row = connection.execute(select(*_COLUMNS).select_from(_OWNED).where(sessions.c.id == session_id, _COUNTS)).first()
    return None if row is None else OpenSession(*row)


def renewing(connection: Connection, session_id: str) -> Renewal | None:
    """A session that counts, kept for this transaction so that of two renewals at once one waits."""
    passed = func.extract("epoch", func.clock_timestamp() - sessions.c.refreshed_at)
    query = (
        select(*_COLUMNS, sessions.c.refresh_hash, sessions.c.previous_hash, passed)
        .select_from(_OWNED)
        .where(sessions.c.id == session_id, _COUNTS)
        .with_for_update(of=sessions)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    *session, refresh_hash, previous_hash, seconds = row
    return Renewal(OpenSession(*session), refresh_hash, previous_hash, float(seconds))


def renew(connection: Connection, session_id: str, refresh_hash: str) -> None:
    """Have another refresh token count from now on."""
    values = {
        "previous_hash": sessions.c.refresh_hash,
        "refresh_hash": refresh_hash,
        "refreshed_at": func.clock_timestamp(),
    }
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(values))


def end(connection: Connection, session_id: str) -> bool:
    """End a session now; false when it had ended before."""
    going_on = (sessions.c.id == session_id) & sessions.c.ended_at.is_(None)
    return connection.execute(update(sessions).where(going_on).values(ended_at=func.now())).rowcount > 0


def end_all(connection: Connection, user_id: int) -> None:
    """End all sessions of a user now."""
    going_on = (sessions.c.user_id == user_id) & sessions.c.ended_at.is_(None)
    connection.execute(update(sessions).where(going_on).values(ended_at=func.now()))
