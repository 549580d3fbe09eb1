"""Placement: where on its day a booking is put. The source knows when it was typed, not when the work was done."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from zk_pipeline.domain.instants import day_start, floor_to_grid, local_day
from zk_pipeline.domain.policy import Placement, Policy
from zk_pipeline.domain.records import Window


class Span(NamedTuple):
    """A begin and an end, in UTC."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A booking that needs a place. Those of one agent and work day may influence each other."""

    id: int
    agent_id: int
    created_at: datetime
    length: timedelta


def place(bookings: Iterable[Unplaced], policy: Policy) -> Mapping[int, Span]:
    """Give each booking its place by the policy; deterministic whatever the order of the input.

    Sequential placement needs all bookings of an agent's day to be given together.
    """
    ordered = sorted(bookings, key=lambda booking: (booking.created_at, booking.id))
    if policy.placement is Placement.SEQUENTIAL:
        return _one_after_another(ordered, policy)
    if policy.placement is Placement.END:
        return {booking.id: _ending_at_booking(booking, policy) for booking in ordered}
    return {booking.id: _starting_on_grid(booking, policy) for booking in ordered}


def free_span(wanted: Span, taken: Sequence[Span], within: Window, latest_end: datetime | None) -> Span | None:
    """The free place of the same length nearest to the wanted one, for a target that forbids overlaps or future times.

    Later places are preferred unless `latest_end`, taken down to its minute, forbids them; the search stays `within`
    one day. `None` when the day is full. Touching spans do not overlap (docs/kimai.md §3).
    """
    length = wanted.end - wanted.begin
    bound = min(within.end, latest_end.replace(second=0, microsecond=0)) if latest_end else within.end
    begins = [
        min(max(wanted.begin, gap.begin), gap.end - length)
        for gap in _gaps(taken, within.start, bound)
        if gap.end - gap.begin >= length
    ]
    begin = min(begins, key=lambda begin: (begin < wanted.begin, abs(begin - wanted.begin)), default=None)
    return None if begin is None else Span(begin, begin + length)


def _gaps(taken: Sequence[Span], start: datetime, end: datetime) -> Iterator[Span]:
    """The free spans between `start` and `end`, in order."""
    for span in sorted(taken):
        if span.end <= start:
            continue
        if span.begin >= end:
            break
        if span.begin > start:
            yield Span(start, span.begin)
        start = span.end
    if start < end:
        yield Span(start, end)


def _starting_on_grid(booking: Unplaced, policy: Policy) -> Span:
    begin = floor_to_grid(booking.created_at, policy.grid_minutes, policy.zone)
    return Span(begin, begin + booking.length)


def _ending_at_booking(booking: Unplaced, policy: Policy) -> Span:
    end = booking.created_at.astimezone(UTC).replace(second=0, microsecond=0)
    begin = max(end - booking.length, day_start(local_day(booking.created_at, policy.zone), policy.zone))
    return Span(begin, begin + booking.length)


def _one_after_another(ordered: Sequence[Unplaced], policy: Policy) -> dict[int, Span]:
    """From the opening of the day on; what would begin after midnight is put at the end of its work day instead."""
    cursors: dict[tuple[int, date], datetime] = {}
    spans: dict[int, Span] = {}
    for booking in ordered:
        day = local_day(booking.created_at, policy.zone)
        opening = datetime.combine(day, policy.day_start, tzinfo=policy.zone).astimezone(UTC)
        latest = max(day_start(day + timedelta(days=1), policy.zone) - booking.length, opening)
        begin = min(cursors.get((booking.agent_id, day), opening), latest)
        spans[booking.id] = Span(begin, begin + booking.length)
        cursors[booking.agent_id, day] = begin + booking.length
    return spans
