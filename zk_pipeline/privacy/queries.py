"""Finding, exporting and erasing everything that is stored about a person, in any table.

Every text, JSON and binary column is searched, so that no new table can be forgotten; rows without names belong to a
person by their ids. SQL only excludes what cannot name the person; names are compared in Python
(`domain/redaction.py`).
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from zk_pipeline.domain.names import fold_text
from zk_pipeline.domain.redaction import ESCAPED, Erased, Finder, PersonIdentifiers, Redactor
from zk_pipeline.runtime import dagster_internals
from zk_pipeline.store import audit
from zk_pipeline.store.database import to_json
from zk_pipeline.store.encryption import TokenCipher, UndecryptableError
from zk_pipeline.store.tables import SCHEMAS

SECRETS = (
    *("password_hash", "token_hash", "refresh_hash", "previous_hash", "code_hash", "salt"),
    *("token_encrypted", "secret_encrypted"),
)
"""Columns that are never exported."""

_OF_DAGSTER = "public"
"""The schema of Dagster's tables in its own database."""

DETAILS = "sync.audit_details"
CHAIN = ("sync.audit_logs", DETAILS)
"""The chain itself names nobody; a detail that does is removed as a whole, since it is hashed."""

ACCOUNTS = (
    *("sync.users", "sync.sessions", "sync.api_tokens", "sync.failed_logins"),
    *("sync.second_factors", "sync.recovery_codes"),
)

ENCRYPTED = (("sync.acts", "answer"),)
"""Encrypted columns, which are searched decrypted."""

_AGENTS = "(SELECT * FROM unnest(CAST(:agent_connectors AS text[]), CAST(:agent_ids AS text[])))"
_KIMAI_USERS = "(SELECT * FROM unnest(CAST(:user_connectors AS text[]), CAST(:user_ids AS bigint[])))"
# Adjustments are entries without a row in Zammad; bookings of days that were never normalized have no entry.
_BOOKINGS = (
    f"(SELECT id FROM zammad.time_accountings WHERE (connector, agent_id) IN {_AGENTS} "  # noqa: S608
    f"UNION SELECT source_id FROM sync.normalized_entries WHERE (source, agent_id) IN {_AGENTS})"
)
_ACCOUNT = "ANY(CAST(:accounts AS bigint[]))"
_ACTOR = "IN (SELECT 'user:' || id FROM unnest(CAST(:accounts AS bigint[])) AS id)"

OWNED_ROWS: Mapping[str, str] = {
    "zammad.time_accountings": f"(connector, agent_id) IN {_AGENTS}",
    "kimai.timesheets": f"(connector, user_id) IN {_KIMAI_USERS}",
    "sync.normalized_entries": f"(source, agent_id) IN {_AGENTS}",
    "sync.reconciliation_results": f"source_id IN {_BOOKINGS}",
    "sync.pushes": f"source_id IN {_BOOKINGS}",
    "sync.adjustments": f"source_id IN {_BOOKINGS}",
    "sync.conflicts": f"source_id IN {_BOOKINGS}",
    "sync.corrections": f"correction_id IN {_BOOKINGS} OR reduced_id IN {_BOOKINGS}",
    "sync.moved_bookings": f"booking_id IN {_BOOKINGS}",
    "sync.writes": f"source_id IN {_BOOKINGS}",
    "sync.request_log": f"source_id IN {_BOOKINGS}",
    "sync.user_mappings": "agent_id = ANY(CAST(:agent_ids AS text[]))",
    "sync.carried_agents": f"(source, agent_id) IN {_AGENTS}",
    "sync.users": f"id = {_ACCOUNT}",
    "sync.sessions": f"user_id = {_ACCOUNT}",
    "sync.api_tokens": f"user_id = {_ACCOUNT}",
    "sync.second_factors": f"user_id = {_ACCOUNT}",
    "sync.recovery_codes": f"user_id = {_ACCOUNT}",
    "sync.failed_logins": "account_hash = :account_hash",
    "sync.audit_logs": f"actor {_ACTOR}",
    "sync.acts": f"actor {_ACTOR}",
    "sync.locked_timesheets": f"(connector, user_id) IN {_KIMAI_USERS}",
}
"""Which rows of a table belong to a person without naming them; the parameters are those of `Keys`."""

Keys = Mapping[str, Any]
"""The ids of a person in all systems, and `account_hash`, by which failed sign-ins are counted."""


class Search:
    """Finds a person in values, and replaces them by the pseudonym. `cipher` decrypts encrypted columns."""

    def __init__(self, identity: PersonIdentifiers, hashes: Erased, cipher: TokenCipher) -> None:
        self.identity = identity
        self.keywords = sorted(word for word in identity.keywords if word.isascii())
        self.cipher = cipher
        self._finder, self._redactor = Finder(identity), Redactor([hashes])

    def finds(self, value: Any, name: str = "") -> bool:
        """Whether a value of the column `name` names the person."""
        if value is None or not self._finder.may_find(_text_of(value)):
            return False
        return self._finder.finds(value) or (not isinstance(value, bytes) and self.without(value, name) != value)

    def without(self, value: Any, name: str = "") -> Any:
        """The value with the pseudonym instead of the person."""
        return self._redactor.value(value, name)


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column that may hold names; `kind` is PostgreSQL's type."""

    table: str
    name: str
    kind: str

    @property
    def may_name(self) -> str:
        """An SQL condition that holds for every value that names the person, and for some others.

        ASCII text without `:escaped` characters names the person only if it has one of the `:keywords`.
        """
        if self.kind == "bytea" or (self.table, self.name) in ENCRYPTED:
            return f'"{self.name}" IS NOT NULL'
        content = f'"{self.name}"::text'
        word = f'position(keyword IN lower({content} COLLATE "C")) > 0'
        return (
            f"(octet_length({content}) <> char_length({content}) OR {content} ~ :escaped "
            f"OR EXISTS (SELECT FROM unnest(CAST(:keywords AS text[])) AS keyword WHERE {word}))"
        )


@dataclass(frozen=True, slots=True)
class Replacement:
    """The new value for one that names the person; `place` is its row, valid within the transaction."""

    column: TextColumn
    place: str
    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """The names and ids of the person with an address."""

    identity: PersonIdentifiers
    keys: Keys


def find_person(connection: Connection, email: str, account_hash: str) -> KnownPerson:
    """The names and ids, in all systems, of the person with this address."""
    folded = fold_text(email)

    def found(query: str, *addresses: str) -> list[Any]:
        rows = connection.execute(text(query).execution_options(yield_per=5000))
        return [row for row in rows if folded in {fold_text(getattr(row, name) or "") for name in addresses}]

    agents = found("SELECT connector, id, email, name, login FROM zammad.agents", "email")
    users = found("SELECT connector, id, email, name, username FROM kimai.users", "email", "username")
    accounts = found("SELECT id, email, name FROM sync.users", "email")
    entries = found("SELECT DISTINCT user_email AS email, user_name AS name FROM sync.normalized_entries", "email")
    names = {row.name for row in (*agents, *users, *accounts, *entries)}
    logins = {row.login for row in agents} | {row.username for row in users}
    keys = {
        "agent_connectors": [row.connector for row in agents],
        "agent_ids": [row.id for row in agents],
        "user_connectors": [row.connector for row in users],
        "user_ids": [row.id for row in users],
        "accounts": [row.id for row in accounts],
        "account_hash": account_hash,
    }
    return KnownPerson(PersonIdentifiers(email, frozenset(names - {"", None}), frozenset(logins - {"", None})), keys)


def columns(connection: Connection, schemas: Sequence[str] = SCHEMAS) -> list[TextColumn]:
    """Every column of these schemas that can hold a name."""
    query = text(
        """
        SELECT c.table_schema || '.' || c.table_name, c.column_name, c.udt_name
        FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE c.table_schema = ANY(:schemas) AND t.table_type = 'BASE TABLE'
            AND c.udt_name IN ('text', 'varchar', 'bpchar', 'json', 'jsonb', '_text', '_varchar', 'bytea')
        ORDER BY 1, c.ordinal_position
        """
    )
    return [TextColumn(*row) for row in connection.execute(query, {"schemas": list(schemas)})]


def tables(connection: Connection) -> dict[str, list[TextColumn]]:
    """The columns by table, including tables whose rows belong to people only by ids."""
    found: dict[str, list[TextColumn]] = {table: [] for table in OWNED_ROWS}
    for column in columns(connection):
        found.setdefault(column.table, []).append(column)
    return dict(sorted(found.items()))


def count_owned(connection: Connection, keys: Keys) -> dict[str, int]:
    """The number of rows that belong to the person by their ids, by table."""
    found: dict[str, int] = {}
    for table, condition in OWNED_ROWS.items():
        ((found[table],),) = _executed(connection, f"SELECT count(*) FROM {table} WHERE {condition}", keys)  # noqa: S608
    return {table: number for table, number in found.items() if number}


def is_active_agent(connection: Connection, keys: Keys) -> bool:
    """Whether the person is an active agent, as last read from the source."""
    query = text(f"SELECT EXISTS (SELECT FROM zammad.agents WHERE (connector, id) IN {_AGENTS} AND active)")  # noqa: S608
    values = {name: keys[name] for name in ("agent_connectors", "agent_ids")}
    return connection.execute(query, values).scalar_one()


def only_admin(connection: Connection, keys: Keys) -> bool:
    """Whether the person is the only active admin."""
    query = text("SELECT array_agg(id) FROM sync.users WHERE role = 'admin' AND active")
    admins = connection.execute(query).scalar_one()
    return bool(admins) and set(admins) <= set(keys["accounts"])


def find_replacements(
    connection: Connection, column: TextColumn, search: Search, *, lock: bool = False
) -> list[Replacement]:
    """The values of a column that name the person, with their replacements.

    Bytes are emptied: only webhooks have any. `lock` locks these rows until the transaction ends.
    """
    chosen = f'SELECT ctid::text AS place, "{column.name}" AS value FROM {column.table} WHERE'  # noqa: S608
    rows = _executed(
        connection, f"{chosen} {column.may_name}", {"keywords": search.keywords, "escaped": ESCAPED.pattern}
    )
    naming = [row for row in rows if search.finds(_readable(column, row.value, search), column.name)]
    if lock and naming:
        places = {"places": [row.place for row in naming]}
        naming = list(_executed(connection, f"{chosen} ctid = ANY(CAST(:places AS tid[])) FOR UPDATE", places))
    return [Replacement(column, row.place, _without(column, row.value, search)) for row in naming]


def apply_replacements(connection: Connection, made: Sequence[Replacement]) -> None:
    """Write the new values."""
    for change in made:
        column = change.column
        query = text(
            f'UPDATE {column.table} SET "{column.name}" = CAST(:value AS {column.kind}) '  # noqa: S608
            "WHERE ctid = CAST(:place AS tid)"
        )
        value = to_json(change.value) if column.kind in {"json", "jsonb"} else change.value
        connection.execute(query, {"value": value, "place": change.place})


def remove_account(connection: Connection, keys: Keys) -> None:
    """Delete the person's account with its sessions and API tokens, and failed sign-ins with the address."""
    removal = text(f"DELETE FROM sync.users WHERE id = {_ACCOUNT}")  # noqa: S608
    connection.execute(removal, {"accounts": keys["accounts"]})
    removal = text("DELETE FROM sync.failed_logins WHERE account_hash = :account_hash")
    connection.execute(removal, {"account_hash": keys["account_hash"]})


def remove_details(connection: Connection, found: Sequence[Replacement], actor: str) -> None:
    """Remove details from the audit trail; its rows stay, and a new one lists the removed details."""
    query = text("SELECT id FROM sync.audit_details WHERE ctid = ANY(CAST(:places AS tid[]))")
    ids = connection.execute(query, {"places": [change.place for change in found]}).scalars().all()
    audit.remove_details(connection, ids, actor, "erasure")


def prepare_erasure(connection: Connection, search: Search) -> None:
    """Remove mappings under the pseudonym, in case the person was erased before and came back."""
    query = text("SELECT email FROM sync.user_mappings WHERE agent_id IS NULL")
    addresses = connection.execute(query).scalars().all()
    pseudonyms = {search.without(address) for address in addresses if search.finds(address)}
    removal = text("DELETE FROM sync.user_mappings WHERE agent_id IS NULL AND email = ANY(:pseudonyms)")
    connection.execute(removal, {"pseudonyms": list(pseudonyms)})


def rows_about(
    connection: Connection, table: str, searched: Sequence[TextColumn], search: Search, keys: Keys
) -> Iterator[Any]:
    """The rows of a table that name the person or belong to them, as JSON without secrets."""
    belonging = f"coalesce({OWNED_ROWS.get(table, 'false')}, false)"
    conditions = [belonging, *(column.may_name for column in searched)]
    names = "".join(f', t."{column.name}"' for column in searched)
    query = (
        f"SELECT {belonging}, to_jsonb(t) - CAST(:secrets AS text[]){names} FROM {table} t "  # noqa: S608
        f"WHERE {' OR '.join(conditions)}"
    )
    values = {**keys, "keywords": search.keywords, "escaped": ESCAPED.pattern, "secrets": list(SECRETS)}
    for theirs, row, *found in _executed(connection, query, values):
        readable = {
            column.name: _readable(column, value, search) for column, value in zip(searched, found, strict=True)
        }
        if theirs or any(search.finds(value, name) for name, value in readable.items()):
            texts = {name: value.decode(errors="replace") for name, value in readable.items() if _is_bytes(value)}
            texts |= {name: value for name, value in readable.items() if (table, name) in ENCRYPTED}
            yield _relevant_part(table, row | {name: value for name, value in texts.items() if name in row}, search)


def _executed(connection: Connection, query: str, values: Mapping[str, Any]) -> Iterator[Any]:
    """Execute a query with those of the values that it has parameters for."""
    statement = text(query).execution_options(yield_per=1000)
    yield from connection.execute(statement, {name: values[name] for name in text(query).compile().params})


def _relevant_part(table: str, row: dict[str, Any], search: Search) -> dict[str, Any]:
    """The part of a row that is about the person: of closed statements their lines and items, else the whole row."""
    if table != "sync.closed_statements":
        return row
    content = row["content"]
    kept = [value for customer in content["customers"] for value in customer.values() if isinstance(value, list)]
    found = [each for value in kept for each in value if isinstance(each, dict) and search.finds(each)]
    items = [each for each in found if "booking" in each]
    lines = [each for each in found if "booking" not in each]
    return {"id": row["id"], "month": content["month"], "lines": lines, "items": items}


def _readable(column: TextColumn, value: Any, search: Search) -> Any:
    """A value for the search: decrypted and decompressed."""
    if value is not None and (column.table, column.name) in ENCRYPTED:
        try:
            return search.cipher.decrypt(value)
        except UndecryptableError:  # The key is lost: nobody can read it.
            return value
    if not isinstance(value, (bytes, memoryview)):
        return value
    plain = bytes(value)
    try:
        return zlib.decompress(plain)
    except zlib.error:
        return plain


def _without(column: TextColumn, value: Any, search: Search) -> Any:
    readable = _readable(column, value, search)
    if isinstance(readable, bytes):
        return b""
    without = search.without(readable, column.name)
    return search.cipher.encrypt(without) if (column.table, column.name) in ENCRYPTED else without


def _text_of(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else to_json(value)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, bytes)


# Dagster's own database, where runs name people in messages, previews and tags.


@contextmanager
def dagsters_database(url: str) -> Iterator[Connection]:
    """A transaction on Dagster's database."""
    with dagster_internals.opened(url) as database, database.transaction() as connection:
        yield connection


def count_in_dagster(connection: Connection, search: Search) -> dict[str, int]:
    """The number of Dagster's records that name the person, by table."""
    places: dict[str, set[str]] = defaultdict(set)
    for column in columns(connection, (_OF_DAGSTER,)):
        places[_as_dagsters(column.table)] |= {change.place for change in find_replacements(connection, column, search)}
    return {table: len(found) for table, found in places.items() if found}


def rows_in_dagster(connection: Connection, search: Search) -> Iterator[tuple[str, Iterator[Any]]]:
    """Dagster's records that name the person, by table."""
    found: dict[str, list[TextColumn]] = defaultdict(list)
    for column in columns(connection, (_OF_DAGSTER,)):
        found[column.table].append(column)
    for table, searched in found.items():
        yield _as_dagsters(table), rows_about(connection, table, searched, search, {})


def erase_in_dagster(connection: Connection, search: Search) -> None:
    """Pseudonymize every record that names the person, except compressed ones, which are found by their hash."""
    for column in columns(connection, (_OF_DAGSTER,)):
        if column.kind != "bytea":
            apply_replacements(connection, find_replacements(connection, column, search, lock=True))


def _as_dagsters(table: str) -> str:
    return f"dagster.{table.removeprefix('public.')}"
