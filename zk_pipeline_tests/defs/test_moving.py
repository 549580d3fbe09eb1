"""A target's address may change, but not lead to another system than the one whose ids the ledger holds."""

from collections.abc import Callable, Iterator

import pytest

from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate import connectors
from zk_pipeline.runtime.runtime import Runtime, SetupError, store_connectors
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, World, at
from zk_sandbox.control import with_control
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.server import ServerThread

ADMIN = Actor("cli:anna", Role.ADMIN)
NOWHERE = "http://127.0.0.1:9"
Change = Callable[[World, str], None]


def address(world: World) -> str:
    """Where the stored target is."""
    return world.environment.runtime.stored("target").base_url


def started_with(world: World, url: str) -> None:
    """Start with this address of Kimai in the environment."""
    ready = world.environment.runtime
    store_connectors(Runtime(ready.settings.model_copy(update={"kimai_url": url}), ready.database, ready.cipher))


def put(world: World, url: str) -> None:
    """Set this address as `zk connectors set` and the API do."""
    connectors.put(world.environment.runtime, ADMIN, kind="kimai", base_url=url, token=KIMAI_TOKEN)


@pytest.fixture
def synced(world: World) -> World:
    """A world in which a booking was written."""
    world.desk.book(30)
    world.sync()
    return world


@pytest.fixture
def other() -> Iterator[str]:
    """The address of another Kimai, in which other people's time sheets have the same ids."""
    server = KimaiServer()
    user = server.add_user("sync", "sync@example.com", ["ROLE_SUPER_ADMIN"], "UTC", KIMAI_TOKEN)
    project = server.add_project("Own work", server.add_customer("Ourselves"))
    activity = server.add_activity("Consulting")
    for clock in ("08:00", "09:00"):
        server.add_timesheet(user, project, activity, at(clock), at(f"{clock[:2]}:30"), "Own work")
    with ServerThread(with_control(server)) as thread:
        yield thread.url


@pytest.mark.parametrize("change", [started_with, put])
def test_an_address_of_another_kimai_is_refused_once_the_ledger_holds_ids(
    synced: World, other: str, change: Change
) -> None:
    before = address(synced)
    with pytest.raises(SetupError, match=f"{other} is another system than {before}.*Set the address back to {before}"):
        change(synced, other)
    assert address(synced) == before


@pytest.mark.parametrize("change", [started_with, put])
def test_an_address_that_cannot_be_asked_is_refused_once_the_ledger_holds_ids(synced: World, change: Change) -> None:
    before = address(synced)
    with pytest.raises(SetupError, match=f"{NOWHERE} cannot be asked .* Try again once it answers"):
        change(synced, NOWHERE)
    assert address(synced) == before


@pytest.mark.parametrize("change", [started_with, put])
def test_the_same_kimai_may_move_to_another_name(synced: World, change: Change) -> None:
    moved = address(synced).replace("127.0.0.1", "localhost")
    change(synced, moved)
    assert address(synced) == moved


def test_the_newest_time_sheet_may_be_gone_when_an_older_one_is_there(synced: World) -> None:
    newest = synced.desk.book(45, agent="ben")
    synced.sync()
    synced.office.server.kimai.timesheets.remove(synced.office.sheet(newest).id)
    moved = address(synced).replace("127.0.0.1", "localhost")
    started_with(synced, moved)
    assert address(synced) == moved


def test_before_anything_was_written_any_address_is_taken(world: World) -> None:
    started_with(world, NOWHERE)
    assert address(world) == NOWHERE
