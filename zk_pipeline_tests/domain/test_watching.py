"""Which days are stale, and how it is said."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.observe.freshness import failed_sentence, stale_assets, stale_sentence, watched_days

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY, TUESDAY = date(2025, 10, 6), date(2025, 10, 7)
DAYS = (TUESDAY, MONDAY)


def at(day: date, clock: str) -> datetime:
    """A time of day in Berlin."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("due", "monday", "tuesday", "stale"),
    [
        (at(TUESDAY, "06:00"), at(TUESDAY, "06:00"), at(TUESDAY, "06:01"), []),
        (at(TUESDAY, "06:00"), at(TUESDAY, "00:01"), at(TUESDAY, "05:59"), [TUESDAY]),
        (at(TUESDAY, "06:00"), at(MONDAY, "23:59"), at(TUESDAY, "06:01"), [MONDAY]),
        (at(TUESDAY, "00:00"), at(TUESDAY, "00:01"), None, [TUESDAY]),
        (at(MONDAY, "18:00"), at(MONDAY, "18:01"), None, []),
        (at(MONDAY, "18:00"), at(MONDAY, "17:00"), None, [MONDAY]),
        (at(MONDAY, "18:00"), None, None, [MONDAY]),
        (at(MONDAY - timedelta(days=2), "18:00"), None, None, []),
    ],
    ids=[
        "both since the catch-up",
        "today before it",
        "yesterday before it ended",
        "today never",
        "today not yet due",
        "yesterday before its last catch-up",
        "yesterday never",
        "no catch-up of these days yet",
    ],
)
def test_a_day_is_stale_that_missed_its_catch_up(
    due: datetime, monday: datetime | None, tuesday: datetime | None, stale: list[date]
) -> None:
    instants = {day: seen for day, seen in ((MONDAY, monday), (TUESDAY, tuesday)) if seen}
    assert [row.day for row in stale_assets({"sync/kimai_pushes": instants}, DAYS, due, BERLIN)] == stale


def test_each_asset_is_looked_at_for_itself() -> None:
    due = at(TUESDAY, "06:00")
    fresh = dict.fromkeys(DAYS, due)
    behind = stale_assets({"kimai/timesheets": fresh, "sync/kimai_pushes": {MONDAY: due}}, DAYS, due, BERLIN)
    assert [(row.asset, row.day) for row in behind] == [("sync/kimai_pushes", TUESDAY)]


def test_the_sentence_names_asset_day_and_remedy() -> None:
    behind = stale_assets({"sync/kimai_pushes": {}}, DAYS, at(TUESDAY, "06:00"), BERLIN)
    assert stale_sentence(behind, BERLIN) == (
        "2025-10-06 has not been updated since 2025-10-07 00:00 (sync/kimai_pushes). "
        "2025-10-07 has not been updated since 2025-10-07 06:00 (sync/kimai_pushes). "
        "Check that `zk up` runs, then run `zk sync --from 2025-10-06 --to 2025-10-07`."
    )


@pytest.mark.parametrize(
    ("now", "look_back", "days"),
    [
        (at(TUESDAY, "00:00"), 7, (TUESDAY, MONDAY)),
        (at(TUESDAY, "00:00") - timedelta(seconds=1), 7, (MONDAY, MONDAY - timedelta(days=1))),
        (at(TUESDAY, "12:00"), 1, (TUESDAY,)),
    ],
)
def test_today_and_yesterday_are_those_of_the_business_zone(
    now: datetime, look_back: int, days: tuple[date, ...]
) -> None:
    assert watched_days(now, BERLIN, look_back) == days


def test_at_most_ten_failed_days_are_named() -> None:
    days = [MONDAY + timedelta(days=number) for number in range(12)]
    sentence = failed_sentence(days)
    assert "2025-10-15 and 2 more." in sentence
    assert "2025-10-16" not in sentence
    assert "`zk sync --from 2025-10-06 --to 2025-10-17`" in sentence


def test_one_failed_day_is_named_with_its_command() -> None:
    assert failed_sentence([MONDAY]) == (
        "The newest run of this day failed: 2025-10-06. Fix the cause that the run names, "
        "then run `zk sync --from 2025-10-06 --to 2025-10-06`."
    )
