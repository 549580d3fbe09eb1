"""What in Kimai refuses time sheets is mended with a person's word, journaled, and undone like every write."""

from datetime import date

import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.decisions import causes
from zk_pipeline.decisions.causes import Cause
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.records import MasterDataKind
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.stages.push.mending import Mend, MendRequest
from zk_pipeline_tests.defs.asking import mend, undo
from zk_pipeline_tests.defs.world import MONDAY, World

pytestmark = pytest.mark.dagster

ENDED, UNTIL = date(2025, 8, 31), date(2099, 12, 31)
REFUSAL = '{"code": 400, "message": "Validation Failed", "errors": {"children": {}}}'


@pytest.fixture
def refused(world: World) -> World:
    """A booking of Acme in Kimai, and one that Kimai refuses since Acme's project has ended."""
    world.desk.book(30)
    world.sync()
    end = world.office.server.add_project("Ended", world.office.server.add_customer("Others"), end=ENDED)
    ended = world.office.server.kimai.projects.rows[end]
    world.office.amend("projects", acme(world), end=ended.end, timezone=ended.timezone)
    world.desk.book(45)
    assert world.sync().parked == 1
    return world


def acme(world: World) -> int:
    return world.office.rows[0].project


def waiting(world: World) -> tuple[Cause, ...]:
    return causes.causes(world.environment.runtime, ConflictFilter())


def end_in_kimai(world: World) -> date | None:
    with world.environment.runtime.target() as target:
        state = target.state_of(MasterDataKind.PROJECT, acme(world))
    return state.end if state else None


def test_an_ended_project_is_extended_its_days_are_asked_for_and_an_undo_lets_it_end_again(refused: World) -> None:
    (cause,) = waiting(refused)
    assert (cause.kind, cause.mend, cause.target_id) == ("project_ended", Mend.EXTEND_PROJECT, acme(refused))
    assert (cause.title, cause.conflicts, cause.asked) == (f"Project Acme ended on {ENDED}", 1, 0)
    report = mend(MendRequest(Mend.EXTEND_PROJECT, acme(refused), UNTIL))
    assert (report.name, report.days) == ("Acme", 1)
    assert end_in_kimai(refused) == UNTIL
    events = (
        "SELECT string_agg(event || ' ' || subject, ', ' ORDER BY id) FROM sync.audit_logs WHERE event LIKE '%mend%'"
    )
    subject = f"kimai:project:{acme(refused)}"
    assert refused.value(events) == f"mend.requested {subject}, kimai.project.mended {subject}"
    assert refused.value("SELECT count(*) FROM sync.request_log WHERE method = 'PATCH'") == 1
    assert [found.asked for found in waiting(refused)] == [1], "the next run tries again"

    refused.sync()
    assert len(refused.office.rows) == 2
    assert waiting(refused) == ()
    undone = undo(report.run_id)
    assert (dict(undone.undone), undone.left) == ({"restore": 1}, [])
    assert end_in_kimai(refused) == ENDED


def test_what_was_changed_in_kimai_since_is_left_by_an_undo(refused: World) -> None:
    report = mend(MendRequest(Mend.EXTEND_PROJECT, acme(refused), UNTIL))
    refused.office.amend("projects", acme(refused), visible=False)
    undone = undo(report.run_id)
    assert (dict(undone.undone), undone.left[0]["text"]) == ({}, "Acme. Somebody changed the project in Kimai since.")


def test_a_mend_whose_answer_was_lost_can_be_undone(refused: World) -> None:
    refused.office.control.add_fault("drop_after", method="PATCH", path="/api/projects/", times=9)
    with pytest.raises(SyncFailedError, match="PATCH /api/projects"):
        mend(MendRequest(Mend.EXTEND_PROJECT, acme(refused), UNTIL))
    refused.office.control.clear_faults()
    assert end_in_kimai(refused) == UNTIL
    run_id = refused.value("SELECT run_id FROM sync.writes WHERE operation = 'mend_project'")
    assert undo(run_id).undone == {"restore": 1}
    assert end_in_kimai(refused) == ENDED


def test_a_mend_that_kimai_refuses_leaves_nothing_to_undo(refused: World) -> None:
    refused.office.control.add_fault(
        "respond", method="PATCH", path="/api/projects/", status=400, text=REFUSAL, times=1
    )
    with pytest.raises(SyncFailedError):
        mend(MendRequest(Mend.EXTEND_PROJECT, acme(refused), UNTIL))
    assert refused.value("SELECT count(*) FROM sync.writes WHERE operation = 'mend_project' AND undone_by IS NULL") == 0


def test_a_hidden_activity_is_shown_again(world: World) -> None:
    world.office.amend("activities", world.office.activity, visible=False)
    booking = world.desk.book(30)
    assert world.sync().parked == 1
    (cause,) = waiting(world)
    assert (cause.title, cause.mend) == ("Activity Consulting is hidden in Kimai", Mend.SHOW_ACTIVITY)
    mend(MendRequest(Mend.SHOW_ACTIVITY, world.office.activity))
    assert world.office.server.kimai.activities.rows[world.office.activity].visible
    world.sync()
    assert world.office.minutes() == {booking: [30]}


def test_a_project_that_is_gone_or_lasts_long_enough_is_left_alone(refused: World) -> None:
    with pytest.raises(SyncFailedError, match=r"The project 999 is gone in Kimai."):
        mend(MendRequest(Mend.SHOW_PROJECT, 999))
    mend(MendRequest(Mend.EXTEND_PROJECT, acme(refused), ENDED))
    assert end_in_kimai(refused) == ENDED
    assert refused.value("SELECT count(*) FROM sync.writes WHERE operation LIKE 'mend%'") == 0


def test_nothing_is_mended_where_nothing_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_PUSH_MODE", "off")
    with pytest.raises(OperationError, match=r"ZK_PUSH_MODE is off"):
        mend(MendRequest(Mend.SHOW_ACTIVITY, world.office.activity))
    monkeypatch.setenv("ZK_PUSH_MODE", "auto")
    with pytest.raises(OperationError, match=r"Say until when"):
        mend(MendRequest(Mend.EXTEND_PROJECT, 1))


@pytest.mark.parametrize("cause", ["unmapped_user", "user_disabled"])
def test_two_people_are_two_causes(world: World, cause: str) -> None:
    for name in ("anna", "ben"):
        change = {"email": f"{name}@elsewhere.example"} if cause == "unmapped_user" else {"enabled": False}
        world.office.amend("users", world.office.users[name], **change)
        world.office.amend("users", world.office.users[name], username=f"{name}.k")
        world.desk.book(30 if name == "anna" else 60, agent=name)
    world.sync(MONDAY)
    found = waiting(world)
    assert {row.kind for row in found} == {cause}
    assert [row.conflicts for row in found] == [1, 1]
    assert [row.minutes for row in found] == [60, 30], "most hours first"
