"""Reading time entries of Freshdesk: whole although nothing says how many there are, and nothing taken for deleted.

Nothing here was compared with a real Freshdesk. What is not known of it is tried both ways.
"""

import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.connectors.errors import (
    AuthenticationError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
)
from zk_pipeline.connectors.freshdesk import rows as freshdesk_rows
from zk_pipeline.connectors.freshdesk.webhooks import FreshdeskWebhooks
from zk_pipeline.connectors.freshdesk.zones import iana_zone
from zk_pipeline.connectors.webhooks import IncomingDelivery, NoTicketError, UntrustedDeliveryError
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.records import BookingKey, Existence, Window
from zk_pipeline_tests.connectors import freshdesk_world
from zk_pipeline_tests.connectors.conftest import Pauses
from zk_pipeline_tests.connectors.freshdesk_world import JUNE, KEY, NOW, ConnectFreshdesk, read
from zk_sandbox.client import SandboxControl
from zk_sandbox.freshdesk import FreshdeskServer
from zk_sandbox.freshdesk.settings import SWITCHES

freshdesk_service, freshdesk = freshdesk_world.freshdesk_service, freshdesk_world.freshdesk
connect, control = freshdesk_world.connect, freshdesk_world.control
anna, ticket = freshdesk_world.anna, freshdesk_world.ticket

NOON = JUNE.start + timedelta(hours=12)
DAY = Window(JUNE.start, JUNE.start + timedelta(days=1))


def ids(rows: list) -> list[int]:
    return [int(row.id) for row in rows]


def key(entry: int, ticket: int) -> BookingKey:
    return BookingKey(str(entry), str(ticket))


# Durations, timers and days


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("01:30", 5400),
        ("00:00", 0),
        ("100:30", 361_800),
        ("1.5", None),
        ("", None),
        ("00:60", None),
        ("\u0660\u0661:\u0663\u0660", None),
    ],
)
def test_a_duration_has_hours_and_minutes_and_nothing_else(written: str, seconds: int | None) -> None:
    assert freshdesk_rows.seconds_of(written) == seconds


@pytest.mark.parametrize("written", ["1.5", "", "00:60", None])
def test_an_unreadable_duration_parks_its_row_and_no_other(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, written: str | None
) -> None:
    freshdesk.book(ticket, anna, 90, NOON, overrides={"time_spent": written})
    good = freshdesk.book(ticket, anna, 30, NOON)
    bad, other = read(connect())
    assert "time_spent" in bad.faults
    assert (other.id, other.seconds, other.faults) == (str(good), 1800, {})


@pytest.mark.parametrize("field", ["agent_id", "ticket_id", "executed_at", "created_at", "updated_at"])
def test_a_row_that_lacks_anything_else_is_parked_with_the_reason(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, field: str
) -> None:
    entry = freshdesk.book(ticket, anna, 90, NOON, overrides={field: None, "note": None, "company_id": None})
    (row,) = read(connect())
    assert row.id == str(entry)
    assert list(row.faults) == ["created_by_id" if field == "agent_id" else field]


@pytest.mark.parametrize(("measured", "found"), [(659, False), (660, True), (720, True)])
def test_what_reports_show_is_billed_and_a_difference_of_a_minute_is_logged(
    freshdesk: FreshdeskServer,
    connect: ConnectFreshdesk,
    anna: int,
    ticket: int,
    caplog: pytest.LogCaptureFixture,
    measured: int,
    *,
    found: bool,
) -> None:
    freshdesk.book(ticket, anna, 10, NOON, overrides={"time_spent_in_seconds": measured})
    with caplog.at_level(logging.WARNING):
        (row,) = read(connect())
    assert (row.seconds, row.faults) == (600, {})
    assert (f"shows 600 s and measured {measured} s" in caplog.text) is found


@pytest.mark.parametrize("sends_seconds", [True, False])
@pytest.mark.parametrize("company", SWITCHES["company_of_row"])
def test_older_and_newer_rows_read_alike(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, company: str, *, sends_seconds: bool
) -> None:
    freshdesk.configure({"company_of_row": company, "sends_seconds": sends_seconds})
    freshdesk.book(ticket, anna, 90, NOON, note="<p>Replaced<br>the fuser</p>")
    source = connect()
    (row,) = read(source)
    assert (row.seconds, row.note, row.type_id, row.agent_id) == (
        5400,
        "Replaced the fuser",
        "type:Incident",
        str(anna),
    )
    assert [one.organization_name for one in source.fetch_tickets([row])] == ["Acme"]


def test_a_running_timer_waits_and_counts_once_it_stopped(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int
) -> None:
    entry = freshdesk.book(ticket, anna, 0, NOON)
    freshdesk.start_timer(entry, NOON)
    for _ in range(2):
        (row,) = read(connect())
        assert (row.is_final, row.seconds) == (False, 0)
    freshdesk.stop_timer(entry, NOON + timedelta(minutes=25))
    (row,) = read(connect())
    assert (row.is_final, row.seconds) == (True, 1500)


def test_a_forgotten_timer_is_logged(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, caplog: pytest.LogCaptureFixture
) -> None:
    freshdesk.start_timer(freshdesk.book(ticket, anna, 0, NOON), datetime.now(UTC) - timedelta(hours=25))
    with caplog.at_level(logging.WARNING):
        read(connect())
    assert "has been running for more than a day" in caplog.text


def test_the_day_is_that_of_the_work_in_the_zone_and_not_of_the_booking(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int
) -> None:
    worked = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)
    freshdesk.book(ticket, anna, 60, worked, booked_at=datetime(2026, 7, 3, 8, tzinfo=UTC))
    (row,) = read(connect())
    assert local_day(row.counts_at, ZoneInfo("Europe/Berlin")).isoformat() == "2026-07-01"


# Slices


@pytest.mark.parametrize("order", SWITCHES["order"])
@pytest.mark.parametrize("bounds", SWITCHES["bounds"])
def test_a_day_is_whole_although_rows_vanish_between_pages(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, order: str, bounds: str
) -> None:
    booked = [freshdesk.book(ticket, anna, 5, DAY.start + timedelta(minutes=5 * n)) for n in range(250)]
    freshdesk.configure({"order": order, "bounds": bounds})
    asked = 0

    def delete_one(path: str, query: str) -> None:
        nonlocal asked
        asked += path.endswith("/time_entries")
        if asked == 2 and booked[0] in freshdesk.state.entries:
            freshdesk.delete(booked[0])

    freshdesk.meanwhile = delete_one
    sweep = connect().fetch(DAY)
    rows = [row for page in sweep.pages() for row in page]
    assert ids(rows) == booked[1:]
    assert sweep.report.complete
    assert sweep.report.rows == 249
    assert sweep.report.pages <= 10


@pytest.mark.parametrize("order", SWITCHES["order"])
def test_more_entries_of_one_instant_than_a_page_has_are_all_read(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, order: str
) -> None:
    bob = freshdesk.add_agent("Bob", "bob@example.net")
    booked = [freshdesk.book(ticket, (anna, bob)[n % 2], 5, DAY.start) for n in range(150)]
    freshdesk.configure({"order": order})
    sweep = connect().fetch(DAY)
    rows = [row for page in sweep.pages() for row in page]
    assert ids(rows) == booked
    assert sweep.report.complete, sweep.report.reason


def test_what_cannot_be_read_whole_proves_nothing(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int
) -> None:
    for _ in range(150):
        freshdesk.book(ticket, anna, 5, DAY.start)
    freshdesk.configure({"order": "shuffled"})
    sweep = connect().fetch(DAY)
    list(sweep.pages())
    assert not sweep.report.complete
    assert "more entries of one person" in sweep.report.reason


def test_a_hint_saves_requests(freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int) -> None:
    for hour in range(30 * 24):
        freshdesk.book(ticket, anna, 5, JUNE.start + timedelta(hours=hour))
    first = connect().fetch(JUNE)
    list(first.pages())
    again = connect().fetch(JUNE, hint=first.report.rows_before)
    assert len([row for page in again.pages() for row in page]) == 720
    assert again.report.pages < first.report.pages
    assert again.report.pages <= 11


@pytest.mark.parametrize("link", ["foreign", "loop"])
def test_a_link_that_leads_astray_is_an_error(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, link: str
) -> None:
    for number in range(150):
        freshdesk.book(ticket, anna, 5, NOON + timedelta(minutes=number))
    freshdesk.configure({"link": link})
    with pytest.raises(ProtocolError):
        read(connect())


def test_a_quiet_month_costs_few_requests(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, control: SandboxControl
) -> None:
    agents = [freshdesk.add_agent(f"Agent {n}", f"agent{n}@example.net") for n in range(5)]
    companies = [freshdesk.add_company(f"Company {n}") for n in range(10)]
    group = freshdesk.add_group("Support")
    tickets = [
        freshdesk.add_ticket(
            f"Ticket {n}", company_id=companies[n % 10], group_id=group, type="Incident", at=JUNE.start
        )
        for n in range(150)
    ]
    for number in range(600):
        freshdesk.book(tickets[number // 4], agents[number % 5], 15, JUNE.start + timedelta(hours=number))
    source = connect()
    hint = source.fetch(JUNE)
    list(hint.pages())
    source, before = connect(), control.requests().reads
    sweep = source.fetch(JUNE, hint=hint.report.rows_before)
    rows = [row for page in sweep.pages() for row in page]
    found = source.fetch_tickets(rows)
    people = source.fetch_agents({row.agent_id for row in rows})
    types = source.fetch_types()
    assert (len(rows), len(found), len(people.agents), len(types.activity_types)) == (600, 150, 5, 4)
    assert control.requests().reads - before <= 20


# What is missing


@pytest.mark.parametrize("touches", [True, False])
def test_an_entry_that_moved_to_another_day_is_there(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, *, touches: bool
) -> None:
    freshdesk.configure({"touches_ticket": touches})
    entry = freshdesk.book(ticket, anna, 60, datetime(2026, 6, 10, 9, tzinfo=UTC))
    freshdesk.edit(entry, moved_to=datetime(2026, 5, 20, 9, tzinfo=UTC))
    source = connect()
    assert read(source) == []
    assert source.exists(key(entry, ticket)) is Existence.THERE
    (row,) = source.fetch_of_ticket(str(ticket))
    assert row.worked_at == datetime(2026, 5, 20, 9, tzinfo=UTC)


def test_only_a_ticket_in_sight_proves_that_an_entry_is_gone(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int
) -> None:
    entry = freshdesk.book(ticket, anna, 60, NOON)
    freshdesk.delete(entry)
    assert connect().exists(key(entry, ticket)) is Existence.GONE
    assert connect().exists(key(entry, 4711)) is Existence.DOUBT
    assert FreshdeskServer().state.entries == {}


@pytest.mark.parametrize("state", ["deleted", "spam"])
@pytest.mark.parametrize("answer", SWITCHES["trashed_ticket"])
@pytest.mark.parametrize("rows", SWITCHES["trashed_rows"])
def test_entries_of_a_ticket_in_the_trash_stay_as_they_are(
    freshdesk: FreshdeskServer,
    connect: ConnectFreshdesk,
    anna: int,
    ticket: int,
    caplog: pytest.LogCaptureFixture,
    state: str,
    answer: str,
    rows: str,
) -> None:
    booked = [freshdesk.book(ticket, anna, 5, NOON) for _ in range(3)]
    freshdesk.configure({"trashed_ticket": answer, "trashed_rows": rows})
    freshdesk.change_ticket(ticket, state=state)
    with caplog.at_level(logging.WARNING):
        source = connect()
        assert read(source) == []
        assert {source.exists(key(entry, ticket)) for entry in booked} == {Existence.DOUBT}
        assert source.fetch_of_ticket(str(ticket)) == []
    assert {"deleted": "in the trash", "spam": "marked as spam"}[state] in caplog.text
    freshdesk.change_ticket(ticket, state="normal")
    assert ids(read(connect())) == booked


@pytest.mark.parametrize("answer", SWITCHES["archived_ticket"])
@pytest.mark.parametrize("rows", SWITCHES["archived_rows"])
def test_an_archived_ticket_freezes_its_entries_and_disturbs_no_other(
    freshdesk: FreshdeskServer,
    connect: ConnectFreshdesk,
    anna: int,
    ticket: int,
    caplog: pytest.LogCaptureFixture,
    answer: str,
    rows: str,
) -> None:
    entry = freshdesk.book(ticket, anna, 5, NOON)
    other = freshdesk.book(freshdesk.add_ticket("Mail", at=NOON), anna, 5, NOON)
    freshdesk.configure({"archived_ticket": answer, "archived_rows": rows})
    freshdesk.change_ticket(ticket, state="archived")
    source = connect()
    found = read(source)
    if rows == "shown":
        assert ids(found) == [entry, other]
        assert [row.type_id for row in found] == ["type:Incident", None]
        assert source.exists(key(entry, ticket)) is Existence.THERE
        assert len(source.fetch_tickets(found)) == 2
    else:
        assert ids(found) == [other]
        assert source.exists(key(entry, ticket)) is Existence.DOUBT
        assert f"its ticket {ticket} is archived" in caplog.text


@pytest.mark.parametrize("merge", SWITCHES["merge"])
def test_a_merge_takes_no_entry_for_deleted(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, merge: str
) -> None:
    other = freshdesk.add_ticket("The same printer", at=NOON)
    entry = freshdesk.book(other, anna, 5, NOON)
    freshdesk.configure({"merge": merge})
    freshdesk.merge(ticket, other)
    source = connect()
    rows = read(source)
    assert entry in ids(rows)
    assert len(rows) == (2 if merge == "copy" else 1)
    assert source.exists(key(entry, other)) is Existence.THERE


def test_an_entry_of_a_ticket_that_is_shown_nowhere_is_parked(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int
) -> None:
    freshdesk.book(ticket, anna, 5, NOON, overrides={"ticket_id": 4711})
    source = connect()
    (row,) = read(source)
    assert row.faults == {"ticket_id": "ticket 4711 is shown nowhere"}
    assert source.fetch_tickets([row]) == []


@pytest.mark.parametrize("scope", [2, 3])
def test_a_narrower_scope_stops_everything(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, scope: int
) -> None:
    mine = freshdesk.add_ticket("Mine", group_id=freshdesk.add_group("Mine"), at=NOON)
    booked = [freshdesk.book(ticket if number < 68 else mine, anna, 5, NOON) for number in range(80)]
    assert ids(read(connect())) == booked
    account = next(agent for agent in freshdesk.state.agents.values() if agent.key)
    account.ticket_scope, account.group_ids = scope, [1]
    with pytest.raises(PermissionDeniedError, match="scope of the key's agent changed"):
        read(connect())
    with pytest.raises(PermissionDeniedError):
        connect().exists(key(booked[0], ticket))
    assert not connect().validate().ok


def test_an_empty_answer_to_a_list_that_had_rows_proves_nothing(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, control: SandboxControl
) -> None:
    entry = freshdesk.book(ticket, anna, 5, NOON)
    control.add_fault("respond", path="/api/v2/time_entries$", status=200, text="[]")
    source = connect()
    assert read(source) == []
    assert source.exists(key(entry, ticket)) is Existence.THERE


# Refusals and limits


def test_a_plan_without_time_tracking_is_named_and_not_asked_again(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, control: SandboxControl
) -> None:
    entry = freshdesk.book(ticket, anna, 5, NOON)
    freshdesk.configure({"timesheets": False})
    for call in (read, lambda source: source.exists(key(entry, ticket))):
        with pytest.raises(PermissionDeniedError, match="not part of this Freshdesk plan"):
            call(connect())
    asked = [line["path"] for line in control.requests().log if line["path"].endswith("time_entries")]
    assert len(asked) == 2
    findings = connect().validate().findings
    assert any("not part of this Freshdesk plan" in finding.text for finding in findings)


def test_a_lockout_is_not_tried_again(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, control: SandboxControl
) -> None:
    freshdesk.state.failed_logins = 3
    with pytest.raises(AuthenticationError, match="password_lockout"):
        read(connect())
    assert control.requests().reads == 1


def test_the_key_is_masked_wherever_an_answer_quotes_it(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, control: SandboxControl
) -> None:
    quoted = '{"code": "access_denied", "message": "Basic emstdGVzdC1rZXk6WA== of zk-test-key may not"}'
    control.add_fault("respond", path="/agents/me", status=403, text=quoted)
    with pytest.raises(PermissionDeniedError) as caught:
        read(connect())
    assert "emstdGVzdC1rZXk6WA==" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_long_read_is_not_begun_with_few_requests_left(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, control: SandboxControl
) -> None:
    freshdesk.configure({"limit": 200, "others_use": 184})
    source = connect()
    with pytest.raises(RateLimitedError) as caught:
        read(source)
    assert "Only 15 of the account's 200 requests are left" in str(caught.value)
    assert control.requests().reads == 1
    assert source.system_state is not None
    assert source.system_state.wait == caught.value.retry_after == 60


def test_a_long_wait_is_not_shortened(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, control: SandboxControl, pauses: Pauses
) -> None:
    control.add_fault("respond", path="/agents/me", status=429, headers={"Retry-After": "1800"})
    with pytest.raises(RateLimitedError) as caught:
        read(connect())
    assert caught.value.retry_after == 1800
    assert control.requests().reads == 1
    assert pauses.seconds == []


def test_a_long_read_pauses_when_others_need_the_rest(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, pauses: Pauses
) -> None:
    booked = [freshdesk.book(ticket, anna, 5, JUNE.start + timedelta(hours=hour)) for hour in range(400)]
    freshdesk.configure({"limit": 10})
    freshdesk_now = NOW

    class NextMinute(Pauses):
        def __call__(self, seconds: float) -> None:
            nonlocal freshdesk_now
            freshdesk_now += timedelta(seconds=seconds)
            freshdesk.configure({"now": freshdesk_now.isoformat()})
            pauses(seconds)

    source = connect()
    source._api._sleep = NextMinute()
    assert ids(read(source)) == booked
    assert set(pauses.seconds) == {60}


@pytest.mark.parametrize("status", [301, 302])
def test_a_login_page_is_no_answer(
    connect: ConnectFreshdesk, control: SandboxControl, freshdesk: FreshdeskServer, status: int
) -> None:
    control.add_fault("respond", path="time_entries", status=status, headers={"Location": "https://example.com/login"})
    with pytest.raises(ProtocolError):
        read(connect())


def test_validation_names_account_zone_and_an_address_that_is_not_freshdesks(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk
) -> None:
    validation = connect().validate()
    assert validation.ok
    assert (validation.account, validation.timezone) == ("sync@example.net", "Europe/Berlin")
    freshdesk.configure({"zone": "Middle Earth"})
    assert any("'Middle Earth'" in finding.text for finding in connect().validate().findings)
    freshdesk.configure({"shows_account": False})
    assert connect().validate().timezone is None
    assert (iana_zone("Eastern Time (US & Canada)"), iana_zone("Europe/Rome")) == ("America/New_York", "Europe/Rome")


# Changes


@pytest.mark.parametrize("touches", [True, False])
def test_an_entry_for_a_former_quarter_shows_by_its_ticket_or_in_its_month(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, *, touches: bool
) -> None:
    freshdesk.configure({"touches_ticket": touches})
    before = NOW - timedelta(minutes=10)
    worked = NOW - timedelta(days=90)
    entry = freshdesk.book(ticket, anna, 60, worked, booked_at=NOW)
    source = connect()
    assert source.fetch_changes(before).rows == ()
    changed = source.fetch_changed_tickets(before)
    assert changed.complete
    assert [row.ticket.id for row in changed.rows] == ([str(ticket)] if touches else [])
    assert all(row.units != 0 for row in changed.rows)
    assert ids(source.fetch_of_ticket(str(ticket))) == [entry]
    month = Window(worked - timedelta(days=15), worked + timedelta(days=15))
    assert ids(read(connect(), month)) == [entry]


def test_the_last_days_are_compared_by_each_poll(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, control: SandboxControl
) -> None:
    recent = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    entry = freshdesk.book(ticket, anna, 60, recent)
    freshdesk.book(ticket, anna, 60, recent - timedelta(days=3))
    rows = connect().fetch_changes(datetime.now(UTC) - timedelta(minutes=10)).rows
    assert ids(list(rows)) == [entry]
    assert control.requests().reads <= 4


def test_a_poll_leaves_the_rest_of_the_requests_to_others(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int, pauses: Pauses
) -> None:
    for number in range(150):
        freshdesk.book(ticket, anna, 60, datetime.now(UTC) - timedelta(hours=1, minutes=number))
    freshdesk.configure({"limit": 200, "others_use": 184})
    with pytest.raises(RateLimitedError):
        connect().fetch_changes(datetime.now(UTC) - timedelta(minutes=10))
    assert pauses.seconds == []


def test_a_long_list_of_changed_tickets_is_read_past_page_300_and_loses_none_at_a_border(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk
) -> None:
    total, together = 31_000, 40
    start = NOW - timedelta(days=20)
    for number in range(total):
        # 40 tickets share the instant at which a page ends.
        shown_at = 80 if 80 <= number < 80 + together else number
        freshdesk.add_ticket(f"Ticket {number}", at=start + timedelta(seconds=shown_at))
    source = connect()
    found: set[str] = set()
    since, complete = start - timedelta(hours=1), False
    while not complete:
        changed = source.fetch_changed_tickets(since)
        found |= {row.ticket.id for row in changed.rows}
        since = max(row.ticket.updated_at for row in changed.rows if row.ticket.updated_at)
        complete = changed.complete
    assert len(found) == total


def test_more_tickets_of_one_second_than_pages_are_read_at_once(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk
) -> None:
    for number in range(700):
        freshdesk.add_ticket(f"Ticket {number}", at=NOW)
    freshdesk.add_ticket("Later", at=NOW + timedelta(minutes=1))
    changed = connect().fetch_changed_tickets(NOW - timedelta(hours=1))
    assert (len(changed.rows), changed.complete) == (701, True)


# People and companies


def test_a_deleted_agent_keeps_name_and_address(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int
) -> None:
    freshdesk.delete_agent(anna)
    (found,) = connect().fetch_agents({str(anna)}).agents
    assert (found.id, found.name, found.email, found.active) == (str(anna), "Anna Berg", "anna@example.net", False)


def test_many_agents_are_read_by_the_list_and_nobody_else_is_returned(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, control: SandboxControl
) -> None:
    agents = [freshdesk.add_agent(f"Agent {number}", f"a{number}@example.net") for number in range(250)]
    wanted = {str(agent) for agent in agents[:200]}
    assert {row.id for row in connect().fetch_agents(wanted).agents} == wanted
    assert control.requests().reads == 3


def test_people_and_companies_are_found_by_a_part_of_their_names(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int, ticket: int
) -> None:
    assert [row.id for row in connect().find("berg").agents] == [str(anna)]
    assert [row.id for row in connect().find("anna@example.net").agents] == [str(anna)]
    assert [row.name for row in connect().find("acme").organizations] == ["Acme"]


def test_the_activity_is_the_type_of_the_ticket_or_else_its_product(
    freshdesk: FreshdeskServer, connect: ConnectFreshdesk, anna: int
) -> None:
    mail = freshdesk.add_product("Mail")
    for number, fields in enumerate(
        ({"type": "Feature Request", "product_id": mail}, {"product_id": mail}, {}),
    ):
        freshdesk.book(freshdesk.add_ticket("x", at=NOON, **fields), anna, 5, NOON + timedelta(minutes=number))
    source = connect()
    assert [row.type_id for row in read(source)] == ["type:Feature%20Request", f"product:{mail}", None]
    names = {row.id: row.name for row in source.fetch_types().activity_types}
    assert (names["type:Feature%20Request"], names[f"product:{mail}"]) == ("Feature Request", "Mail")


# Webhooks


def delivery(body: bytes, **headers: str) -> IncomingDelivery:
    return IncomingDelivery({name.replace("_", "-"): value for name, value in headers.items()}, body)


SIMPLE = b'{"freshdesk_webhook":{"ticket_id":11}}'


def test_a_webhook_is_believed_with_the_secret_in_a_header() -> None:
    scheme = FreshdeskWebhooks()
    scheme.check(delivery(SIMPLE, x_zk_secret="a long secret"), "a long secret")
    scheme.check(delivery(SIMPLE, authorization="Basic emFtbWFkOmEgbG9uZyBzZWNyZXQ="), "a long secret")
    for wrong in ({}, {"x_zk_secret": "another"}, {"authorization": "Basic ???"}, {"authorization": "Bearer x"}):
        with pytest.raises(UntrustedDeliveryError) as caught:
            scheme.check(delivery(SIMPLE, **wrong), "a long secret")
        assert "a long secret" not in str(caught.value)


def test_a_webhook_names_a_ticket_and_has_an_id() -> None:
    scheme = FreshdeskWebhooks()
    for payload in ({"freshdesk_webhook": {"ticket_id": 11}}, {"ticket_id": "11"}):
        assert scheme.ticket_id(payload) == "11"
    for payload in ({}, [], {"ticket_id": "x"}, {"ticket_id": True}, {"freshdesk_webhook": 11}, {"ticket_id": 0}):
        with pytest.raises(NoTicketError):
            scheme.ticket_id(payload)
    once = scheme.delivery_id(delivery(SIMPLE))
    assert once.startswith("sha256:")
    assert len(once) <= 200
    assert once != scheme.delivery_id(delivery(b"{}"))
