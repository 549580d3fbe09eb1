"""`zk connectors`: stored from the command line, tried on the simulated systems, and never shown with their token."""

import json

from sqlalchemy import text

from zk_pipeline_tests.commands.conftest import Zk

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


def test_a_connector_is_stored_and_changed_by_its_kind(zk: Zk) -> None:
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
    refused = zk("connectors", "list")
    assert refused.exit_code == 1
    assert "'zammad' cannot be used here: there are bookings of another system" in refused.stderr
    assert "redmine" in zk("connectors", "list", **NO_SYSTEMS).stdout


def test_a_kind_that_is_not_installed_is_named(zk: Zk) -> None:
    result = zk("connectors", "set", "jira", "https://jira.example.com", "--token", "unused")
    assert result.exit_code == 1
    assert "kind: 'jira' is not installed. Choose one of these: kimai, zammad." in result.stderr


def test_a_test_shows_both_systems_and_fails_with_a_wrong_token(zk: Zk) -> None:
    good = zk("connectors", "test", "--json")
    assert good.exit_code == 0
    assert all(found["ok"] for found in json.loads(good.stdout).values())
    bad = zk("connectors", "test", ZK_KIMAI_TOKEN="wrong-token")
    assert bad.exit_code == 1
    assert "fail" in bad.stdout
    assert "wrong-token" not in bad.output
