"""Netting of corrections: the source corrects a booking by a negative one (docs/zammad.md §11); the target takes none.

A negative booking that a person paired with another one reduces exactly that one, on any ticket or day. Every other one
reduces the newest earlier positive bookings of the same ticket, agent and type. What cannot be reduced stays open for a
person. Minutes are conserved: what is left minus what is open equals what was booked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from zk_pipeline.domain.source_ids import source_id_order

ZERO = Decimal(0)


class CorrectionGroup(NamedTuple):
    """Ticket, agent and type. Without a person's pairing, bookings correct each other only within one group."""

    ticket_id: str
    agent_id: str
    type_id: str | None


@dataclass(frozen=True, slots=True)
class NettingInput:
    """One booking as netting needs it; `minutes` may be negative."""

    id: str
    group: CorrectionGroup
    created_at: datetime
    minutes: Decimal


class CorrectionPair(NamedTuple):
    """A person's decision that a negative booking takes back time of another booking; both by id."""

    correction: str
    reduced: str


@dataclass(frozen=True, slots=True)
class NettingResult:
    """What netting leaves of one booking.

    `minutes` is what remains to be written (never negative), `open_minutes` the part of a negative booking that found
    nothing to reduce. `corrected_by` and `corrects` are the ids of the counterparts.
    """

    minutes: Decimal
    open_minutes: Decimal = ZERO
    corrected_by: tuple[str, ...] = ()
    corrects: tuple[str, ...] = ()


class _Netting:
    """Netting in progress: what is left of each booking, what is open of each correction, and who reduced whom."""

    def __init__(self, movements: Iterable[NettingInput]) -> None:
        self.left: dict[str, Decimal] = {}
        self.open: dict[str, Decimal] = {}
        for movement in movements:
            side = self.left if movement.minutes >= 0 else self.open
            side[movement.id] = abs(movement.minutes)
        self._corrects: dict[str, list[str]] = {}
        self._corrected_by: dict[str, list[str]] = {}

    def reduce(self, correction: str, booking: str) -> None:
        """Reduce the booking by the open part of the correction, as far as minutes are left."""
        part = min(self.left[booking], self.open[correction])
        if part:
            self.left[booking] -= part
            self.open[correction] -= part
            self._corrects.setdefault(correction, []).append(booking)
            self._corrected_by.setdefault(booking, []).append(correction)

    def netted(self) -> dict[str, NettingResult]:
        bookings = {
            id_: NettingResult(minutes, corrected_by=tuple(self._corrected_by.get(id_, ())))
            for id_, minutes in self.left.items()
        }
        corrections = {
            id_: NettingResult(ZERO, still_open, corrects=tuple(self._corrects.get(id_, ())))
            for id_, still_open in self.open.items()
        }
        return bookings | corrections


def net(movements: Iterable[NettingInput], pairs: Iterable[CorrectionPair] = ()) -> Mapping[str, NettingResult]:
    """Net the pairs that people made, in this order, and then every group. The order of the movements does not matter.

    `created_at`, then the id, decide which booking is earlier. A pair is ignored if one of its bookings is gone or has
    another sign than before. A paired correction reduces nothing else unless a person says so.
    """
    groups: dict[CorrectionGroup, list[NettingInput]] = {}
    for movement in movements:
        groups.setdefault(movement.group, []).append(movement)
    net = _Netting(movement for group in groups.values() for movement in group)
    paired: set[str] = set()
    for pair in pairs:
        if pair.correction in net.open and pair.reduced in net.left:
            net.reduce(pair.correction, pair.reduced)
            paired.add(pair.correction)
    for group in groups.values():
        _net_group(net, sorted(group, key=lambda movement: (movement.created_at, source_id_order(movement.id))), paired)
    return net.netted()


def _net_group(net: _Netting, movements: list[NettingInput], paired: set[str]) -> None:
    reducible: list[str] = []
    for movement in movements:
        if movement.id in net.left:
            reducible.append(movement.id)
            continue
        while movement.id not in paired and net.open[movement.id] and reducible:
            net.reduce(movement.id, reducible[-1])
            if not net.left[reducible[-1]]:
                reducible.pop()
