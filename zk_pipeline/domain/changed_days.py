"""Which days changed, and which runs to request for them: the pure decisions of the sensor."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.records import Faults, TimeAccounting, no_faults

LONGEST_RANGE = 31
BRIDGED_GAP = 2
"""Days between two requested ones that are run too: cheaper than a run of its own."""

RANGES_AT_ONCE = 10
LONGEST_PAUSE = timedelta(hours=1)
MOST_DOUBLINGS = 12
"""Applied to one second they give the longest pause; many more would overflow."""


@dataclass(frozen=True, slots=True)
class KnownBooking:
    """A booking as the store has it."""

    id: str
    ticket_id: str
    work_day: date
    units: Decimal
    type_id: str | None
    updated_at: datetime
    faults: Faults = field(default_factory=no_faults, hash=False)
    worked_at: datetime | None = None
    seconds: int | None = None
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class BookingChange:
    """A booking that is new, edited or gone from its place. `key` identifies the change among those of the booking."""

    key: str
    day: date
    ticket_id: str


def edits(seen: Iterable[TimeAccounting], known: Mapping[str, KnownBooking], zone: ZoneInfo) -> list[BookingChange]:
    """The bookings that the store does not have, or has with other values.

    If the work is said to be of another day now, the old and the new day are changed.
    """
    changed: list[BookingChange] = []
    for row in seen:
        stored = known.get(row.id)
        if stored is not None and _is_stored(row, stored):
            continue
        now = local_day(row.counts_at, zone)
        day = stored.work_day if stored else now
        key = f"{row.id}@{row.updated_at.isoformat()}"
        changed.append(BookingChange(key, day, row.ticket_id))
        if row.worked_at is not None and day != now:
            changed.append(BookingChange(f"{key}>{now}", now, row.ticket_id))
    return changed


def _is_stored(row: TimeAccounting, stored: KnownBooking) -> bool:
    """Whether the store has this version of a booking. Of an unreadable one, it has the last readable version."""
    if row.faults or stored.faults:
        return row.faults == stored.faults
    known = (stored.units, stored.type_id, stored.ticket_id, stored.updated_at)
    exact = (stored.worked_at, stored.seconds, stored.is_final)
    return (*known, *exact) == (
        *(row.units, row.type_id, row.ticket_id, row.updated_at),
        *(row.worked_at, row.seconds, row.is_final),
    )


def absences(seen_ids: Collection[str], expected: Iterable[KnownBooking]) -> list[BookingChange]:
    """The stored bookings that were expected and not seen. Their days are requested; only that run finds the proof."""
    return [BookingChange(f"{row.id}@gone", row.work_day, row.ticket_id) for row in expected if row.id not in seen_ids]


@dataclass(frozen=True, slots=True)
class FeedState:
    """How far the change feed was read: the newest change, the ids `seen` since then, and the number of bookings.

    `total` is `None` for a source that does not count them.
    """

    high_water: datetime
    since: datetime
    seen: frozenset[str]
    total: int | None

    def after(
        self,
        rows: Sequence[TimeAccounting],
        total: int | None,
        since: datetime,
        now: datetime,
        until: datetime | None = None,
    ) -> "FeedState":
        """The state after all changes since an instant were listed.

        A change dated in the future (the source's clock was wrong) must not hide the changes until then. `until` is
        how far the feed could be read, whatever it showed.
        """
        newest = until or max([self.high_water, *(row.updated_at for row in rows)])
        return FeedState(min(newest, now), since, frozenset(row.id for row in rows), total)

    def new(self, rows: Sequence[TimeAccounting]) -> frozenset[str]:
        """The bookings that appeared since then."""
        return frozenset(row.id for row in rows if row.created_at >= self.since and row.id not in self.seen)

    def lost(self, rows: Sequence[TimeAccounting], total: int | None) -> int:
        """How many bookings were deleted at least: so many fewer are left than were there before plus the new ones.

        Without totals, nothing is known.
        """
        if total is None or self.total is None:
            return 0
        return max(0, self.total + len(self.new(rows)) - total)


@dataclass(frozen=True, slots=True)
class StoredCount:
    """How many bookings of the spans that were read completely are stored, the deleted ones too.

    `covered` names these spans. `missing` are the bookings that the feed showed and that are not stored yet.
    """

    covered: str
    number: int
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class UnknownCount:
    """How many bookings of the source are neither stored nor shown by the feed: those of days that were never read.

    A booking with an old time raises the number until it is stored. A deletion lowers it for good. So one that the
    total hides, because such a booking appeared at the same time, shows as soon as that booking is stored. `fell` means
    that the last look found fewer: only the second one counts, because a run may store bookings during a look.
    """

    covered: str
    lowest: int
    fell: bool = False

    def next(self, stored: StoredCount, total: int, lost: int = 0) -> "tuple[UnknownCount, bool]":
        """The count after another look, and whether more bookings were deleted than the total said in this look.

        Newly read days make a new beginning. A number below zero comes of deletions: of those that the total said,
        until a run has stored them as gone, or of hidden ones.
        """
        number, lowest = total - stored.number - len(stored.missing), self.lowest - lost
        if stored.covered != self.covered:
            return UnknownCount(stored.covered, max(number, min(lowest, 0))), False
        if number >= lowest:
            return UnknownCount(self.covered, max(lowest, min(number, 0))), False
        if not self.fell:
            return UnknownCount(self.covered, lowest, fell=True), False
        return UnknownCount(self.covered, number), True


@dataclass(frozen=True, slots=True)
class DayRequest:
    """A day that was requested and that no successful run has completed."""

    id: int
    day: date
    tries: int
    not_before: datetime


@dataclass(frozen=True, slots=True)
class RangeRun:
    """A run to request. `request_ids` are the requests it answers; `tries` counts the tries of the newest of them."""

    first: date
    last: date
    request_ids: tuple[int, ...]
    tries: int

    @property
    def key(self) -> str:
        """A key that no earlier run has, because Dagster launches a key only once."""
        return f"{self.first}..{self.last}:{self.request_ids[-1]}:{self.tries}"


def runs_for(
    requests: Iterable[DayRequest], now: datetime, first: date, last: date, first_pause: timedelta = LONGEST_PAUSE
) -> list[RangeRun]:
    """Group the due requests into ranges of days, earliest first, a limited number at a time.

    Days outside `first` to `last` have no partition (yet) and wait. A pause longer than that after so many
    tries was set while the clock was ahead, and counts as over.
    """
    by_day: dict[date, list[DayRequest]] = {}
    for request in requests:
        pauses = request.tries > 0 and now < request.not_before <= now + pause_after(request.tries, first_pause)
        if not pauses and first <= request.day <= last:
            by_day.setdefault(request.day, []).append(request)
    return [_range_run(days, by_day) for days in _close_together(by_day)[:RANGES_AT_ONCE]]


def joined(days: Collection[date]) -> list[tuple[date, date]]:
    """The days as ranges to be run together, earliest first."""
    return [(close[0], close[-1]) for close in _close_together(days)]


def pause_after(tries: int, first_pause: timedelta) -> timedelta:
    """How long to wait after this many tries: doubled each time, up to an hour."""
    doublings = min(max(0, tries - 1), MOST_DOUBLINGS)
    return min(first_pause * 2**doublings, LONGEST_PAUSE)


def _close_together(days: Collection[date]) -> list[list[date]]:
    ranges: list[list[date]] = []
    for day in sorted(days):
        if ranges and _joins(ranges[-1], day):
            ranges[-1].append(day)
        else:
            ranges.append([day])
    return ranges


def _joins(days: Sequence[date], day: date) -> bool:
    return (day - days[-1]).days <= BRIDGED_GAP + 1 and (day - days[0]).days < LONGEST_RANGE


def _range_run(days: Sequence[date], by_day: Mapping[date, Sequence[DayRequest]]) -> RangeRun:
    requests = sorted((request for day in days for request in by_day[day]), key=lambda request: request.id)
    return RangeRun(days[0], days[-1], tuple(request.id for request in requests), requests[-1].tries + 1)
