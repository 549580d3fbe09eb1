"""The stored plan of some days as what it would write: the sums and the lines."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.domain.approval import writes
from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.plan import Result
from zk_pipeline.store import plans


@dataclass(frozen=True, slots=True)
class PlannedWrites:
    """The lines that would write to the target. `minutes` are those of creates and updates."""

    lines: tuple[Result, ...]

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
        """Projects that would be made."""
        return len({line.draft.project.number for line in self.lines if line.draft and line.draft.project.id is None})

    @property
    def customers(self) -> int:
        """Customers that would be made."""
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


def writes_of_days(connection: Connection, connector: str, first: date, last: date) -> PlannedWrites:
    """What the stored plans of these days would write."""
    lines = plans.writes_of_days(connection, connector, first, last)
    return PlannedWrites(tuple(line for line in lines if writes(line)))


def _line(line: Result) -> dict[str, Any]:
    return {
        "day": line.entry_date.isoformat(),
        "key": line.key,
        "action": line.action,
        "kimai_id": line.kimai_id,
        "minutes": str(line.minutes),
        "changes": dict(line.diff),
        "draft": line.draft.to_json() if line.draft else None,
    }
