"""Bookings that a source proves to be gone by not listing them: the first time is remembered, the second counts."""

import logging
from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection

from zk_pipeline.domain.records import BookingKey
from zk_pipeline.store import sweeps

SUBJECT = "missed"
"""The cursor with the bookings that one run has missed, with that run and their work days."""

_log = logging.getLogger(__name__)


def missed_again(
    connection: Connection, name: str, run_id: str, missed: Mapping[BookingKey, date], span: tuple[date, date]
) -> list[BookingKey]:
    """Those that an earlier run has missed too, of all that this one missed in a complete read of these days.

    The others are remembered for the next run. What was missed before and is there again is forgotten.
    """
    known = sweeps.load(connection, name, SUBJECT, lock=True) or {}
    again = [booking for booking in missed if known.get(booking.id, {"run": run_id})["run"] != run_id]
    first = [booking for booking in missed if booking not in again]
    elsewhere = {id_: seen for id_, seen in known.items() if not _is_within(seen["day"], span)}
    kept = {id_: seen for id_, seen in elsewhere.items() if id_ not in {booking.id for booking in again}}
    kept |= {booking.id: {"run": run_id, "day": missed[booking].isoformat()} for booking in first}
    if kept != known:
        sweeps.save(connection, name, SUBJECT, kept)
    if first:
        _log.warning(
            "%s no longer lists bookings %s. If the next run misses them too, they are gone.",
            name,
            ", ".join(str(booking.id) for booking in first),
        )
    return again


def _is_within(day: str, span: tuple[date, date]) -> bool:
    return span[0] <= date.fromisoformat(day) <= span[1]
