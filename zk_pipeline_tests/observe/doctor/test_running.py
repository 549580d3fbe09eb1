"""The doctor on what runs: web server, Dagster's storage, and the bookings of a month."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import text

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.observe.doctor import data, settings, systems
from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Zk
from zk_pipeline_tests.observe.doctor.conftest import WEBHOOK_SECRET, Doctor, installation, kimai
from zk_sandbox.demo import demo_mappings_csv

AFTER_THE_MONTH = datetime(2025, 11, 1, 12, tzinfo=UTC)


def by_subject(findings: Any) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


# ---- Web server ----


@contextmanager
def web_server(home: Home, **variables: str) -> Iterator[str]:
    """The web server of a home as a process of its own; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "zk_pipeline.web.server"],
        env={**others, **home.variables, "ZK_WEB_PORT": port, **variables},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: answers(f"http://127.0.0.1:{port}/api/health"), 90)
        yield port
    finally:
        process.terminate()
        process.wait(90)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=120, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def served(homes: Homes) -> Iterator[tuple[Home, str]]:
    """A home with a web server that knows the secret, and the port."""
    home = homes.new()
    with installation(home), web_server(home, ZK_WEBHOOK_SECRET=WEBHOOK_SECRET) as port:
        yield home, port


def deliveries(home: Home) -> int:
    with home.database() as database, database.transaction() as connection:
        return connection.execute(text("SELECT count(*) FROM sync.webhook_deliveries")).scalar_one()


def test_a_signed_delivery_makes_the_round_trip_and_leaves_nothing(served: tuple[Home, str], sandbox: Sandbox):
    home, port = served
    told = Doctor(Zk(home))(ZK_WEBHOOK_SECRET=WEBHOOK_SECRET, ZK_WEB_PORT=port)
    assert told.section("Webhook") == [
        {
            "subject": "round trip",
            "level": "pass",
            "text": f"A signed delivery to http://127.0.0.1:{port}/api/v1/webhooks/zammad was stored.",
            "remedy": "",
        }
    ]
    assert deliveries(home) == 0


def test_a_web_server_with_another_secret_fails(served: tuple[Home, str], sandbox: Sandbox):
    home, port = served
    told = Doctor(Zk(home))(ZK_WEBHOOK_SECRET="another-secret-than-the-servers", ZK_WEB_PORT=port)
    finding = told.finding("Webhook", "round trip")
    assert finding["level"] == "fail"
    assert "another ZK_WEBHOOK_SECRET" in finding["remedy"]


def test_a_web_server_on_another_database_fails(served: tuple[Home, str], zk: Zk, sandbox: Sandbox):
    _, port = served
    told = Doctor(zk)(ZK_WEBHOOK_SECRET=WEBHOOK_SECRET, ZK_WEB_PORT=port)
    assert "the same ZK_DATABASE_URL" in told.finding("Webhook", "round trip")["remedy"]


def test_a_web_server_without_secret_fails(zk_home: Home, sandbox: Sandbox):
    with installation(zk_home) as examined, web_server(zk_home, ZK_WEBHOOK_SECRET="") as port:
        where = f"http://127.0.0.1:{port}/api/v1/webhooks/zammad"
        finding = settings.round_trip(where, WEBHOOK_SECRET, examined.runtime.database)
    assert (finding.level, finding.remedy) == (Level.FAIL, "Restart `zk up`: ZK_WEBHOOK_SECRET is set.")


def test_another_program_on_the_port_is_told_from_ours(doctor: Doctor, zk_home: Home):
    port = zk_home.variables["ZK_KIMAI_URL"].rpartition(":")[2]
    finding = doctor(ZK_WEBHOOK_SECRET=WEBHOOK_SECRET, ZK_WEB_PORT=port).finding("Webhook", "round trip")
    assert finding["level"] == "fail"
    assert "ZK_WEB_PORT" in finding["remedy"]


def test_a_web_server_that_does_not_run_is_a_warning(doctor: Doctor):
    finding = doctor(ZK_WEBHOOK_SECRET=WEBHOOK_SECRET, ZK_WEB_PORT="9").finding("Webhook", "round trip")
    assert (finding["level"], finding["remedy"]) == ("warn", "Start everything: zk up")


# ---- Dagster ----


@pytest.mark.parametrize(("ago", "code", "level"), [(10, 0, "pass"), (150, 1, "fail")])
def test_a_dead_daemon_ends_the_doctor_with_1(doctor: Doctor, ago: float, code: int, level: str):
    """Each sign is caused in defs/test_vital_signs.py; this is how one leaves the command."""
    with installation(doctor.zk.home), dg.DagsterInstance.get() as instance:
        for daemon in instance.get_required_daemon_types():
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago, daemon, "this"))
    told = doctor()
    assert (told.exit_code, told.finding("Vital signs", "Dagster's daemons")["level"]) == (code, level)
    assert told.report["ok"] is (code == 0)


# ---- Bookings ----


@pytest.fixture(scope="module")
def planned(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that knows a month's bookings and the demo's mappings."""
    home = homes.new()
    file: Path = tmp_path_factory.mktemp("csv") / "mappings.csv"
    file.write_text(demo_mappings_csv(), encoding="utf-8")
    assert Zk(home)("mappings", "import", str(file)).exit_code == 0
    assert Zk(home)("sync", "--plan", "--from", "2025-10-01", "--to", "2025-10-31", "--json").exit_code == 3
    return home


@pytest.fixture
def month(planned: Home, homes: Homes, sandbox: Sandbox) -> Home:
    return homes.new(like=planned)


def test_agents_and_types_without_mapping_are_counted(month: Home):
    with installation(month, AFTER_THE_MONTH) as examined:
        found = by_subject(data.examine_mappings(examined))
    assert {subject: finding.level for subject, finding in found.items()} == {
        "agents": Level.WARN,
        "activity types": Level.WARN,
    }
    assert "tim.reuter@nordlicht-it.example (" in found["agents"].text
    assert "Anfahrt (" in found["activity types"].text
    assert "zk mappings set activity" in found["activity types"].remedy


def test_what_is_mapped_since_passes_without_another_run(month: Home):
    zk = Zk(month)
    assert zk("mappings", "set", "activity", "Anfahrt", "Sonstiges").exit_code == 0
    with installation(month, AFTER_THE_MONTH) as examined:
        assert by_subject(data.examine_mappings(examined))["activity types"].level is Level.PASS


def test_bookings_of_long_ago_say_nothing_about_mappings(month: Home):
    with installation(month, AFTER_THE_MONTH + timedelta(days=90)) as examined:
        (finding,) = data.examine_mappings(examined)
    assert finding.text == "Mappings cannot be checked: no bookings of the last 62 days have been read."


def test_the_stored_bookings_tell_the_unit(month: Home, sandbox: Sandbox):
    with month.database() as database, database.transaction() as connection:
        connection.execute(text("UPDATE zammad.time_accountings SET units = round(units / 60, 2)"))
    with installation(month, AFTER_THE_MONTH) as examined:
        (finding,) = data.examine_units(examined)
    assert "With ZK_MINUTES_PER_UNIT=60" in finding.text


@pytest.mark.parametrize(("days", "level"), [(0, Level.PASS), (90, Level.WARN)])
def test_once_bookings_are_known_only_the_zones_of_their_users_count(
    month: Home, sandbox: Sandbox, days: int, level: Level
):
    nick = {"username": "nick", "email": "nick@example.net", "plainPassword": "long-enough-password", "enabled": True}
    kimai(month, "POST", "/api/users", {**nick, "language": "en", "locale": "en", "timezone": "America/New_York"})
    with installation(month, AFTER_THE_MONTH + timedelta(days=days)) as examined:
        finding = by_subject(systems.examine_zones(examined))["agents"]
    assert finding.level is level
    assert ("nick in America/New_York" in finding.text) is (level is Level.WARN)
