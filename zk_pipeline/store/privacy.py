"""Queries on everything that is stored about one person, in whatever table: to hand it out, and to erase it.

Texts are searched in every text and JSON column that the database has, so that no new table can be forgotten; rows that
name nobody belong to a person by the ids of their systems.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from zk_pipeline.domain.redaction import Identity, Redactor
from zk_pipeline.store import audit
from zk_pipeline.store.columns import SCHEMAS
from zk_pipeline.store.database import to_json

SECRETS = ("password_hash", "token_hash", "refresh_hash", "previous_hash", "salt", "token_encrypted")
"""Columns that are handed out to nobody."""

DETAILS = "sync.audit_details"
CHAIN = ("sync.audit_logs", DETAILS)
"""The trail names nobody in the chain itself; a detail that does is taken out as a whole, since it is hashed."""

ACCOUNTS = ("sync.users", "sync.sessions", "sync.api_tokens", "sync.failed_logins")

_AGENTS = "(SELECT connector, id FROM zammad.agents WHERE lower(email) = :email)"
_KIMAI_USERS = "(SELECT connector, id FROM kimai.users WHERE :email IN (lower(email), lower(username)))"
# Adjustments are entries without a row in Zammad; bookings of days that were never normalized have no entry.
_BOOKINGS = (
    f"(SELECT id::text FROM zammad.time_accountings WHERE (connector, agent_id) IN {_AGENTS} "  # noqa: S608
    f"UNION SELECT source_id FROM sync.normalized_entries WHERE (source, agent_id) IN {_AGENTS})"
)
_ACCOUNT = "(SELECT id FROM sync.users WHERE lower(email) = :email)"

BELONGING: Mapping[str, str] = {
    "zammad.time_accountings": f"(connector, agent_id) IN {_AGENTS}",
    "kimai.timesheets": f"(connector, user_id) IN {_KIMAI_USERS}",
    "sync.normalized_entries": f"(source, agent_id) IN {_AGENTS}",
    "sync.reconciliation_results": f"source_id IN {_BOOKINGS}",
    "sync.pushes": f"source_id IN {_BOOKINGS}",
    "sync.adjustments": f"source_id IN {_BOOKINGS}",
    "sync.conflicts": f"source_id IN {_BOOKINGS}",
    "sync.corrections": f"correction_id::text IN {_BOOKINGS} OR reduced_id::text IN {_BOOKINGS}",
    "sync.moved_bookings": f"booking_id::text IN {_BOOKINGS}",
    "sync.writes": f"source_id IN {_BOOKINGS}",
    "sync.request_log": f"source_id IN {_BOOKINGS}",
    "sync.user_mappings": f"agent_id IN (SELECT id FROM {_AGENTS} AS agent)",  # noqa: S608
    "sync.carried_agents": f"agent_id IN (SELECT id FROM {_AGENTS} AS agent)",  # noqa: S608
    "sync.users": f"id IN {_ACCOUNT}",
    "sync.sessions": f"user_id IN {_ACCOUNT}",
    "sync.api_tokens": f"user_id IN {_ACCOUNT}",
    "sync.failed_logins": "account_hash = :account_hash",
    "sync.audit_logs": f"actor IN (SELECT 'user:' || id FROM {_ACCOUNT} AS account)",  # noqa: S608
}
"""Which rows of a table are a person's without naming them; the keys are those of `Keys`."""

SHOWN: Mapping[str, str] = {
    "sync.closed_statements": (
        "jsonb_build_object('id', t.id, 'month', t.content -> 'month', 'lines', (SELECT jsonb_agg(line) FROM "
        "jsonb_path_query(t.content, '$.customers[*].lines[*]') AS line WHERE lower(line ->> 'agent_email') = :email), "
        "'items', (SELECT jsonb_agg(item) FROM jsonb_path_query(t.content, '$.customers[*].*[*]') AS item "
        "WHERE item ? 'booking' AND lower(item ->> 'agent_email') = :email))"
    )
}
"""What of a row is about the person, where the row is about many others as well; of all other tables it is the row."""

Keys = Mapping[str, str]
"""`email` in small letters, and `account_hash`, by which failed sign-ins are counted."""


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column that may hold anything a person typed; `kind` is PostgreSQL's type."""

    table: str
    name: str
    kind: str

    @property
    def searched(self) -> str:
        """Its content as text in small letters; bytes that are no ASCII are escaped."""
        return f"lower(encode(\"{self.name}\", 'escape'))" if self.kind == "bytea" else f'lower("{self.name}"::text)'


@dataclass(frozen=True, slots=True)
class Change:
    """A value that names the person, and what it is without them; `place` is its row, valid within the transaction."""

    column: TextColumn
    place: str
    value: Any


def identity_of(connection: Connection, email: str) -> Identity:
    """What the person of this address is called in either system and here."""
    query = text(
        """
        SELECT name, login FROM zammad.agents WHERE lower(email) = :email
        UNION SELECT name, username FROM kimai.users WHERE :email IN (lower(email), lower(username))
        UNION SELECT name, '' FROM sync.users WHERE lower(email) = :email
        UNION SELECT user_name, '' FROM sync.normalized_entries WHERE lower(user_email) = :email
        """
    )
    rows = connection.execute(query, {"email": email}).all()
    return Identity(email, frozenset(row[0] for row in rows if row[0]), frozenset(row[1] for row in rows if row[1]))


def columns(connection: Connection, schemas: Sequence[str] = SCHEMAS) -> list[TextColumn]:
    """Every column of every table, of ours unless told otherwise, that can hold a name."""
    query = text(
        """
        SELECT c.table_schema || '.' || c.table_name, c.column_name, c.udt_name
        FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE c.table_schema = ANY(:schemas) AND t.table_type = 'BASE TABLE'
            AND c.udt_name IN ('text', 'varchar', 'jsonb', '_text', 'bytea')
        ORDER BY 1, c.ordinal_position
        """
    )
    return [TextColumn(*row) for row in connection.execute(query, {"schemas": list(schemas)})]


def tables(connection: Connection) -> dict[str, list[TextColumn]]:
    """The columns by table, with the tables whose rows belong to people by their numbers alone."""
    found: dict[str, list[TextColumn]] = {table: [] for table in BELONGING}
    for column in columns(connection):
        found.setdefault(column.table, []).append(column)
    return dict(sorted(found.items()))


def belonging(connection: Connection, keys: Keys) -> dict[str, int]:
    """How many rows of each table are the person's without naming them."""
    found: dict[str, int] = {}
    for table, condition in BELONGING.items():
        query = text(f"SELECT count(*) FROM {table} WHERE {condition}")  # noqa: S608 (from the constants above)
        found[table] = connection.execute(query, dict(keys)).scalar_one()
    return {table: number for table, number in found.items() if number}


def is_active_agent(connection: Connection, email: str) -> bool:
    """Whether the source said at last that the person works there."""
    query = text("SELECT EXISTS (SELECT FROM zammad.agents WHERE lower(email) = :email AND active)")
    return connection.execute(query, {"email": email}).scalar_one()


def only_admin(connection: Connection, email: str) -> bool:
    """Whether the person is the one active admin of the console."""
    query = text("SELECT array_agg(lower(email)) FROM sync.users WHERE role = 'admin' AND active")
    return connection.execute(query).scalar_one() == [email]


def changes(
    connection: Connection, column: TextColumn, identity: Identity, redactor: Redactor, *, lock: bool = False
) -> list[Change]:
    """The values of a column that name the person; what merely looks like it is left out.

    Bytes, which only webhooks have, are emptied: what they hint at is in columns beside them. `lock` keeps everybody
    else from writing these rows until the transaction ends.
    """
    query = text(
        f'SELECT ctid::text, "{column.name}" FROM {column.table} WHERE {_mentions(column, identity)}'  # noqa: S608
        + (" FOR UPDATE" if lock else "")
    )
    rows = connection.execute(query, _terms(identity)).all()
    if column.kind == "bytea":
        return [Change(column, place, b"") for place, _ in rows]
    redacted = [(place, value, redactor.value(value, column.name)) for place, value in rows]
    return [Change(column, place, without) for place, value, without in redacted if without != value]


def carry_out(connection: Connection, made: Sequence[Change]) -> None:
    """Write values without the person."""
    for change in made:
        column = change.column
        query = text(
            f'UPDATE {column.table} SET "{column.name}" = CAST(:value AS {column.kind}) '  # noqa: S608
            "WHERE ctid = CAST(:place AS tid)"
        )
        value = to_json(change.value) if column.kind == "jsonb" else change.value
        connection.execute(query, {"value": value, "place": change.place})


def one_at_a_time(connection: Connection) -> None:
    """Have other erasures wait until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:privacy', 0))"))


def remove_account(connection: Connection, keys: Keys) -> None:
    """Remove the person's account, with its sessions and API tokens, and failed sign-ins by the address."""
    connection.execute(text("DELETE FROM sync.users WHERE lower(email) = :email"), dict(keys))
    connection.execute(text("DELETE FROM sync.failed_logins WHERE account_hash = :account_hash"), dict(keys))


def remove_details(connection: Connection, found: Sequence[Change]) -> None:
    """Remove details of the trail; the rows of the chain stay."""
    audit.let_details_go(connection)
    query = text("DELETE FROM sync.audit_details WHERE ctid = ANY(CAST(:places AS tid[]))")
    connection.execute(query, {"places": [change.place for change in found]})


def make_way_for(connection: Connection, identity: Identity, redactor: Redactor) -> None:
    """Remove the mapping under the pseudonym of somebody who was erased before and came back."""
    query = text(
        """
        DELETE FROM sync.user_mappings WHERE agent_id IS NULL AND email = :pseudonym
            AND EXISTS (SELECT FROM sync.user_mappings WHERE agent_id IS NULL AND email = :email)
        """
    )
    connection.execute(query, {"pseudonym": redactor.value(identity.email), "email": identity.email})


def rows_about(
    connection: Connection, table: str, searched: Sequence[TextColumn], identity: Identity, keys: Keys
) -> Iterator[Any]:
    """The rows of a table that name the person or belong to them, as JSON values without secrets."""
    conditions = [BELONGING.get(table, "false"), *(_mentions(column, identity) for column in searched)]
    query = text(
        f"SELECT {SHOWN.get(table, 'to_jsonb(t)')} - CAST(:secrets AS text[]) FROM {table} t "  # noqa: S608
        f"WHERE {' OR '.join(conditions)}"
    )
    values = {**_terms(identity), **keys, "secrets": list(SECRETS)}
    yield from connection.execute(query.execution_options(yield_per=1000), values).scalars()


def _mentions(column: TextColumn, identity: Identity) -> str:
    term = "lower(encode(convert_to(:{}, 'UTF8'), 'escape'))" if column.kind == "bytea" else ":{}"
    names = [f"term_{number}" for number, _ in enumerate(identity.terms)]
    return "(" + " OR ".join(f"position({term.format(name)} in {column.searched}) > 0" for name in names) + ")"


def _terms(identity: Identity) -> dict[str, str]:
    return {f"term_{number}": term for number, term in enumerate(identity.terms)}
