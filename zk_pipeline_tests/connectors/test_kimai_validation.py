"""What the Kimai connector says about its account: each missing permission by name, and nothing written to find out."""

import pytest

from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline_tests.connectors.conftest import DAY, ConnectKimai, Office
from zk_sandbox.client import SandboxControl
from zk_sandbox.kimai import KimaiServer

ROLES = ("ROLE_USER", "ROLE_TEAMLEAD", "ROLE_ADMIN", "ROLE_SUPER_ADMIN")

TRIED = {
    *("view_other_timesheet", "edit_other_timesheet", "delete_other_timesheet", "edit_exported_timesheet"),
    *("edit_billable_other_timesheet", "lockdown_override_timesheet", "create_other_timesheet"),
}
LOCKDOWN = {
    "timesheet.rules.lockdown_period_start": "first day of last month 00:00:00",
    "timesheet.rules.lockdown_period_end": "last day of last month 23:59:59",
}


def findings(validation: Validation, level: Level) -> dict[str, Finding]:
    return {finding.subject: finding for finding in validation.findings if finding.level is level}


@pytest.fixture
def at_home(kimai: KimaiServer) -> KimaiServer:
    """A Kimai all of whose people live in the account's zone."""
    kimai.add_user("sync", "sync@example.com", ["ROLE_SUPER_ADMIN"], "Europe/Berlin", "home-token")
    return kimai


def test_a_right_account_passes_everything(at_home: KimaiServer, kimai_service: tuple[KimaiServer, str]) -> None:
    project, activity = at_home.add_project("Acme", at_home.add_customer("Acme")), at_home.add_activity("Support")
    carl = at_home.add_user("carl", "carl@example.com", timezone="Europe/Berlin")
    for exported in (False, True):
        at_home.add_timesheet(carl, project, activity, DAY, DAY, exported=exported)
    with KimaiConnector(Endpoint("kimai", kimai_service[1], "home-token")) as target:
        validation = target.validate()
    assert {finding.level for finding in validation.findings} == {Level.PASS}
    assert (validation.version, validation.account, validation.timezone) == (
        "2.65.0",
        "sync@example.com",
        "Europe/Berlin",
    )


def test_it_changes_nothing(target: KimaiConnector, kimai: KimaiServer) -> None:
    before = kimai.snapshot()["tables"]
    assert target.validate().ok
    assert kimai.snapshot()["tables"] == before


@pytest.mark.parametrize(
    ("permission", "subject"),
    [
        ("create_own_timesheet", "create time sheets"),
        ("create_other_timesheet", "create time sheets"),
        ("create_customer", "create customers"),
        ("create_project", "create projects"),
        ("create_tag", "create tags"),
        ("api_access", "version"),
    ],
)
def test_each_missing_permission_is_named(
    target: KimaiConnector, kimai: KimaiServer, permission: str, subject: str
) -> None:
    kimai.configure({"permissions": {role: {permission: False} for role in ROLES}})
    validation = target.validate()
    assert not validation.ok
    assert permission in findings(validation, Level.FAIL)[subject].remedy


@pytest.mark.parametrize(
    ("permission", "subject", "level"),
    [
        ("view_other_timesheet", "time sheets of others", Level.FAIL),
        ("edit_other_timesheet", "change time sheets of others", Level.FAIL),
        ("delete_other_timesheet", "change time sheets of others", Level.FAIL),
        ("edit_billable_other_timesheet", "change time sheets of others", Level.WARN),
        ("edit_exported_timesheet", "change time sheets of others", Level.WARN),
    ],
)
def test_what_only_trying_proves_is_tried_on_what_is_there(
    target: KimaiConnector, kimai: KimaiServer, office: Office, permission: str, subject: str, level: Level
) -> None:
    for owner, exported in ((office.account, False), (office.anna, True), (office.anna, False)):
        kimai.add_timesheet(owner, office.project, office.activity, DAY, DAY, exported=exported)
    kimai.configure({"permissions": {role: {permission: False} for role in ROLES}})
    before = kimai.snapshot()["tables"]
    finding = findings(target.validate(), level)[subject]
    named = {word.strip(".:,") for word in finding.text.split()} & TRIED
    assert named == {permission}, finding
    assert kimai.snapshot()["tables"] == before


def test_view_of_others_is_proved_where_nobody_booked_yet(
    target: KimaiConnector, kimai: KimaiServer, office: Office
) -> None:
    assert "untested" in findings(target.validate(), Level.WARN)["time sheets of others"].text
    kimai.configure({"permissions": {role: {"view_other_timesheet": False} for role in ROLES}})
    assert "view_other_timesheet" in findings(target.validate(), Level.FAIL)["time sheets of others"].text


def test_a_lockdown_is_told_from_a_missing_permission(
    target: KimaiConnector, kimai: KimaiServer, office: Office
) -> None:
    for exported in (True, False):
        kimai.add_timesheet(office.anna, office.project, office.activity, DAY, DAY, exported=exported)
    kimai.configure(LOCKDOWN)
    assert "locked periods" in findings(target.validate(), Level.PASS)
    kimai.configure({"permissions": {role: {"lockdown_override_timesheet": False} for role in ROLES}})
    before = kimai.snapshot()["tables"]
    validation = target.validate()
    assert validation.ok
    warned = findings(validation, Level.WARN)
    assert "lockdown_override_timesheet is missing" in warned["locked periods"].text
    assert "lies in a period that is locked" in warned["change time sheets of others"].text
    assert kimai.snapshot()["tables"] == before


def test_a_kimai_without_menus_leaves_it_untested(
    target: KimaiConnector, kimai: KimaiServer, kimai_control: SandboxControl, office: Office
) -> None:
    kimai.add_timesheet(office.anna, office.project, office.activity, DAY, DAY)
    kimai_control.add_fault("respond", path="actions", status=404, text='{"code":404,"message":"Not Found"}')
    validation = target.validate()
    assert validation.ok
    finding = findings(validation, Level.WARN)["change time sheets of others"]
    assert "untested" in finding.text
    assert "delete_other_timesheet" in finding.remedy


def test_what_cannot_be_tried_is_said_to_be_untested(target: KimaiConnector) -> None:
    validation = target.validate()
    assert validation.ok
    assert "delete_customer" in findings(validation, Level.PASS)["untested"].text


def test_no_sentence_holds_the_field_of_the_probes(target: KimaiConnector, kimai: KimaiServer, office: Office) -> None:
    kimai.add_timesheet(office.anna, office.project, office.activity, DAY, DAY)
    for permission in ("create_other_timesheet", "edit_billable_other_timesheet", "create_tag"):
        kimai.configure({"permissions": {role: {permission: False} for role in ROLES}})
        assert "zk_probe" not in str(target.validate().findings)


def test_the_probe_is_one_that_kimai_refuses_and_does_not_break_on(
    target: KimaiConnector, kimai_control: SandboxControl
) -> None:
    # As the real one does since 2.14: an empty begin is not refused, it breaks the request.
    kimai_control.add_fault("respond", method="POST", body='"begin": ?(""|null)', status=500)
    assert target.validate().ok


def test_an_administrator_lacks_view_user(kimai: KimaiServer, connect_kimai: ConnectKimai) -> None:
    kimai.add_user("boss", "boss@example.com", ["ROLE_ADMIN"], token="boss-token")
    validation = connect_kimai("boss-token").validate()
    failed = findings(validation, Level.FAIL)
    assert set(failed) == {"users"}
    assert "view_user" in failed["users"].remedy


def test_a_plain_user_is_told_everything_at_once(
    kimai: KimaiServer, office: Office, connect_kimai: ConnectKimai
) -> None:
    kimai.add_user("bob", "bob@example.com", token="bob-token")
    kimai.add_timesheet(office.anna, office.project, office.activity, DAY, DAY)
    validation = connect_kimai("bob-token").validate()
    remedies = " ".join(finding.remedy for finding in validation.findings)
    for permission in (
        "view_user",
        "view_other_timesheet",
        "create_other_timesheet",
        "create_customer",
        "create_project",
        "view_all_data",
        "edit_other_timesheet",
        "delete_other_timesheet",
    ):
        assert permission in remedies
    assert not validation.ok


def test_a_punch_clock_is_no_obstacle_for_an_account_that_sees_others(
    target: KimaiConnector, kimai: KimaiServer
) -> None:
    kimai.configure({"timesheet.mode": "punch"})
    validation = target.validate()
    assert validation.ok
    assert "'punch'" in findings(validation, Level.PASS)["tracking mode"].text


def test_people_in_other_zones_are_warned_of(target: KimaiConnector) -> None:
    warned = findings(target.validate(), Level.WARN)
    assert "America/New_York" in warned["time zones"].text


def test_who_may_invoice_and_lives_in_another_zone_is_named(target: KimaiConnector, kimai: KimaiServer) -> None:
    assert "invoicing" not in findings(target.validate(), Level.WARN)
    kimai.add_user("nora", "nora@example.com", ["ROLE_TEAMLEAD"], "America/New_York")
    kimai.add_user("omar", "omar@example.com", ["ROLE_ADMIN"], "America/New_York", enabled=False)
    warned = findings(target.validate(), Level.WARN)["invoicing"]
    assert "live in other zones than Europe/Berlin: nora (America/New_York)." in warned.text
    assert "Have them set Europe/Berlin in their Kimai preferences" in warned.remedy


@pytest.mark.parametrize(("version", "warnings"), [("2.65.0", 0), ("2.62.0", 1), ("2.44.0", 2), ("2.17.0", 3)])
def test_an_older_version_is_warned_of(target: KimaiConnector, kimai: KimaiServer, version: str, warnings: int) -> None:
    kimai.configure({"version": version})
    validation = target.validate()
    warned = [
        finding for finding in validation.findings if finding.subject == "version" and finding.level is Level.WARN
    ]
    assert len(warned) == warnings
    assert validation.version == version


def test_a_version_that_is_too_old_fails(target: KimaiConnector, kimai_control: SandboxControl) -> None:
    kimai_control.add_fault("respond", path="version", status=200, text='{"version": "2.13.9"}')
    (finding,) = target.validate().findings
    assert (finding.level, "2.14" in finding.remedy) == (Level.FAIL, True)


@pytest.mark.parametrize("kind", ["html", "truncate", "drop_before"])
def test_a_server_that_is_none_is_a_failure_with_a_remedy(
    target: KimaiConnector, kimai_control: SandboxControl, kind: str
) -> None:
    kimai_control.add_fault(kind, path="version", status=200)
    (finding,) = target.validate().findings
    assert finding.level is Level.FAIL
    assert finding.remedy


def test_a_form_that_is_accepted_although_it_cannot_be_right_fails(
    target: KimaiConnector, kimai_control: SandboxControl
) -> None:
    kimai_control.add_fault("respond", method="POST", path="tags", status=200, text="{}")
    assert "create tags" in findings(target.validate(), Level.FAIL)
