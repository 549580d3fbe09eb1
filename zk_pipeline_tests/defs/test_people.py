"""A month of random edits on both sides: never a duplicate, never a lost minute, never a write to a billed row."""

import os
import random
from collections import Counter
from decimal import Decimal

import pytest
from sqlalchemy import text

from zk_pipeline.domain.markers import marked_ids
from zk_pipeline_tests.defs.people import People, sync
from zk_pipeline_tests.defs.world import World

SEEDS = int(os.environ.get("ZK_SIMULATED_SEEDS", "20"))
FIRST_SEED = int(os.environ.get("ZK_SIMULATED_FIRST_SEED", "1"))
ROUNDS = 5
ACTS = 8


def unaccounted(world: World) -> list[tuple[str, str]]:
    """Entries with minutes that are neither in agreement, nor waiting in the open, nor decided by a person."""
    query = """
        SELECT e.source_id, r.status, r.action FROM sync.normalized_entries e
        LEFT JOIN sync.reconciliation_results r ON r.key = e.source_id AND r.entry_date = e.entry_date
        LEFT JOIN sync.conflicts c ON c.key = e.source_id AND c.resolution_status = 'open'
        WHERE e.time_minutes > 0 AND c.id IS NULL AND COALESCE(r.decided, '') = ''
            AND COALESCE(r.status, '') NOT IN ('in_sync')
    """
    with world.environment.runtime.database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def copies_by_us(world: World, people: People) -> dict[str, int]:
    """Bookings of which Kimai holds more marked time sheets than people copied."""
    marked = Counter(id_ for row in world.office.rows for id_ in marked_ids(row.description or "", "zammad"))
    copied = Counter(
        id_
        for row in world.office.rows
        if f"as {row.id}" in " ".join(told.partition("copy")[2] for told in people.done)
        for id_ in marked_ids(row.description or "", "zammad")
    )
    return {id_: number for id_, number in marked.items() if number - copied[id_] > 1}


def minutes_kept(world: World, people: People) -> bool:
    """What is left to carry over, less what is open, is what Zammad holds."""
    with world.environment.runtime.database.transaction() as connection:
        query = "SELECT COALESCE(sum(time_minutes - open_minutes), 0) FROM sync.normalized_entries"
        kept = connection.execute(text(query)).scalar_one()
    return kept == sum((row.time_unit for row in people.bookings), Decimal(0))


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_whatever_people_do_kimai_agrees_or_somebody_is_asked(world: World, seed: int) -> None:
    people = People(world, random.Random(seed))
    for number in range(ROUNDS):
        for _ in range(ACTS):
            people.act()
        sync(world, number)
        told = "\n".join(people.done)
        assert copies_by_us(world, people) == {}, told
        assert minutes_kept(world, people), told
        for row_id, billed in people.billed.items():
            assert world.office.server.kimai.timesheets.rows[row_id] == billed, told
        assert sync(world, number) == 0, f"a second run without edits wrote again\n{told}"
        assert unaccounted(world) == [], told
