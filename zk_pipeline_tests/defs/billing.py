"""A month that is closed: its statement, its time sheets as they were billed, and what is adjusted afterwards."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, text

from zk_pipeline.billing import periods
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.store import conflicts
from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World
from zk_sandbox.kimai.model import Timesheet

ADMIN = Actor("cli:anna", Role.ADMIN)


def today() -> date:
    """The present day of the business zone, on which adjustments are booked."""
    return local_day(datetime.now(UTC), ZONE)


@dataclass
class Books:
    """Closes months of a world, and remembers each closed time sheet as it was then."""

    world: World
    billed: dict[int, Timesheet] = field(default_factory=dict[int, Timesheet])

    def state(self, *months: date, waiting: Sequence[int] = (), unexplained: Sequence[int] = ()) -> None:
        """A statement of these months, with minutes that wait and unexplained ones, each of an entry of its own."""
        entries = [(minutes, 0) for minutes in waiting] + [(0, minutes) for minutes in unexplained]
        with self.world.environment.runtime.database.transaction() as connection:
            empty_marts.make(connection)
            for month in months:
                connection.execute(text("INSERT INTO marts.statement_lines (month) VALUES (:month)"), {"month": month})
                connection.execute(
                    text("DELETE FROM marts.int_entries_named WHERE booking_month = :month"), {"month": month}
                )
                for waits, gap in entries:
                    connection.execute(
                        text(
                            "INSERT INTO marts.int_entries_named (booking_month, minutes_waiting, minutes_unexplained) "
                            "VALUES (:month, :waiting, :unexplained)"
                        ),
                        {"month": month, "waiting": waits, "unexplained": gap},
                    )

    def close(self, day: date = MONDAY) -> None:
        """Close the month of a day whose statement balances."""
        self.state(day.replace(day=1))
        periods.close(self.world.environment.runtime, ADMIN, month_name(day))
        self.billed |= {
            row.id: row
            for row in self.world.office.rows
            if datetime.fromtimestamp(row.begin, ZONE).date().replace(day=1) == day.replace(day=1)
        }

    def adjust(self, *, repeated: bool = False) -> None:
        """Decide `adjust` about everything that waits, and run the days."""
        waiting = self.world.conflicts()
        for row in waiting:
            with self.world.environment.runtime.database.transaction() as connection:
                conflicts.decide(connection, row.id, Choice.ADJUST, actor="cli:anna")
        days = sorted({row.entry_date for row in waiting})
        for day in [*days, *(days if repeated else [])]:
            self.world.sync(day)

    def assert_untouched(self) -> None:
        """Every closed time sheet is as it was when its month was closed."""
        rows = {row.id: row for row in self.world.office.rows}
        assert self.billed
        assert {id_: rows.get(id_) for id_ in self.billed} == self.billed

    def booked(self) -> list[tuple[str, int, int]]:
        """The adjustments in Kimai: marker, minutes and project, oldest first."""
        found: list[tuple[str, int, int]] = []
        for row in self.world.office.rows:
            for source_id in marked_ids(row.description or "", "zammad"):
                if source_id.startswith("a"):
                    assert datetime.fromtimestamp(row.begin, ZONE).date() == today()
                    found.append((source_id, row.duration // 60, row.project))
        return found

    def adjustments(self) -> list[Row[Any]]:
        """What was stored, oldest first."""
        with self.world.environment.runtime.database.transaction() as connection:
            return list(connection.execute(text("SELECT * FROM sync.adjustments ORDER BY id")))

    def credits(self) -> list[int]:
        """The minutes of each credit."""
        return [-int(row.minutes) for row in self.adjustments() if row.minutes < 0]

    def balance(self) -> Counter[int]:
        """Minutes by project: closed time sheets and adjustments in Kimai, less the credits."""
        sums: Counter[int] = Counter()
        for row in self.world.office.rows:
            sums[row.project] += row.duration // 60
        for row in self.adjustments():
            if row.minutes < 0:
                sums[row.project_id] += int(row.minutes)
        return Counter({project: minutes for project, minutes in sums.items() if minutes})
