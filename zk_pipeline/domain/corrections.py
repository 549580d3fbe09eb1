"""Netting of corrections: the source corrects a booking by a negative one (docs/zammad.md §11), the target takes none.

Within one ticket, agent and type each negative booking reduces the newest earlier positive ones. What it cannot reduce
stays open for a person. Minutes are kept: what is left minus what is open equals what was booked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

ZERO = Decimal(0)


class CorrectionGroup(NamedTuple):
    """Bookings correct each other only within one of these."""

    ticket_id: int
    agent_id: int
    type_id: int | None


@dataclass(frozen=True, slots=True)
class Movement:
    """One booking as far as netting looks at it; `minutes` may be negative."""

    id: int
    group: CorrectionGroup
    created_at: datetime
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class Netted:
    """What netting leaves of one booking.

    `minutes` is what remains to be carried over (never negative), `open_minutes` the part of a negative booking that
    found nothing to reduce, `corrected_by` or `corrects` the ids of the counterparts.
    """

    minutes: Decimal
    open_minutes: Decimal = ZERO
    corrected_by: tuple[int, ...] = ()
    corrects: tuple[int, ...] = ()


def net(movements: Iterable[Movement]) -> Mapping[int, Netted]:
    """Net every group; the order of the input does not matter, `created_at` and then the id decide what is earlier."""
    groups: dict[CorrectionGroup, list[Movement]] = {}
    for movement in movements:
        groups.setdefault(movement.group, []).append(movement)
    netted: dict[int, Netted] = {}
    for group in groups.values():
        netted.update(_net_group(sorted(group, key=lambda movement: (movement.created_at, movement.id))))
    return netted


def _net_group(movements: list[Movement]) -> dict[int, Netted]:
    left: dict[int, Decimal] = {}
    reducible: list[int] = []
    corrected_by: dict[int, list[int]] = {}
    corrections: dict[int, Netted] = {}
    for movement in movements:
        if movement.minutes >= 0:
            left[movement.id] = movement.minutes
            reducible.append(movement.id)
            continue
        still_open = -movement.minutes
        reduced: list[int] = []
        while still_open and reducible:
            earlier = reducible[-1]
            part = min(left[earlier], still_open)
            if part:
                left[earlier] -= part
                still_open -= part
                reduced.append(earlier)
                corrected_by.setdefault(earlier, []).append(movement.id)
            if not left[earlier]:
                reducible.pop()
        corrections[movement.id] = Netted(ZERO, still_open, corrects=tuple(reduced))
    remaining = {id_: Netted(minutes, corrected_by=tuple(corrected_by.get(id_, ()))) for id_, minutes in left.items()}
    return remaining | corrections
