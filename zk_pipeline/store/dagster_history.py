"""Queries on Dagster's own database for the names of one person: its records are JSON texts, whose form is kept."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text

from zk_pipeline.domain.redaction import Identity, Redactor
from zk_pipeline.store import dagster_logs, privacy
from zk_pipeline.store.privacy import Change, TextColumn

SCHEMA = "public"


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    """One transaction on Dagster's database."""
    with dagster_logs.opened(url) as database, database.transaction() as connection:
        yield connection


def naming(connection: Connection, identity: Identity, redactor: Redactor) -> dict[str, int]:
    """How many records name the person, by table."""
    found = {column: _changes(connection, column, identity, redactor) for column in _columns(connection)}
    tables = {column.table for column in found}
    places = {
        table: {change.place for column, changes in found.items() if column.table == table for change in changes}
        for table in tables
    }
    return {f"dagster.{table.removeprefix('public.')}": len(rows) for table, rows in sorted(places.items()) if rows}


def erase(connection: Connection, identity: Identity, redactor: Redactor) -> None:
    """Write the pseudonym into every record that names the person."""
    for column in _columns(connection):
        privacy.carry_out(connection, _changes(connection, column, identity, redactor, lock=True))


def _columns(connection: Connection) -> list[TextColumn]:
    return [column for column in privacy.columns(connection, (SCHEMA,)) if column.kind in {"text", "varchar"}]


def _changes(
    connection: Connection, column: TextColumn, identity: Identity, redactor: Redactor, *, lock: bool = False
) -> list[Change]:
    terms = {f"term_{number}": term for number, term in enumerate(_escaped(identity))}
    conditions = " OR ".join(f"position(:{name} in {column.searched}) > 0" for name in terms)
    query = text(
        f'SELECT ctid::text, "{column.name}" FROM {column.table} WHERE {conditions}'  # noqa: S608
        + (" FOR UPDATE" if lock else "")
    )
    rows = connection.execute(query, terms).all()
    redacted = [(place, value, _without(value, redactor)) for place, value in rows]
    return [Change(column, place, without) for place, value, without in redacted if without != value]


def _escaped(identity: Identity) -> list[str]:
    """The terms as they stand in JSON of ASCII, in small letters; a capital letter has an escape of its own."""
    terms = {*identity.terms, *identity.names}
    return sorted({json.dumps(term)[1:-1].lower() for term in terms} | set(identity.terms))


def _without(value: str, redactor: Redactor) -> str:
    try:
        record: Any = json.loads(value)
    except ValueError:
        return redactor.value(value)
    without = redactor.value(record)
    return value if without == record else json.dumps(without)
