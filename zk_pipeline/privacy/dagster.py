"""Searching and erasing a person in every table of Dagster's database."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.privacy import queries
from zk_pipeline.privacy.queries import Search, TextColumn
from zk_pipeline.runtime import dagster_internals

SCHEMA = "public"


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    """A transaction on Dagster's database."""
    with dagster_internals.opened(url) as database, database.transaction() as connection:
        yield connection


def count_matches(connection: Connection, search: Search) -> dict[str, int]:
    """The number of records that name the person, by table."""
    places: dict[str, set[str]] = defaultdict(set)
    for column in _columns(connection):
        places[_shown(column.table)] |= {
            change.place for change in queries.find_replacements(connection, column, search)
        }
    return {table: len(found) for table, found in places.items() if found}


def rows_about(connection: Connection, search: Search) -> Iterator[tuple[str, Iterator[Any]]]:
    """The records that name the person, by table."""
    tables: dict[str, list[TextColumn]] = defaultdict(list)
    for column in _columns(connection):
        tables[column.table].append(column)
    for table, searched in tables.items():
        yield _shown(table), queries.rows_about(connection, table, searched, search, {})


def erase(connection: Connection, search: Search) -> None:
    """Pseudonymize every record that names the person, except compressed ones, which are found by their hash."""
    for column in _columns(connection):
        if column.kind != "bytea":
            queries.apply_replacements(connection, queries.find_replacements(connection, column, search, lock=True))


def _columns(connection: Connection) -> list[TextColumn]:
    return queries.columns(connection, (SCHEMA,))


def _shown(table: str) -> str:
    return f"dagster.{table.removeprefix('public.')}"
