"""The chain with Freshdesk: what runs waits, what moved moves, and only two proofs delete."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from zk_pipeline.billing import periods
from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.identity.actors import StaleError
from zk_pipeline.operate import connectors
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages import rereading
from zk_pipeline.stages.source_changes import ChangeFeed
from zk_pipeline_tests.defs.asking import ANNA
from zk_pipeline_tests.defs.billing import ADMIN, Books
from zk_pipeline_tests.defs.world import MONDAY, Office, World, at
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.freshdesk import FreshdeskServer
from zk_sandbox.freshdesk.settings import SWITCHES
from zk_sandbox.kimai.model import Timesheet
from zk_sandbox.server import ServerThread

KEY = "key-of-the-tests"


@dataclass
class Helpdesk:
    """Freshdesk with an agent and a customer's ticket, the product, and Kimai."""

    server: FreshdeskServer
    control: SandboxControl
    office: Office
    world: World
    anna: int = 0
    ticket: int = 0

    def furnish(self) -> None:
        """Put the account, Anna and a ticket in place."""
        self.server.add_agent("Sync", "sync@example.com", key=KEY)
        self.anna = self.server.add_agent("Anna", "anna@example.com")
        company = self.server.add_company("Acme")
        self.ticket = self.server.add_ticket("Printer is out of paper", company_id=company, at=at("08:00"))

    def book(self, minutes: float, clock: str = "09:00", day: date = MONDAY, ticket: int = 0) -> int:
        """Book work of Anna's."""
        return self.server.book(ticket or self.ticket, self.anna, minutes, at(clock, day))

    def sheets(self, entry: int) -> list[Timesheet]:
        """The time sheets of an entry."""
        return [row for row in self.office.rows if str(entry) in marked_ids(row.description or "", "freshdesk")]

    def minutes(self) -> dict[int, list[int]]:
        """The minutes of each time sheet of ours, by entry."""
        found: dict[int, list[int]] = {}
        for row in self.office.rows:
            for entry in marked_ids(row.description or "", "freshdesk"):
                found.setdefault(int(entry), []).append(row.duration // 60)
        return found

    def sync(self, day: date = MONDAY) -> None:
        """Run a day. Raises `SyncFailedError`."""
        self.world.sync(day)

    def former_months(self, before: date, days_later: int = 0) -> list[tuple[date, date]]:
        """What is read again so many days later, because nothing tells of edits."""
        runtime = self.world.environment.runtime
        with runtime.database.transaction() as connection:
            later = datetime.now(UTC) + timedelta(days=days_later)
            return rereading.former_months(connection, runtime.settings, before, later)

    def asked_days(self) -> set[date]:
        """The days that something asks to run."""
        text = self.world.value(
            "SELECT string_agg(DISTINCT day::text, ' ') FROM sync.day_requests WHERE claimed_by_run IS NULL"
        )
        return {date.fromisoformat(day) for day in (text or "").split()}


@pytest.fixture
def helpdesk(surroundings: pytest.MonkeyPatch, office: Office) -> Iterator[Helpdesk]:
    surroundings.setenv("ZK_ON_SOURCE_DELETE", "delete")
    server = FreshdeskServer()
    with (
        ServerThread(with_control(server)) as thread,
        SandboxControl(thread.url) as control,
        prepare(load_settings()) as environment,
    ):
        connectors.put(environment.runtime, ANNA, kind="freshdesk", base_url=thread.url, token=KEY)
        world = World(None, office, environment)  # type: ignore[arg-type]
        world.execute(
            "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (NULL, :activity)",
            activity=office.activity,
        )
        found = Helpdesk(server, control, office, world)
        found.furnish()
        yield found


def test_a_time_entry_is_one_time_sheet_of_its_person_customer_and_day(helpdesk: Helpdesk) -> None:
    entry = helpdesk.book(25)
    for _ in range(2):
        helpdesk.sync()
    (sheet,) = helpdesk.sheets(entry)
    assert sheet.duration == 25 * 60
    assert datetime.fromtimestamp(sheet.begin, UTC) == at("09:00")
    assert sheet.user == helpdesk.office.users["anna"]
    project = helpdesk.office.server.kimai.tables["projects"].rows[sheet.project]
    assert helpdesk.office.server.kimai.tables["customers"].rows[project.customer].name == "Acme"


def test_a_running_timer_waits_and_is_carried_over_once_it_stopped(helpdesk: Helpdesk) -> None:
    entry = helpdesk.book(0)
    helpdesk.server.start_timer(entry, at("09:00"))
    for _ in range(2):
        helpdesk.sync()
    assert helpdesk.minutes() == {}
    helpdesk.server.stop_timer(entry, at("09:25"))
    helpdesk.sync()
    assert helpdesk.minutes() == {entry: [25]}
    assert helpdesk.world.reasons() == []


@pytest.mark.parametrize("touches", [True, False])
def test_an_entry_that_moved_to_another_day_moves_and_is_not_taken_for_gone(
    helpdesk: Helpdesk, *, touches: bool
) -> None:
    helpdesk.server.configure({"touches_ticket": touches})
    earlier = MONDAY - timedelta(days=21)
    entry = helpdesk.book(60)
    helpdesk.sync()
    helpdesk.server.edit(entry, moved_to=at("10:00", earlier))
    helpdesk.sync()  # It runs the new day too, which asks for the former one.
    assert helpdesk.asked_days() == {MONDAY}
    helpdesk.sync()
    (sheet,) = helpdesk.sheets(entry)
    assert datetime.fromtimestamp(sheet.begin, UTC) == at("10:00", earlier)
    assert helpdesk.world.value("SELECT count(*) FROM zammad.time_accountings WHERE gone_at IS NOT NULL") == 0
    assert helpdesk.world.reasons() == []


def test_only_the_second_run_that_misses_an_entry_deletes_its_time_sheet_and_only_once(helpdesk: Helpdesk) -> None:
    kept, lost = helpdesk.book(10), helpdesk.book(60)
    helpdesk.sync()
    helpdesk.server.delete(lost)
    helpdesk.sync()
    assert helpdesk.minutes() == {kept: [10], lost: [60]}
    for _ in range(2):
        helpdesk.sync()
        assert helpdesk.minutes() == {kept: [10]}
    deletes = helpdesk.office.control.requests().by_route.get("DELETE /api/timesheets/{id}", 0)
    assert deletes == 1


def test_the_last_entry_of_a_day_may_be_deleted_too(helpdesk: Helpdesk) -> None:
    lost = helpdesk.book(60)
    helpdesk.sync()
    helpdesk.server.delete(lost)
    helpdesk.sync()
    helpdesk.sync()
    assert helpdesk.minutes() == {}


def test_an_entry_that_was_missed_once_and_is_back_begins_anew(helpdesk: Helpdesk) -> None:
    entry = helpdesk.book(60)
    helpdesk.sync()
    row = helpdesk.server.state.entries.pop(entry)
    helpdesk.sync()
    helpdesk.server.state.entries[entry] = row
    helpdesk.sync()
    helpdesk.server.state.entries.pop(entry)
    helpdesk.sync()
    assert helpdesk.minutes() == {entry: [60]}
    helpdesk.sync()
    assert helpdesk.minutes() == {}


@pytest.mark.parametrize("rows", SWITCHES["trashed_rows"])
@pytest.mark.parametrize("answer", SWITCHES["trashed_ticket"])
def test_a_ticket_in_the_trash_deletes_nothing_and_comes_back_without_copies(
    helpdesk: Helpdesk, rows: str, answer: str
) -> None:
    helpdesk.server.configure({"trashed_rows": rows, "trashed_ticket": answer})
    entries = [helpdesk.book(10 + number) for number in range(3)]
    helpdesk.sync()
    booked = helpdesk.minutes()
    for state in ("deleted", "deleted", "normal", "normal"):
        helpdesk.server.change_ticket(helpdesk.ticket, state=state)
        helpdesk.sync()
        assert helpdesk.minutes() == booked
    assert set(booked) == set(entries)
    assert helpdesk.world.reasons() == []


@pytest.mark.parametrize("answer", SWITCHES["archived_ticket"])
def test_an_archived_ticket_deletes_nothing_and_disturbs_no_other(helpdesk: Helpdesk, answer: str) -> None:
    helpdesk.server.configure({"archived_ticket": answer})
    entry = helpdesk.book(60)
    other = helpdesk.server.add_ticket("Mail", at=at("08:00"))
    helpdesk.sync()
    helpdesk.server.change_ticket(helpdesk.ticket, state="archived")
    later = helpdesk.book(5, ticket=other)
    for _ in range(3):
        helpdesk.sync()
    assert helpdesk.minutes() == {entry: [60], later: [5]}


@pytest.mark.parametrize("trouble", ["scope", "plan", "lockout", "budget", "long wait"])
def test_a_refusal_fails_the_run_and_deletes_nothing(helpdesk: Helpdesk, trouble: str) -> None:
    entries = {helpdesk.book(10 + number): [10 + number] for number in range(8)}
    helpdesk.sync()
    if trouble == "scope":
        account = next(agent for agent in helpdesk.server.state.agents.values() if agent.key)
        account.ticket_scope = 2
    elif trouble == "plan":
        helpdesk.server.configure({"timesheets": False})
    elif trouble == "lockout":
        helpdesk.server.state.failed_logins = 3
    elif trouble == "budget":
        helpdesk.server.configure({"limit": 200, "others_use": 184})
    else:
        helpdesk.control.add_fault("respond", path="time_entries", status=429, headers={"Retry-After": "1800"})
    before = helpdesk.control.requests().reads
    for _ in range(2):
        with pytest.raises(SyncFailedError):
            helpdesk.sync()
    assert helpdesk.control.requests().reads - before <= 8
    assert helpdesk.minutes() == entries


@pytest.mark.parametrize("touches", [True, False])
def test_a_poll_asks_for_the_days_of_new_late_and_deleted_entries(helpdesk: Helpdesk, *, touches: bool) -> None:
    helpdesk.server.configure({"touches_ticket": touches})
    today = datetime.now(UTC).date()
    feed = ChangeFeed(helpdesk.world.environment.runtime)
    feed.poll(datetime.now(UTC))
    helpdesk.server.book(helpdesk.ticket, helpdesk.anna, 5)
    late = today - timedelta(days=90)
    helpdesk.server.book(helpdesk.ticket, helpdesk.anna, 5, at("09:00", late), booked_at=datetime.now(UTC))
    feed.poll(datetime.now(UTC) + timedelta(minutes=2))
    asked = helpdesk.asked_days()
    assert (late in asked) is touches
    assert asked - {late} <= {today, today + timedelta(days=1)}
    assert asked - {late}


def test_a_deletion_lets_no_poll_read_everything(helpdesk: Helpdesk) -> None:
    today = datetime.now(UTC).date()
    helpdesk.book(5)
    lost = helpdesk.book(5, day=today - timedelta(days=1))
    helpdesk.sync()
    helpdesk.sync(today - timedelta(days=1))
    feed = ChangeFeed(helpdesk.world.environment.runtime)
    feed.poll(datetime.now(UTC))
    helpdesk.server.delete(lost)
    helpdesk.control.reset_requests()
    for minutes in (2, 4):
        feed.poll(datetime.now(UTC) + timedelta(minutes=minutes))
    assert helpdesk.control.requests().reads <= 10
    assert helpdesk.asked_days() <= {today - timedelta(days=1), today}


# What shows in no poll


def some_months_ago() -> date:
    """A day in the middle of a month that the deep check no longer reaches."""
    return (datetime.now(UTC).date() - timedelta(days=120)).replace(day=10)


def test_an_open_month_is_read_again_after_a_week_as_far_as_it_was_read(helpdesk: Helpdesk) -> None:
    day = some_months_ago()
    before = day + timedelta(days=60)
    helpdesk.book(60, day=day)
    helpdesk.world.sync(day, day + timedelta(days=3))
    assert helpdesk.former_months(before, 6) == []
    assert helpdesk.former_months(before, 8) == [(day, day + timedelta(days=3))]
    assert helpdesk.former_months(day + timedelta(days=2), 8) == [(day, day + timedelta(days=1))]
    assert helpdesk.former_months(day, 8) == []
    helpdesk.sync(day)
    assert helpdesk.former_months(before, 6) == []


def test_a_closed_month_is_not_read_again(helpdesk: Helpdesk) -> None:
    day = some_months_ago()
    helpdesk.sync(day)
    Books(helpdesk.world).close(day)
    assert helpdesk.former_months(day + timedelta(days=60), 8) == []


def test_a_month_whose_last_read_is_old_is_not_closed(helpdesk: Helpdesk) -> None:
    day = some_months_ago()
    helpdesk.sync(day)
    Books(helpdesk.world).state(day.replace(day=1))
    helpdesk.world.execute("UPDATE sync.sweeps SET ended_at = ended_at - interval '3 days'")
    state = periods.closing_state(helpdesk.world.environment.runtime, f"{day:%Y-%m}")
    assert any("does not tell of later edits" in text for text in state.objections)
    with pytest.raises(StaleError, match="was last read on"):
        periods.close(helpdesk.world.environment.runtime, ADMIN, f"{day:%Y-%m}")
    helpdesk.sync(day)
    assert periods.closing_state(helpdesk.world.environment.runtime, f"{day:%Y-%m}").objections == ()


def test_an_edit_that_touches_no_ticket_is_found_by_reading_its_month_again(helpdesk: Helpdesk) -> None:
    helpdesk.server.configure({"touches_ticket": False})
    day = some_months_ago()
    entry = helpdesk.book(60, day=day)
    helpdesk.sync(day)
    helpdesk.server.edit(entry, minutes=45)
    ChangeFeed(helpdesk.world.environment.runtime).poll(datetime.now(UTC))
    assert day not in helpdesk.asked_days()
    [(first, last)] = helpdesk.former_months(day + timedelta(days=60), 8)
    helpdesk.world.sync(first, last)
    assert helpdesk.minutes() == {entry: [45]}


def test_a_quiet_month_takes_few_requests_through_the_whole_chain(helpdesk: Helpdesk) -> None:
    first, last = date(2025, 10, 1), date(2025, 10, 31)
    for number in range(60):
        helpdesk.book(15, day=first + timedelta(days=number % 31))
    helpdesk.world.sync(first, last)
    helpdesk.control.reset_requests()
    report = helpdesk.world.sync(first, last)
    assert report.counts["in_sync"] == 60
    assert helpdesk.control.requests().reads <= 40, helpdesk.control.requests().by_route


# Rules


@pytest.fixture
def rules(surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_ACTIVITY_RULES", "label:work-*, type")
    surroundings.setenv("ZK_CUSTOMER_RULES", "field:cf_contract, group, organization")


def test_tags_fields_and_groups_decide_activity_and_customer(rules: None, helpdesk: Helpdesk) -> None:
    office, server = helpdesk.office, helpdesk.server
    onsite = office.server.add_activity("On site")
    helpdesk.world.execute(
        "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES ('label:work-on-site', :activity)",
        activity=onsite,
    )
    server.change_ticket(helpdesk.ticket, tags=["vip", "work-on-site"], custom_fields={"cf_contract": "Gold"})
    other = server.add_ticket("Mail", at=at("08:00"), group_id=server.add_group("Second level"))
    first, second = helpdesk.book(10), helpdesk.book(20, ticket=other)
    helpdesk.sync()
    tables = office.server.kimai.tables
    found = {}
    for entry in (first, second):
        (sheet,) = helpdesk.sheets(entry)
        customer = tables["customers"].rows[tables["projects"].rows[sheet.project].customer]
        found[entry] = sheet.activity, customer.name
    assert found == {first: (onsite, "Gold"), second: (office.activity, "Second level")}


def test_a_rule_for_what_its_tickets_do_not_have_is_named(helpdesk: Helpdesk) -> None:
    runtime = helpdesk.world.environment.runtime
    wrong = runtime.settings.model_copy(update={"customer_rules": "component, organization"})
    with (
        pytest.raises(SetupError, match="ZK_CUSTOMER_RULES names component, which tickets of freshdesk do not have"),
        replace(runtime, settings=wrong).source(),
    ):
        pass
