"""Adjustments: what a booking that changed after billing still owes, and the entry that carries it.

A billed time sheet is never rewritten. The difference is booked in an open period: as a new entry if minutes are
missing, as a credit if there are too many, because the target takes no negative time (docs/kimai.md §3).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from zk_pipeline.domain.corrections import ZERO
from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.domain.instants import duration, whole_seconds
from zk_pipeline.domain.markers import marker, without_markers

PREFIX = "a"
"""Prefix of the source ids of adjustments; the ids of bookings are numbers."""

_EXACT = Decimal("0.0001")


class AdjustmentState(StrEnum):
    """`booked`: an entry carries it. `open`: a credit to be settled. `settled`: a credit that a person settled."""

    BOOKED = "booked"
    OPEN = "open"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class PostingKey:
    """The person, project and activity that minutes are booked on. A project without id is known by its number."""

    user_id: int
    project_id: int | None
    project_number: str
    activity_id: int

    @property
    def key(self) -> tuple[int, int | str, int]:
        """Two keys are the same posting target when this is equal."""
        return (self.user_id, self.project_id or self.project_number, self.activity_id)


@dataclass(frozen=True, slots=True)
class Posting:
    """Seconds booked on one person, project and activity; negative for a credit."""

    side: PostingKey
    seconds: int

    @property
    def minutes(self) -> Decimal:
        """The seconds in minutes, exactly."""
        return (Decimal(self.seconds) / 60).quantize(_EXACT)


@dataclass(frozen=True, slots=True)
class Charge:
    """What the customer pays for seconds on one key; negative for a credit.

    `amount` is without tax, `None` if unknown. A `fixed` amount does not depend on the length.
    """

    side: PostingKey
    seconds: int
    amount: Decimal | None
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class OutstandingAdjustment:
    """What a billed booking still owes: the postings to make, and the reason as a sentence.

    `entry` is the booking as it is now; without it, no new entry can be written. `unrounded` are the postings before
    the target's rounding, which adds `rounding` seconds to what is billed. `doubt` names other amounts that Kimai may
    bill, and `charges` are what the customer pays for the billed minutes.
    """

    source_id: str
    kimai_id: int | None
    day: date
    reason: str
    amounts: tuple[Posting, ...]
    unrounded: tuple[Posting, ...]
    rounding: int = 0
    doubt: str = ""
    entry: Entry | None = None
    charges: tuple[Charge, ...] = ()

    def credit(self, amount: Posting) -> Decimal | None:
        """What a credit of one posting gives back, without tax; `None` if unknown.

        It is the share of the key's charges that its minutes have; of a fixed amount, all or nothing.
        """
        charges = [charge for charge in self.charges if charge.side.key == amount.side.key]
        known = [charge.amount for charge in charges if charge.amount is not None]
        seconds, charged = sum(charge.seconds for charge in charges), sum(known, Decimal(0))
        if amount.seconds >= 0 or len(known) < len(charges) or seconds <= 0:
            return None
        if -amount.seconds == seconds:
            return charged
        if any(charge.fixed for charge in charges):
            return Decimal(0) if len(charges) == 1 else None
        return (charged * -amount.seconds / seconds).quantize(_EXACT, ROUND_HALF_UP)

    @property
    def text(self) -> str:
        """Reason and postings as sentences."""
        parts = [f"{amount.minutes.normalize():+f} min{self._credited(amount)}" for amount in self.amounts]
        owed = f"To be adjusted: {', '.join(parts)}." if parts else ""
        return " ".join(part for part in (self.reason, owed, self.doubt) if part)

    def _credited(self, amount: Posting) -> str:
        if amount.seconds > 0:
            return ""
        given = self.credit(amount)
        if given is None:
            return " (a credit)"
        return f" (a credit of {given:.2f})" if given else " (nothing was charged for it)"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A stored adjustment on one key. `minutes` are signed; `original` is the entry as it was at the decision.

    `source_id` and `original_day` are those of the adjusted booking; `entry_date` and `begin_at` say where the
    adjustment itself is booked. `billed_seconds` is the length of its time sheet in the target, if it has one. `amount`
    is what that costs, or what a credit gives back; `None` if unknown.
    """

    id: int
    source: str
    source_id: str
    kimai_id: int | None
    original_day: date
    minutes: Decimal
    reason: str
    entry_date: date
    begin_at: datetime
    decided_at: datetime
    side: PostingKey
    original: Entry | None
    billed_seconds: int | None = None
    amount: Decimal | None = None

    @property
    def own_id(self) -> str:
        """The source id of the entry that carries the adjustment."""
        return f"{PREFIX}{self.id}"

    @property
    def charge(self) -> Charge:
        """What the customer pays for it; negative for a credit."""
        given = -self.amount if self.amount is not None and self.minutes < 0 else self.amount
        return Charge(self.side, self.holding.seconds, given)

    @property
    def holding(self) -> Posting:
        """The posting that it adds."""
        return Posting(self.side, whole_seconds(self.minutes) if self.billed_seconds is None else self.billed_seconds)


def is_adjustment(source_id: str) -> bool:
    """Whether this source id belongs to an adjustment rather than to a booking."""
    return source_id.startswith(PREFIX) and source_id[len(PREFIX) :].isdecimal()


def outstanding_postings(wanted: Posting | None, held: Iterable[Posting]) -> tuple[Posting, ...]:
    """The postings that are wanted and missing, credits first; empty if both agree to the second.

    Without `wanted`, only credits result: a deleted booking cannot be booked again.
    """
    balance: Counter[tuple[int, int | str, int]] = Counter()
    sides: dict[tuple[int, int | str, int], PostingKey] = {}
    for holding, sign in [*((holding, -1) for holding in held), *([(wanted, 1)] if wanted else [])]:
        sides.setdefault(holding.side.key, holding.side)
        balance[holding.side.key] += sign * holding.seconds
    amounts = [Posting(side, balance[key]) for key, side in sides.items() if balance[key]]
    possible = (amount for amount in amounts if wanted is not None or amount.seconds < 0)
    return tuple(sorted(possible, key=lambda amount: (amount.seconds, str(amount.side.key))))


def outstanding_reason(wanted: Posting | None, held: Sequence[Posting], said: int = 0) -> str:
    """The reason as a sentence; `said` is the length of the booking in seconds, before any rounding."""
    had = f"{in_minutes(sum(holding.seconds for holding in held))} min are billed or adjusted"
    if wanted is None:
        return f"The booking is gone or was corrected to zero, {had}."
    if not held:
        return "Kimai has no time sheet for it, and its period is closed."
    if {holding.side.key for holding in held if holding.seconds} - {wanted.side.key}:
        return f"The booking moved to another person, project or activity, {had}."
    rounded = f", which Kimai rounds to {in_minutes(wanted.seconds)}" if said != wanted.seconds else ""
    return f"The booking says {in_minutes(said)} min{rounded}, {had}."


def entry_of(adjustment: Adjustment, original: Entry) -> Entry:
    """The entry of an adjustment: the original's ticket, person and customer, on the adjustment's own day.

    `booked_minutes` is zero, because its minutes are already counted with the original booking.
    """
    about = f"Adjustment for Ticket {original.ticket_number} of {adjustment.original_day}"
    sheet = f" (time sheet {adjustment.kimai_id})" if adjustment.kimai_id else ""
    text = without_markers(f"{about}{sheet}: {adjustment.reason}")
    return replace(
        original,
        source_id=adjustment.own_id,
        description=f"{text} {marker(adjustment.source, adjustment.own_id)}",
        booked_minutes=ZERO,
        time_minutes=adjustment.minutes,
        open_minutes=ZERO,
        entry_date=adjustment.entry_date,
        begin_at=adjustment.begin_at,
        end_at=adjustment.begin_at + duration(adjustment.minutes),
        created_at=adjustment.decided_at,
        updated_at=adjustment.decided_at,
        sync_status=SyncStatus.PENDING,
        trace={
            "time_minutes": f"adjustment of booking {adjustment.source_id}: {adjustment.reason}",
            "entry_date": "the open day on which the adjustment was decided",
            "begin_at": "the beginning of the working day",
        },
    )


def in_minutes(seconds: int) -> str:
    """Seconds as minutes, as text."""
    return f"{(Decimal(seconds) / 60).quantize(_EXACT).normalize():f}"
