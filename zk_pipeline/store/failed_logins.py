"""Queries on failed sign-ins, by account and by address."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, text

from zk_pipeline.store.account_tables import failed_logins


@dataclass(frozen=True, slots=True)
class Failures:
    """How many there were lately, and the seconds since the oldest of the newest `limit` ones."""

    number: int
    seconds: float


def serialize(connection: Connection, account_hash: str, address: str) -> None:
    """Let attempts on one account, or from one address, count one after another until the transaction ends."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    for name in sorted((f"zk:login:{account_hash}", f"zk:login:{address}")):
        connection.execute(lock, {"name": name})


def of_account(
    connection: Connection, account_hash: str, way: str, within: timedelta, limit: int, address: str | None = None
) -> Failures:
    """The failures on an account within this time, of all or from one address; at most `limit` are counted.

    Only those count that came the same way.
    """
    condition = (failed_logins.c.account_hash == account_hash) & (failed_logins.c.way == way)
    if address is not None:
        condition &= failed_logins.c.address == address
    return _failures(connection, condition, within, limit)


def of_address(connection: Connection, address: str, within: timedelta, limit: int) -> Failures:
    """The failures from an address within this time; at most `limit` are counted."""
    return _failures(connection, failed_logins.c.address == address, within, limit)


def add(connection: Connection, account_hash: str, address: str, way: str) -> int:
    """Note a failure; returns its number."""
    values = {"account_hash": account_hash, "address": address, "way": way, "at": func.clock_timestamp()}
    return connection.execute(insert(failed_logins).values(values).returning(failed_logins.c.id)).scalar_one()


def forget(connection: Connection, account_hash: str, way: str) -> None:
    """Forget the failures on the account that came this way."""
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
