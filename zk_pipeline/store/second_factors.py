"""Queries on second factors: the secrets of the apps of users, and their recovery codes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from zk_pipeline.store.account_tables import recovery_codes, second_factors
from zk_pipeline.store.encryption import TokenCipher


@dataclass(frozen=True, slots=True)
class Factor:
    """What the codes of a user's app are made of; it counts from the first code on that was accepted."""

    secret_encrypted: str = field(repr=False)
    is_active: bool


def is_active_of(user_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the user of this column has a second factor that counts."""
    return exists().where(second_factors.c.user_id == user_id, second_factors.c.active_since.is_not(None))


def of_user(connection: Connection, user_id: int) -> Factor | None:
    """The second factor of a user, also one that does not count yet."""
    columns = (second_factors.c.secret_encrypted, second_factors.c.active_since.is_not(None))
    row = connection.execute(select(*columns).where(second_factors.c.user_id == user_id)).first()
    return None if row is None else Factor(*row)


def offer(connection: Connection, user_id: int, secret_encrypted: str) -> bool:
    """Store a secret that does not count yet, in place of another such one; false where one counts."""
    values = {"secret_encrypted": secret_encrypted, "last_step": 0, "created_at": func.now()}
    statement = upsert(second_factors).values(user_id=user_id, **values)
    waiting = second_factors.c.active_since.is_(None)
    stored = statement.on_conflict_do_update(index_elements=["user_id"], set_=values, where=waiting)
    return connection.execute(stored.returning(second_factors.c.user_id)).first() is not None


def take(connection: Connection, user_id: int, step: int) -> bool:
    """Accept the code of this half minute; false where it, or a later one, was accepted before."""
    unused = (second_factors.c.user_id == user_id) & (second_factors.c.last_step < step)
    return connection.execute(update(second_factors).where(unused).values(last_step=step)).rowcount > 0


def activate(connection: Connection, user_id: int) -> bool:
    """Have a secret count from now on; false where it did before."""
    waiting = (second_factors.c.user_id == user_id) & second_factors.c.active_since.is_(None)
    return connection.execute(update(second_factors).where(waiting).values(active_since=func.now())).rowcount > 0


def remove(connection: Connection, user_id: int) -> bool:
    """Remove secret and recovery codes; false where there were none."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    return connection.execute(delete(second_factors).where(second_factors.c.user_id == user_id)).rowcount > 0


def set_codes(connection: Connection, user_id: int, hashes: Sequence[str]) -> None:
    """Have these recovery codes count and no others."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    connection.execute(insert(recovery_codes), [{"user_id": user_id, "code_hash": code} for code in hashes])


def use_code(connection: Connection, user_id: int, code_hash: str) -> bool:
    """Use a recovery code up; false for one that is unknown or was used."""
    unused = (recovery_codes.c.user_id == user_id) & (recovery_codes.c.code_hash == code_hash)
    statement = update(recovery_codes).where(unused, recovery_codes.c.used_at.is_(None)).values(used_at=func.now())
    return connection.execute(statement).rowcount > 0


def codes_left(connection: Connection, user_id: int) -> int:
    """How many recovery codes a user has left."""
    left = (recovery_codes.c.user_id == user_id) & recovery_codes.c.used_at.is_(None)
    return connection.execute(select(func.count()).select_from(recovery_codes).where(left)).scalar_one()


def rotate(connection: Connection, cipher: TokenCipher) -> int:
    """Encrypt every secret again with the newest key; returns how many."""
    rows = connection.execute(select(second_factors.c.user_id, second_factors.c.secret_encrypted)).all()
    for user_id, secret in rows:
        fresh = update(second_factors).where(second_factors.c.user_id == user_id)
        connection.execute(fresh.values(secret_encrypted=cipher.rotate(secret)))
    return len(rows)
