"""A month of random edits on both sides: never a duplicate, never a lost minute, never a write to a billed row."""

import os
import random
from decimal import Decimal

import pytest

from zk_pipeline_tests.defs.oracle import copies_by_us, minutes_kept, unaccounted
from zk_pipeline_tests.defs.people import People, sync
from zk_pipeline_tests.defs.reckoning import reckoned
from zk_pipeline_tests.defs.world import World

SEEDS = int(os.environ.get("ZK_SIMULATED_SEEDS", "20"))
FIRST_SEED = int(os.environ.get("ZK_SIMULATED_FIRST_SEED", "1"))
ROUNDS = 5
ACTS = 8


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_whatever_people_do_kimai_agrees_or_somebody_is_asked(world: World, seed: int) -> None:
    people = People(world, random.Random(seed))
    for number in range(ROUNDS):
        for _ in range(ACTS):
            people.act()
        sync(world, number)
        told = "\n".join(people.done)
        assert copies_by_us(world, people) == {}, told
        assert minutes_kept(world) == sum((row.time_unit for row in people.bookings), Decimal(0)), told
        for row_id, billed in people.billed.items():
            assert world.office.server.kimai.timesheets.rows[row_id] == billed, told
        assert sync(world, number) == 0, f"a second run without edits wrote again\n{told}"
        assert unaccounted(world) == [], told
        assert reckoned(world, people).wrong == {}, told
