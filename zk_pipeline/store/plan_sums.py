"""Queries on the stored plan as what it would still write: sums over the lines, however many there are."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from zk_pipeline.domain.approval import WRITING
from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import plans
from zk_pipeline.store.tables import reconciliation_results as results


@dataclass(frozen=True, slots=True)
class PlanSums:
    """What the plans of some days would write. `minutes` are those of creates and updates."""

    lines: int
    creates: int
    updates: int
    deletes: int
    links: int
    customers: int
    projects: int
    minutes: Decimal


def sums(connection: Connection, connector: str, first: date, last: date) -> PlanSums:
    """The sums over the lines that write."""
    project = results.c.draft["project"]
    customer = project["customer"]
    new_project = project["id"].astext.is_(None)
    new_customer = new_project & customer["id"].astext.is_(None)
    minutes = func.sum(results.c.minutes).filter(results.c.action.in_([Action.CREATE, Action.UPDATE]))
    query = select(
        func.count(),
        *(func.count().filter(results.c.action == action) for action in (Action.CREATE, Action.UPDATE)),
        *(func.count().filter(results.c.action == action) for action in (Action.DELETE, Action.LINK)),
        func.count(customer["number"].astext.distinct()).filter(new_customer),
        func.count(project["number"].astext.distinct()).filter(new_project),
        func.coalesce(minutes, Decimal(0)),
    ).where(writing(connector, first, last))
    return PlanSums(*connection.execute(query).one())


def planned(connection: Connection, connector: str, first: date, last: date) -> tuple[int, datetime | None]:
    """How many of these days have a plan with any line, and when the oldest of them was made, in UTC."""
    of_days = (results.c.connector == connector) & results.c.entry_date.between(first, last)
    query = select(func.count(results.c.entry_date.distinct()), func.min(results.c.reconciled_at)).where(of_days)
    number, oldest = connection.execute(query).one()
    return number, oldest


def writing(connector: str, first: date, last: date) -> ColumnElement[bool]:
    """What `domain.approval.writes` says, of lines ahead; over the actions, so that an index leads to the few."""
    linked = (results.c.action == Action.LINK) & (results.c.decided == Choice.LINK)
    return and_(
        results.c.connector == connector,
        results.c.entry_date.between(first, last),
        results.c.action.in_([*WRITING, Action.LINK]),
        or_(results.c.action != Action.LINK, linked),
        plans.is_ahead(),
    )
