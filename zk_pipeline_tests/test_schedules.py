"""The schedules' plans: where each value comes from, which days a tick asks for, and when the next ones are."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.runtime.schedules import CATCH_UP, DEEP_CHECK, PRESETS, ScheduleError, SchedulePlan, plan_of
from zk_pipeline.runtime.settings import ENV_FILE, Settings, WhenBusy, load_settings

BERLIN = ZoneInfo("Europe/Berlin")
CLOCKS_GO_FORWARD, CLOCKS_GO_BACK = date(2026, 3, 29), date(2026, 10, 25)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(ENV_FILE, "/dev/null")
    return load_settings(timezone="Europe/Berlin")


def plan(settings: Settings, name: str = CATCH_UP, **stored: Any) -> SchedulePlan:
    return plan_of(settings, name, {f"{name}.{field}": value for field, value in stored.items()})


def runs_of(plan: SchedulePlan, day: date) -> list[str]:
    """The runs of one local day as wall clock with offset."""
    midnight = datetime.combine(day, datetime.min.time(), tzinfo=BERLIN)
    runs = plan.next_runs(midnight, 30)
    return [run.strftime("%H:%M%z") for run in runs if run.astimezone(BERLIN).date() == day]


def test_without_stored_settings_the_environment_decides(settings: Settings) -> None:
    found = plan(settings, DEEP_CHECK)
    assert (found.cron, found.days, found.on, found.when_busy) == ("30 3 * * *", 62, True, WhenBusy.SKIP)
    assert found.stored == frozenset()


def test_stored_settings_win_one_by_one(settings: Settings) -> None:
    found = plan(settings, cron="0 4 * * *", when_busy="queue")
    assert (found.cron, found.days, found.when_busy) == ("0 4 * * *", 7, WhenBusy.QUEUE)
    assert found.stored == {"cron", "when_busy"}


def test_settings_of_the_other_schedule_do_not_count(settings: Settings) -> None:
    assert plan_of(settings, CATCH_UP, {"deep_check.days": 3}).days == 7


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("cron", "0 3 * *", "is no cron expression; give five fields"),
        ("cron", "@daily", "is no cron expression; give five fields"),
        ("cron", "61 * * * *", "is no cron expression; give five fields"),
        ("cron", "*/90 * * * *", "is no cron expression; give five fields"),
        ("cron", "R 3 * * *", "is no cron expression; give five fields"),
        ("cron", "0 0 31 4 *", "names a day that never comes"),
        ("cron", "*/4 * * * *", "runs more than once in 5 minutes"),
        ("cron", "58,2 * * * *", "runs more than once in 5 minutes"),
        ("cron", "0-4 0 1 1 *", "runs more than once in 5 minutes"),
        ("days", 0, "give a number of days from 1 to 366."),
        ("days", True, "give a number of days from 1 to 366."),
        ("on", "yes", "is of the wrong kind"),
        ("when_busy", "wait", "is of the wrong kind"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(settings: Settings, field: str, value: Any, sentence: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        plan(settings, **{field: value})
    assert str(caught.value).startswith(f"catch_up.{field}={value!r}: {sentence}")


def test_a_wrong_cron_of_the_environment_is_named_by_its_variable(settings: Settings) -> None:
    wrong = settings.model_copy(update={"deep_check_cron": "nightly"})
    with pytest.raises(ScheduleError, match=r"^ZK_DEEP_CHECK_CRON='nightly': is no cron expression"):
        plan(wrong, DEEP_CHECK)


@pytest.mark.parametrize("cron", ["*/5 * * * *", "0,57 3 * * *", "0 0 29 2 *", "15 6 * * MON-FRI", "0 0 1 1 *"])
def test_whatever_keeps_five_minutes_is_a_cron(settings: Settings, cron: str) -> None:
    assert plan(settings, cron=cron).cron == cron


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_preset_is_valid(settings: Settings, preset: dict[str, Any]) -> None:
    assert plan(settings, **preset).on is preset["on"]


@pytest.mark.parametrize(
    ("cron", "forward", "back"),
    [
        ("0 */6 * * *", "00:00+0100 06:00+0200 12:00+0200 18:00+0200", "00:00+0200 06:00+0100 12:00+0100 18:00+0100"),
        ("30 3 * * *", "03:30+0200", "03:30+0100"),
        ("30 2 * * *", "03:00+0200", "02:30+0100"),
        ("15,45 2 * * *", "03:00+0200", "02:15+0100 02:45+0100"),
        ("0 1-3 * * *", "01:00+0100 03:00+0200", "01:00+0200 02:00+0100 03:00+0100"),
    ],
)
def test_a_clock_change_neither_drops_nor_doubles_a_run(settings: Settings, cron: str, forward: str, back: str) -> None:
    found = plan(settings, cron=cron)
    assert runs_of(found, CLOCKS_GO_FORWARD) == forward.split()
    assert runs_of(found, CLOCKS_GO_BACK) == back.split()


@pytest.mark.parametrize(("day", "hours"), [(CLOCKS_GO_FORWARD, 23), (CLOCKS_GO_BACK, 25)])
def test_an_hourly_one_runs_once_for_every_hour_that_passes(settings: Settings, day: date, hours: int) -> None:
    found = plan(settings, cron="0 * * * *")
    assert len(set(runs_of(found, day))) == len(runs_of(found, day)) == hours


def test_the_catch_up_looks_at_seven_days_with_today(settings: Settings) -> None:
    assert plan(settings).ranges(datetime(2026, 3, 29, 1, tzinfo=UTC)) == [(date(2026, 3, 23), date(2026, 3, 29))]


def test_the_deep_check_takes_two_runs_of_a_month(settings: Settings) -> None:
    tick = datetime(2026, 10, 25, 3, 30, tzinfo=BERLIN)
    assert plan(settings, DEEP_CHECK).ranges(tick) == [
        (date(2026, 8, 25), date(2026, 9, 24)),
        (date(2026, 9, 25), date(2026, 10, 25)),
    ]


@pytest.mark.parametrize(
    ("tick", "today"),
    [
        ("2026-03-28T22:59:00+00:00", date(2026, 3, 28)),
        ("2026-03-28T23:00:00+00:00", CLOCKS_GO_FORWARD),
        ("2026-10-24T22:00:00+00:00", CLOCKS_GO_BACK),
        ("2026-10-25T22:59:00+00:00", CLOCKS_GO_BACK),
        ("2026-10-25T23:00:00+00:00", date(2026, 10, 26)),
    ],
)
def test_today_is_the_day_of_the_business_zone(settings: Settings, tick: str, today: date) -> None:
    assert plan(settings, days=1).ranges(datetime.fromisoformat(tick)) == [(today, today)]


def test_days_before_the_first_one_are_left_out(settings: Settings) -> None:
    young = settings.model_copy(update={"start_date": date(2026, 3, 27)})
    tick = datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert plan(young, DEEP_CHECK).ranges(tick) == [(date(2026, 3, 27), date(2026, 3, 29))]
    assert plan(young, DEEP_CHECK).ranges(tick - timedelta(days=9)) == []
