"""Zammad's JSON rows as plain rows (docs/zammad.md §2, §3, §4, §6)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from zk_pipeline.connectors.answer import ApiResponse, RowReader
from zk_pipeline.connectors.contract import ChangedTicket
from zk_pipeline.domain.records import ActivityType, Agent, Organization, Ticket, TimeAccounting

NOBODY = "-"
"""What Zammad writes in a report for a missing name."""


MERGED = "merged"
"""The state of a ticket that was merged into another one."""


UNKNOWN_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)


NO_ID = "0"
"""The id of a row whose own is unreadable: it counts in its list, but cannot be stored."""


def accountings(answer: ApiResponse) -> list[TimeAccounting]:
    """The rows of a list of time accountings, including those with faults.

    Raises `ProtocolError` if they are not rows at all.
    """
    rows, unreadable = answer.readable("time accounting", accounting)
    if unreadable or (rows and all(row.id == NO_ID for row in rows)):
        raise answer.fault(unreadable[0].why if unreadable else "Time accountings without ids came.")
    return _placed(rows)


def accountings_with_assets(page: RowReader) -> list[TimeAccounting]:
    """The rows of a `full=true` page in its order: it lists ids, and has the rows in its assets (docs/zammad.md §2)."""
    ids = page.integers("record_ids")
    if not ids:
        return []
    rows = page.row("assets", "assets").row("TicketTimeAccounting", "time accountings by id")
    return _placed([accounting(rows.row(str(id_), "time accounting")) for id_ in ids])


def accounting(row: RowReader) -> TimeAccounting:
    """One time accounting; no field needs to be readable (docs/zammad.md §2)."""
    faults: dict[str, str] = {}
    return TimeAccounting(
        id=row.spare(faults, "id", row.number_as_id, NO_ID),
        ticket_id=row.spare(faults, "ticket_id", row.number_as_id, NO_ID),
        article_id=row.spare(faults, "ticket_article_id", row.optional_number_as_id, None),
        units=row.spare(faults, "time_unit", row.decimal, Decimal(0)),
        type_id=row.spare(faults, "type_id", row.optional_number_as_id, None),
        agent_id=row.spare(faults, "created_by_id", row.number_as_id, NO_ID),
        created_at=row.spare(faults, "created_at", row.instant, UNKNOWN_MOMENT),
        updated_at=row.spare(faults, "updated_at", row.instant, UNKNOWN_MOMENT),
        raw=row.raw,
        faults=faults,
    )


def _placed(rows: Sequence[TimeAccounting]) -> list[TimeAccounting]:
    """The rows; one with an unreadable creation or change gets the instant of its neighbour in the sorted list.

    So it stays at its place in Zammad's list, within the window that was read.
    """
    placed = list(rows)
    for at, row in enumerate(placed):
        if "created_at" not in row.faults and "updated_at" not in row.faults:
            continue
        near = [*reversed(placed[:at]), *(other for other in rows[at + 1 :] if not other.faults)]
        own = [m for m in (row.created_at, row.updated_at) if m != UNKNOWN_MOMENT]
        created = own or [other.created_at for other in near] or [datetime.now(UTC)]
        updated = own or [other.updated_at for other in near] or [datetime.now(UTC)]
        placed[at] = replace(
            row,
            created_at=created[0] if "created_at" in row.faults else row.created_at,
            updated_at=updated[0] if "updated_at" in row.faults else row.updated_at,
        )
    return placed


def ticket(row: RowReader) -> Ticket:
    """One ticket as the search returns it with `expand=true` (docs/zammad.md §5)."""
    faults: dict[str, str] = {}
    return _ticket(
        row,
        faults,
        group_name=row.spare(faults, "group", row.optional_text, None),
        customer_name=row.spare(faults, "customer", row.optional_text, None),
        organization_name=_organization_name(row, faults),
        complete=True,
        merged=row.raw.get("state") == MERGED,
    )


def changed_ticket(row: RowReader) -> ChangedTicket:
    """One ticket with the sum of its bookings, which is null if there are none (docs/zammad.md §5)."""
    units = Decimal(0) if row.raw.get("time_unit") is None else row.decimal("time_unit")
    return ChangedTicket(ticket(row), units)


def reported_ticket(line: RowReader) -> Ticket:
    """The ticket in a line of the monthly report by activity (docs/zammad.md §3)."""
    faults: dict[str, str] = {}
    customer = line.spare(faults, "customer", line.optional_text, None)
    organization = _organization_name(line, faults)
    return _ticket(
        line.row("ticket", "ticket"),
        faults,
        group_name=None,
        customer_name=None if customer == NOBODY else customer,
        organization_name=None if organization == NOBODY else organization,
        complete=False,
    )


def _organization_name(row: RowReader, faults: dict[str, str]) -> str | None:
    """A ticket without organization lacks the field (docs/zammad.md §6)."""
    return row.spare(faults, "organization", row.text, None) if row.has("organization") else None


def _ticket(
    row: RowReader,
    faults: dict[str, str],
    *,
    group_name: str | None,
    customer_name: str | None,
    organization_name: str | None,
    complete: bool,
    merged: bool = False,
) -> Ticket:
    id_ = row.number_as_id("id")
    return Ticket(
        id=id_,
        number=row.spare(faults, "number", row.text, f"id {id_}"),
        title=row.spare(faults, "title", row.text, ""),
        organization_id=row.spare(faults, "organization_id", row.optional_number_as_id, None),
        customer_id=row.spare(faults, "customer_id", row.optional_number_as_id, None),
        group_id=row.spare(faults, "group_id", row.optional_number_as_id, None),
        group_name=group_name,
        customer_name=customer_name,
        updated_at=row.spare(faults, "updated_at", row.optional_instant, None),
        complete=complete,
        raw=row.raw,
        organization_name=organization_name,
        faults=faults,
        merged=merged,
    )


def ticket_of_article(row: RowReader) -> str:
    """The ticket that an article belongs to now (docs/zammad.md §6)."""
    return row.number_as_id("ticket_id")


def agent(row: RowReader) -> Agent:
    """One user (docs/zammad.md §6)."""
    first, last = row.optional_text("firstname") or "", row.optional_text("lastname") or ""
    login = row.text("login")
    return Agent(
        id=row.number_as_id("id"),
        login=login,
        email=row.optional_text("email") or "",
        name=f"{first} {last}".strip() or login,
        active=row.boolean("active"),
    )


def organization(row: RowReader) -> Organization:
    """One organization (docs/zammad.md §6)."""
    return Organization(id=row.number_as_id("id"), name=row.text("name"), active=row.boolean("active"))


def activity_type(row: RowReader) -> ActivityType:
    """One activity type (docs/zammad.md §4)."""
    return ActivityType(id=row.number_as_id("id"), name=row.text("name"), active=row.boolean("active"))
