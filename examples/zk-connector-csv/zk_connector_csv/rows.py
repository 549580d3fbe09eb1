"""Lines of the CSV files as plain rows of zk_pipeline; a bad line is a `KeyError`, `TypeError` or `ValueError`."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from zk_pipeline.domain.records import ActivityType, Agent, Organization, Ticket, TimeAccounting

from zk_connector_csv.folder import Line

BOOKING = ("id", "ticket_id", "agent_id", "type_id", "units", "created_at", "updated_at", "deleted_at")
"""The columns of bookings.csv."""


def booking(line: Line) -> TimeAccounting:
    """A booking; `raw` is the line itself, where `deleted_at` tells whether it still counts."""
    return TimeAccounting(
        id=int(line["id"]),
        ticket_id=int(line["ticket_id"]),
        article_id=None,
        units=_amount(line["units"]),
        type_id=_optional(line["type_id"]),
        agent_id=int(line["agent_id"]),
        created_at=_instant(line["created_at"]),
        updated_at=_instant(line["updated_at"]),
        raw={name: line[name] for name in BOOKING},
    )


def agent(line: Line) -> Agent:
    """A person who books; signs in nowhere, so the address stands for the login."""
    return Agent(int(line["id"]), line["email"], line["email"], line["name"], _truth(line["active"]))


def organization(line: Line) -> Organization:
    """A customer organization."""
    return Organization(int(line["id"]), line["name"], _truth(line["active"]))


def activity_type(line: Line) -> ActivityType:
    """A kind of work."""
    return ActivityType(int(line["id"]), line["name"], _truth(line["active"]))


def ticket(line: Line) -> Ticket:
    """A ticket; the files know neither groups nor contacts, and its organization has a line of its own."""
    return Ticket(
        id=int(line["id"]),
        number=line["number"],
        title=line["title"],
        organization_id=_optional(line["organization_id"]),
        customer_id=None,
        group_id=None,
        group_name=None,
        customer_name=None,
        updated_at=None,
        complete=True,
        raw=dict(line),
    )


def _instant(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no offset")
    return moment.astimezone(UTC)


def _amount(value: str) -> Decimal:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise ValueError(f"{value!r} is no amount")
    return amount


def _truth(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError(f"{value!r} is neither true nor false")
    return value == "true"


def _optional(value: str) -> int | None:
    return int(value) if value else None
