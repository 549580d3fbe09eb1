"""The rows a simulated Freshdesk stores. Instants are in UTC, to the second; ids of people have eleven digits."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

GLOBAL, GROUP, RESTRICTED = 1, 2, 3
"""Which tickets an agent sees: all, those of the own groups, or the own ones."""


@dataclass(slots=True)
class Agent:
    """A person who works on tickets and books time; with a `key` also a user of the API."""

    id: int
    name: str
    email: str
    created_at: datetime
    updated_at: datetime
    key: str = ""
    ticket_scope: int = GLOBAL
    group_ids: list[int] = field(default_factory=list[int])
    active: bool = True
    time_zone: str = "Berlin"


@dataclass(slots=True)
class Company:
    """A customer."""

    id: int
    name: str
    created_at: datetime
    updated_at: datetime
    domains: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Contact:
    """A customer's person, or an agent who was deleted."""

    id: int
    name: str
    email: str
    company_id: int | None = None


@dataclass(slots=True)
class Named:
    """A group, or a product."""

    id: int
    name: str


@dataclass(slots=True)
class Ticket:
    """A ticket; `state` is normal, deleted (in the trash), spam or archived."""

    id: int
    subject: str
    requester_id: int | None
    created_at: datetime
    updated_at: datetime
    type: str | None = None
    group_id: int | None = None
    product_id: int | None = None
    company_id: int | None = None
    responder_id: int | None = None
    status: int = 2
    tags: list[str] = field(default_factory=list[str])
    custom_fields: dict[str, Any] = field(default_factory=dict[str, Any])
    state: str = "normal"


@dataclass(slots=True)
class TimeEntry:
    """Booked time in `seconds`; `since` is when the timer of a running one was started last.

    `overrides` are fields of the answer that are sent instead of the stored ones, such as a broken `time_spent`.
    """

    id: int
    ticket_id: int
    agent_id: int | None
    seconds: int
    executed_at: datetime | None
    start_time: datetime
    created_at: datetime
    updated_at: datetime
    note: str | None = None
    billable: bool = True
    timer_running: bool = False
    company_id: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict[str, Any])


def iso(instant: datetime | None) -> str | None:
    """An instant as Freshdesk writes it: UTC, seconds, `Z`."""
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant_of(text: str) -> datetime:
    """The instant an ISO text with offset means; ValueError without one."""
    return stored_instant(datetime.fromisoformat(text))


def stored_instant(instant: datetime) -> datetime:
    """An instant in UTC to the second; ValueError without a zone."""
    if instant.tzinfo is None:
        raise ValueError(f"The time {instant.isoformat()} has no offset; append Z for UTC.")
    return instant.astimezone(UTC).replace(microsecond=0)


def hours_and_minutes(seconds: int, rounding: str = "down") -> str:
    """A duration as `hh:mm`; hours may be more than a day has."""
    minutes = seconds // 60 if rounding == "down" else -(-seconds // 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"
