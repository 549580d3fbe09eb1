"""What keeps a run from reading or writing at all is told in one message: systems, settings and permissions."""

import logging
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.pipeline import DaysFailedError, Pipeline
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.systems import RunContext, open_systems
from zk_pipeline_tests.defs.conftest import Databases, open_desk, open_office, open_world, set_surroundings
from zk_pipeline_tests.defs.world import MONDAY, Desk, Office, World

LIST = "/api/v1/time_accountings$"
ZAMMAD_REFUSAL = '{"error": "Invalid BasicAuth credentials"}'
KIMAI_403 = '{"code": 403, "message": "Forbidden"}'
CLOSED_PORT = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def settled(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with one booking in Kimai and one still to come. A failed read must leave all of it as it is."""
    home = tmp_path_factory.mktemp("home")
    with databases.fresh() as pair, pytest.MonkeyPatch.context() as patch:
        set_surroundings(pair, home, patch)
        patch.setenv("ZK_HTTP_TIMEOUT", "1")
        with open_desk(patch) as desk, open_office(patch) as office, open_world(desk, office) as world:
            world.desk.book(30)
            world.sync()
            world.desk.book(45, agent="ben")
            yield world


def stage(world: World, name: str, *days: date) -> Mapping[date, Any]:
    """One stage of the pipeline alone over some days, as Dagster's UI materializes one asset."""
    run = RunContext("by-hand", (days[0], days[-1]), by_person=True)
    with open_systems(world.environment.runtime, run) as systems:
        return getattr(Pipeline(systems, run, days, logging.getLogger(__name__)), name)()


@pytest.mark.parametrize("name", ["reconcile", "push"])
def test_a_day_that_was_never_read_is_neither_planned_nor_pushed(settled: World, name: str) -> None:
    with pytest.raises(
        DaysFailedError, match="This day was not read from zammad: materialize what is upstream"
    ) as failed:
        stage(settled, name, MONDAY, MONDAY + timedelta(days=1))
    assert list(failed.value.bad) == [MONDAY + timedelta(days=1)]
    assert list(failed.value.good) == [MONDAY]


def test_a_day_that_was_never_read_is_one_sentence_in_the_log_and_only_our_fault_has_a_traceback(
    settled: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuesday = MONDAY + timedelta(days=1)
    with pytest.raises(DaysFailedError):
        stage(settled, "push", tuesday)
    (unread,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert unread.getMessage().startswith(f"{tuesday}: This day was not read from zammad: materialize what is upstream")
    assert unread.exc_info is None
    caplog.clear()
    monkeypatch.setattr(Pipeline, "_push", lambda *_: {}["nothing"])
    with pytest.raises(DaysFailedError):
        stage(settled, "push", MONDAY)
    (ours,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (ours.getMessage(), ours.exc_info is not None) == (f"{MONDAY} failed.", True)


def everything(world: World) -> tuple[Any, ...]:
    """What a failed read must not change: Kimai, the ledger, the plan, the conflicts, and what counts as gone."""
    plan = "SELECT string_agg(source_id || action || run_id, ',') FROM sync.reconciliation_results"
    gone = "SELECT count(gone_at) FROM {}.{}"
    return (
        world.office.server.snapshot(),
        world.ledger(),
        world.reasons(),
        world.value(plan),
        world.value(gone.format("zammad", "time_accountings")),
        world.value(gone.format("kimai", "timesheets")),
    )


def failure_of(world: World) -> str:
    """The message of a run that fails."""
    with pytest.raises(SyncFailedError) as failure:
        world.sync()
    return str(failure.value)


READ_FAILURES = {
    "zammad 401": ("zammad", "/users", {"status": 401, "text": ZAMMAD_REFUSAL}, ["401", "new token"]),
    "zammad 403": ("zammad", LIST, {"status": 403, "text": '{"error": "Not authorized (token authorization failed)!"}'},
                   ["403", "admin.time_accounting"]),
    "zammad 404": ("zammad", LIST, {"status": 404, "text": '{"error": "This page doesn\'t exist."}'},
                   ["404", "6.1 or newer"]),
    "zammad 429": ("zammad", "/users", {"status": 429, "headers": {"Retry-After": "1"}},
                   ["429", "Too many requests", "Try again later"]),
    "zammad 500": ("zammad", LIST, {"status": 500}, ["500", "server failed", "log"]),
    "zammad html": ("zammad", "/users", {"kind": "html", "status": 200}, ["JSON was expected", "base URL"]),
    "zammad cut": ("zammad", LIST, {"kind": "truncate"}, ["cut off", "Try again"]),
    "zammad slow": ("zammad", "/tickets/search", {"kind": "delay", "seconds": 3}, ["time limit", "Try again"]),
    "zammad lost": ("zammad", "/users", {"kind": "drop_before"}, ["connection broke"]),
    "zammad empty": ("zammad", LIST, {"status": 200, "text": "{}"}, ["GET /api/v1/time_accountings"]),
    "kimai 401": ("kimai", "/api/", {"status": 401}, ["401", "new API token"]),
    "kimai 403": ("kimai", "/api/timesheets", {"status": 403, "text": KIMAI_403}, ["403", "view_other_timesheet"]),
    "kimai 404": ("kimai", "/api/version", {"status": 404, "text": '{"code": 404, "message": "Not Found"}'}, ["404"]),
    "kimai 429": ("kimai", "/api/projects", {"status": 429}, ["429", "Too many requests"]),
    "kimai 500": ("kimai", "/api/timesheets", {"status": 500}, ["500", "server failed", "log"]),
    "kimai html": ("kimai", "/api/", {"kind": "html", "status": 200}, ["JSON was expected", "base URL"]),
    "kimai cut": ("kimai", "/api/timesheets", {"kind": "truncate"}, ["cut off", "Try again"]),
    "kimai slow": ("kimai", "/api/activities", {"kind": "delay", "seconds": 3}, ["time limit", "Try again"]),
    "kimai lost": ("kimai", "/api/", {"kind": "drop_before"}, ["connection broke"]),
    "kimai array": ("kimai", "/api/users$", {"status": 200, "text": '[{"id": "one"}]'}, ["GET /api/users"]),
}  # fmt: skip


@pytest.mark.parametrize(("system", "path", "fault", "words"), READ_FAILURES.values(), ids=READ_FAILURES.keys())
def test_a_read_that_fails_is_told_in_one_message_and_changes_nothing(
    settled: World, system: str, path: str, fault: dict[str, Any], words: list[str]
) -> None:
    control = settled.desk.control if system == "zammad" else settled.office.control
    before = everything(settled)
    given: dict[str, Any] = {"kind": "respond", "path": path, **fault}
    control.add_fault(**given)
    try:
        message = failure_of(settled)
    finally:
        control.clear_faults()
    assert message.count(f"{system.title()}: ") == 1, "one message, and it names the system"
    assert [word for word in words if word not in message] == []
    assert everything(settled) == before


@pytest.mark.parametrize(
    ("version", "system", "words"),
    [("2.13.0", "kimai", ["2.13.0 is too old", "2.14"]), ("6.0.0", "zammad", ["404", "6.1 or newer"])],
)
def test_a_version_that_is_too_old_is_named(settled: World, version: str, system: str, words: list[str]) -> None:
    server = settled.office.server if system == "kimai" else settled.desk.server
    usual = server.snapshot()["settings"]["version"]
    before = everything(settled)[1:]
    server.configure({"version": version})
    try:
        message = failure_of(settled)
    finally:
        server.configure({"version": usual})
    assert [word for word in words if word not in message] == []
    assert everything(settled)[1:] == before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ZK_KIMAI_URL": CLOSED_PORT}, ["Kimai: GET", "No connection", "base URL"]),
        ({"ZK_ZAMMAD_URL": CLOSED_PORT}, ["Zammad: GET", "No connection", "base URL"]),
        ({"ZK_KIMAI_TOKEN": "wrong"}, ["Kimai: GET", "401", "new API token"]),
        ({"ZK_ZAMMAD_TOKEN": "wrong"}, ["Zammad: GET", "401", "new token"]),
        ({"ZK_KIMAI_TOKEN": "two words"}, ["token", "'kimai'", "Copy it again"]),
        ({"ZK_KIMAI_URL": "http://kimai.example/?page=1"}, ["address of kimai", "query", "scheme, host and path"]),
        ({"ZK_KIMAI_URL": "", "ZK_KIMAI_TOKEN": ""}, ["no target connector", "ZK_KIMAI_URL and ZK_KIMAI_TOKEN"]),
        ({"ZK_ZAMMAD_URL": "", "ZK_ZAMMAD_TOKEN": ""}, ["no source connector", "ZK_ZAMMAD_URL and ZK_ZAMMAD_TOKEN"]),
    ],
    indirect=["settings"],
)
def test_a_wrong_setting_is_told_by_the_run_in_one_message(world: World, settings: object, words: list[str]) -> None:
    message = failure_of(world)
    assert [word for word in words if word not in message] == []
    assert len(message) < 300
    assert "Traceback" not in message
    assert "dagster._core" not in message
    assert world.office.creates_sent() == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ZK_TIMEZONE": "Mars/Olympus"}, ["ZK_TIMEZONE", "Mars/Olympus", "Europe/Berlin"]),
        ({"ZK_KIMAI_TOKEN": ""}, ["ZK_KIMAI_TOKEN is missing"]),
        ({"ZK_ZAMMAD_URL": "zammad.example"}, ["ZK_ZAMMAD_URL", "https://"]),
        ({"ZK_ENCRYPTION_KEY": "short"}, ["ZK_ENCRYPTION_KEY"]),
        ({"ZK_DATABASE_URL": "mysql://db/zk"}, ["ZK_DATABASE_URL", "postgresql://"]),
        ({"ZK_DATABASE_URL": "postgresql+psycopg://zk@127.0.0.1:9/zk"}, ["does not answer", "ZK_DATABASE_URL"]),
    ],
    indirect=["settings"],
)
def test_a_setting_that_cannot_be_used_is_named_before_anything_runs(
    desk: Desk, office: Office, settings: object, words: list[str]
) -> None:
    with pytest.raises(Exception) as failure, prepare(load_settings()):  # noqa: PT011 - which error is not the point
        pass
    assert [word for word in words if word not in str(failure.value)] == []
    assert not [secret for secret in ("short", "mysql://db") if secret in str(failure.value)]


@pytest.mark.parametrize(
    "permission",
    [
        "api_access",
        "create_customer",
        "create_project",
        "create_tag",
        "create_other_timesheet",
    ],
)
def test_a_permission_that_the_kimai_account_lacks_is_named_and_given_helps_at_once(
    world: World, permission: str
) -> None:
    booking = world.desk.book(30)
    lacking = {role: {permission: False} for role in ("ROLE_SUPER_ADMIN", "ROLE_USER")}
    world.office.server.configure({"permissions": lacking})
    try:
        world.sync()
        told = " ".join(row.text for row in world.conflicts())
    except SyncFailedError as error:
        told = str(error)
    assert permission in told
    assert world.office.rows == []
    world.office.server.configure({"permissions": {}})
    world.sync()
    assert world.office.minutes() == {booking: [30]}


def test_an_account_that_no_longer_sees_the_time_sheets_of_others_is_stopped_before_it_writes(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.book(45)
    world.office.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_other_timesheet": False}}})
    assert "view_other_timesheet" in failure_of(world)
    assert world.value("SELECT count(gone_at) FROM kimai.timesheets") == 0
    assert world.office.minutes() == {booking: [30]}


def test_a_permission_that_the_zammad_token_lacks_is_named(world: World) -> None:
    world.desk.book(30)
    world.desk.server.state.tokens["zammad-token-of-the-tests"].permissions.remove("admin.time_accounting")
    assert "Give the token the permission admin.time_accounting" in failure_of(world)
    assert world.office.rows == []


def test_a_token_without_ticket_agent_reads_what_a_sync_needs(world: World) -> None:
    """The search ignores the token's permissions, and who booked is read one by one (docs/zammad.md)."""
    booking = world.desk.book(30)
    world.desk.server.state.tokens["zammad-token-of-the-tests"].permissions.remove("ticket.agent")
    world.sync()
    assert world.office.minutes() == {booking: [30]}


def test_an_account_that_may_not_edit_others_time_sheets_parks_the_update(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.edit(booking, units=45)
    world.office.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {"edit_other_timesheet": False}}})
    report = world.sync()
    assert report.parked == 1
    assert "edit_other_timesheet" in world.conflicts()[0].text
    assert world.office.minutes() == {booking: [30]}
