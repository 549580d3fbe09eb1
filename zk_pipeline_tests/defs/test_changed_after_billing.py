"""What somebody edits in Kimai after it was exported or closed is a question with its minutes, and never written."""

import pytest

from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import conflicts
from zk_pipeline_tests.defs.billing import Books
from zk_pipeline_tests.defs.world import MONDAY, World


def longer(world: World, booking: int, minutes: int) -> None:
    row = world.office.sheet(booking)
    world.office.change(row, end=(row.end or 0) + minutes * 60, duration=row.duration + minutes * 60)


def keep(world: World) -> None:
    (row,) = world.conflicts()
    with world.environment.runtime.database.transaction() as connection:
        conflicts.decide(connection, row.id, Choice.KEEP, actor="cli:anna")


def synced(world: World) -> list[str]:
    """The reasons that are open after the day ran, by which nothing was written."""
    assert world.sync().to_json()["requests"]["kimai"]["write"] == 0
    return world.reasons()


@pytest.mark.parametrize("closed", [False, True], ids=["exported", "closed"])
def test_an_edit_after_billing_is_asked_about_until_it_is_kept_or_put_back(world: World, *, closed: bool) -> None:
    booking = world.desk.book(60)
    world.sync()
    if closed:
        Books(world).close(MONDAY)
    else:
        world.office.change(world.office.sheet(booking), exported=True)
        assert synced(world) == []
    longer(world, booking, 30)
    assert synced(world) == ["changed_after_billing"]
    (row,) = world.conflicts()
    assert "Changed after billing: +30 min." in row.text
    longer(world, booking, -30)
    assert synced(world) == []
    longer(world, booking, 30)
    assert synced(world) == ["changed_after_billing"]
    keep(world)
    assert synced(world) == []
    assert synced(world) == []
    longer(world, booking, -45)
    assert synced(world) == ["changed_after_billing"]
    (row,) = world.conflicts()
    assert "Changed after billing: -45 min." in row.text


def test_what_was_edited_before_it_was_exported_counts_and_what_is_unexported_is_forgotten(world: World) -> None:
    booking = world.desk.book(60)
    world.sync()
    longer(world, booking, 30)
    world.office.change(world.office.sheet(booking), exported=True)
    assert synced(world) == []
    world.office.change(world.office.sheet(booking), exported=False)
    assert synced(world) == ["kimai_edited"]
    longer(world, booking, 15)
    world.office.change(world.office.sheet(booking), exported=True)
    assert synced(world) == []
