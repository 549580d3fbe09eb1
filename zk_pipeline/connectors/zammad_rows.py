"""Zammad's JSON rows as plain rows (docs/zammad.md §2, §3, §4, §6)."""

from zk_pipeline.connectors.answer import Answer, Row
from zk_pipeline.domain.records import ActivityType, Agent, Organization, Ticket, TimeAccounting

NOBODY = "-"
"""What Zammad writes in a report where there is no name."""


def accountings(answer: Answer) -> list[TimeAccounting]:
    """The rows of a list of time accountings."""
    return [accounting(row) for row in answer.rows("time accounting")]


def accountings_with_assets(page: Row) -> list[TimeAccounting]:
    """The rows of a `full=true` page, in its order: ids in one place, the rows among the assets (docs/zammad.md §2)."""
    ids = page.integers("record_ids")
    if not ids:
        return []
    rows = page.row("assets", "assets").row("TicketTimeAccounting", "time accountings by id")
    return [accounting(rows.row(str(id_), "time accounting")) for id_ in ids]


def accounting(row: Row) -> TimeAccounting:
    """One time accounting (docs/zammad.md §2)."""
    return TimeAccounting(
        id=row.integer("id"),
        ticket_id=row.integer("ticket_id"),
        article_id=row.optional_integer("ticket_article_id"),
        units=row.decimal("time_unit"),
        type_id=row.optional_integer("type_id"),
        agent_id=row.integer("created_by_id"),
        created_at=row.instant("created_at"),
        updated_at=row.instant("updated_at"),
        raw=row.raw,
    )


def ticket(row: Row) -> Ticket:
    """One ticket as the search shows it with `expand=true` (docs/zammad.md §5)."""
    return _ticket(
        row,
        group_name=row.optional_text("group"),
        customer_name=row.optional_text("customer"),
        organization_name=row.optional_text("organization"),
        complete=True,
    )


def reported_ticket(line: Row) -> Ticket:
    """The ticket in a line of the monthly report by activity (docs/zammad.md §3)."""
    customer, organization = line.optional_text("customer"), line.optional_text("organization")
    return _ticket(
        line.row("ticket", "ticket"),
        group_name=None,
        customer_name=None if customer == NOBODY else customer,
        organization_name=None if organization == NOBODY else organization,
        complete=False,
    )


def _ticket(
    row: Row, *, group_name: str | None, customer_name: str | None, organization_name: str | None, complete: bool
) -> Ticket:
    return Ticket(
        id=row.integer("id"),
        number=row.text("number"),
        title=row.text("title"),
        organization_id=row.optional_integer("organization_id"),
        customer_id=row.optional_integer("customer_id"),
        group_id=row.optional_integer("group_id"),
        group_name=group_name,
        customer_name=customer_name,
        updated_at=row.optional_instant("updated_at"),
        complete=complete,
        raw=row.raw,
        organization_name=organization_name,
    )


def agent(row: Row) -> Agent:
    """One user (docs/zammad.md §6)."""
    first, last = row.optional_text("firstname") or "", row.optional_text("lastname") or ""
    login = row.text("login")
    return Agent(
        id=row.integer("id"),
        login=login,
        email=row.optional_text("email") or "",
        name=f"{first} {last}".strip() or login,
        active=row.boolean("active"),
    )


def organization(row: Row) -> Organization:
    """One organization (docs/zammad.md §6)."""
    return Organization(id=row.integer("id"), name=row.text("name"), active=row.boolean("active"))


def activity_type(row: Row) -> ActivityType:
    """One activity type (docs/zammad.md §4)."""
    return ActivityType(id=row.integer("id"), name=row.text("name"), active=row.boolean("active"))
