"""What Kimai refuses waits with Kimai's own sentence and what the operator does about it."""

from typing import Any

import pytest
from typer.testing import CliRunner

from zk_pipeline.cli.app import app
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import conflicts, summaries
from zk_pipeline_tests.defs.deciding import refuse
from zk_pipeline_tests.defs.world import MONDAY, World

RULES = "timesheet.rules"
LOCKDOWN = {
    f"{RULES}.lockdown_period_start": "2025-10-01 00:00:00",
    f"{RULES}.lockdown_period_end": "2025-10-31 23:59:59",
    "permissions": {"ROLE_SUPER_ADMIN": {"lockdown_override_timesheet": False, "lockdown_grace_timesheet": False}},
}


def shown(world: World) -> str:
    """What `zk conflicts show` says of the one conflict, on one line."""
    (conflict,) = world.conflicts()
    result = CliRunner().invoke(app, ["conflicts", "show", str(conflict.id)], catch_exceptions=False)
    return " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("rules", "sentence", "step"),
    [
        (LOCKDOWN, "This period is locked.", "Or adjust the booking"),
        ({f"{RULES}.long_running_duration": 20}, "Maximum 0:20 hours allowed.", "Split the booking in Zammad"),
        (None, "The budget is used up.", "Raise the budget"),
    ],
)
def test_a_refusal_is_shown_with_its_next_step(
    world: World, rules: dict[str, Any] | None, sentence: str, step: str
) -> None:
    world.desk.book(30)
    if rules is None:
        refuse(world, "POST", times=1)
    else:
        world.office.server.configure(rules)
    assert world.sync().parked == 1
    told = shown(world)
    assert [part for part in (sentence, step, "Then sync the day again.") if part not in told] == []


def test_the_example_of_what_waits_is_what_most_of_it_waits_for(world: World) -> None:
    world.office.server.configure({f"{RULES}.long_running_duration": 20})
    refuse(world, "POST", times=2)
    for _ in range(3):
        world.desk.book(30)
    world.sync()
    with world.environment.runtime.database.transaction() as connection:
        (waiting,) = summaries.waiting_by_reason(connection, "kimai", summaries.DaySpan(MONDAY, MONDAY))
    assert (waiting.entries, "The budget is used up." in waiting.example) == (3, True)


def test_what_kimai_refused_is_tried_again_once_its_rules_allow_it(world: World) -> None:
    world.office.server.configure({f"{RULES}.long_running_duration": 20})
    booking = world.desk.book(30)
    world.sync()
    world.office.server.configure({f"{RULES}.long_running_duration": 0})
    assert "Each sync tries it once more" in shown(world)
    world.sync()
    assert world.office.minutes() == {booking: [30]}
    assert world.reasons() == []


def test_minutes_that_kimai_locks_out_are_billed_in_the_open_period(world: World) -> None:
    earlier = world.desk.book(30)
    world.sync()
    later = world.desk.book(45)
    world.desk.server.edit(earlier, units=50)
    world.office.server.configure(LOCKDOWN)
    assert world.sync().parked == 2
    told = " ".join(conflict.text for conflict in world.conflicts())
    words = (
        "lockdown_override_timesheet",
        "may be locked in Kimai, or a permission is missing",
        "This period is locked.",
    )
    assert [word for word in words if word not in told] == []
    for conflict in world.conflicts():
        with world.environment.runtime.database.transaction() as connection:
            conflicts.decide(connection, conflict.id, Choice.ADJUST, actor="cli:anna")
    world.sync()
    assert world.reasons() == []
    assert [row.duration // 60 for row in world.office.of(earlier)] == [30], "what is locked stays"
    assert world.office.of(later) == []
    adjustments = sorted(row.duration // 60 for row in world.office.rows if "Adjustment for" in (row.description or ""))
    assert adjustments == [20, 45]
