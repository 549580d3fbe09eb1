"""Who is who in the demo's month: how each agent, organization and type is known, and what a person should look at."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from zk_pipeline.decisions import mappings, partners
from zk_pipeline.decisions.partners import Partner, PartnerFilter, PartnerPage, State
from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.domain.people import Way
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Zk
from zk_pipeline_tests.operate.conftest import runtime_of
from zk_sandbox.demo import demo_mappings_csv

ANNA = Actor("user:7", Role.OPERATOR)


@pytest.fixture(scope="module")
def synced(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which two days of the demo's month were synced with the demo's mappings."""
    home = homes.new()
    file: Path = tmp_path_factory.mktemp("csv") / "mappings.csv"
    file.write_text(demo_mappings_csv(), encoding="utf-8")
    assert Zk(home)("mappings", "import", str(file)).exit_code == 0
    assert Zk(home)("sync", "--from", "2025-10-01", "--to", "2025-10-02", "--json").exit_code == 3
    assert Zk(home)("sync", "--plan", "--from", "2025-10-03", "--to", "2025-10-31", "--json").exit_code == 3
    return home


@pytest.fixture
def runtime(synced: Home, homes: Homes, sandbox: Sandbox) -> Iterator[Runtime]:
    with runtime_of(homes.new(like=synced)) as opened:
        yield opened


def page(runtime: Runtime, kind: Kind, words: str = "", state: State | None = None) -> PartnerPage:
    return partners.page(runtime, kind, PartnerFilter(words, state), limit=100, offset=0)


def found(runtime: Runtime, kind: Kind, words: str) -> Partner:
    (row,) = page(runtime, kind, words).rows
    return row


def change(runtime: Runtime, query: str) -> None:
    with runtime.database.transaction() as connection:
        assert connection.execute(text(query)).rowcount == 1


def test_agents_are_known_by_their_address_or_by_hand_and_the_rest_is_open(runtime: Runtime) -> None:
    anna, paul, tim = (found(runtime, Kind.USER, name) for name in ("anna berger", "okafor", "reuter"))
    assert (anna.way, anna.state, anna.kimai_note) == (
        Way.ADDRESS,
        State.AUTOMATIC,
        "anna.berger@nordlicht-it.example",
    )
    assert (paul.way, paul.state, paul.kimai) == (Way.HAND, State.HAND, "Paul Okafor")
    assert (tim.way, tim.state, tim.kimai_id) == (Way.UNKNOWN_ADDRESS, State.OPEN, None)
    with runtime.database.transaction() as connection:
        query = "SELECT count(*), sum(time_minutes) FROM sync.normalized_entries WHERE user_name = 'Tim Reuter'"
        assert (tim.entries, tim.minutes) == tuple(connection.execute(text(query)).one())


def test_since_is_the_day_of_the_mapping_or_the_first_that_was_written(runtime: Runtime) -> None:
    change(runtime, "UPDATE sync.user_mappings SET updated_at = '2025-08-31T22:30:00Z'")
    change(
        runtime,
        "UPDATE sync.carried_agents SET updated_at = '2025-10-07T09:00:00Z' WHERE agent_id = "
        "(SELECT id FROM zammad.agents WHERE name = 'Anna Berger')",
    )
    assert found(runtime, Kind.USER, "okafor").since == date(2025, 9, 1), "in the business zone"
    assert found(runtime, Kind.USER, "anna berger").since == date(2025, 10, 7)
    written = {row.since for row in page(runtime, Kind.CUSTOMER).rows if row.way is Way.NUMBER}
    assert written - {None} <= {date(2025, 10, 1), date(2025, 10, 2)}
    assert written - {None}


def test_organizations_are_known_by_number_are_new_or_have_a_namesake(runtime: Runtime) -> None:
    known, new = found(runtime, Kind.CUSTOMER, "sonnenschein"), found(runtime, Kind.CUSTOMER, "tierarzt")
    namesake = found(runtime, Kind.CUSTOMER, "hartmann")
    assert (known.way, known.state, known.kimai) == (Way.NUMBER, State.AUTOMATIC, "Bäckerei Sonnenschein GmbH")
    assert new.way in {Way.NEW, Way.NUMBER}
    assert (namesake.way, namesake.state, namesake.suggestions[0].score) == (Way.NAMESAKES, State.OPEN, 100)
    mappings.create(runtime, ANNA, Kind.CUSTOMER, namesake.zammad, "new")
    own = found(runtime, Kind.CUSTOMER, "hartmann")
    assert (own.way, own.state, own.kimai_id, own.entries) == (Way.HAND, State.HAND, None, 0)


def test_every_type_that_is_in_use_is_listed_before_anybody_books_with_it(runtime: Runtime) -> None:
    rows = {row.name: row for row in page(runtime, Kind.ACTIVITY).rows}
    assert rows["Anfahrt"].state is State.OPEN
    assert (rows[""].zammad, rows[""].kimai) == ("-", "Sonstiges")
    hartmann = found(runtime, Kind.CUSTOMER, "hartmann").zammad
    mappings.create(runtime, ANNA, Kind.ACTIVITY, f"Beratung@{hartmann}", "Sonstiges")
    scoped = [row for row in page(runtime, Kind.ACTIVITY).rows if row.organization]
    assert [(row.name, row.organization, row.kimai) for row in scoped] == [
        ("Beratung", "Hartmann Maschinenbau AG", "Sonstiges")
    ]
    change(runtime, "UPDATE zammad.activity_types SET active = false WHERE name = 'Beratung'")
    assert page(runtime, Kind.ACTIVITY, "beratung").total == 2, "what is mapped is shown"


def test_two_agents_as_one_user_are_shown_at_both(runtime: Runtime) -> None:
    mappings.create(runtime, ANNA, Kind.USER, "tim.reuter@nordlicht-it.example", "anna.berger", shared=True)
    rows = {row.name: row for row in page(runtime, Kind.USER, "anna.berger@").rows}
    tim, anna = rows["Tim Reuter"], rows["Anna Berger"]
    assert (tim.state, tim.shared_with, tim.sure) == (State.CHECK, ("Anna Berger",), False)
    assert (anna.state, anna.shared_with, anna.way) == (State.CHECK, ("Tim Reuter",), Way.ADDRESS)


def test_who_is_disabled_in_kimai_and_still_works_is_to_be_checked(runtime: Runtime) -> None:
    assert found(runtime, Kind.USER, "vogt").state is State.CHECK
    change(runtime, "UPDATE zammad.agents SET active = false WHERE name = 'Lena Vogt'")
    assert found(runtime, Kind.USER, "vogt").state is State.AUTOMATIC


def test_users_whom_no_agent_is_are_listed_last_but_no_robots(runtime: Runtime) -> None:
    change(runtime, "UPDATE kimai.users SET email = 'else@example.com' WHERE username = 'sofia.lindqvist'")
    change(
        runtime,
        "DELETE FROM sync.carried_agents WHERE agent_id = "
        "(SELECT id FROM zammad.agents WHERE name = 'Sofia Lindqvist')",
    )
    listed = page(runtime, Kind.USER)
    alone = [row.kimai for row in listed.rows if row.state is State.ALONE]
    assert "Sofia Lindqvist" in alone
    assert [row.kimai for row in listed.rows[-len(alone) :]] == alone
    change(runtime, "UPDATE kimai.users SET system_account = true WHERE username = 'sofia.lindqvist'")
    after = page(runtime, Kind.USER)
    assert after.states[State.ALONE] == len(alone) - 1
    (sofia,) = page(runtime, Kind.USER, "lindqvist").rows
    assert sofia.suggestions == (), "nobody can book for a robot"


def test_a_mapping_to_a_user_who_is_gone_is_open_again(runtime: Runtime) -> None:
    change(runtime, "DELETE FROM kimai.users WHERE email LIKE 'p.okafor@%'")
    paul = found(runtime, Kind.USER, "okafor")
    assert (paul.way, paul.state, paul.mapping is not None) == (Way.GONE, State.OPEN, True)


def test_words_are_found_in_names_of_both_sides_and_every_state_is_counted(runtime: Runtime) -> None:
    everybody = page(runtime, Kind.USER)
    assert sum(everybody.states.values()) == everybody.total == len(everybody.rows)
    assert everybody.open == {Kind.USER: 1, Kind.CUSTOMER: 1, Kind.ACTIVITY: 1}
    assert [row.name for row in page(runtime, Kind.USER, "P.OKAFOR").rows] == ["Paul Okafor"]
    assert [row.name for row in page(runtime, Kind.USER, "LIND sof").rows] == ["Sofia Lindqvist"]
    only = page(runtime, Kind.USER, state=State.OPEN)
    assert ([row.name for row in only.rows], only.total) == (["Tim Reuter"], 1)
    assert only.states == everybody.states
    first = partners.page(runtime, Kind.USER, PartnerFilter(), limit=2, offset=0)
    second = partners.page(runtime, Kind.USER, PartnerFilter(), limit=2, offset=2)
    assert [replace(row, since=None) for row in (*first.rows, *second.rows)] == [
        replace(row, since=None) for row in everybody.rows[:4]
    ]
    assert first.rows[0].minutes > Decimal(0)
