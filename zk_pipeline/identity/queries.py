"""Queries on users, their sessions, API tokens and second factors, and failed sign-ins."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, select, text, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql import insert as upsert

from zk_pipeline.store.encryption import TokenCipher
from zk_pipeline.store.tables import api_tokens, failed_logins, recovery_codes, second_factors, sessions, users

# API tokens.


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token without its secret, which only its owner has."""

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
    """The user of a valid token, with the user's current role and the token's role."""

    token_id: int
    user_id: int
    user_role: str
    token_role: str


_TOKEN_COLUMNS = (
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
_TOKENS_WITH_USERS = api_tokens.join(users, users.c.id == api_tokens.c.user_id)


def add_token(
    connection: Connection, *, user_id: int, name: str, role: str, token_hash: str, expires_at: datetime
) -> ApiToken:
    """Store a token by its hash."""
    values = {"user_id": user_id, "name": name, "role": role, "token_hash": token_hash, "expires_at": expires_at}
    token_id = connection.execute(insert(api_tokens).values(values).returning(api_tokens.c.id)).scalar_one()
    return _token(
        connection.execute(
            select(*_TOKEN_COLUMNS).select_from(_TOKENS_WITH_USERS).where(api_tokens.c.id == token_id)
        ).one()
    )


def bearer_of_token(connection: Connection, token_hash: str) -> Bearer | None:
    """The user of the token with this hash; `None` if it is unknown, revoked, expired or of a deactivated user.

    Records its use, to the minute.
    """
    counts = api_tokens.c.revoked_at.is_(None) & (api_tokens.c.expires_at > func.now()) & users.c.active
    stale = api_tokens.c.last_used_at.is_(None) | (api_tokens.c.last_used_at < func.now() - text("interval '1 minute'"))
    row = connection.execute(
        select(api_tokens.c.id, users.c.id, users.c.role, api_tokens.c.role, stale)
        .select_from(_TOKENS_WITH_USERS)
        .where(api_tokens.c.token_hash == token_hash, counts)
    ).first()
    if row is None:
        return None
    *found, is_stale = row
    if is_stale:
        connection.execute(update(api_tokens).where(api_tokens.c.id == found[0]).values(last_used_at=func.now()))
    return Bearer(*found)


def token_of_id(connection: Connection, token_id: int) -> ApiToken | None:
    """The token with this id."""
    row = connection.execute(
        select(*_TOKEN_COLUMNS).select_from(_TOKENS_WITH_USERS).where(api_tokens.c.id == token_id)
    ).first()
    return None if row is None else _token(row)


def list_tokens(connection: Connection, user_id: int | None, *, offset: int, limit: int) -> Sequence[ApiToken]:
    """A page of tokens, newest first: those of a user, or everybody's."""
    query = (
        select(*_TOKEN_COLUMNS)
        .select_from(_TOKENS_WITH_USERS)
        .where(_tokens_of(user_id))
        .order_by(api_tokens.c.id.desc())
    )
    return [_token(row) for row in connection.execute(query.offset(offset).limit(limit))]


def count_tokens(connection: Connection, user_id: int | None) -> int:
    """The number of tokens: those of a user, or everybody's."""
    return connection.execute(select(func.count()).select_from(api_tokens).where(_tokens_of(user_id))).scalar_one()


def revoke_token(connection: Connection, token_id: int) -> None:
    """Revoke a token."""
    connection.execute(update(api_tokens).where(api_tokens.c.id == token_id).values(revoked_at=func.now()))


def revoke_tokens_of(connection: Connection, user_id: int) -> None:
    """Revoke all tokens of a user."""
    going_on = (api_tokens.c.user_id == user_id) & api_tokens.c.revoked_at.is_(None)
    connection.execute(update(api_tokens).where(going_on).values(revoked_at=func.now()))


def _tokens_of(user_id: int | None) -> ColumnElement[bool]:
    return true() if user_id is None else api_tokens.c.user_id == user_id


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(**row._mapping)  # noqa: SLF001 (the documented way to the columns by name)


# Failed sign-ins.


@dataclass(frozen=True, slots=True)
class Failures:
    """The number of recent failures (at most `limit`), and the age of the oldest of them in seconds."""

    number: int
    seconds: float


def serialize_sign_ins(connection: Connection, account_hash: str, address: str) -> None:
    """Serialize attempts on this account and from this address until the transaction ends."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    for name in sorted((f"zk:login:{account_hash}", f"zk:login:{address}")):
        connection.execute(lock, {"name": name})


def failures_of_account(
    connection: Connection, account_hash: str, way: str, within: timedelta, limit: int, address: str | None = None
) -> Failures:
    """The failures on an account in the same `way` within this time, from all or one address; at most `limit`."""
    condition = (failed_logins.c.account_hash == account_hash) & (failed_logins.c.way == way)
    if address is not None:
        condition &= failed_logins.c.address == address
    return _failures(connection, condition, within, limit)


def failures_of_address(connection: Connection, address: str, within: timedelta, limit: int) -> Failures:
    """The failures from an address within this time; at most `limit`."""
    return _failures(connection, failed_logins.c.address == address, within, limit)


def add_failure(connection: Connection, account_hash: str, address: str, way: str) -> int:
    """Record a failure; returns its id."""
    values = {"account_hash": account_hash, "address": address, "way": way, "at": func.clock_timestamp()}
    return connection.execute(insert(failed_logins).values(values).returning(failed_logins.c.id)).scalar_one()


def forget_failure(connection: Connection, account_hash: str, way: str) -> None:
    """Delete the failures on the account in this way."""
    gone = (failed_logins.c.account_hash == account_hash) & (failed_logins.c.way == way)
    connection.execute(delete(failed_logins).where(gone))


def _failures(connection: Connection, condition: ColumnElement[bool], within: timedelta, limit: int) -> Failures:
    age = func.extract("epoch", func.clock_timestamp() - failed_logins.c.at)
    newest = (
        select(age.label("age"))
        .where(condition, failed_logins.c.at > func.clock_timestamp() - within)
        .order_by(failed_logins.c.at.desc())
        .limit(limit)
        .subquery()
    )
    number, seconds = connection.execute(select(func.count(), func.max(newest.c.age)).select_from(newest)).one()
    return Failures(number, float(seconds or 0))


# Second factors and recovery codes.


@dataclass(frozen=True, slots=True)
class StoredFactor:
    """The secret of a user's app, active once a first code was accepted."""

    secret_encrypted: str = field(repr=False)
    is_active: bool


def is_active_of(user_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the user of this column has an active second factor."""
    return exists().where(second_factors.c.user_id == user_id, second_factors.c.active_since.is_not(None))


def factor_of(connection: Connection, user_id: int) -> StoredFactor | None:
    """The second factor of a user, even if not yet active."""
    columns = (second_factors.c.secret_encrypted, second_factors.c.active_since.is_not(None))
    row = connection.execute(select(*columns).where(second_factors.c.user_id == user_id)).first()
    return None if row is None else StoredFactor(*row)


def offer_factor(connection: Connection, user_id: int, secret_encrypted: str) -> bool:
    """Store an inactive secret, replacing another inactive one; false if an active one exists."""
    values = {"secret_encrypted": secret_encrypted, "last_step": 0, "created_at": func.now()}
    statement = upsert(second_factors).values(user_id=user_id, **values)
    waiting = second_factors.c.active_since.is_(None)
    stored = statement.on_conflict_do_update(index_elements=["user_id"], set_=values, where=waiting)
    return connection.execute(stored.returning(second_factors.c.user_id)).first() is not None


def accept_step(connection: Connection, user_id: int, step: int) -> bool:
    """Accept the code of this 30-second step; false if it or a later one was accepted before."""
    unused = (second_factors.c.user_id == user_id) & (second_factors.c.last_step < step)
    return connection.execute(update(second_factors).where(unused).values(last_step=step)).rowcount > 0


def activate_factor(connection: Connection, user_id: int) -> bool:
    """Activate a secret; false if it is active already."""
    waiting = (second_factors.c.user_id == user_id) & second_factors.c.active_since.is_(None)
    return connection.execute(update(second_factors).where(waiting).values(active_since=func.now())).rowcount > 0


def remove_factor(connection: Connection, user_id: int) -> bool:
    """Delete secret and recovery codes; false if there were none."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    return connection.execute(delete(second_factors).where(second_factors.c.user_id == user_id)).rowcount > 0


def set_codes(connection: Connection, user_id: int, hashes: Sequence[str]) -> None:
    """Replace the recovery codes."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    connection.execute(insert(recovery_codes), [{"user_id": user_id, "code_hash": code} for code in hashes])


def use_code(connection: Connection, user_id: int, code_hash: str) -> bool:
    """Use a recovery code; false if it is unknown or was used."""
    unused = (recovery_codes.c.user_id == user_id) & (recovery_codes.c.code_hash == code_hash)
    statement = update(recovery_codes).where(unused, recovery_codes.c.used_at.is_(None)).values(used_at=func.now())
    return connection.execute(statement).rowcount > 0


def codes_left(connection: Connection, user_id: int) -> int:
    """The number of unused recovery codes of a user."""
    left = (recovery_codes.c.user_id == user_id) & recovery_codes.c.used_at.is_(None)
    return connection.execute(select(func.count()).select_from(recovery_codes).where(left)).scalar_one()


def rotate_factors(connection: Connection, cipher: TokenCipher) -> int:
    """Re-encrypt every secret with the newest key; returns the number."""
    rows = connection.execute(select(second_factors.c.user_id, second_factors.c.secret_encrypted)).all()
    for user_id, secret in rows:
        fresh = update(second_factors).where(second_factors.c.user_id == user_id)
        connection.execute(fresh.values(secret_encrypted=cipher.rotate(secret)))
    return len(rows)


# Users.


@dataclass(frozen=True, slots=True)
class User:
    """A user. `has_password` is false for those who sign in only through the identity provider.

    `second_factor`: the user has an active one.
    """

    id: int
    email: str
    name: str
    role: str
    active: bool
    has_password: bool
    second_factor: bool
    created_at: datetime
    last_login_at: datetime | None


_USER_COLUMNS = (
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.role,
    users.c.active,
    users.c.password_hash.is_not(None).label("has_password"),
    is_active_of(users.c.id).label("second_factor"),
    users.c.created_at,
    users.c.last_login_at,
)


def add_user(connection: Connection, *, email: str, name: str, role: str, **more: str | None) -> User | None:
    """Store a user; `more` is `password_hash` or `oidc_subject`. `None` if e-mail or subject are taken."""
    statement = insert(users).values(email=email, name=name, role=role, **more)
    row = connection.execute(statement.on_conflict_do_nothing().returning(*_USER_COLUMNS)).first()
    return None if row is None else _user(row)


def user_of_id(connection: Connection, user_id: int) -> User | None:
    """The user with this id."""
    return _first_user(connection, users.c.id == user_id)


def user_of_email(connection: Connection, email: str) -> User | None:
    """The user with this e-mail, in lowercase."""
    return _first_user(connection, users.c.email == email)


def user_of_oidc_subject(connection: Connection, subject: str) -> User | None:
    """The user with this issuer and subject of the identity provider."""
    return _first_user(connection, users.c.oidc_subject == subject)


def oidc_subject(connection: Connection, user_id: int) -> str | None:
    """Issuer and subject of this user at the identity provider."""
    return connection.execute(select(users.c.oidc_subject).where(users.c.id == user_id)).scalar()


def password_hash(connection: Connection, user_id: int) -> str | None:
    """The password hash of this user."""
    return connection.execute(select(users.c.password_hash).where(users.c.id == user_id)).scalar()


def list_users(connection: Connection, *, offset: int, limit: int) -> Sequence[User]:
    """A page of users, by e-mail."""
    query = select(*_USER_COLUMNS).order_by(users.c.email).offset(offset).limit(limit)
    return [_user(row) for row in connection.execute(query)]


def count_users(connection: Connection) -> int:
    """The number of users."""
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def active_admins(connection: Connection) -> set[int]:
    """The ids of the active admins, locked until the transaction ends."""
    query = select(users.c.id).where(users.c.role == "admin", users.c.active).order_by(users.c.id).with_for_update()
    return set(connection.execute(query).scalars())


def serialize_users(connection: Connection) -> None:
    """Serialize the creation of the first admin."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:first-admin', 0))"))


def change_user(connection: Connection, user_id: int, **values: Any) -> None:
    """Set columns of a user: `role`, `name`, `active`, `password_hash`, `oidc_subject`."""
    connection.execute(update(users).where(users.c.id == user_id).values(**values, updated_at=func.now()))


def record_sign_in(connection: Connection, user_id: int) -> None:
    """Record that a user signs in now."""
    connection.execute(update(users).where(users.c.id == user_id).values(last_login_at=func.now()))


def _first_user(connection: Connection, condition: ColumnElement[bool]) -> User | None:
    row = connection.execute(select(*_USER_COLUMNS).where(condition)).first()
    return None if row is None else _user(row)


def _user(row: Row[Any]) -> User:
    return User(**row._mapping)  # noqa: SLF001 (the documented way to the columns by name)


# Sessions.


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A valid session, and the current role of its user.

    `has_proof`: the user has a second factor, or signed in through the identity provider.
    """

    id: str
    user_id: int
    role: str
    expires_at: datetime
    has_proof: bool = True


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a refresh token or cookie is checked against; `seconds` since the last renewal."""

    session: OpenSession
    refresh_hash: str
    previous_hash: str
    seconds: float


_SESSION_COUNTS = sessions.c.ended_at.is_(None) & (sessions.c.expires_at > func.now()) & users.c.active
_SESSIONS_WITH_USERS = sessions.join(users, users.c.id == sessions.c.user_id)
_SESSION_COLUMNS = (
    sessions.c.id,
    sessions.c.user_id,
    users.c.role,
    sessions.c.expires_at,
    sessions.c.by_provider | is_active_of(users.c.id),
)


def add_session(
    connection: Connection, session: OpenSession, refresh_hash: str, *, by_provider: bool, confirmed: bool
) -> None:
    """Store a new session."""
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
    """Record that the user has just confirmed the session with the password."""
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(confirmed_at=func.now()))


def is_confirmed(connection: Connection, session_id: str, within: timedelta) -> bool:
    """Whether the session was confirmed within this time."""
    lately = (sessions.c.id == session_id) & (sessions.c.confirmed_at > func.now() - within)
    return connection.execute(select(sessions.c.id).where(lately)).first() is not None


def open_session(connection: Connection, session_id: str) -> OpenSession | None:
    """The session; `None` if it is unknown, ended, expired, or of a deactivated user."""
    row = connection.execute(
        select(*_SESSION_COLUMNS).select_from(_SESSIONS_WITH_USERS).where(sessions.c.id == session_id, _SESSION_COUNTS)
    ).first()
    return None if row is None else OpenSession(*row)


def renewal_of(connection: Connection, session_id: str, *, to_renew: bool = False) -> Renewal | None:
    """A valid session; `to_renew` locks it for this transaction."""
    passed = func.extract("epoch", func.clock_timestamp() - sessions.c.refreshed_at)
    query = (
        select(*_SESSION_COLUMNS, sessions.c.refresh_hash, sessions.c.previous_hash, passed)
        .select_from(_SESSIONS_WITH_USERS)
        .where(sessions.c.id == session_id, _SESSION_COUNTS)
    )
    row = connection.execute(query.with_for_update(of=sessions) if to_renew else query).first()
    if row is None:
        return None
    *session, refresh_hash, previous_hash, seconds = row
    return Renewal(OpenSession(*session), refresh_hash, previous_hash, float(seconds))


def renew_session(connection: Connection, session_id: str, refresh_hash: str) -> None:
    """Replace the refresh token or cookie."""
    values = {
        "previous_hash": sessions.c.refresh_hash,
        "refresh_hash": refresh_hash,
        "refreshed_at": func.clock_timestamp(),
    }
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(values))


def end_session(connection: Connection, session_id: str) -> bool:
    """End a session; false if it had ended."""
    going_on = (sessions.c.id == session_id) & sessions.c.ended_at.is_(None)
    return connection.execute(update(sessions).where(going_on).values(ended_at=func.now())).rowcount > 0


def end_sessions_of(connection: Connection, user_id: int) -> None:
    """End all sessions of a user."""
    going_on = (sessions.c.user_id == user_id) & sessions.c.ended_at.is_(None)
    connection.execute(update(sessions).where(going_on).values(ended_at=func.now()))
