"""Which assets are behind schedule, and the sentences about them: the rules of the asset checks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from zk_pipeline.domain.instants import day_start, local_day

DAYS_NAMED = 10


@dataclass(frozen=True, slots=True)
class StaleAsset:
    """An asset whose day was not materialized since it was due."""

    day: date
    asset: str
    materialized_at: datetime | None
    since: datetime


def watched_days(now: datetime, zone: ZoneInfo, look_back: int) -> tuple[date, ...]:
    """Today and yesterday, if a catch-up of this many days includes them."""
    today = local_day(now, zone)
    return (today, today - timedelta(days=1))[:look_back]


def stale_assets(
    materialized: Mapping[str, Mapping[date, datetime]], days: Iterable[date], due: datetime, zone: ZoneInfo
) -> list[StaleAsset]:
    """The assets that are behind, by day. `due` is the last catch-up that should have finished.

    A day must have been materialized since that catch-up, or since its own end; a day after that catch-up is not due.
    """
    behind: list[StaleAsset] = []
    for day in days:
        if due < day_start(day, zone):
            continue
        since = min(due, day_start(day + timedelta(days=1), zone))
        for asset, instants in materialized.items():
            seen = instants.get(day)
            if seen is None or seen < since:
                behind.append(StaleAsset(day, asset, seen, since))
    return behind


def stale_sentence(behind: Sequence[StaleAsset], zone: ZoneInfo) -> str:
    """What is stale, since when, and what to do; unchanged until another catch-up is missed."""
    by_day: dict[date, list[StaleAsset]] = {}
    for row in behind:
        by_day.setdefault(row.day, []).append(row)
    parts = [
        f"{day} has not been updated since {rows[0].since.astimezone(zone):%Y-%m-%d %H:%M}"
        f" ({', '.join(row.asset for row in rows)})."
        for day, rows in sorted(by_day.items())
    ]
    return f"{' '.join(parts)} Check that `zk up` runs, then run {sync_command(by_day)}."


def failed_sentence(days: Iterable[date]) -> str:
    """The days whose newest run failed, at most ten of them, and what to do."""
    ordered = sorted(days)
    named = ", ".join(map(str, ordered[:DAYS_NAMED]))
    more = f" and {len(ordered) - DAYS_NAMED} more" if len(ordered) > DAYS_NAMED else ""
    subject = "The newest run of this day failed" if len(ordered) == 1 else "The newest runs of these days failed"
    return f"{subject}: {named}{more}. Fix the cause that the run names, then run {sync_command(ordered)}."


def sync_command(days: Iterable[date]) -> str:
    """The command that runs these days again, with the days between them."""
    ordered = sorted(days)
    return f"`zk sync --from {ordered[0]} --to {ordered[-1]}`"
