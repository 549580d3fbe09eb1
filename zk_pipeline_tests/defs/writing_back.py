"""Writing into tickets in tests: an account that may, a run of it, and one in a process that is killed."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.write_back import JournalRow, WriteBackLine
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store import audit, write_backs
from zk_pipeline.write_back import plans
from zk_pipeline.write_back.plans import LineState
from zk_pipeline.write_back.sending import WriteBackReport, WriteBackSender
from zk_pipeline_tests.defs.crashing import ANSWERED, PROCESSES, SENT, _while_requesting, after, before, die
from zk_pipeline_tests.defs.world import ZAMMAD_TOKEN, World

ON = {"ZK_WRITE_BACK": "tag=auto"}
TAG = "billed:2025-10"
LATER = timedelta(minutes=10)


def empower(world: World, right: str = "change") -> None:
    """Let the account of the pipeline do that to the tickets of all groups."""
    state = world.desk.server.state
    user = state.users[state.tokens[ZAMMAD_TOKEN].user_id]
    user.group_rights = {str(group): [right, "read"] for group in state.groups}


@dataclass(frozen=True)
class Tickets:
    """The tickets of a world, and what is written into them."""

    world: World

    @property
    def runtime(self) -> Runtime:
        """The product, with the settings as the environment has them now."""
        return replace(self.world.environment.runtime, settings=load_settings())

    def write(self, *, later: timedelta = timedelta(0)) -> WriteBackReport:
        """A run that writes back, which takes it for later than it is."""
        with self.runtime.source() as source:
            return WriteBackSender(self.runtime, source, str(uuid4()), lambda: datetime.now(UTC) + later).carry_out()

    def tags(self, ticket: str = "acme") -> list[str]:
        """The tags of a ticket."""
        return list(self.world.desk.server.state.tickets[self.world.desk.tickets[ticket]].tags)

    def notes(self, ticket: str = "acme") -> list[str]:
        """The notes of a ticket."""
        return [row.body for row in self.world.desk.server.state.articles_of(self.world.desk.tickets[ticket])]

    def plan(self, *states: LineState) -> list[WriteBackLine]:
        """The lines of the plan to which that happens."""
        return plans.plan(self.runtime).of(*(states or tuple(LineState)))

    def journal(self) -> list[JournalRow]:
        """All writes, oldest first."""
        return sorted(plans.journal(self.runtime, 1000), key=lambda row: row.id)

    def states(self) -> list[tuple[str, str]]:
        """The operation and state of each write, oldest first."""
        return [(str(row.line.operation), str(row.state)) for row in self.journal()]

    def sent(self) -> dict[str, int]:
        """How many writes have come to Zammad, by route."""
        routes = self.world.desk.control.requests().by_route
        return {
            route: number
            for route, number in routes.items()
            if not route.startswith("GET") and "search" not in route and number
        }


def october(day: int) -> date:
    """A day of the month that is closed."""
    return date(2025, 10, day)


def killed(place: str) -> int | None:
    """Write back in a process that is killed there; its exit code."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(("ZK_", "DAGSTER_"))}
    process = PROCESSES.Process(target=_write, args=(variables, place))
    process.start()
    process.join(60)
    return process.exitcode


def _write(variables: Mapping[str, str], place: str) -> None:
    os.environ.update(variables)
    os.chdir(variables["ZK_HOME"])
    PLACES[place]()
    with prepare(load_settings()) as environment, environment.runtime.source() as source:
        WriteBackSender(environment.runtime, source, "killed").carry_out()


def _while_writing(event: str) -> None:
    _while_requesting(lambda verb, path: verb in {"POST", "DELETE"} and "search" not in path, event, 1)


PLACES: Mapping[str, Callable[[], Any]] = {
    "before the intent": lambda: before(write_backs, "intend", die),
    "within the intent's commit": lambda: after(write_backs, "intend", die),
    "when the request was sent": lambda: _while_writing(SENT),
    "when the answer began": lambda: _while_writing(ANSWERED),
    "after the answer": lambda: [after(ZammadConnector, name, die) for name in ("add_tag", "remove_tag", "add_note")],
    "before the outcome": lambda: before(write_backs, "confirm", die),
    "within the outcome's commit": lambda: after(audit, "append", die),
}
