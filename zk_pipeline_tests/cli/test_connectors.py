"""`zk connectors`: stored from the command line, tried on the simulated systems, and never shown with their token."""

import json
import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from zk_pipeline.runtime.installation import LOCK
from zk_pipeline.store import connectors
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.cli.conftest import Homes, Sandbox, Zk

YESTERDAY = time.time() - 86_400
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
        stored = zk("connectors", "set", "zammad", address, answer="hidden-token\n", **NO_SYSTEMS)
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
    result = zk("connectors", "set", "abacus", "https://abacus.example.com", answer="unused")
    assert result.exit_code == 1
    assert "kind: 'abacus' is not installed. Choose one of " in result.stderr


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package zk-desk 1.0 with the source `desk` and the target `ledger`, in a folder that is on the path."""
    info = tmp_path / "zk_desk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zk-desk\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[zk_pipeline.sources]\ndesk = zk_desk:Desk\n[zk_pipeline.targets]\nledger = zk_desk:Ledger\n"
    )
    (info / "RECORD").write_text("zk_desk.py,,\nzk_desk-1.0.dist-info/RECORD,,\n")
    (tmp_path / "zk_desk.py").write_text(
        "from zk_pipeline.connectors.kimai.connector import KimaiConnector as Ledger\n"
        "from zk_pipeline.connectors.zammad.connector import ZammadConnector as Desk\n"
    )
    for file in (*info.iterdir(), tmp_path / "zk_desk.py"):
        os.utime(file, (0, YESTERDAY))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("kind", "role"), [("desk", "source"), ("ledger", "target")])
def test_any_installed_kind_is_stored_under_a_name_of_ones_choice(
    plugin: Path, homes: Homes, kind: str, role: str
) -> None:
    zk = Zk(homes.new())
    for name in ("", "second-floor"):
        named = ("--name", name) if name else ()
        address = f"https://{name or kind}.example.com"
        stored = zk("connectors", "set", kind, address, *named, answer="hidden-token\n", **NO_SYSTEMS)
        assert (stored.exit_code, stored.stderr) == (0, "")
        rows = json.loads(zk("connectors", "list", "--json", **NO_SYSTEMS).stdout)
        assert rows == [{"name": name or kind, "role": role, "kind": kind, "base_url": address}]
    with zk.home.database() as database, database.transaction() as connection:
        used = connectors.active(connection, role, TokenCipher(zk.home.variables["ZK_ENCRYPTION_KEY"]))
    assert used is not None
    assert used.token == "hidden-token"


def test_the_token_is_read_from_the_environment_and_one_on_the_command_line_is_warned_of(homes: Homes) -> None:
    zk = Zk(homes.new())
    command = ("connectors", "set", "zammad", "https://one.example.com")
    stored = zk(*command, ZK_CONNECTOR_TOKEN="hidden-token", **NO_SYSTEMS)
    assert (stored.exit_code, stored.stderr) == (0, "")
    shown = zk(*command, "--token", "hidden-token", **NO_SYSTEMS)
    assert shown.exit_code == 0
    assert "Leave out --token: every account of this machine can see it." in shown.stderr
    assert "hidden-token" not in stored.output + shown.output
    assert "--token" not in zk("connectors", "set", "--help").stdout


GOOD = ("zammad", "https://desk.example.com")


@pytest.mark.parametrize(
    ("arguments", "token", "told"),
    [
        (
            ("zammad", "ftp://desk.example.com"),
            "t",
            "The address of zammad must start with https:// or http:// and name a host: 'ftp://desk.example.com'.",
        ),
        (
            ("zammad", "me:hidden@desk"),
            "t",
            "The address of zammad must start with https:// or http:// and name a host: '…@desk'. Write it as",
        ),
        (("zammad", "https://desk:port"), "t", "The address of zammad is not a URL: 'https://desk:port'. Write it as"),
        (("zammad", "http://169.254.169.254"), "t", "The address of zammad is forbidden: 169.254.169.254. Give"),
        (
            ("zammad", f"https://{'x' * 500}"),
            "t",
            "base_url: the address of zammad has 508 characters. Give one of at most 500.",
        ),
        ((*GOOD, "--name", "Desk 1"), "t", "name: 'Desk 1' cannot be used in a marker. Use up to 40 lowercase letters"),
        (GOOD, "", "The connector 'zammad' has no token. Set the API token of its account."),
        (
            GOOD,
            "two words",
            "The token of the connector 'zammad' contains spaces or special characters. Copy it again.",
        ),
        (GOOD, "x" * 1001, "token: that of zammad has 1001 characters. Give one of at most 1000."),
    ],
)
def test_bad_input_is_refused_in_one_sentence_and_nothing_is_stored(
    zk: Zk, arguments: tuple[str, ...], token: str, told: str
) -> None:
    def rows() -> list[tuple[object, ...]]:
        with zk.home.database() as database, database.transaction() as connection:
            return [tuple(row) for row in connection.execute(text("SELECT * FROM sync.connectors ORDER BY id"))]

    before = rows()
    refused = zk("connectors", "set", *arguments, answer=f"{token}\n")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"Error: {told}")
    assert refused.stderr.count("\n") == 1
    assert "hidden" not in refused.output
    assert rows() == before


def test_a_name_never_changes_its_kind(zk: Zk) -> None:
    assert zk("migrate").exit_code == 0
    refused = zk("connectors", "set", "zammad", "https://desk.example.com", "--name", "kimai", answer="t\n")
    assert refused.exit_code == 1
    assert "kind: the connector 'kimai' is of kind 'kimai', which never changes. Choose another name" in refused.stderr


def test_what_the_environment_will_overrule_is_told(zk: Zk) -> None:
    assert zk("migrate").exit_code == 0
    result = zk("connectors", "set", "zammad", "https://desk.example.com", answer="t\n")
    assert result.exit_code == 0
    given = zk.home.variables["ZK_ZAMMAD_URL"]
    assert "Remove ZK_ZAMMAD_URL and ZK_ZAMMAD_TOKEN from the environment and .env" in result.stderr
    assert f"the next start uses {given} instead" in result.stderr


def test_the_installed_kinds_are_listed_with_their_packages_and_the_broken_with_the_reason(
    plugin: Path, zk: Zk
) -> None:
    (plugin / "zk_desk-1.0.dist-info" / "entry_points.txt").write_text(
        "[zk_pipeline.sources]\ndesk = zk_desk:Desk\nbroken = zk_desk:Missing\n"
    )
    rows = {row["kind"]: row for row in json.loads(zk("connectors", "kinds", "--json").stdout)}
    assert rows["desk"] == {"kind": "desk", "role": "source", "package": "zk-desk 1.0", "problem": None}
    assert rows["zammad"]["package"].startswith("zk-pipeline ")
    assert rows["kimai"]["role"] == "target"
    assert "AttributeError" in rows["broken"]["problem"]
    shown = zk("connectors", "kinds").stdout
    assert "zk-desk 1.0" in shown
    assert "AttributeError" in shown


def test_a_plug_in_that_is_newer_than_what_runs_is_told_with_the_remedy(plugin: Path, zk: Zk) -> None:
    assert zk("migrate").exit_code == 0
    told = "zk-desk 1.0 (desk, ledger) was installed or changed at "
    remedy = "Restart the installation to use it."
    with zk.home.database() as database, database.kept_lock(LOCK, "test") as taken:
        assert taken.wait(20)
        assert zk("connectors", "list").stderr == ""
        os.utime(plugin / "zk_desk.py")
        for command in (("list",), ("kinds",), ("set", "desk", "https://desk.example.com")):
            warned = zk("connectors", *command, answer="t\n", **NO_SYSTEMS)
            assert warned.exit_code == 0
            assert told in warned.stderr
            assert remedy in warned.stderr
        found = json.loads(zk("doctor", "--json").stdout)
        findings = [row for section in found["sections"] for row in section["findings"] if row["subject"] == "plug-ins"]
        assert (findings[0]["level"], findings[0]["remedy"]) == ("warn", remedy)
        assert findings[-1]["level"] == "pass"
        assert "desk (zk-desk 1.0)" in findings[-1]["text"]
    assert zk("connectors", "list").stderr == "", "Nothing runs any more."


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
