"""Queries on users: who may sign in, with which role."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.account_tables import users
from zk_pipeline.store.second_factors import is_active_of


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in while `active`; `has_password` is false for those of the identity provider alone.

    `second_factor` says whether they have one that counts.
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


_COLUMNS = (
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


def add(connection: Connection, *, email: str, name: str, role: str, **more: str | None) -> User | None:
    """Store a user; `more` is `password_hash` or `oidc_subject`. `None` when the e-mail or the subject is taken."""
    statement = insert(users).values(email=email, name=name, role=role, **more)
    row = connection.execute(statement.on_conflict_do_nothing().returning(*_COLUMNS)).first()
    return None if row is None else _user(row)


def of_id(connection: Connection, user_id: int) -> User | None:
    """The user of this number."""
    return _first(connection, users.c.id == user_id)


def of_email(connection: Connection, email: str) -> User | None:
    """The user of this e-mail, which is in small letters."""
    return _first(connection, users.c.email == email)


def of_oidc_subject(connection: Connection, subject: str) -> User | None:
    """The user who is known to the identity provider by this issuer and subject."""
    return _first(connection, users.c.oidc_subject == subject)


def oidc_subject(connection: Connection, user_id: int) -> str | None:
    """By what the identity provider knows this user."""
    return connection.execute(select(users.c.oidc_subject).where(users.c.id == user_id)).scalar()


def password_hash(connection: Connection, user_id: int) -> str | None:
    """The hash that a password of this user must fit."""
    return connection.execute(select(users.c.password_hash).where(users.c.id == user_id)).scalar()


def listed(connection: Connection, *, offset: int, limit: int) -> Sequence[User]:
    """Some users by e-mail."""
    query = select(*_COLUMNS).order_by(users.c.email).offset(offset).limit(limit)
    return [_user(row) for row in connection.execute(query)]


def number(connection: Connection) -> int:
    """How many users there are."""
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def active_admins(connection: Connection) -> set[int]:
    """The numbers of the active admins, who stay as they are until the transaction ends."""
    query = select(users.c.id).where(users.c.role == "admin", users.c.active).order_by(users.c.id).with_for_update()
    return set(connection.execute(query).scalars())


def serialize(connection: Connection) -> None:
    """Let nobody else create the first admin until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:first-admin', 0))"))


def change(connection: Connection, user_id: int, **values: Any) -> None:
    """Set columns of a user: `role`, `name`, `active`, `password_hash`, `oidc_subject`."""
    connection.execute(update(users).where(users.c.id == user_id).values(**values, updated_at=func.now()))


def has_signed_in(connection: Connection, user_id: int) -> None:
    """Note that a user signs in now."""
    connection.execute(update(users).where(users.c.id == user_id).values(last_login_at=func.now()))


def _first(connection: Connection, condition: ColumnElement[bool]) -> User | None:
    row = connection.execute(select(*_COLUMNS).where(condition)).first()
    return None if row is None else _user(row)


def _user(row: Row[Any]) -> User:
    return User(**row._mapping)  # noqa: SLF001 (the documented way to the columns by name)
