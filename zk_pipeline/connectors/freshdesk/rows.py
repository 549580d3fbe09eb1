"""Freshdesk's JSON rows as plain rows (docs/freshdesk.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import quote

from zk_pipeline.connectors.answer import ApiResponse, RowReader
from zk_pipeline.domain.attributes import fields_of, values_of
from zk_pipeline.domain.records import ActivityType, Agent, Organization, Ticket, TimeAccounting

NO_ID = "0"
"""The id of a row whose own is unreadable: it counts in its list, but cannot be stored."""

UNKNOWN_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST_DIFFERENCE = 60
"""Seconds by which the two durations of a row may differ: one has minutes only."""

_DURATION = re.compile(r"(\d{1,6}):([0-5]\d)", re.ASCII)
_BREAKS = frozenset({"br", "p", "div", "li", "tr"})


class TicketState(StrEnum):
    """Where a ticket is; the bookings of one that is out of sight stay as they are."""

    NORMAL = "normal"
    TRASH = "in the trash"
    SPAM = "marked as spam"
    ARCHIVED = "archived"
    UNKNOWN = "shown nowhere"


@dataclass(frozen=True, slots=True)
class FoundTicket:
    """A ticket as it was read; without `row` if only its place is known."""

    state: TicketState
    row: RowReader | None = None

    @property
    def activity_id(self) -> str | None:
        """Its type, or else its product: Freshdesk knows no activities."""
        raw: Mapping[str, Any] = self.row.raw if self.row is not None else {}
        kind, product = raw.get("type"), raw.get("product_id")
        if isinstance(kind, str) and kind.strip():
            return type_id(kind)
        return product_id(product) if isinstance(product, int) and not isinstance(product, bool) else None


def type_id(name: str) -> str:
    """The id of a ticket type, which Freshdesk knows by its name alone."""
    return "type:" + "".join(quote(letter) if letter.isspace() or letter == "%" else letter for letter in name)


def product_id(number: int) -> str:
    """The id of a product among the activity types."""
    return f"product:{number}"


def entries(answer: ApiResponse) -> list[TimeAccounting]:
    """The rows of a list of time entries, including those with faults, without their activity.

    Raises `ProtocolError` if they are not rows at all.
    """
    rows, unreadable = answer.readable("time entry", entry)
    if unreadable or (rows and all(row.id == NO_ID for row in rows)):
        raise answer.fault(unreadable[0].why if unreadable else "Time entries without ids came.")
    return rows


def entry(row: RowReader) -> TimeAccounting:
    """One time entry; no field needs to be readable."""
    faults: dict[str, str] = {}
    written = row.spare(faults, "time_spent", row.text, None)
    seconds = None if written is None else seconds_of(written)
    if written is not None and seconds is None:
        faults["time_spent"] = f"{written[:20]!r} is not a duration such as 01:30"
    worked_at = row.spare(faults, "executed_at", row.instant, None)
    created_at = row.spare(faults, "created_at", row.instant, worked_at or UNKNOWN_MOMENT)
    # The chain asks for the fault of a missing person by this name.
    agent_faults: dict[str, str] = {}
    agent_id = row.spare(agent_faults, "agent_id", lambda name: _id(row, name), NO_ID)
    if agent_faults:
        faults["created_by_id"] = agent_faults["agent_id"]
    return TimeAccounting(
        id=row.spare(faults, "id", lambda name: _id(row, name), NO_ID),
        ticket_id=row.spare(faults, "ticket_id", lambda name: _id(row, name), NO_ID),
        article_id=None,
        units=Decimal(0),
        type_id=None,
        agent_id=agent_id,
        created_at=created_at,
        updated_at=row.spare(faults, "updated_at", row.instant, created_at),
        raw=row.raw,
        faults=faults,
        worked_at=worked_at,
        seconds=seconds or 0,
        note=plain_note(row.raw.get("note")),
        is_final=row.raw.get("timer_running") is not True,
    )


def _id(row: RowReader, name: str) -> str:
    return str(row.integer(name))


def seconds_of(written: str) -> int | None:
    """The seconds of an `hh:mm`, whose hours may be more than a day has; `None` for anything else.

    It is never read as a decimal, or as a time of day.
    """
    found = _DURATION.fullmatch(written)
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60


def other_duration(row: TimeAccounting) -> int | None:
    """The seconds that Freshdesk measured, if they do not fit to `time_spent`, which is what its reports show."""
    measured = row.raw.get("time_spent_in_seconds")
    if not isinstance(measured, int) or isinstance(measured, bool) or row.seconds is None or not row.is_final:
        return None
    return measured if abs(measured - row.seconds) >= LARGEST_DIFFERENCE else None


class _Text(HTMLParser):
    """Collects the text of HTML; what breaks a line becomes a blank."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.parts.append(" " if tag in _BREAKS else "")

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(" " if tag in _BREAKS else "")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def plain_note(note: Any) -> str:
    """The text of a note, which may be HTML, on one line."""
    if not isinstance(note, str):
        return ""
    reader = _Text()
    reader.feed(note)
    reader.close()
    return " ".join("".join(reader.parts).split())


def state_of(row: RowReader) -> TicketState:
    """What an answered ticket says of its own state."""
    if row.raw.get("deleted") is True:
        return TicketState.TRASH
    if row.raw.get("spam") is True:
        return TicketState.SPAM
    return TicketState.ARCHIVED if row.raw.get("archived") is True else TicketState.NORMAL


def ticket(row: RowReader, companies: Mapping[str, str], groups: Mapping[str, str]) -> Ticket:
    """One ticket, with the names of its company and its group."""
    faults: dict[str, str] = {}
    id_ = _id(row, "id")
    company = row.spare(faults, "company_id", lambda name: _optional_id(row, name), None)
    group = row.spare(faults, "group_id", lambda name: _optional_id(row, name), None)
    return Ticket(
        id=id_,
        number=id_,
        title=row.spare(faults, "subject", row.optional_text, None) or "",
        organization_id=company,
        customer_id=row.spare(faults, "requester_id", lambda name: _optional_id(row, name), None),
        group_id=group,
        group_name=groups.get(group) if group else None,
        customer_name=None,
        updated_at=row.spare(faults, "updated_at", row.optional_instant, None),
        complete=True,
        raw=row.raw,
        organization_name=companies.get(company, f"Company {company}") if company else None,
        faults=faults,
    )


def attributes(row: RowReader, asked: frozenset[str]) -> dict[str, list[dict[str, str]]]:
    """The attributes of a ticket that rules read: its tags as labels, and custom fields."""
    labels = values_of(row.raw.get("tags")) if "label" in asked else []
    fields = row.raw.get("custom_fields")
    custom = fields_of(cast("dict[str, Any]", fields), asked) if isinstance(fields, dict) else {}
    return ({"label": labels} if labels else {}) | custom


def _optional_id(row: RowReader, name: str) -> str | None:
    return _id(row, name) if row.has(name) else None


def agent(row: RowReader) -> Agent:
    """One agent."""
    contact = row.row("contact", "contact")
    email = contact.optional_text("email") or ""
    active = contact.raw.get("active") is not False
    return Agent(_id(row, "id"), email, email, contact.optional_text("name") or email, active=active)


def former_agent(row: RowReader) -> Agent:
    """An agent who was deleted, which makes a contact of them."""
    email = row.optional_text("email") or ""
    return Agent(_id(row, "id"), email, email, row.optional_text("name") or email, active=False)


def company(row: RowReader) -> Organization:
    """One company."""
    return Organization(_id(row, "id"), row.text("name"), active=True)


def product(row: RowReader) -> ActivityType:
    """One product."""
    return ActivityType(product_id(row.integer("id")), row.text("name"), active=True)


def types(fields: list[RowReader]) -> list[ActivityType]:
    """The types of tickets, among the ticket fields."""
    found: list[ActivityType] = []
    for field in fields:
        if field.raw.get("type") == "default_ticket_type":
            choices = field.raw.get("choices")
            names = list(choices) if isinstance(choices, list | dict) else []
            found += [ActivityType(type_id(name), name, active=True) for name in names if isinstance(name, str)]
    return found
