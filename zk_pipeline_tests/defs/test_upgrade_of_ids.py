"""An installation whose ids were numbers is upgraded: nothing changes in Kimai, nothing is asked again or forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DataError

from zk_pipeline.stages.source_changes import ChangeFeed, Cursor
from zk_pipeline.store import schema
from zk_pipeline_tests.defs.world import MONDAY, World, at

TUESDAY = MONDAY + timedelta(days=1)
DERIVED = """
    SELECT source_id, owned_hash, description, trace, begin_at, time_minutes, sync_status FROM sync.normalized_entries
"""
PLANNED = """
    SELECT entry_date, key, status, action, reason, facts_hash, decided, draft, diff FROM sync.reconciliation_results
"""
ASKED = "SELECT id, key, reason, facts_hash, resolution_status FROM sync.conflicts"
MAPPED = "SELECT type_id, organization_id, kimai_activity_id FROM sync.activity_mappings"
CARRIED = "SELECT agent_id, kimai_user_id FROM sync.carried_agents"
POSITIONS = """
    UPDATE sync.cursors SET value = value || jsonb_build_object(
        'seen', (SELECT coalesce(jsonb_agg(id::bigint), '[]') FROM jsonb_array_elements_text(value -> 'seen') AS id),
        'shown', (SELECT coalesce(jsonb_agg(id::bigint), '[]') FROM jsonb_array_elements_text(value -> 'shown') AS id)
    ) WHERE value ? 'shown'
"""
"""The position in the feed of changes as it was stored then."""


def everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    with world.environment.runtime.database.transaction() as connection:
        return {
            query: sorted((tuple(row) for row in connection.execute(text(query))), key=str)
            for query in (DERIVED, PLANNED, ASKED, MAPPED, CARRIED)
        }


def as_numbers_and_back(world: World) -> None:
    """The database as the release before had it, and upgraded again."""
    with world.environment.runtime.database.transaction() as connection:
        command.downgrade(schema._config(connection), "0034")
        kinds = text(
            "SELECT table_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'zammad' AND column_name = 'id'"
        )
        assert {row.data_type for row in connection.execute(kinds)} == {"bigint"}
        connection.execute(text(POSITIONS))
    schema.migrate(world.environment.runtime.database)


def furnish(world: World) -> None:
    """Bookings in sync, corrected, without type, without organization, and of somebody unknown."""
    server, desk = world.desk.server, world.desk
    desk.book(30)
    desk.book(45, at("10:00"), agent="ben", ticket="globex")
    desk.book(-10, at("11:00"))
    desk.book(-25, at("11:30"), agent="ben", ticket="acme")
    stranger = server.add_agent("cora@example.com", firstname="Cora")
    server.book(desk.tickets["acme"], stranger, "20", desk.support, at("12:00"))
    alone = server.add_ticket("Nobody's")
    server.book(alone, desk.agents["anna"], "15", None, at("13:00"))
    desk.book(60, at("09:00", TUESDAY))


def test_nothing_changes_in_kimai_and_no_question_is_asked_again(world: World) -> None:
    furnish(world)
    feed = ChangeFeed(world.environment.runtime)
    feed.poll(datetime.now(UTC))
    for _ in range(2):
        world.sync(MONDAY, TUESDAY)
    before, sheets = everything(world), world.office.rows
    assert sheets
    assert before[ASKED]
    as_numbers_and_back(world)
    world.office.control.reset_requests()
    world.sync(MONDAY, TUESDAY)
    assert everything(world) == before
    assert world.office.rows == sheets
    assert world.office.control.requests().writes == 0


def test_what_is_booked_after_the_upgrade_goes_to_the_customers_and_projects_that_exist(world: World) -> None:
    furnish(world)
    world.sync(MONDAY, TUESDAY)
    kimai = world.office.server.kimai
    before = {table: dict(kimai.tables[table].rows) for table in ("customers", "projects")}
    as_numbers_and_back(world)
    late = [world.desk.book(5, at("15:00"), ticket=ticket) for ticket in ("acme", "globex")]
    world.sync(MONDAY, TUESDAY)
    assert all(world.office.of(booking) for booking in late)
    assert {table: dict(kimai.tables[table].rows) for table in before} == before


def test_the_feed_goes_on_where_it_was(world: World) -> None:
    furnish(world)
    world.sync(MONDAY, TUESDAY)
    now = datetime.now(UTC)
    ChangeFeed(world.environment.runtime).poll(now)
    world.sync(MONDAY, TUESDAY)
    as_numbers_and_back(world)
    state = {"high_water": now.isoformat(), "since": now.isoformat(), "seen": [6, 7], "total": 2}
    cursor = Cursor.from_json({**state, "read_at": now.isoformat(), "asked": [], "shown": [7]})
    assert (cursor.state.seen, cursor.shown) == (frozenset({"6", "7"}), frozenset({"7"}))
    found = ChangeFeed(world.environment.runtime).poll(now + timedelta(minutes=10))
    assert (found.polled, found.days) == (True, ())


def test_a_downgrade_with_ids_that_are_no_numbers_is_refused_and_loses_nothing(world: World) -> None:
    world.execute("INSERT INTO zammad.agents VALUES ('zammad', '557058:0a1b', 'x', '', 'X', true)")
    with pytest.raises(DataError, match="557058:0a1b"):
        as_numbers_and_back(world)
    assert world.value("SELECT count(*) FROM zammad.agents WHERE id = '557058:0a1b'") == 1
