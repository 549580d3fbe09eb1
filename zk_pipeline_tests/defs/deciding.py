"""What tests of decisions share: people decide, edit and type time sheets by hand, and nothing is left open."""

from zk_pipeline.cli.sync_report import SyncReport
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import conflicts
from zk_pipeline_tests.defs.world import World, at
from zk_sandbox.kimai.model import Timesheet


def decide(world: World, choice: Choice, *, timesheet: int | None = None, booking: int | None = None) -> int:
    """Decide about the one thing that waits; returns the conflict's id."""
    (conflict,) = world.conflicts()
    with world.environment.runtime.database.transaction() as connection:
        conflicts.decide(
            connection,
            conflict.id,
            choice,
            actor="cli:anna",
            timesheet_id=timesheet,
            booking_id=None if booking is None else str(booking),
        )
    return int(conflict.id)


def states(world: World) -> list[str]:
    """What became of each conflict, oldest first."""
    query = "SELECT coalesce(string_agg(resolution_status, ' ' ORDER BY id), '') FROM sync.conflicts"
    return str(world.value(query)).split()


def writes(report: SyncReport) -> int:
    return int(report.to_json()["requests"]["kimai"]["write"])


def assert_settled(world: World) -> None:
    """Nothing waits, and another run writes nothing and opens nothing."""
    before = world.office.rows
    assert world.reasons() == []
    report = world.sync()
    assert (writes(report), report.conflicts, report.parked) == (0, 0, 0)
    assert world.office.rows == before


def booked(world: World, minutes: int = 30) -> int:
    """A booking that is in Kimai."""
    booking = world.desk.book(minutes)
    world.sync()
    return booking


def stretch(world: World, row: Timesheet, minutes: int) -> None:
    """Somebody changes the duration in Kimai."""
    world.office.change(row, end=row.begin + minutes * 60, duration=minutes * 60)


def typed(world: World, minutes: int = 45, clock: str = "11:25", text: str = "") -> tuple[int, int]:
    """A booking of 45 minutes, and a time sheet that somebody typed for it."""
    booking = world.desk.book(45, at("12:10"))
    row = world.office.type_by_hand(at(clock), minutes, text or f"Ticket {world.desk.number()}")
    world.sync()
    return booking, row


def refuse(world: World, method: str, *, times: int) -> None:
    """Kimai refuses so many requests of a method for their content."""
    text = '{"code": 400, "message": "Validation Failed", "errors": {"errors": ["The budget is used up."]}}'
    path = "^/api/timesheets(/[0-9]+)?$"
    world.office.control.add_fault("respond", method=method, path=path, status=400, text=text, times=times)


def as_typed(row: Timesheet) -> tuple[object, ...]:
    """What the author of a time sheet wrote, apart from its text."""
    return (row.user, row.project, row.activity, row.begin, row.end, row.duration, row.tags, row.billable, row.exported)
