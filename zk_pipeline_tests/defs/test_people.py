"""A month of random edits on both sides: never a duplicate, never a lost minute, never a write to a billed row."""

import os
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from zk_pipeline.domain.instants import local_day
from zk_pipeline.stages import last_read
from zk_pipeline_tests.defs.oracle import copies_by_us, minutes_kept, unaccounted
from zk_pipeline_tests.defs.people import FIRST, LAST, People, sync
from zk_pipeline_tests.defs.reckoning import reckoned
from zk_pipeline_tests.defs.world import ZONE, World

SEEDS = int(os.environ.get("SIMULATED_SEEDS", "20"))
FIRST_SEED = int(os.environ.get("SIMULATED_FIRST_SEED", "1"))
ROUNDS = 5
ACTS = 8


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_whatever_people_do_kimai_agrees_or_somebody_is_asked(
    world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 2:
        # Whatever they do, the systems confirm a span only if they would be read as they were.
        monkeypatch.setattr(last_read, "WORTHWHILE", 0)
        monkeypatch.setattr(last_read, "OVERLAP", timedelta(0))
    people = People(world, random.Random(seed))
    for number in range(ROUNDS):
        for _ in range(ACTS):
            people.act()
        synced_and_right(world, people, number, (FIRST, LAST))
    days = {local_day(datetime.fromtimestamp(row.begin, UTC), ZONE) for row in world.office.rows} | {FIRST, LAST}
    synced_and_right(world, people, ROUNDS, (min(days), max(days)))


def synced_and_right(world: World, people: People, number: int, days: tuple[date, date]) -> None:
    """Sync these days twice, and check that Kimai has what it must then."""
    sync(world, number, *days)
    told = "\n".join(people.done)
    assert copies_by_us(world, people) == {}, told
    assert minutes_kept(world) == sum((row.time_unit for row in people.bookings), Decimal(0)), told
    for row_id, billed in people.billed.items():
        assert world.office.server.kimai.timesheets.rows[row_id] == billed, told
    assert sync(world, number, *days) == 0, f"a second run without edits wrote again\n{told}"
    assert unaccounted(world) == [], told
    assert reckoned(world, people, days).wrong == {}, told
