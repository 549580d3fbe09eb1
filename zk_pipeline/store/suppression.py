"""Erased people: everything read from a system passes their redactor before it is stored."""

import secrets
from dataclasses import asdict

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.redaction import Erased, Redactor
from zk_pipeline.store.tables import erasures

_FOUND = "zk redactor"


def redactor(connection: Connection) -> Redactor:
    """The redactor that replaces all erased people; loaded once per transaction."""
    transaction = connection.get_transaction()
    found: tuple[object, Redactor] | None = connection.info.get(_FOUND)
    if found is not None and found[0] is transaction:
        return found[1]
    redactor_now = _redactor(connection)
    if transaction is not None:
        # Per transaction, because the connection goes back to its pool and on to others.
        connection.info[_FOUND] = (transaction, redactor_now)
    return redactor_now


def _redactor(connection: Connection) -> Redactor:
    query = select(*(column for column in erasures.c if column.name != "erased_at"))
    return Redactor(
        Erased(row.pseudonym, row.salt, row.mail, tuple(row.full_names), tuple(row.single_names), tuple(row.words))
        for row in connection.execute(query)
    )


def salt(connection: Connection) -> str:
    """The salt of all hashes; a new one before the first erasure."""
    return connection.execute(select(erasures.c.salt).limit(1)).scalar() or secrets.token_hex(32)


def remember(connection: Connection, person: Erased) -> None:
    """Recognize this person from now on; a repeated erasure may add names."""
    connection.info.pop(_FOUND, None)
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(person).items()}
    statement = insert(erasures).values(values)
    joined = {name: erasures.c[name] + statement.excluded[name] for name in ("full_names", "single_names", "words")}
    connection.execute(statement.on_conflict_do_update(index_elements=[erasures.c.pseudonym], set_=joined))


def one_erasure_at_a_time(connection: Connection) -> None:
    """Make other erasures wait until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:privacy', 0))"))
