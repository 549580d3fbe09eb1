"""The database of every release leads to this version, back, and here again, and no row is lost on the way."""

import re
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import func, select, text

from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.store import audit, connectors, mappings, schema
from zk_pipeline.store.database import Database
from zk_pipeline_tests.databases import TRAIL_KEYS
from zk_pipeline_tests.store.make_release import RELEASES, ROWS, fill, tables

DUMPS = sorted(RELEASES.glob("*.sql"))
Content = dict[str, list[dict[str, Any]]]


@pytest.fixture
def empty(endpoint: DatabaseEndpoint) -> Iterator[Database]:
    """A database without anything in it."""
    name = sql.Identifier("upgraded")
    with psycopg.connect(**endpoint.parameters(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    database = Database(endpoint.url("upgraded"))
    yield database
    database.close()


@pytest.fixture(params=DUMPS, ids=lambda path: path.stem)
def released(empty: Database, endpoint: DatabaseEndpoint, request: pytest.FixtureRequest) -> Database:
    """The database as a release left it."""
    dump: Path = request.param
    with psycopg.connect(**endpoint.parameters("upgraded")) as connection:
        connection.execute(dump.read_bytes())
    return empty


def test_each_release_has_its_dump() -> None:
    headings = re.findall(r"^## (.+)$", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert {dump.stem for dump in DUMPS} == {heading for heading in headings if "unreleased" not in heading}


def test_a_release_has_rows_in_every_table(released: Database) -> None:
    with released.transaction() as connection:
        counts = {
            table.fullname: connection.scalar(select(func.count()).select_from(table))
            for table in tables(connection)
            if table.name != "audit_head"  # It has one row by its nature.
        }
    assert counts
    assert set(counts.values()) == {ROWS}


def test_an_upgrade_keeps_every_row(released: Database) -> None:
    before = content(released)
    assert schema.migrate(released) == head()
    assert common(content(released), before) == before


def test_the_audit_chain_of_a_release_still_verifies(released: Database, endpoint: DatabaseEndpoint) -> None:
    with closing(Database(endpoint.url("upgraded"), TRAIL_KEYS)) as database:
        schema.migrate(database)
        with database.transaction() as connection:
            chain = audit.verify(connection)
    assert (chain.rows, chain.broken_at) == (ROWS + 1, None)


def test_a_release_comes_back_as_it_was_and_can_be_upgraded_again(released: Database) -> None:
    before, revision = content(released), current(released)
    schema.migrate(released)
    downgrade(released, revision)
    assert content(released) == before
    schema.migrate(released)
    assert common(content(released), before) == before


def test_each_step_back_and_forth_works_on_rows_of_this_version(empty: Database, endpoint: DatabaseEndpoint) -> None:
    schema.migrate(empty)
    with closing(Database(endpoint.url("upgraded"), TRAIL_KEYS)) as keyed, keyed.transaction() as connection:
        fill(connection)
    for revision in revisions()[1:]:
        downgrade(empty, revision)
        before = content(empty)
        schema.migrate(empty)
        after = common(content(empty), before)
        assert after == before, revision


def test_mappings_by_address_become_those_of_the_agents_whom_the_directory_knows(empty: Database) -> None:
    schema.migrate(empty)
    downgrade(empty, "0011")
    agents = [(1, "Anna@ex.de", True), (2, "desk@ex.de", True), (3, "desk@ex.de", True), (4, "old@ex.de", False)]
    agents += [(5, "moved@ex.de", False), (6, "moved@ex.de", True)]
    addresses = ["anna@ex.de", "desk@ex.de", "gone@ex.de", "moved@ex.de", "old@ex.de"]
    with empty.transaction() as connection:
        columns = "name, role, kind, base_url, token_encrypted"
        connection.execute(text(f"INSERT INTO sync.connectors ({columns}) VALUES ('z', 'source', 'z', '', '')"))
        for id_, email, active in agents:
            connection.execute(
                text(
                    "INSERT INTO zammad.agents (connector, id, login, email, name, active) "
                    "VALUES ('z', :id, '', :email, '', :active)"
                ),
                {"id": id_, "email": email, "active": active},
            )
        for user, email in enumerate(addresses, start=10):
            values = {"email": email, "user": user}
            connection.execute(text("INSERT INTO sync.user_mappings VALUES (:email, :user)"), values)
    schema.migrate(empty)
    with empty.transaction() as connection:
        found = mappings.load(connection, "z").users
    assert found == {"1": 10, "desk@ex.de": 11, "gone@ex.de": 12, "6": 13, "4": 14}
    downgrade(empty, "0011")
    with empty.transaction() as connection:
        rows = connection.execute(text("SELECT email, kimai_user_id FROM sync.user_mappings ORDER BY 1")).all()
    assert [tuple(row) for row in rows] == list(zip(addresses, range(10, 15), strict=True))


@pytest.mark.parametrize(
    ("sources", "spaces"),
    [
        ([("helpdesk", "zammad", True)], ["zammad"]),
        ([("helpdesk", "zammad", False)], ["zammad"]),
        ([("csv", "csv", True)], ["zammad"]),
        ([("csv", "csv", True), ("zammad", "zammad", False)], ["zammad", "zammad-2"]),
        ([("jira", "jira", False), ("desk", "zammad", True)], ["jira", "zammad"]),
        ([("jira", "jira", False)], ["jira"]),
        ([("j" * 60, "jira", False)], ["j" * 12 + "-1"]),
    ],
)
def test_what_has_bookings_keeps_its_numbers(
    empty: Database, sources: list[tuple[str, str, bool]], spaces: list[str]
) -> None:
    schema.migrate(empty)
    downgrade(empty, "0037")
    with empty.transaction() as connection:
        for name, kind, has_bookings in sources:
            connection.execute(
                text(
                    "INSERT INTO sync.connectors (name, role, kind, base_url, token_encrypted) "
                    "VALUES (:name, 'source', :kind, '', '')"
                ),
                {"name": name, "kind": kind},
            )
            if has_bookings:
                connection.execute(
                    text(
                        "INSERT INTO zammad.time_accountings (connector, id, ticket_id, agent_id, units, created_at, "
                        "updated_at, work_day, raw, sweep_id) "
                        "VALUES (:name, '1', '1', '1', 1, now(), now(), '2025-08-04', '{}', 1)"
                    ),
                    {"name": name},
                )
    schema.migrate(empty)
    with empty.transaction() as connection:
        assert connectors.number_spaces(connection) == spaces


def test_what_was_read_of_time_sheets_before_tells_their_amounts_and_breaks(empty: Database) -> None:
    schema.migrate(empty)
    downgrade(empty, "0018")
    payloads = {
        1: '{"rate": 6.6667, "break": 600, "hourlyRate": 80.0, "fixedRate": null}',
        2: '{"rate": "a lot", "break": null, "hourlyRate": 1e30}',
        3: "{}",
    }
    with empty.transaction() as connection:
        for id_, raw in payloads.items():
            connection.execute(
                text(
                    "INSERT INTO kimai.timesheets (connector, id, user_id, project_id, activity_id, begin_at, "
                    "duration_seconds, description, tags, exported, billable, raw) "
                    "VALUES ('k', :id, 1, 1, 1, now(), 300, '', '{}', false, true, CAST(:raw AS jsonb))"
                ),
                {"id": id_, "raw": raw},
            )
            connection.execute(
                text(
                    "INSERT INTO sync.pushes (connector, source_id, state, operation, entry_date, payload_hash, asked, "
                    "kimai_id, base, facts_hash, message, attempts, run_id, intended_at, updated_at) VALUES "
                    "('k', :source, 'confirmed', 'create', '2025-10-06', '', '{}', :id, "
                    "jsonb_build_object('raw', CAST(:raw AS jsonb)), '', '', 1, 'r', now(), now())"
                ),
                {"source": str(id_), "id": id_, "raw": raw},
            )
    schema.migrate(empty)
    with empty.transaction() as connection:
        sheets = connection.execute(text("SELECT id, rate, break_seconds FROM kimai.timesheets ORDER BY id")).all()
        query = text("SELECT kimai_id, base - 'raw' FROM sync.pushes ORDER BY kimai_id")
        bases = {row[0]: row[1] for row in connection.execute(query)}
    assert [tuple(row) for row in sheets] == [(1, Decimal("6.6667"), 600), (2, None, 0), (3, None, 0)]
    assert bases == {1: {"rate": "6.6667", "hourly_rate": "80.0", "break_seconds": 600}, 2: {}, 3: {}}


def content(database: Database) -> Content:
    """All rows of all tables by their name."""
    with database.transaction() as connection:
        return {
            table.fullname: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in tables(connection)
        }


def common(now: Content, before: Content) -> Content:
    """What is there now, as far as its tables and columns were there before. Ids of sources were numbers once."""
    return {
        name: [
            {column: as_before(row[column], rows[0][column]) for column in rows[0] if column in row} if rows else row
            for row in now[name]
        ]
        for name, rows in before.items()
    }


def as_before(value: Any, before: Any) -> Any:
    """A value as a number where one stood there before."""
    if isinstance(value, list) and value and before:
        return [as_before(item, before[0]) for item in value]
    return int(value) if isinstance(value, str) and isinstance(before, int) else value


def downgrade(database: Database, revision: str) -> None:
    with database.transaction() as connection:
        command.downgrade(schema._config(connection), revision)


def current(database: Database) -> str:
    with database.transaction() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()


def revisions() -> list[str]:
    """All revisions, the newest first."""
    return [script.revision for script in ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions()]


def head() -> str:
    return revisions()[0]
