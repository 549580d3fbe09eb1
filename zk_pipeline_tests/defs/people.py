"""Simulated people who edit both systems at random but seeded, and decide what waits for them."""

import logging
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from zk_pipeline.domain.decision import Status
from zk_pipeline.domain.instants import days_between
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import Choice, allowed
from zk_pipeline.pipeline import Pipeline
from zk_pipeline.stages.systems import ConnectedSystems, RunContext
from zk_pipeline.store import conflicts
from zk_pipeline.store.conflicts import DecisionError
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World, at
from zk_sandbox.kimai.model import Timesheet
from zk_sandbox.zammad.records import Accounting

FIRST, LAST = MONDAY, MONDAY + timedelta(days=2)

_log = logging.getLogger(__name__)


@dataclass
class People:
    """Everybody who works on either side.

    They book on the three days from `first` on. `billed` are the time sheets as they were when they were exported. One
    booking of long ago stays as it is, since a Zammad without any is taken for broken.
    """

    world: World
    dice: random.Random
    billed: dict[int, Timesheet] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    first: date = FIRST
    old: int = 0

    def __post_init__(self) -> None:
        self.old = self.world.desk.book(10, at("09:00", FIRST - timedelta(days=30)))

    @property
    def last(self) -> date:
        """The last of their days."""
        return self.first + timedelta(days=2)

    @property
    def bookings(self) -> list[Accounting]:
        """The bookings that people work with."""
        return [row for row in self.world.desk.server.state.accountings if row.id != self.old]

    def act(self) -> None:
        """One person does something."""
        action: Callable[[], str | None] = self.dice.choice(
            [
                self.book,
                self.book,
                self.book,
                self.correct,
                self.edit_booking,
                self.edit_booking,
                self.delete_booking,
                self.reassign_ticket,
                self.edit_text,
                self.edit_duration,
                self.move,
                self.hand_over,
                self.delete_timesheet,
                self.copy_timesheet,
                self.bill,
                self.type_by_hand,
                self.decide,
                self.decide,
            ]
        )
        told = action()
        if told:
            self.done.append(told)

    def book(self) -> str:
        day = self._day()
        moment = at(f"{self.dice.randint(0, 23):02}:{self.dice.randint(0, 59):02}", day)
        agent, ticket = self.dice.choice(["anna", "ben"]), self.dice.choice(["acme", "globex"])
        minutes = self.dice.choice([5, 15, 30, "7.5", 90])
        return f"book {self.world.desk.book(minutes, moment, agent=agent, ticket=ticket)} {minutes} {moment} {agent}"

    def correct(self) -> str:
        minutes = -self.dice.choice([5, 15, 30])
        agent, ticket = self.dice.choice(["anna", "ben"]), self.dice.choice(["acme", "globex"])
        return (
            f"correct {self.world.desk.book(minutes, at('23:30', self._day()), agent=agent, ticket=ticket)} {minutes}"
        )

    def edit_booking(self) -> str | None:
        row = self._booking()
        units = self.dice.choice(["10", "20", "45", "0"])
        if row is not None:
            self.world.desk.server.edit(row, units=units)
        return f"edit booking {row} {units}"

    def delete_booking(self) -> str | None:
        row = self._booking()
        if row is not None:
            self.world.desk.server.delete(row)
        return f"delete booking {row}"

    def reassign_ticket(self) -> str:
        server = self.world.desk.server
        ticket = self.world.desk.tickets[self.dice.choice(["acme", "globex"])]
        other = self.world.desk.tickets[self.dice.choice(["acme", "globex"])]
        whose = server.state.tickets[other]
        server.reassign(ticket, customer_id=whose.customer_id, organization_id=whose.organization_id)
        return f"reassign {ticket} to {whose.organization_id}"

    def edit_text(self) -> str | None:
        row = self._timesheet()
        if row is not None:
            self.world.office.change(row, description=f"{row.description or ''} (checked)", billable=False)
        return f"text {row.id if row else None}"

    def edit_duration(self) -> str | None:
        row = self._timesheet()
        if row is None or row.end is None:
            return None
        end = row.end + 60 * self.dice.choice([5, 20])
        self.world.office.change(row, end=end, duration=end - row.begin)
        return f"duration {row.id}"

    def move(self) -> str | None:
        row = self._timesheet()
        if row is None or row.end is None:
            return None
        by = 3600 * self.dice.choice([-30, -2, 2, 30])
        self.world.office.change(row, begin=row.begin + by, end=row.end + by)
        return f"move {row.id} {by}"

    def hand_over(self) -> str | None:
        row = self._timesheet()
        users = self.world.office.users
        if row is None:
            return None
        self.world.office.change(row, user=self.dice.choice([users["anna"], users["ben"]]))
        return f"hand over {row.id}"

    def delete_timesheet(self) -> str | None:
        row = self._timesheet()
        if row is not None:
            self.world.office.server.kimai.timesheets.remove(row.id)
        return f"delete time sheet {row.id if row else None}"

    def copy_timesheet(self) -> str | None:
        row = self._timesheet()
        if row is None or row.end is None:
            return None
        copy = self.world.office.server.add_timesheet(
            row.user, row.project, row.activity, _moment(row.begin), _moment(row.end), row.description or ""
        )
        return f"copy {row.id} as {copy}"

    def bill(self) -> str | None:
        row = self._timesheet()
        if row is None:
            return None
        billed = replace(row, exported=True)
        self.world.office.server.kimai.timesheets.put(billed)
        self.billed[row.id] = billed
        return f"bill {row.id}"

    def type_by_hand(self) -> str:
        day = self._day()
        ticket = self.dice.choice(["acme", "globex"])
        minutes = self.dice.choice([15, 30, 90])
        text = f"{self.world.desk.number(ticket)} typed"
        row = self.world.office.type_by_hand(at("10:00", day).astimezone(ZONE), minutes, text)
        return f"type {row}"

    def decide(self) -> str | None:
        database = self.world.environment.runtime.database
        with database.transaction() as connection:
            rows = conflicts.open_conflicts(connection)
            if not rows:
                return None
            row = self.dice.choice(rows)
            possible = allowed(Reason(row.reason), Status(row.status))
            choice: Choice = self.dice.choice(possible)
            try:
                conflicts.decide(connection, row.id, choice, actor="simulated")
            except DecisionError:
                return None
        return f"decide {row.key} {row.reason} {choice}"

    def _day(self) -> date:
        return self.first + timedelta(days=self.dice.randint(0, (self.last - self.first).days))

    def _booking(self) -> int | None:
        rows = sorted(row.id for row in self.bookings)
        return self.dice.choice(rows) if rows else None

    def _timesheet(self) -> Timesheet | None:
        rows = [row for row in self.world.office.rows if row.id not in self.billed]
        return self.dice.choice(rows) if rows else None


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def sync(world: World, number: int, first: date = FIRST, last: date = LAST) -> int:
    """The chain over the simulated days without Dagster around it; returns how many writes Kimai got."""
    runtime, run = world.environment.runtime, RunContext(f"simulated-{number}", (first, last), overrides_limits=True)
    world.office.control.reset_requests()
    with closing(ConnectedSystems(runtime, run, lambda: at("12:00", last + timedelta(days=3)))) as systems:
        Pipeline(systems, run, list(days_between(first, last)), _log).run()
    return world.office.control.requests().writes
