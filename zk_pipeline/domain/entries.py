"""The unified entry: one row per booking, in the format that all later stages use."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

from zk_pipeline.domain.source_ids import hashed_id


class SyncStatus(StrEnum):
    """Whether an entry is to be written at all."""

    PENDING = "pending"
    EXCLUDED = "excluded"
    CORRECTION_OPEN = "correction_open"
    UNREADABLE = "unreadable"
    """Booking or ticket is unreadable: nothing is written, and existing time sheets are left alone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A booking in the unified format, with the policy applied.

    `time_minutes` is what remains after corrections, `booked_minutes` what the source has. `entry_date` is the local
    work day. `trace` says which rule gave which value. `decided_id` is the id of the recorded settings it was derived
    with.
    """

    source: str
    source_id: str
    ticket_number: str
    ticket_id: str
    ticket_title: str
    description: str
    booked_minutes: Decimal
    time_minutes: Decimal
    open_minutes: Decimal
    activity_type_id: str | None
    activity_name: str | None
    agent_id: str
    user_email: str
    user_name: str
    organization_id: str | None
    organization_name: str | None
    customer_name: str | None
    group_id: str | None
    group_name: str | None
    ticket_known: bool
    entry_date: date
    begin_at: datetime
    end_at: datetime
    created_at: datetime
    updated_at: datetime
    tags: tuple[str, ...]
    sync_status: SyncStatus
    trace: Mapping[str, str]
    decided_id: int | None = None

    @property
    def owned_hash(self) -> str:
        """A hash of the fields we own in the target: person, begin, duration, and what decides project and activity."""
        return stable_hash(
            {
                "agent": hashed_id(self.agent_id),
                "email": self.user_email.casefold(),
                "begin": self.begin_at.astimezone(UTC).isoformat(),
                "minutes": str(self.time_minutes.normalize()),
                "type": hashed_id(self.activity_type_id),
                "organization": hashed_id(self.organization_id),
                "ticket": hashed_id(self.ticket_id),
                "group": hashed_id(self.group_id),
            }
        )


def stable_hash(value: object) -> str:
    """A short hash of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
