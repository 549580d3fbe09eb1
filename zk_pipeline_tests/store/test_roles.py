"""Two roles on a server of one's own: the application adds to the audit trail, and can do nothing else to it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.store import audit, roles, schema
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline_tests.databases import TRAIL_KEYS, careless_server
from zk_pipeline_tests.roles import APPLICATION, OWNER, SCRIPT, address, make_roles


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    """A server whose databases were made, and used, by one role that may do everything."""
    with careless_server(tmp_path_factory.mktemp("roles")) as running:
        with closing(Database(running.url(), TRAIL_KEYS)) as before:
            schema.migrate(before)
            with before.transaction() as connection:
                audit.bind(connection)
                connection.execute(text("CREATE TABLE marts.built (id integer)"))
                connection.execute(text("CREATE VIEW marts.seen AS TABLE marts.built"))
        yield running


@pytest.fixture(scope="module")
def application(server: DatabaseEndpoint) -> Iterator[Database]:
    """That database after the upgrade to two roles, by the one that works."""
    made = make_roles(server)
    assert (made.returncode, made.stderr) == (0, "")
    with closing(Database(address(server.url(), OWNER), TRAIL_KEYS)) as owner:
        schema.migrate(owner, APPLICATION)
    with closing(Database(address(server.url(), APPLICATION), TRAIL_KEYS)) as database:
        with database.transaction() as connection:
            audit.append(connection, [AuditEvent("thing.done", "user:1", f"thing:{n}", {"n": n}) for n in range(4)])
        yield database


ATTACKS = (
    "UPDATE sync.audit_logs SET actor = 'somebody'",
    "DELETE FROM sync.audit_logs",
    "TRUNCATE sync.audit_logs CASCADE",
    "DROP TABLE sync.audit_logs CASCADE",
    "DROP SCHEMA sync CASCADE",
    "DROP DATABASE zk",
    "ALTER TABLE sync.audit_logs DISABLE TRIGGER ALL",
    "ALTER TABLE sync.audit_logs RENAME TO gone",
    "ALTER TABLE sync.audit_logs OWNER TO CURRENT_USER",
    "ALTER TABLE sync.audit_logs ADD COLUMN more text",
    "CREATE TRIGGER mine BEFORE INSERT ON sync.audit_logs EXECUTE FUNCTION sync.refuse_audit_change()",
    "CREATE RULE mine AS ON INSERT TO sync.audit_logs DO INSTEAD NOTHING",
    "CREATE INDEX mine ON sync.audit_logs (lower(actor))",
    "GRANT UPDATE ON sync.audit_logs TO CURRENT_USER; UPDATE sync.audit_logs SET actor = 'me'",
    "UPDATE sync.audit_details SET detail = '{}'",
    "SET zk.erasing_audit_details = 'on'; DELETE FROM sync.audit_details",
    "SET zk.erasing_audit_details = 'on'; TRUNCATE sync.audit_details",
    "DROP TRIGGER audit_details_kept ON sync.audit_details",
    "UPDATE sync.audit_head SET number = number + 1",
    "DELETE FROM sync.audit_head",
    "INSERT INTO sync.audit_head SELECT 2, number, hash, seal FROM sync.audit_head",
    "SELECT sync.move_audit_head('forged')",
    "SELECT sync.remove_audit_details(2)",
    "CREATE OR REPLACE FUNCTION sync.move_audit_head(text) RETURNS void LANGUAGE sql AS ''",
    "DROP FUNCTION sync.refuse_audit_change() CASCADE",
    "CREATE FUNCTION sync.mine() RETURNS void LANGUAGE sql AS ''",
    "CREATE TABLE sync.audit_mine ()",
    "SET session_replication_role = replica",
    "SET ROLE zk_owner",
    "SET SESSION AUTHORIZATION zk_owner",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE zk_owner PASSWORD 'mine'",
    "CREATE ROLE mine",
    "COPY sync.audit_logs FROM PROGRAM 'echo'",
    "BEGIN; LOCK TABLE sync.audit_logs IN ACCESS EXCLUSIVE MODE",
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_application_cannot_change_the_trail(server: DatabaseEndpoint, application: Database, attack: str) -> None:
    with application.transaction() as connection:
        before = audit.anchor(connection)
    with (
        psycopg.connect(**server.parameters() | {"user": APPLICATION}, autocommit=True) as attacker,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        attacker.execute(attack.encode())
    with application.transaction() as connection:
        assert audit.anchor(connection) == before
        assert audit.verify(connection).broken_at is None


def test_the_application_is_no_superuser_and_owns_nothing_but_the_marts(application: Database) -> None:
    query = "SELECT string_agg(DISTINCT nspname, ' ') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
    with application.transaction() as connection:
        assert connection.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar() is False
        owned = query + "WHERE relowner = to_regrole(current_user::text) AND nspname NOT LIKE 'pg\\_%'"
        assert connection.execute(text(owned)).scalar() == "marts"
        assert not roles.may_change_trail(connection)
        connection.execute(text("DROP VIEW marts.seen"))
        connection.execute(text("CREATE TABLE marts.more AS TABLE marts.built"))


def test_details_go_for_an_erasure_that_the_chain_tells_of(application: Database) -> None:
    with application.transaction() as connection:
        assert audit.remove_details(connection, [3, 4, 99], "user:2", "erasure") == 2
    with application.transaction() as connection:
        assert audit.remove_details(connection, [3, 4, 99], "user:2", "erasure") == 0
        left = connection.execute(text("SELECT id FROM sync.audit_details ORDER BY id")).scalars().all()
        assert left == [1, 2, 5, 6]
        assert audit.verify(connection).broken_at is None


def test_the_owner_is_known_to_be_able_to_change_the_trail(server: DatabaseEndpoint, application: Database) -> None:
    for role in (OWNER, server.user):
        with closing(Database(address(server.url(), role))) as database, database.transaction() as connection:
            assert roles.may_change_trail(connection)


@pytest.mark.parametrize(("role", "problem"), [("nobody_here", "does not exist"), (OWNER, "owner itself")])
def test_an_application_that_is_no_lesser_role_is_refused(
    server: DatabaseEndpoint, application: Database, role: str, problem: str
):
    with (
        closing(Database(address(server.url(), OWNER), TRAIL_KEYS)) as owner,
        pytest.raises(schema.SchemaError, match=rf"{role}.*{problem}.*roles\.sql"),
    ):
        schema.migrate(owner, role)


def test_the_application_says_who_has_to_migrate(server: DatabaseEndpoint, application: Database) -> None:
    revision = "UPDATE alembic_version SET version_num = :revision"
    with closing(Database(server.url())) as superuser, superuser.transaction() as connection:
        now = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text(revision), {"revision": "0025"})
    try:
        with pytest.raises(schema.SchemaError, match=r"at revision 0025.*zk migrate.*ZK_DATABASE_OWNER_URL"):
            schema.migrate(application)
    finally:
        with closing(Database(server.url())) as superuser, superuser.transaction() as connection:
            connection.execute(text(revision), {"revision": now})


def test_the_script_makes_both_databases_anew_and_may_run_again(
    server: DatabaseEndpoint, application: Database
) -> None:
    application.close()
    with psycopg.connect(**server.parameters("postgres"), autocommit=True) as connection:
        for name in ("zk", "dagster"):
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        for _ in range(2):
            made = make_roles(server)
            assert (made.returncode, made.stderr) == (0, "")
        query = "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname IN ('zk', 'dagster')"
        assert dict(connection.execute(query.encode()).fetchall()) == {"zk": OWNER, "dagster": APPLICATION}
    with closing(Database(address(server.url(), OWNER), TRAIL_KEYS)) as owner:
        schema.migrate(owner, APPLICATION)


def test_the_part_of_the_script_does_nothing_by_itself(server: DatabaseEndpoint, application: Database) -> None:
    made = make_roles(server, script=SCRIPT.with_name("take_over.sql"))
    assert (made.returncode, made.stderr) == (0, "")


def test_the_script_makes_no_role_without_a_password(server: DatabaseEndpoint, tmp_path: Path) -> None:
    made = make_roles(server, {"DATABASE_PASSWORD": "one"})
    assert made.returncode != 0
    assert "Set DATABASE_OWNER_PASSWORD" in made.stderr
