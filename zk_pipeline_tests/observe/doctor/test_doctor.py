"""`zk doctor` against both simulated systems, in good order and in each way in which it is not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from zk_pipeline.store.encryption import generate_key
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Zk
from zk_pipeline_tests.observe.doctor.conftest import WEBHOOK_SECRET, Doctor, everything_of, kimai

SECTIONS = [
    "Zammad", "Kimai", "Time zones", "Unit", "Tags", "Write back", "Mappings", "Webhook", "Clocks",
    "Vital signs", "Settings",
]  # fmt: skip
NOWHERE = "http://127.0.0.1:9"
KIMAI_ROLES = ("ROLE_USER", "ROLE_TEAMLEAD", "ROLE_ADMIN", "ROLE_SUPER_ADMIN")


def rebook(sandbox: Sandbox, factor: Decimal) -> None:
    """Let every booking in Zammad be in another unit."""
    state = sandbox.zammad.state()
    for row in state["state"]["accountings"]:
        row["time_unit"] = str(round(Decimal(row["time_unit"]) * factor, 2))
    sandbox.zammad.restore(state)


def test_a_new_installation_has_warnings_and_no_failure(doctor: Doctor):
    told = doctor()
    assert told.exit_code == 0
    assert [row["name"] for row in told.report["sections"]] == SECTIONS
    assert told.report["ok"] is True
    assert told.failed() == set()
    assert {told.level(name) for name in ("Kimai", "Time zones", "Unit", "Tags", "Clocks")} == {"pass"}


def test_the_report_is_plain_data(doctor: Doctor):
    report = doctor().report
    assert set(report) == {"ok", "counts", "sections"}
    findings = [finding for row in report["sections"] for finding in row["findings"]]
    assert sum(report["counts"].values()) == len(findings)
    assert {frozenset(finding) for finding in findings} == {frozenset({"subject", "level", "text", "remedy"})}


def test_what_warns_or_fails_comes_with_its_remedy(doctor: Doctor):
    told = doctor(ZK_KIMAI_URL=NOWHERE, ZK_MINUTES_PER_UNIT="60")
    findings = [finding for row in told.report["sections"] for finding in row["findings"]]
    assert [finding for finding in findings if finding["level"] != "pass" and not finding["remedy"]] == []


def test_it_changes_nothing_in_either_system(doctor: Doctor, sandbox: Sandbox):
    before = everything_of(sandbox)
    doctor()
    assert everything_of(sandbox) == before


def test_for_people_it_shows_what_passes_in_one_line_and_the_rest_with_its_fix(zk: Zk):
    lines = zk("doctor").stdout.splitlines()
    assert "pass  Kimai        14 of 14 pass" in lines
    at = lines.index("        warn Dagster's daemons: The daemon has never run: nothing starts by itself.")
    assert lines[at + 1].strip() == "→ Start everything: zk up"
    assert not any("        pass" in line for line in lines)


def test_all_lines_can_be_shown(zk: Zk):
    assert "        pass version: Kimai 2.65.0." in zk("doctor", "--all").stdout.splitlines()


def test_an_unreachable_kimai_fails_once_and_the_others_go_on(doctor: Doctor):
    told = doctor(ZK_KIMAI_URL=NOWHERE)
    assert told.exit_code == 1
    assert told.failed() == {"Kimai"}
    assert told.finding("Vital signs", "Kimai")["level"] == "warn", "it is away for seconds"
    assert "No connection to the server." in told.finding("Kimai", "version")["text"]
    assert told.finding("Tags", "Tags")["text"] == "Not checked, because Kimai cannot be reached."
    assert told.level("Unit") == "pass"
    assert [row["level"] for row in told.section("Clocks")] == ["pass", "pass", "warn"]


def test_an_unreachable_zammad_fails_once_and_the_others_go_on(doctor: Doctor):
    told = doctor(ZK_ZAMMAD_URL=NOWHERE)
    assert (told.exit_code, told.failed()) == (1, {"Zammad"})
    assert told.finding("Vital signs", "Zammad")["level"] == "warn", "it is away for seconds"
    assert told.finding("Unit", "Unit")["text"] == "Not checked, because Zammad cannot be reached."
    assert told.level("Tags") == "pass"
    assert told.finding("Time zones", "service account")["level"] == "pass"


def test_an_unreachable_database_is_a_failing_line_too(doctor: Doctor):
    told = doctor(ZK_DATABASE_URL="postgresql://zk:p4ssw0rd-of-zk@127.0.0.1:9/zk")
    assert (told.exit_code, told.failed()) == (1, {"Environment"})
    (finding,) = told.section("Environment")
    assert "p4ssw0rd-of-zk" not in str(finding)
    assert finding["remedy"] == "Start it, or correct ZK_DATABASE_URL."


def test_a_role_that_could_change_the_audit_trail_is_a_warning_on_a_server_of_ones_own(doctor: Doctor):
    # The name of a host in front of the socket's directory, which decides, as if it were reached over the network.
    url = doctor.zk.home.variables["ZK_DATABASE_URL"].replace("@/", "@db.example.com/")
    told = doctor(ZK_DATABASE_URL=url)
    finding = told.finding("Settings", "database role")
    assert finding["level"] == "warn"
    assert "15 or newer is needed" in told.finding("Settings", "PostgreSQL")["text"]
    assert "deploy/database/roles.sql" in finding["remedy"]


def test_a_wrong_setting_is_a_failing_line_too(doctor: Doctor):
    told = doctor(ZK_TIMEZONE="Berlin")
    assert told.exit_code == 1
    assert "ZK_TIMEZONE='Berlin'" in told.finding("Environment", "start")["text"]


def test_an_expired_zammad_token_is_named(doctor: Doctor, sandbox: Sandbox):
    state = sandbox.zammad.state()
    for token in state["state"]["tokens"]:
        token["expires_at"] = "2026-01-01T00:00:00.000Z"
    sandbox.zammad.restore(state)
    told = doctor()
    assert told.failed() == {"Zammad", "Vital signs"}
    assert "expired" in told.finding("Zammad", "account")["text"]


def test_an_unknown_kimai_token_is_named_and_not_shown(doctor: Doctor):
    told = doctor(ZK_KIMAI_TOKEN="kimai-token-of-yesterday")
    assert told.failed() == {"Kimai", "Vital signs"}
    assert "401" in told.finding("Kimai", "version")["text"]
    assert "kimai-token-of-yesterday" not in str(told.report)


def test_a_missing_permission_is_named(doctor: Doctor, sandbox: Sandbox):
    sandbox.kimai.configure(permissions={role: {"create_project": False} for role in KIMAI_ROLES})
    told = doctor()
    assert (told.exit_code, told.failed()) == (1, {"Kimai"})
    assert "create_project" in told.finding("Kimai", "create projects")["remedy"]


def test_without_connectors_it_says_how_to_set_them(homes: Homes, sandbox: Sandbox):
    told = Doctor(Zk(homes.new()))(ZK_ZAMMAD_URL="", ZK_ZAMMAD_TOKEN="", ZK_KIMAI_URL="", ZK_KIMAI_TOKEN="")
    assert told.failed() == {"Zammad", "Kimai"}
    assert told.finding("Zammad", "Zammad")["remedy"].startswith("Set ZK_ZAMMAD_URL and ZK_ZAMMAD_TOKEN")


def test_agents_in_another_zone_are_named(doctor: Doctor, zk_home: Home):
    anna = next(
        user for user in kimai(zk_home, "GET", "/api/users?visible=3", None) if user["username"] == "anna.berger"
    )
    kimai(zk_home, "PATCH", f"/api/users/{anna['id']}", {"timezone": "America/New_York"})
    finding = doctor().finding("Time zones", "agents")
    assert finding["level"] == "warn"
    assert "Anna Berger in America/New_York" in finding["text"]


def test_another_business_zone_than_the_service_accounts_is_told(doctor: Doctor):
    told = doctor(ZK_TIMEZONE="UTC")
    assert told.finding("Time zones", "service account")["level"] == "warn"
    assert told.finding("Time zones", "agents")["level"] == "pass"


def test_hours_booked_as_minutes_fail_with_the_effect_of_the_right_value(doctor: Doctor, sandbox: Sandbox):
    rebook(sandbox, Decimal(1) / 60)
    sandbox.zammad.configure(unit="hour")
    told = doctor()
    finding = told.finding("Unit", "minutes per unit")
    assert (told.exit_code, finding["level"]) == (1, "fail")
    assert "With ZK_MINUTES_PER_UNIT=60 the median would be 36.3 min." in finding["text"]
    assert "set ZK_MINUTES_PER_UNIT=60" in finding["remedy"]


def test_minutes_taken_for_hours_fail(doctor: Doctor):
    finding = doctor(ZK_MINUTES_PER_UNIT="60").finding("Unit", "minutes per unit")
    assert finding["level"] == "fail"
    assert "With ZK_MINUTES_PER_UNIT=1 the median would be" in finding["text"]


def test_a_hidden_tag_is_named(doctor: Doctor, zk_home: Home):
    kimai(zk_home, "POST", "/api/tags", {"name": "synced"})  # Hidden, for want of "visible".
    kimai(zk_home, "POST", "/api/tags", {"name": "zammad", "visible": True})
    told = doctor(ZK_TAGS="zammad,synced,fresh")
    assert told.failed() == {"Tags"}
    assert [(row["level"], row["text"].partition(".")[0]) for row in told.section("Tags")] == [
        ("fail", "Hidden in Kimai: synced"),
        ("pass", "Not in Kimai yet: fresh"),
        ("pass", "Visible in Kimai: zammad"),
    ]


def test_tokens_of_another_key_fail_and_nothing_else_breaks(doctor: Doctor):
    none = dict.fromkeys(("ZK_ZAMMAD_URL", "ZK_ZAMMAD_TOKEN", "ZK_KIMAI_URL", "ZK_KIMAI_TOKEN"), "")
    told = doctor(ZK_ENCRYPTION_KEY=generate_key(), **none)
    assert told.failed() == {"Zammad", "Kimai", "Settings"}
    finding = told.finding("Settings", "encryption")
    assert finding["text"] == "The tokens of zammad, kimai cannot be decrypted with ZK_ENCRYPTION_KEY."
    assert told.finding("Tags", "Tags")["level"] == "warn"


def test_tokens_of_a_lost_key_do_not_matter_where_the_environment_holds_others(doctor: Doctor):
    told = doctor(ZK_ENCRYPTION_KEY=generate_key())
    assert (told.exit_code, told.failed()) == (0, set())
    finding = told.finding("Settings", "connectors")
    assert "zammad and the kimai of the environment was checked; a different one is stored" in finding["text"]


def test_what_the_environment_has_is_looked_at_and_told_from_what_is_stored(doctor: Doctor):
    assert "connectors" not in {row["subject"] for row in doctor().section("Settings")}
    told = doctor(ZK_KIMAI_TOKEN="kimai-token-of-yesterday")
    finding = told.finding("Settings", "connectors")
    assert (finding["level"], "The kimai of the environment" in finding["text"]) == ("warn", True)


def test_a_key_file_that_others_can_read_fails(doctor: Doctor, zk_home: Home):
    (zk_home.path / "encryption.key").touch(0o644)
    failed = [row for row in doctor().section("Settings") if row["level"] == "fail"]
    assert [row["remedy"] for row in failed] == [f"chmod 600 {zk_home.path / 'encryption.key'}"]


def test_a_broken_examination_is_a_finding_and_the_others_go_on(doctor: Doctor, zk_home: Home):
    with zk_home.database() as database, database.transaction() as connection:
        connection.execute(text("ALTER TABLE sync.normalized_entries RENAME COLUMN trace TO traces"))
    told = doctor()
    assert told.exit_code == 1
    assert "Mappings" in told.failed()
    assert "The check failed with ProgrammingError" in told.finding("Mappings", "Mappings")["text"]
    assert told.level("Clocks") == "pass"


@pytest.mark.parametrize(
    ("secret", "level"), [("changeme", "fail"), ("short-but-own", "warn"), (WEBHOOK_SECRET, "pass")]
)
def test_a_weak_webhook_secret_is_found(doctor: Doctor, secret: str, level: str):
    told = doctor(ZK_WEBHOOK_SECRET=secret, ZK_WEB_PORT="9")
    assert told.finding("Settings", "secrets")["level"] == level
    assert secret not in str(told.report)


def test_the_lock_rule_is_resolved_to_a_date(doctor: Doctor):
    told = doctor(ZK_LOCKED_BEFORE="30 days ago", ZK_TIMEZONE="UTC", ZK_ALERT_URLS="json://localhost/alert-password")
    day = (datetime.now(UTC) - timedelta(days=30)).date()
    assert str(day) in told.finding("Settings", "lock")["text"]
    assert told.finding("Settings", "alerts")["level"] == "pass"
    assert "alert-password" not in str(told.report)
