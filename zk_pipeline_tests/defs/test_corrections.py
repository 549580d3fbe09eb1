"""Bookings and corrections in any order: what Kimai holds, less what is open of corrections, is what Zammad says."""

import os
import random
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from zk_pipeline.domain.markers import marked_ids
from zk_pipeline_tests.defs.people import FIRST, LAST, sync
from zk_pipeline_tests.defs.world import World, at
from zk_sandbox.zammad.records import Accounting

SEEDS = int(os.environ.get("SIMULATED_SEEDS", "4"))
FIRST_SEED = int(os.environ.get("SIMULATED_FIRST_SEED", "1"))
ROUNDS, ACTS = 4, 7
OPEN = "SELECT source_id, open_minutes FROM sync.normalized_entries WHERE open_minutes <> 0"

Account = tuple[int, int, int | None]
"""A ticket, an agent and an activity type."""


def account_of(row: Accounting) -> Account:
    return (row.ticket_id, row.created_by_id, row.type_id)


def act(world: World, dice: random.Random) -> None:
    """Somebody books, corrects with a negative booking, or edits what was booked."""
    rows = world.desk.server.state.accountings
    if rows and dice.random() < 0.25:
        world.desk.server.edit(
            dice.choice(sorted(row.id for row in rows)), units=dice.choice(["10", "25", "60", "-20"])
        )
        return
    day = FIRST + timedelta(days=dice.randint(0, (LAST - FIRST).days))
    moment = at(f"{dice.randint(0, 23):02}:{dice.randint(0, 59):02}", day)
    minutes = dice.choice([5, 15, 30, 45, 90, -5, -15, -40, -90])
    world.desk.book(
        minutes,
        moment,
        agent=dice.choice(["anna", "ben"]),
        ticket=dice.choice(["acme", "globex"]),
        type_id=dice.choice([world.desk.support, None]),
    )


def booked(world: World) -> dict[Account, Decimal]:
    """The minutes that Zammad holds."""
    minutes: Counter[Account] = Counter()
    for row in world.desk.server.state.accountings:
        minutes[account_of(row)] += row.time_unit  # type: ignore[assignment]
    return {account: Decimal(number) for account, number in minutes.items() if number}


def carried(world: World) -> dict[Account, Decimal]:
    """The minutes that Kimai holds by the markers of its time sheets, less what is open of corrections."""
    accounts = {str(row.id): account_of(row) for row in world.desk.server.state.accountings}
    minutes: dict[Account, Decimal] = {}
    for row in world.office.rows:
        (source_id,) = marked_ids(row.description or "", "zammad")
        account = accounts[source_id]
        minutes[account] = minutes.get(account, Decimal(0)) + Decimal(row.duration) / 60
    with world.environment.runtime.database.transaction() as connection:
        for source_id, number in connection.execute(text(OPEN)):
            account = accounts[source_id]
            minutes[account] = minutes.get(account, Decimal(0)) - number
    return {account: number for account, number in minutes.items() if number}


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_kimai_holds_what_zammad_says_after_any_corrections(world: World, settings: dict[str, Any], seed: int) -> None:
    dice = random.Random(seed)
    for number in range(ROUNDS):
        for _ in range(ACTS):
            act(world, dice)
        sync(world, number)
        assert carried(world) == booked(world)
        assert set(world.reasons()) <= {"unmatched_correction"}
        assert sync(world, number) == 0, "a second run without edits wrote again"
