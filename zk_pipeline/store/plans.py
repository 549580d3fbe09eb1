"""The plan: its lines by day, what it would still write, and the sums of that."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, tuple_, update

from zk_pipeline.domain.approval import WRITING, writes
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.ledger import PushState
from zk_pipeline.domain.matching import Candidate, Tier
from zk_pipeline.domain.plan import Draft, PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.domain.source_ids import source_id_order
from zk_pipeline.store.database import upsert
from zk_pipeline.store.tables import pushes
from zk_pipeline.store.tables import reconciliation_results as results

# Queries on the plan: the lines of reconciliation, day by day.


def replace_day(connection: Connection, connector: str, day: date, lines: Iterable[PlanLine], run_id: str) -> None:
    """Replace the plan of the day."""
    connection.execute(delete(results).where(results.c.connector == connector, results.c.entry_date == day))
    values = [
        {
            "connector": connector,
            "entry_date": day,
            "key": line.key,
            "source_id": line.source_id,
            "kimai_id": line.kimai_id,
            "status": line.status,
            "action": line.action,
            "minutes": line.minutes,
            "reason": line.reason,
            "text": line.text,
            "diff": line.diff,
            "candidates": [asdict(candidate) for candidate in line.candidates],
            "draft": line.draft.to_json() if line.draft else None,
            "facts_hash": line.facts_hash,
            "decided": line.decided,
            "rounding_minutes": line.rounding_minutes,
            "run_id": run_id,
        }
        for line in lines
    ]
    upsert(connection, results, values)


def mark_carried_out(connection: Connection, connector: str, day: date) -> None:
    """Mark the lines of the day's plan that the ledger has confirmed since the plan was made."""
    connection.execute(
        update(results)
        .where(
            results.c.connector == connector,
            results.c.entry_date == day,
            results.c.taken_back_by.is_(None),
            results.c.action.in_([Action.CREATE, Action.UPDATE, Action.LINK]),
            pushes.c.connector == results.c.connector,
            pushes.c.source_id == results.c.source_id,
            pushes.c.state == PushState.CONFIRMED,
            pushes.c.updated_at >= results.c.reconciled_at,
        )
        .values(carried_out=True)
    )


def carry_out(connection: Connection, connector: str, lines: Iterable[PlanLine]) -> None:
    """Mark these lines as carried out. A newer plan may want something else."""
    done = [(line.entry_date, line.key, line.facts_hash) for line in lines]
    of_lines = (results.c.connector == connector) & tuple_(
        results.c.entry_date, results.c.key, results.c.facts_hash
    ).in_(done)
    connection.execute(update(results).where(of_lines).values(carried_out=True))


def take_back(
    connection: Connection, connector: str, day: date, source_id: str | None, kimai_id: int, run_id: str
) -> None:
    """Mark a day's plan as outdated, because a write to the day was undone.

    If no line is about that write, because the plan was made after it, all of the day's lines are marked.
    """
    of_day = (results.c.connector == connector) & (results.c.entry_date == day)
    about = or_(results.c.source_id == source_id, results.c.kimai_id == kimai_id)
    taken_back = {"taken_back_by": run_id, "carried_out": False}
    if not connection.execute(update(results).where(of_day, about).values(**taken_back)).rowcount:
        connection.execute(update(results).where(of_day).values(taken_back_by=run_id))


def taken_back(connection: Connection, connector: str, first: date, last: date) -> list[date]:
    """The days of this range whose plan is from before an undo, and so no longer valid."""
    query = select(results.c.entry_date).where(
        results.c.connector == connector,
        results.c.entry_date.between(first, last),
        results.c.taken_back_by.is_not(None),
    )
    return sorted(connection.execute(query.distinct()).scalars())


def is_settled(connection: Connection, connector: str, first: date, last: date) -> bool:
    """Whether the plans of these days have nothing to do and ask nobody, as of before any undo."""
    unsettled = select(results.c.key).where(
        results.c.connector == connector,
        results.c.entry_date.between(first, last),
        (results.c.action != Action.NONE) | results.c.taken_back_by.is_not(None),
    )
    return connection.execute(unsettled.limit(1)).first() is None


def is_ahead() -> ColumnElement[bool]:
    """The condition that a line is still to be carried out: not done, and its plan not from before an undo."""
    old = results.alias()
    days = select(old.c.entry_date).where(old.c.connector == results.c.connector, old.c.taken_back_by.is_not(None))
    return ~results.c.carried_out & results.c.entry_date.not_in(days)


def lock_days(connection: Connection, connector: str, days: Collection[date]) -> None:
    """Lock the plans of these days until the transaction ends."""
    of_days = (results.c.connector == connector) & results.c.entry_date.in_(days)
    query = select(results.c.key).where(of_days).order_by(results.c.entry_date, results.c.key)
    connection.execute(query.with_for_update())


def writes_of_day(connection: Connection, connector: str, day: date) -> list[PlanLine]:
    """The lines of the day to carry out, in order of their entries."""
    return writes_of_days(connection, connector, day, day)


def writes_of_days(connection: Connection, connector: str, first: date, last: date) -> list[PlanLine]:
    """The lines of these days still to carry out, by day and entry."""
    query = select(results).where(
        results.c.connector == connector,
        results.c.entry_date.between(first, last),
        results.c.action.in_([Action.CREATE, Action.UPDATE, Action.LINK, Action.DELETE]),
        is_ahead(),
    )
    rows = [result(row) for row in connection.execute(query).mappings()]
    return sorted(rows, key=lambda line: (line.entry_date, source_id_order(line.source_id or "")))


def line_of(connection: Connection, connector: str, day: date, key: str) -> PlanLine | None:
    """One line of the day's plan, if it exists."""
    query = select(results).where(results.c.connector == connector, results.c.entry_date == day, results.c.key == key)
    row = connection.execute(query).mappings().first()
    return result(row) if row else None


def result(row: Mapping[Any, Any]) -> PlanLine:
    """The line of a stored row."""
    return PlanLine(
        entry_date=row["entry_date"],
        source_id=row["source_id"],
        kimai_id=row["kimai_id"],
        status=Status(row["status"]),
        action=Action(row["action"]),
        minutes=row["minutes"],
        reason=Reason(row["reason"]) if row["reason"] else None,
        text=row["text"],
        diff={field: (pair[0], pair[1]) for field, pair in row["diff"].items()},
        candidates=tuple(Candidate(**{**pair, "tier": Tier(pair["tier"])}) for pair in row["candidates"]),
        draft=Draft.from_json(row["draft"]) if row["draft"] else None,
        facts_hash=row["facts_hash"],
        decided=row["decided"],
    )


# What the stored plan of some days would write: its sums and lines.


@dataclass(frozen=True, slots=True)
class PlannedWrites:
    """The lines that would write to the target. `minutes` are those of creates and updates."""

    lines: tuple[PlanLine, ...]

    def _count(self, action: Action) -> int:
        return sum(line.action is action for line in self.lines)

    @property
    def creates(self) -> int:
        """New time sheets."""
        return self._count(Action.CREATE)

    @property
    def updates(self) -> int:
        """Changed time sheets."""
        return self._count(Action.UPDATE)

    @property
    def deletes(self) -> int:
        """Deleted time sheets."""
        return self._count(Action.DELETE)

    @property
    def links(self) -> int:
        """Time sheets typed by hand that get our marker."""
        return self._count(Action.LINK)

    @property
    def projects(self) -> int:
        """Projects that would be created."""
        return len({line.draft.project.number for line in self.lines if line.draft and line.draft.project.id is None})

    @property
    def customers(self) -> int:
        """Customers that would be created."""
        made = [line.draft.project for line in self.lines if line.draft and line.draft.project.id is None]
        return len({project.customer.number for project in made if project.customer.id is None})

    @property
    def minutes(self) -> Decimal:
        """Minutes that would be written."""
        written = (line.minutes for line in self.lines if line.action in {Action.CREATE, Action.UPDATE})
        return sum(written, Decimal(0))

    def to_json(self) -> dict[str, Any]:
        """The object that `zk sync --plan --json` prints."""
        names = ("creates", "updates", "deletes", "links", "customers", "projects")
        return {
            **{name: getattr(self, name) for name in names},
            "minutes": str(self.minutes),
            "lines": [_line(line) for line in self.lines],
        }


def planned_writes(connection: Connection, connector: str, first: date, last: date) -> PlannedWrites:
    """What the stored plans of these days would write."""
    lines = writes_of_days(connection, connector, first, last)
    return PlannedWrites(tuple(line for line in lines if writes(line)))


def _line(line: PlanLine) -> dict[str, Any]:
    return {
        "day": line.entry_date.isoformat(),
        "key": line.key,
        "action": line.action,
        "kimai_id": line.kimai_id,
        "minutes": str(line.minutes),
        "changes": dict(line.diff),
        "draft": line.draft.to_json() if line.draft else None,
    }


# Sums over the lines that the stored plan would still write.


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
    """How many of these days have a plan with lines, and when the oldest was made (UTC)."""
    of_days = (results.c.connector == connector) & results.c.entry_date.between(first, last)
    query = select(func.count(results.c.entry_date.distinct()), func.min(results.c.reconciled_at)).where(of_days)
    number, oldest = connection.execute(query).one()
    return number, oldest


def writing(connector: str, first: date, last: date) -> ColumnElement[bool]:
    """`domain.approval.writes` for lines ahead, as a condition on the actions that an index supports."""
    linked = (results.c.action == Action.LINK) & (results.c.decided == Choice.LINK)
    return and_(
        results.c.connector == connector,
        results.c.entry_date.between(first, last),
        results.c.action.in_([*WRITING, Action.LINK]),
        or_(results.c.action != Action.LINK, linked),
        is_ahead(),
    )
