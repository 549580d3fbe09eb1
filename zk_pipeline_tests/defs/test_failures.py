"""What goes wrong outside: one clear message, nothing half written, and a failed read never looks like "no data"."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from zk_pipeline.local import prepared
from zk_pipeline.settings import load_settings
from zk_pipeline.store import ledger
from zk_pipeline.syncing import SyncFailedError
from zk_pipeline_tests.defs.conftest import Databases, open_desk, open_office, open_world, set_surroundings
from zk_pipeline_tests.defs.world import MONDAY, Desk, Office, World, at

CREATE = {"method": "POST", "path": "/api/timesheets$"}
LIST = "/api/v1/time_accountings$"
ZAMMAD_REFUSAL = '{"error": "Invalid BasicAuth credentials"}'
KIMAI_403 = '{"code": 403, "message": "Forbidden"}'
CLOSED_PORT = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def settled(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with one booking in Kimai and one still to come. A failed read must leave all of it as it is."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        set_surroundings(databases, home, patch)
        patch.setenv("ZK_HTTP_TIMEOUT", "1")
        with open_desk(patch) as desk, open_office(patch) as office, open_world(desk, office) as world:
            world.desk.book(30)
            world.sync()
            world.desk.book(45, agent="ben")
            yield world


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


RESPOND: dict[str, Any] = {"kind": "respond"}
READ_FAILURES = {
    "zammad 401": ("zammad", "/users", {"status": 401, "text": ZAMMAD_REFUSAL}, ["401", "new token"]),
    "zammad 403": ("zammad", LIST, {"status": 403, "text": '{"error": "Not authorized (token authorization failed)!"}'},
                   ["403", "admin.time_accounting"]),
    "zammad 404": ("zammad", LIST, {"status": 404, "text": '{"error": "This page doesn\'t exist."}'},
                   ["404", "6.1 or newer"]),
    "zammad 429": ("zammad", "/organizations", {"status": 429, "headers": {"Retry-After": "1"}},
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
    control.add_fault(**(RESPOND | {"path": path} | fault))
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
        ({"ZK_KIMAI_URL": "http://kimai.example/?page=1"}, ["'kimai'", "query", "scheme, host and path"]),
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
    with pytest.raises(Exception) as failure, prepared(load_settings()):  # noqa: PT011 - which error is not the point
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


@pytest.mark.parametrize("permission", ["admin.time_accounting", "ticket.agent"])
def test_a_permission_that_the_zammad_token_lacks_is_named(world: World, permission: str) -> None:
    world.desk.book(30)
    world.desk.server.state.tokens["zammad-token-of-the-tests"].permissions.remove(permission)
    message = failure_of(world)
    assert f"Give the token the permission {permission}" in message
    assert world.office.rows == []


def test_an_account_that_may_not_edit_others_time_sheets_parks_the_update(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.edit(booking, units=45)
    world.office.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {"edit_other_timesheet": False}}})
    report = world.sync()
    assert report.parked == 1
    assert "edit_other_timesheet" in world.conflicts()[0].text
    assert world.office.minutes() == {booking: [30]}


@pytest.mark.parametrize(("status", "words"), [(401, ["401", "new API token"]), (429, ["429", "Too many requests"])])
def test_a_create_that_the_whole_system_refuses_stops_the_run_and_loses_nothing(
    world: World, status: int, words: list[str]
) -> None:
    bookings = [world.desk.book(30 + number) for number in range(6)]
    world.office.control.add_fault("respond", **CREATE, status=status, skip=2)
    message = failure_of(world)
    assert [word for word in [str(MONDAY), *words] if word not in message] == []
    assert world.office.creates_sent() <= 2 + 4, "what was under way, and no more"
    world.office.control.clear_faults()
    world.sync()
    assert world.office.minutes() == {booking: [30 + number] for number, booking in enumerate(bookings)}


@pytest.mark.parametrize("settings", [{"ZK_HTTP_ATTEMPTS": 3}], indirect=True)
def test_a_server_that_asks_to_slow_down_is_waited_for(world: World) -> None:
    booking = world.desk.book(30)
    for path in ("/api/users$", "/api/timesheets$"):
        world.office.control.add_fault("respond", path=path, status=429, headers={"Retry-After": "1"}, times=1)
    world.sync()
    assert world.office.minutes() == {booking: [30]}


def test_an_entry_for_which_kimai_always_fails_is_reported_while_the_others_arrive(world: World) -> None:
    broken, good, later = world.desk.book(30), world.desk.book(45, agent="ben"), world.desk.book(60)
    world.office.control.add_fault("respond", **CREATE, body=rf"\[zk-zammad-{broken}\]", status=500)
    for _ in range(2):
        message = failure_of(world)
        assert [word for word in (str(MONDAY), f"Booking {broken}", "500") if word not in message] == []
        assert world.office.minutes() == {good: [45], later: [60]}
        assert world.ledger()[broken] == "failed"
    world.office.control.clear_faults()
    assert world.sync().counts["created"] == 1
    assert world.office.minutes() == {broken: [30], good: [45], later: [60]}


def test_a_doubt_that_cannot_be_looked_up_is_left_to_the_next_run(world: World) -> None:
    booking = world.desk.book(30)
    world.office.control.add_fault("drop_after", **CREATE)
    world.office.control.add_fault("respond", method="GET", path="/api/timesheets$", skip=1, status=500)
    message = failure_of(world)
    assert "Kimai: GET /api/timesheets answered 500" in message
    world.office.control.clear_faults()
    world.sync()
    assert world.office.minutes() == {booking: [30]}
    assert world.office.creates_sent() == 1


def parked_then_repaired(world: World, parked: int, good: int, words: list[str]) -> None:
    """The first runs park one of two bookings, and write nothing for it on the same day again."""
    report = world.sync()
    assert (report.parked, report.conflicts) == (1, 0)
    assert world.office.minutes() == {good: [45]}
    (conflict,) = world.conflicts()
    assert (conflict.reason, conflict.source_id) == ("refused_by_kimai", str(parked))
    assert [word for word in [*words, "Then sync the day again."] if word not in conflict.text] == []
    again = world.sync().to_json()
    assert (again["requests"]["kimai"]["write"], again["parked"], again["in_sync"]) == (0, 1, 1)


def arrives_now(world: World, booking: int) -> None:
    report = world.sync()
    assert (report.counts["created"], report.parked, world.reasons()) == (1, 0, [])
    assert world.office.sheet(booking).duration == 30 * 60


def test_a_booking_on_a_project_that_has_ended_waits_until_the_project_is_extended(world: World) -> None:
    organization = world.desk.server.state.tickets[world.desk.tickets["globex"]].organization_id
    customer = world.office.server.add_customer("Globex", f"zammad-org-{organization}")
    ended = date(2025, 8, 31)
    number = f"ZO{organization}"
    project = world.office.server.add_project("Support", customer, number, end=ended, timezone="Europe/Berlin")
    parked, good = world.desk.book(30, ticket="globex"), world.desk.book(45)
    parked_then_repaired(world, parked, good, ["Project Support ended on 2025-08-31", "extend its end date"])
    world.office.amend("projects", project, end=None)
    arrives_now(world, parked)


def test_a_booking_on_a_hidden_activity_waits_until_the_activity_is_visible(world: World) -> None:
    hidden = world.office.server.add_activity("Travel", visible=False)
    travel = world.desk.server.add_type("Travel")
    world.execute(
        "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (:type, :activity)",
        type=travel,
        activity=hidden,
    )
    parked, good = world.desk.book(30, type_id=travel), world.desk.book(45)
    parked_then_repaired(world, parked, good, ["Activity Travel is hidden", "make it visible"])
    world.office.amend("activities", hidden, visible=True)
    arrives_now(world, parked)


def test_a_booking_of_a_disabled_user_waits_until_the_account_is_enabled(world: World) -> None:
    world.office.amend("users", world.office.users["ben"], enabled=False)
    parked, good = world.desk.book(30, agent="ben"), world.desk.book(45)
    parked_then_repaired(world, parked, good, ["user ben is disabled", "enable the account"])
    world.office.amend("users", world.office.users["ben"], enabled=True)
    arrives_now(world, parked)


def test_a_booking_whose_description_is_too_long_waits_until_the_title_is_shortened(world: World) -> None:
    ticket = world.desk.server.state.tickets[world.desk.tickets["globex"]]
    ticket.title = "x" * 70_000
    parked, good = world.desk.book(30, ticket="globex"), world.desk.book(45)
    parked_then_repaired(world, parked, good, ["The description has 700", "65535", "shorten the ticket's title"])
    ticket.title = "VPN"
    ticket.updated_at = at("10:00")
    arrives_now(world, parked)


def test_an_exported_time_sheet_is_never_written(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    row = world.office.sheet(booking)
    world.office.change(row, exported=True)
    billed = world.office.sheet(booking)
    world.desk.server.edit(booking, units=90)
    report = world.sync().to_json()
    assert report["requests"]["kimai"]["write"] == 0
    assert world.reasons() == ["billed"]
    world.desk.server.delete(booking)
    world.desk.book(5)
    world.sync()
    assert world.office.sheet(booking) == billed


def test_a_time_sheet_exported_after_the_plan_was_made_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.edit(booking, units=90)
    world.sync(job="plan")
    world.office.change(world.office.sheet(booking), exported=True)
    billed = world.office.sheet(booking)
    world.sync()
    assert world.office.sheet(booking) == billed


def test_a_deletion_in_zammad_needs_the_proof_of_the_row_itself(world: World) -> None:
    booking, kept = world.desk.book(30), world.desk.book(45)
    world.sync()
    world.desk.server.delete(booking)
    world.desk.control.add_fault("respond", path=rf"/time_accountings/{booking}$", status=500)
    failure_of(world)
    assert world.value("SELECT count(gone_at) FROM zammad.time_accountings") == 0

    world.desk.control.clear_faults()
    world.sync()
    assert world.value("SELECT id FROM zammad.time_accountings WHERE gone_at IS NOT NULL") == booking
    assert world.reasons() == ["deleted_in_zammad"]
    assert world.office.minutes() == {booking: [30], kept: [45]}, "people decide about the time sheet"


def test_an_incomplete_sweep_deletes_nothing(world: World) -> None:
    booking, kept = world.desk.book(30), world.desk.book(45)
    world.sync()
    world.desk.control.add_fault("respond", path=LIST, skip=1, status=200, text="[]")
    world.sync()
    assert world.value("SELECT count(gone_at) FROM zammad.time_accountings") == 0
    assert world.office.minutes() == {booking: [30], kept: [45]}


def test_a_zammad_that_is_suddenly_empty_is_taken_for_broken(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.delete(booking)
    message = failure_of(world)
    assert [word for word in ("list of bookings is empty", "right system") if word not in message] == []
    assert world.value("SELECT count(gone_at) FROM zammad.time_accountings") == 0
    assert world.office.minutes() == {booking: [30]}


def test_a_time_sheet_deleted_in_kimai_is_not_written_again_unasked(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.office.server.kimai.timesheets.remove(world.office.sheet(booking).id)
    report = world.sync().to_json()
    assert report["requests"]["kimai"]["write"] == 0
    assert world.reasons() == ["deleted_in_kimai"]
    assert world.office.rows == []
    world.office.control.reset_requests()
    world.sync()
    assert world.reasons() == ["deleted_in_kimai"]
    asked = world.office.control.requests().by_route
    assert "GET /api/timesheets/{id}" not in asked, "what is gone once is gone for good"


def test_a_time_sheet_that_vanishes_while_it_is_updated_is_a_matter_of_that_entry(world: World) -> None:
    booking, other = world.desk.book(30), world.desk.book(45)
    world.sync()
    for number in (booking, other):
        world.desk.server.edit(number, units=60)
    sheet = world.office.sheet(booking).id
    not_found = '{"code": 404, "message": "Not Found"}'
    path = f"/api/timesheets/{sheet}$"
    world.office.control.add_fault("respond", method="PATCH", path=path, status=404, text=not_found)
    report = world.sync().to_json()
    assert report["updated"] == 1
    assert world.office.sheet(other).duration == 60 * 60


def test_a_database_that_drops_its_connections_while_a_day_is_written_loses_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = {world.desk.book(30 + number): [30 + number] for number in range(3)}
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "confirm", lambda connection, *_: connection.execute(text(drop)))
        message = failure_of(world)
    assert [word for word in (str(MONDAY), "The database failed", "Run the day again") if word not in message] == []
    assert "SELECT" not in message
    world.sync()
    assert world.office.minutes() == bookings
    assert world.office.creates_sent() == 3
