"""Merged tickets: the source leaves bookings on theirs, so people are offered to count them on the surviving one."""

from dataclasses import replace
from decimal import Decimal

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.entries import Entry, stable_hash
from zk_pipeline.domain.mapping import Problem, ProjectPlan
from zk_pipeline.domain.plan import Result, Survivor
from zk_pipeline.domain.reasons import Reason


def on_survivor(entry: Entry, survivor: Survivor) -> Entry:
    """The entry as it would be billed on the surviving ticket."""
    return replace(
        entry,
        ticket_id=survivor.ticket_id,
        ticket_number=f"#{survivor.number}",
        ticket_title=survivor.title,
        organization_id=survivor.organization_id,
        organization_name=survivor.organization_name,
        customer_name=survivor.customer_name,
        group_id=survivor.group_id,
        group_name=survivor.group_name,
        ticket_known=True,
    )


def offer(entry: Entry, there: Entry, survivor: Survivor, *projects: ProjectPlan | Problem) -> Result | None:
    """The question whether to move a booking, beside the booking's own line; none where it would be billed alike.

    `projects` are those of its own ticket and of the surviving one. Another number alone is no reason: texts that Kimai
    has are never written again.
    """
    here, beyond = map(_billed_as, projects)
    if here == beyond:
        return None
    text = (
        f"Ticket #{survivor.merged_number} was merged into #{survivor.number}: article {survivor.article_id}, with "
        f"which time was booked, lies there now. {entry.time_minutes.normalize():f} minutes of this booking are booked "
        f"on {entry.ticket_number} for {_owner(entry)}; #{survivor.number} belongs to {_owner(there)}."
    )
    facts = [entry.ticket_id, entry.organization_id, there.ticket_id, there.organization_id]
    return Result(
        entry.entry_date,
        entry.source_id,
        None,
        Status.EXCLUDED,
        Action.REVIEW,
        Decimal(0),
        Reason.MERGED_TICKET,
        text,
        facts_hash=stable_hash({"merge": facts}),
    )


def _billed_as(project: ProjectPlan | Problem) -> tuple[int | str, int | str]:
    if isinstance(project, Problem):
        return ("", project.text)
    return (project.customer.id or project.customer.number, project.id or project.number)


def _owner(entry: Entry) -> str:
    return entry.organization_name or entry.customer_name or "nobody"
