"""The judgement of the vital signs on given figures: which runs are stuck, how old is too old, and what is news."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zk_pipeline.domain.vital_figures import (
    GIGABYTE,
    MEGABYTE,
    Automation,
    Backlog,
    DatabaseResponse,
    Level,
    Measurement,
    Measurements,
    Orchestration,
    PollIntervals,
    Space,
    StoreFigures,
    System,
    UnfinishedRun,
    VitalSign,
    size_text,
    worst,
)
from zk_pipeline.observe.alerts import AlertRules, AlertState
from zk_pipeline.observe.vital_signs import judge, root_failures

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLLS = {"source": timedelta(seconds=30), "target": timedelta(seconds=60)}
PACE = PollIntervals(POLLS, {"demand": timedelta(seconds=3)})
RULES = AlertRules(1, timedelta(minutes=60))
KIMAI, NONE = "kimai", ""


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def reading(facts: Any, seconds: float = 1, problem: str = "") -> Measurement[Any]:
    return Measurement(ago(60), facts, NOW - timedelta(seconds=seconds), problem)


def orchestration(**given: Any) -> Orchestration:
    usual: dict[str, Any] = {
        "beats": {"SENSOR": ago(1), "SCHEDULER": ago(1)},
        "automations": [Automation("demand", is_sensor=True, is_on=True, ticked_at=ago(0))],
    }
    return Orchestration(**{**usual, **given})


def records(**given: Any) -> StoreFigures:
    usual: dict[str, Any] = {
        "systems": [System("source", "zammad", ago(1)), System("target", "kimai", ago(1))],
        "requests": Backlog(),
        "deliveries": Backlog(),
        "synced_at": ago(60),
        "catch_up_due": ago(180),
    }
    return StoreFigures(**{**usual, **given})


def signs(**given: Any) -> dict[str, VitalSign]:
    """The signs of an installation that is well but for what is given."""
    usual: dict[str, Any] = {
        "database": reading(DatabaseResponse(0.001)),
        "disk": reading([Space("/data", 50 * GIGABYTE, 100 * GIGABYTE)]),
        "records": reading(records()),
        "dagster": reading(orchestration()),
    }
    return {sign.name: sign for sign in judge(Measurements(**{**usual, **given}), PACE, NOW)}


def run(status: str, minutes: float, lane: str = KIMAI) -> UnfinishedRun:
    return UnfinishedRun("0123456789", "sync", status, ago(minutes), lane)


def test_what_is_well_passes() -> None:
    assert {sign.level for sign in signs().values()} == {Level.PASS}
    assert all(sign.at is not None and not sign.remedy for sign in signs().values())


@pytest.mark.parametrize(
    ("runs", "moved", "level"),
    [
        ([run("QUEUED", 4)], {}, Level.PASS),
        ([run("QUEUED", 6)], {}, Level.FAIL),
        ([run("NOT_STARTED", 6)], {}, Level.FAIL),
        ([run("QUEUED", 50), run("STARTED", 51)], {}, Level.PASS),
        ([run("QUEUED", 50), run("STARTED", 51, NONE)], {}, Level.FAIL),
        ([run("QUEUED", 50, NONE), run("STARTED", 51)], {}, Level.FAIL),
        ([run("QUEUED", 50, NONE), *[run("STARTED", 51, NONE)] * 4], {}, Level.PASS),
        ([run("QUEUED", 50)], {KIMAI: ago(1)}, Level.PASS),
        ([run("QUEUED", 50)], {KIMAI: ago(6)}, Level.FAIL),
        ([run("QUEUED", 50)], {NONE: ago(1)}, Level.FAIL),
        ([run("STARTING", 4)], {}, Level.PASS),
        ([run("STARTING", 6), run("STARTED", 5)], {}, Level.FAIL),
        ([run("CANCELING", 6), run("STARTED", 5)], {}, Level.FAIL),
    ],
    ids=[
        "not yet",
        "nothing in its way",
        "nothing in its way, not yet queued",
        "behind a run of its lane",
        "beside a run of no lane",
        "of no lane, beside one",
        "all places are taken",
        "its turn has just come",
        "its turn came long ago",
        "another lane moves",
        "begins",
        "does not come to begin, whoever works",
        "does not come to an end, whoever works",
    ],
)
def test_a_queue_moves_while_each_run_can_hope_for_its_turn(
    runs: list[UnfinishedRun], moved: dict[str, datetime], level: Level
) -> None:
    assert signs(dagster=reading(orchestration(runs=runs, moved=moved)))["queue"].level is level


def test_days_that_are_asked_for_wait_for_the_end_of_a_run_that_writes() -> None:
    due = reading(records(requests=Backlog(3, ago(30), ago(30))))
    working = reading(orchestration(runs=[run("STARTED", 35)]))
    assert signs(records=due)["day_requests"].level is Level.FAIL
    assert signs(records=due, dagster=working)["day_requests"].level is Level.PASS


@pytest.mark.parametrize(
    ("failures", "minutes", "level"),
    [(0, 0, Level.PASS), (1, 5, Level.WARN), (3, 0.5, Level.WARN), (3, 1, Level.FAIL), (144, 24, Level.FAIL)],
)
def test_a_sensor_fails_by_three_bad_ticks_in_a_minute(failures: int, minutes: float, level: Level) -> None:
    sensor = Automation("demand", True, True, ago(0), failures, ago(minutes), "ValueError")
    assert signs(dagster=reading(orchestration(automations=[sensor])))["automations"].level is level


def test_a_schedule_fails_by_a_single_tick_and_a_sensor_that_is_off_is_a_warning() -> None:
    demand = Automation("demand", is_sensor=True, is_on=True, ticked_at=ago(0))
    schedule = Automation("catch_up", False, True, ago(300), 1, ago(300))
    found = signs(dagster=reading(orchestration(automations=[demand, schedule])))["automations"]
    assert (found.level, found.text) == (Level.FAIL, "Ticks fail: catch_up (1 in a row within 5 h).")
    off = Automation("demand", is_sensor=True, is_on=False, ticked_at=ago(300))
    assert signs(dagster=reading(orchestration(automations=[off])))["automations"].level is Level.WARN
    retired = Automation("of_another_version", is_sensor=True, is_on=True, ticked_at=ago(300))
    assert signs(dagster=reading(orchestration(automations=[demand, retired])))["automations"].level is Level.PASS


@pytest.mark.parametrize(
    ("beats", "level"),
    [
        ({"SENSOR": ago(1.9), "SCHEDULER": ago(0)}, Level.PASS),
        ({"SENSOR": ago(2.1), "SCHEDULER": ago(0)}, Level.FAIL),
        ({"SENSOR": None, "SCHEDULER": ago(0)}, Level.FAIL),
        ({"SENSOR": ago(9), "SCHEDULER": ago(9)}, Level.FAIL),
        ({"SENSOR": None, "SCHEDULER": None}, Level.WARN),
    ],
    ids=["alive", "one silent", "one never heard", "dead", "never started"],
)
def test_daemons_are_judged_by_their_last_sign_of_life(beats: dict[str, datetime | None], level: Level) -> None:
    assert signs(dagster=reading(orchestration(beats=beats)))["daemons"].level is level


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [
        (50 * GIGABYTE, 100 * GIGABYTE, Level.PASS),
        (9 * GIGABYTE, 100 * GIGABYTE, Level.WARN),
        (1999 * MEGABYTE, 4 * GIGABYTE, Level.WARN),
        (500 * MEGABYTE, GIGABYTE, Level.WARN),
        (499 * MEGABYTE, GIGABYTE, Level.FAIL),
    ],
)
def test_free_space_is_judged_by_size_and_share(free: int, total: int, level: Level) -> None:
    well = Space("/data", 50 * GIGABYTE, 100 * GIGABYTE)
    assert signs(disk=reading([well, Space("/other", free, total)]))["disk"].level is level


@pytest.mark.parametrize(("number", "text"), [(999, "999 bytes"), (8_900_000, "8.9 MB"), (2_000_000_000, "2.0 GB")])
def test_sizes_are_told_as_people_read_them(number: int, text: str) -> None:
    assert size_text(number) == text


@pytest.mark.parametrize(("seconds", "level"), [(44, Level.PASS), (46, Level.FAIL)])
def test_a_figure_that_is_too_old_has_failed(seconds: float, level: Level) -> None:
    found = signs(dagster=reading(orchestration(), seconds))
    assert {found[name].level for name in ("daemons", "automations", "queue", "long_runs")} == {level}
    if level is Level.FAIL:
        assert found["queue"].text == "Not measured for 46 s."
        assert [sign.name for sign in root_failures(found.values())] == ["daemons"]


def test_what_was_never_measured_is_a_warning_for_a_moment() -> None:
    young: Measurement[Any] = Measurement(ago(0))
    old: Measurement[Any] = Measurement(ago(1))
    assert signs(records=young)["sync"].level is Level.WARN
    assert {signs(records=old)[name].level for name in ("sync", "zammad", "kimai")} == {Level.FAIL}


def test_a_database_that_cannot_be_asked_fails_at_once_and_the_others_keep_their_figures() -> None:
    found = signs(dagster=reading(orchestration(), 20, problem="connection refused"))
    assert (found["daemons"].level, found["daemons"].detail) == (Level.FAIL, "connection refused")
    assert found["queue"].level is Level.PASS


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({}, Level.PASS),
        ({"synced_at": ago(181)}, Level.FAIL),
        ({"synced_at": ago(9000), "catch_up_on": False}, Level.PASS),
        ({"synced_at": None}, Level.WARN),
        ({"failure": "Kimai: no."}, Level.WARN),
        ({"schedule_problem": "catch_up.cron='x'"}, Level.FAIL),
    ],
    ids=["in time", "a catch-up is missed", "the catch-up is off", "never", "the newest failed", "no schedule"],
)
def test_the_lag_is_judged_by_the_schedule(given: dict[str, Any], level: Level) -> None:
    assert signs(records=reading(records(**given)))["sync"].level is level


def test_the_whole_is_as_its_worst() -> None:
    assert worst(signs().values()) is Level.PASS
    assert worst(signs(records=reading(records(synced_at=None))).values()) is Level.WARN
    assert worst(signs(database=reading(DatabaseResponse(None, "gone"))).values()) is Level.FAIL


# ---- What people are told ----


def sign(level: Level, name: str = "queue") -> VitalSign:
    return VitalSign(name, "Queue of runs", level, "The queue does not move.", "Look.", "In detail.")


def looks(*rows: tuple[float, Level], book: AlertState | None = None) -> list[tuple[float, str]]:
    """What is told at which second of looks at one sign."""
    book = book or AlertState()
    told: list[tuple[float, str]] = []
    for seconds, level in rows:
        book, messages = book.after_look([sign(level)], RULES, "https://link", NOW + timedelta(seconds=seconds))
        told += [(seconds, message.title.rpartition(": ")[2]) for message in messages]
    return told


def test_a_failure_is_told_when_it_has_lasted_and_so_is_its_end() -> None:
    rows = [(second, Level.FAIL) for second in range(0, 7200, 10)]
    assert looks(*rows, (7200, Level.PASS), (7210, Level.PASS)) == [(60, "fails"), (7200, "good again")]


def test_a_restart_is_not_told() -> None:
    assert looks((0, Level.FAIL), (50, Level.FAIL), (55, Level.PASS), (60, Level.FAIL), (110, Level.WARN)) == []


def test_what_comes_and_goes_is_told_again_after_the_quiet_period_alone() -> None:
    rows = [(0, Level.FAIL), (60, Level.FAIL), (70, Level.PASS), (80, Level.FAIL), (150, Level.FAIL)]
    assert looks(*rows, (3670, Level.FAIL)) == [(60, "fails"), (70, "good again"), (3670, "fails")]


def test_an_alert_has_the_sentence_the_remedy_and_the_link() -> None:
    book, _ = AlertState().after_look([sign(Level.FAIL)], RULES, "https://link", NOW)
    _, (message,) = book.after_look([sign(Level.FAIL)], RULES, "https://link", NOW + timedelta(minutes=1))
    assert message.title == "zk_pipeline: Queue of runs: fails"
    assert message.body.splitlines() == ["The queue does not move. In detail.", "Look.", "https://link"]
