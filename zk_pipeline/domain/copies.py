"""Copies: time sheets with the marker of a booking that has another one, asked about on the day on which each lies.

Duplicating and restarting keep the description, so a marker can come to lie on any day (docs/kimai.md §4).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.matching import Matches
from zk_pipeline.domain.plan import Situation
from zk_pipeline.domain.records import Timesheet

_WITHIN_REACH = timedelta(days=1)
"""So far from its day a booking is looked for by its marker."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A time sheet, and the booking whose marker it carries."""

    source_id: str
    sheet: Timesheet


def of_day(matches: Matches, situation: Situation, zone: ZoneInfo) -> list[Copy]:
    """The copies that lie on the day, each once: of the day's own bookings, and of those of other days.

    One whose begin cannot be read may lie anywhere; it is asked about together with its booking.
    """
    found: dict[int, Copy] = {}
    for source_id, match in matches.by_source.items():
        for row in match.clones:
            if "begin" in row.faults or local_day(row.begin, zone) == situation.day:
                found.setdefault(row.id, Copy(source_id, row))
    for source_id, row in matches.strays:
        if local_day(row.begin, zone) == situation.day and _is_copy(row, source_id, situation):
            found.setdefault(row.id, Copy(source_id, row))
    return [found[id_] for id_ in sorted(found)]


def days_elsewhere(situation: Situation, connector: str, zone: ZoneInfo) -> dict[int, date]:
    """The other days on which copies lie that stand around the day, by time sheet."""
    owned = {row.bound for row in situation.ledger.values()}
    days = {row.id: local_day(row.begin, zone) for row in situation.timesheets if row.id not in owned}
    return {
        row.id: days[row.id]
        for row in situation.timesheets
        if row.id in days
        and days[row.id] != situation.day
        and any(_is_copy(row, source_id, situation) for source_id in marked_ids(row.description, connector))
    }


def _is_copy(row: Timesheet, source_id: str, situation: Situation) -> bool:
    """Whether the booking whose marker a time sheet carries is there and has another time sheet.

    Where the original was deleted within reach of the booking's day, the booking takes this one in its place.
    """
    original = situation.originals.get(source_id)
    if original is None or original.kimai_id == row.id or source_id not in situation.known_sources:
        return False
    return not (original.gone and abs(situation.day - original.day) <= _WITHIN_REACH) and "begin" not in row.faults
