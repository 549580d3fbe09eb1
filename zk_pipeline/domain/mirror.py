"""Where a booking is, for sources whose bookings are indexed here because they cannot be asked for a window."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MirroredBooking:
    """The ticket of a booking, the instant at which it counts, and the change of it that was read last."""

    id: str
    ticket_id: str
    counts_at: datetime
    changed_at: datetime
