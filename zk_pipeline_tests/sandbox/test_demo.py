"""The demo data: what an operator will meet in it, and the process that serves it."""

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest

from zk_sandbox.demo import demo_mappings_csv, demo_systems
from zk_sandbox.demo.company import AGENTS, ORGANIZATIONS, UNMAPPED_TYPE
from zk_sandbox.server import SandboxProcess

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def systems():
    return demo_systems()


@pytest.fixture(scope="module")
def zammad(systems):
    return systems[0]


@pytest.fixture(scope="module")
def kimai(systems):
    return systems[1].kimai


@pytest.fixture(scope="module")
def october(zammad):
    return [row for row in zammad.state.accountings if row.created_at.astimezone(BERLIN).month == 10]


def users_by_email(kimai):
    return {user.email.lower(): user for user in kimai.users}


def test_the_data_are_the_same_at_every_call(systems):
    again = demo_systems()
    assert [system.snapshot() for system in systems] == [system.snapshot() for system in again]


def test_a_month_of_about_320_bookings_stands_beside_an_older_one_of_about_40(zammad, october):
    assert 310 <= len(october) <= 330
    assert 35 <= len(zammad.state.accountings) - len(october) <= 45


def test_entries_were_booked_in_the_order_of_their_ids(zammad):
    instants = [row.created_at for row in zammad.state.accountings]
    assert instants == sorted(instants)


def test_ordinary_bookings_take_five_minutes_to_four_hours_some_with_decimals(october):
    ordinary = [row.time_unit for row in october if row.time_unit > 1]
    assert (min(ordinary), max(ordinary)) == (5, 240)
    assert any(number % 1 for number in ordinary)


def test_there_are_negative_and_zero_bookings(october):
    assert sum(row.time_unit < 0 for row in october) == 3
    assert sum(row.time_unit == 0 for row in october) == 2


def test_the_repeated_hour_of_the_clock_change_holds_a_booking_on_either_side(october):
    night = [row.created_at for row in october if row.created_at.astimezone(BERLIN).date() == date(2025, 10, 26)]
    assert night == [datetime(2025, 10, 26, 0, 30, tzinfo=UTC), datetime(2025, 10, 26, 1, 30, tzinfo=UTC)]
    assert {instant.astimezone(BERLIN).strftime("%H:%M") for instant in night} == {"02:30"}


def test_some_bookings_belong_to_another_day_in_utc(october):
    shifted = [row for row in october if row.created_at.date() != row.created_at.astimezone(BERLIN).date()]
    assert {row.created_at.astimezone(BERLIN).day for row in shifted} >= {1}
    assert any(row.created_at.astimezone(BERLIN).strftime("%H:%M") == "23:57" for row in october)


def test_every_agent_has_bookings_but_one_is_unknown_one_disabled_and_one_spelled_otherwise_in_kimai(kimai, october):
    known = users_by_email(kimai)
    assert len({row.created_by_id for row in october}) == len(AGENTS) == 8
    assert [agent.key for agent in AGENTS if agent.kimai_email is None] == ["tim.reuter"]
    assert not known["lena.vogt@nordlicht-it.example"].enabled
    assert known["sofia.lindqvist@nordlicht-it.example"].email == "Sofia.Lindqvist@Nordlicht-IT.example"


def test_two_organizations_share_a_name_and_others_have_names_that_kimai_refuses():
    names = list(ORGANIZATIONS.values())
    assert Counter(names).most_common(1) == [("Meyer KG", 2)]
    assert any(set('<&"=>') <= set(name) for name in names)
    assert max(len(name) for name in names) > 150
    assert any("🚀" in name for name in names)


def test_some_entries_have_no_type_some_an_unmapped_one_and_some_no_organization(zammad, october):
    unmapped = next(row.id for row in zammad.state.types.values() if row.name == UNMAPPED_TYPE)
    types = Counter(row.type_id for row in october)
    assert types[None] > 5
    assert types[unmapped] > 5
    assert any(zammad.state.tickets[row.ticket_id].organization_id is None for row in october)


def test_a_merged_ticket_kept_its_entries_while_its_articles_moved(zammad):
    source = next(row for row in zammad.state.tickets.values() if row.state_id == 5)
    entries = zammad.state.accountings.of_ticket(source.id)
    articles = [row.ticket_article_id for row in entries if row.ticket_article_id is not None]
    assert articles
    assert all(zammad.state.articles[article].ticket_id != source.id for article in articles)


def test_one_number_was_set_right_after_it_was_booked(zammad):
    assert len([row for row in zammad.state.accountings if row.updated_at > row.created_at]) == 1


def test_kimai_has_one_project_of_ours_that_runs_and_one_that_is_over(kimai):
    projects = {row.number: row for row in kimai.projects}
    instant = int(datetime(2025, 10, 1, tzinfo=BERLIN).timestamp())
    assert projects["ZO1"].runs_at(instant)
    assert not projects["ZO11"].runs_at(instant)
    assert kimai.customers.get(projects["ZO1"].customer).number == "zammad-org-1"


def test_exactly_typed_timesheets_agree_with_a_booking_in_user_day_ticket_and_minutes(zammad, kimai, october):
    emails = {user.id: user.email for user in zammad.state.users.values()}
    booked = {
        (
            emails[row.created_by_id],
            row.created_at.astimezone(BERLIN).date(),
            zammad.state.tickets[row.ticket_id].number,
            row.time_unit,
        )
        for row in october
    }
    typed = [row for row in kimai.timesheets if "#" in (row.description or "")]
    exact = [row for row in typed if typed_key(kimai, row) in booked]
    assert (len(typed), len(exact)) == (7, 4)


def typed_key(kimai, row):
    number = row.description.split("#")[1].split()[0].rstrip(":")
    day = datetime.fromtimestamp(row.begin, BERLIN).date()
    return kimai.users.get(row.user).email.lower(), day, number, Decimal(row.duration) / 60


def test_foreign_timesheets_of_several_people_name_no_ticket(kimai):
    foreign = [row for row in kimai.timesheets if "#" not in (row.description or "")]
    assert len({row.user for row in foreign}) == 5
    assert {row.exported for row in foreign} == {True, False}


def test_the_mappings_cover_every_type_but_one_and_the_agent_with_another_address(zammad, kimai):
    rows = list(csv.DictReader(io.StringIO(demo_mappings_csv())))
    activities = {row["zammad"]: row["kimai"] for row in rows if row["kind"] == "activity"}
    types = {row.name for row in zammad.state.types.values()}
    assert types - set(activities) == {UNMAPPED_TYPE}
    assert set(activities) - types == {"-"}
    assert set(activities.values()) <= {row.name for row in kimai.activities}
    users = {row["zammad"]: row["kimai"] for row in rows if row["kind"] == "user"}
    assert list(users) == ["paul.okafor@nordlicht-it.example"]
    assert set(users.values()) <= set(users_by_email(kimai))


@pytest.mark.parametrize("month", range(1, 13))
def test_any_day_can_be_the_last(month):
    zammad, _ = demo_systems(date(2024, month, 28))
    assert len(zammad.state.accountings) > 250


def test_a_month_that_ends_today_has_nothing_in_the_future():
    before = datetime.now(UTC)
    today = before.astimezone(BERLIN).date()
    zammad, kimai = demo_systems(today)
    booked = [row.created_at for row in zammad.state.accountings]
    assert len(booked) > 250
    assert max(booked) <= datetime.now(UTC)
    assert max(booked).astimezone(BERLIN).date() >= today - timedelta(days=3), "a weekend"
    assert all(ticket.updated_at <= datetime.now(UTC) for ticket in zammad.state.tickets.values())
    assert max(row.end for row in kimai.kimai.timesheets if row.end) <= datetime.now(UTC).timestamp()


def test_the_process_serves_both_systems_with_its_tokens_and_ends_with_its_parent():
    with SandboxProcess("demo") as sandbox, httpx.Client(timeout=120, trust_env=False) as http:
        accountings = http.get(
            f"{sandbox.zammad_url}/api/v1/time_accountings",
            headers={"Authorization": f"Token token={sandbox.zammad_token}"},
        )
        me = http.get(f"{sandbox.kimai_url}/api/users/me", headers={"Authorization": f"Bearer {sandbox.kimai_token}"})
        assert len(accountings.json()) > 340
        assert me.json()["username"] == "zk-sync"
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.zammad_url, timeout=120, trust_env=False)
