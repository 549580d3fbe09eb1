"""`zk connectors`: stored from the command line, tried on the simulated systems, and never shown with their token."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from zk_pipeline.store import connectors
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.cli.conftest import Homes, Sandbox, Zk

NO_SYSTEMS = {"ZK_ZAMMAD_URL": "", "ZK_ZAMMAD_TOKEN": "", "ZK_KIMAI_URL": "", "ZK_KIMAI_TOKEN": ""}


def test_the_active_connectors_are_listed_without_their_tokens(zk: Zk) -> None:
    result = zk("connectors", "list", "--json")
    rows = json.loads(result.stdout)
    assert [(row["name"], row["role"], row["kind"]) for row in rows] == [
        ("zammad", "source", "zammad"),
        ("kimai", "target", "kimai"),
    ]
    assert set(rows[0]) == {"name", "role", "kind", "base_url"}
    assert zk.home.variables["ZK_ZAMMAD_TOKEN"] not in result.stdout


def test_a_connector_is_stored_and_changed_by_its_kind(homes: Homes) -> None:
    zk = Zk(homes.new())
    for host in ("one", "two"):
        address = f"https://{host}.example.com/api/v1/"
        stored = zk("connectors", "set", "zammad", address, "--token", "hidden-token", **NO_SYSTEMS)
        assert stored.exit_code == 0, stored.stderr
        assert "hidden-token" not in stored.output
    rows = json.loads(zk("connectors", "list", "--json", **NO_SYSTEMS).stdout)
    assert [(row["name"], row["base_url"]) for row in rows] == [("zammad", "https://two.example.com")]
    query = "SELECT event, actor LIKE 'cli:%' FROM sync.audit_logs WHERE subject = 'connector:zammad' ORDER BY id"
    with zk.home.database() as database, database.transaction() as connection:
        assert [tuple(row) for row in connection.execute(text(query))] == [
            ("connector.created", True),
            ("connector.changed", True),
        ]


def test_no_source_of_the_environment_is_used_where_there_are_bookings_of_another(zk: Zk) -> None:
    assert zk("connectors", "list").exit_code == 0
    statements = (
        "UPDATE sync.connectors SET name = 'redmine' WHERE name = 'zammad'",
        """
        INSERT INTO zammad.time_accountings (
            connector, id, ticket_id, agent_id, sweep_id, units, created_at, updated_at, work_day, raw
        ) VALUES ('redmine', 6, 50, 3, 1, 15, '2025-08-16T08:00Z', '2025-08-16T08:00Z', '2025-08-16', '{}')
        """,
    )
    with zk.home.database() as database, database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))
    refused = zk("sync", "--from", "2025-08-16", "--to", "2025-08-16")
    assert refused.exit_code == 1
    assert "'zammad' cannot be used here: there are bookings of another system" in refused.stderr
    assert "redmine" in zk("connectors", "list", **NO_SYSTEMS).stdout


def test_a_kind_that_is_not_installed_is_named(zk: Zk) -> None:
    result = zk("connectors", "set", "jira", "https://jira.example.com", "--token", "unused")
    assert result.exit_code == 1
    assert "kind: 'jira' is not installed. Choose one of kimai, zammad." in result.stderr


def test_a_test_shows_both_systems_and_fails_with_a_wrong_token(zk: Zk) -> None:
    good = zk("connectors", "test", "--json")
    assert good.exit_code == 0
    assert all(found["ok"] for found in json.loads(good.stdout).values())
    bad = zk("connectors", "test", ZK_KIMAI_TOKEN="wrong-token")
    assert bad.exit_code == 1
    assert "fail" in bad.stdout
    assert "wrong-token" not in bad.output


READING = [
    ("status",),
    ("status", "--json"),
    ("connectors", "list"),
    ("connectors", "test"),
    ("conflicts", "list"),
    ("mappings", "list"),
    ("schedule", "show"),
    ("credits",),
    ("statement", "2025-09"),
    ("trace", "1"),
    ("audit", "verify"),
    ("audit", "export"),
    ("gdpr", "erase", "anna@example.com", "--plan"),
    ("users", "list"),
    ("doctor",),
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_no_reading_command_stores_or_encrypts_a_credential(zk: Zk, command: tuple[str, ...]) -> None:
    other = {
        "ZK_ENCRYPTION_KEY": generate_key(),
        "ZK_KIMAI_URL": "http://127.0.0.1:9",
        "ZK_ZAMMAD_TOKEN": "another",
    }

    def rows() -> list[tuple[object, ...]]:
        with zk.home.database() as database, database.transaction() as connection:
            return [tuple(row) for row in connection.execute(text("SELECT * FROM sync.connectors ORDER BY id"))]

    before = rows()
    zk(*command, **other)
    zk(*command, ZK_ENCRYPTION_KEY=other["ZK_ENCRYPTION_KEY"])
    assert rows() == before


def test_the_next_start_stores_what_the_environment_has(zk: Zk) -> None:
    assert zk("migrate", ZK_ZAMMAD_TOKEN="another").exit_code == 0
    with zk.home.database() as database, database.transaction() as connection:
        stored = connectors.active(connection, "source", TokenCipher(zk.home.variables["ZK_ENCRYPTION_KEY"]))
    assert stored is not None
    assert stored.token == "another"


def test_before_the_first_start_a_reading_command_uses_the_systems_of_the_environment(
    homes: Homes, sandbox: Sandbox
) -> None:
    fresh = Zk(homes.new())
    assert fresh("connectors", "test").exit_code == 0
    with fresh.home.database() as database, database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM sync.connectors")).scalar() == 0


def test_an_env_file_that_everybody_may_read_is_told_by_every_command(zk: Zk, tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("ZK_GRID_MINUTES=15\n")
    for mode, told in ((0o644, True), (0o600, False)):
        file.chmod(mode)
        result = zk("status", ZK_ENV_FILE=str(file))
        assert (result.exit_code, f"chmod 600 {file}" in result.stderr) == (0, told)
