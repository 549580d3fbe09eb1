"""The rows a simulated Zammad stores, and their JSON form in snapshots."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

SYSTEM_USER = 1
"""Zammad's user "-": owner of unassigned tickets, creator of what a deleted agent left (docs/zammad.md §11)."""

Record = TypeVar("Record")


@dataclass(slots=True)
class Organization:
    """A company whose people open tickets."""

    id: int
    name: str
    created_at: datetime
    updated_at: datetime
    note: str = ""
    domain: str = ""
    active: bool = True
    updated_by_id: int = SYSTEM_USER


@dataclass(slots=True)
class Group:
    """A team that tickets are routed to; agents hold rights per group."""

    id: int
    name: str
    note: str | None = None


@dataclass(slots=True)
class User:
    """A person: `permissions` as of their roles, `group_rights` by group id (read, change, create, full).

    Without a `password` nobody comes in by basic authentication.
    """

    id: int
    login: str
    email: str
    firstname: str
    lastname: str
    created_at: datetime
    updated_at: datetime
    organization_id: int | None = None
    permissions: list[str] = field(default_factory=list[str])
    group_rights: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    active: bool = True
    password: str | None = None

    @property
    def fullname(self) -> str:
        """First and last name as Zammad's reports show them."""
        return f"{self.firstname} {self.lastname}".strip()

    def may(self, right: str, group_id: int) -> bool:
        """Whether the user holds a right on a group."""
        rights = self.group_rights.get(str(group_id), ())
        return right in rights or "full" in rights


@dataclass(slots=True)
class Token:
    """An access token: it may do what both its owner and its own permission list allow."""

    value: str
    user_id: int
    permissions: list[str]
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(slots=True)
class ActivityType:
    """A type of work that an accounting may carry."""

    id: int
    name: str
    created_at: datetime
    updated_at: datetime
    note: str | None = ""
    active: bool = True
    created_by_id: int = SYSTEM_USER
    updated_by_id: int = SYSTEM_USER


@dataclass(slots=True)
class Ticket:
    """A ticket; `time_unit` is the stored total of its accountings, None until something was booked, or NaN.

    `article_count` is stored as well, and a merge does not change it.
    """

    id: int
    number: str
    title: str
    group_id: int
    customer_id: int
    created_by_id: int
    updated_by_id: int
    created_at: datetime
    updated_at: datetime
    organization_id: int | None = None
    owner_id: int = SYSTEM_USER
    state_id: int = 2
    priority_id: int = 2
    time_unit: Decimal | None = None
    close_at: datetime | None = None
    article_count: int = 0
    tags: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Article:
    """A message or note on a ticket."""

    id: int
    ticket_id: int
    body: str
    created_by_id: int
    created_at: datetime
    updated_at: datetime
    subject: str | None = ""
    content_type: str = "text/plain"
    type: str = "note"
    sender: str = "Agent"
    internal: bool = False


@dataclass(slots=True)
class Accounting:
    """A time accounting: a number without unit, which may be NaN, booked on a ticket by its creator."""

    id: int
    ticket_id: int
    time_unit: Decimal
    created_by_id: int
    created_at: datetime
    updated_at: datetime
    type_id: int | None = None
    ticket_article_id: int | None = None


def iso(instant: datetime | None) -> str | None:
    """An instant as Zammad writes it: UTC, milliseconds, `Z`."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def instant_of(text: str) -> datetime:
    """The instant an ISO text with offset means; ValueError without one."""
    return stored_instant(datetime.fromisoformat(text))


def stored_instant(instant: datetime) -> datetime:
    """An instant in UTC to the millisecond; ValueError without a zone."""
    if instant.tzinfo is None:
        raise ValueError(f"The time {instant.isoformat()} has no offset; append Z for UTC.")
    return instant.astimezone(UTC).replace(microsecond=instant.microsecond // 1000 * 1000)


def decimal_text(number: Decimal | None) -> str | None:
    """A decimal(6,2) as Zammad writes it: a string with one or two places ("15.0", "0.25"); None for a stored NaN."""
    if number is None or number.is_nan():
        return None
    text = f"{number:.2f}"
    return text.removesuffix("0")


def dump(record: Any) -> dict[str, Any]:
    """A record as JSON."""
    return {item.name: _encode(getattr(record, item.name)) for item in fields(record)}


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Decimal):
        return str(value)
    return value


def load(kind: type[Record], data: dict[str, Any]) -> Record:
    """The record that `dump` wrote."""
    decoders = _decoders(kind)
    return kind(
        **{
            name: decoders[name](value) if name in decoders and value is not None else value
            for name, value in data.items()
        }
    )


@cache
def _decoders(kind: type) -> dict[str, Any]:
    known = {datetime: instant_of, Decimal: Decimal}
    return {
        name: known[plain]
        for name, hint in get_type_hints(kind).items()
        for plain in (get_args(hint) or (hint,))
        if plain in known
    }
