"""A small world for the chain: a simulated Zammad and Kimai with two agents, and the product set up between them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import dagster as dg
from sqlalchemy import Row, select, text

from zk_pipeline.cli.sync_report import SyncReport
from zk_pipeline.cli.syncing import Ran, run_over, sync_days
from zk_pipeline.domain.instants import days_between
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.pipeline import SYSTEM_ERRORS, DaysFailedError, Pipeline
from zk_pipeline.runtime.environment import Environment
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.systems import RunContext, open_systems
from zk_pipeline.store import conflicts
from zk_pipeline.store.tables import pushes
from zk_pipeline_tests.defs.asking import ANNA
from zk_pipeline_tests.defs.gate import Gate
from zk_sandbox.client import SandboxControl
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.kimai.model import Timesheet
from zk_sandbox.zammad import ZammadServer

ZONE = ZoneInfo("Europe/Berlin")
MONDAY = date(2025, 10, 6)
ZAMMAD_TOKEN = "zammad-token-of-the-tests"
KIMAI_TOKEN = "kimai-token-of-the-tests"

_log = logging.getLogger(__name__)


def at(clock: str, day: date = MONDAY, *, fold: int = 0) -> datetime:
    """A time of day in Berlin; `fold` 1 is the second of a time that comes twice."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZONE, fold=fold)


@dataclass
class Desk:
    """Zammad: two agents, two organizations, one activity type."""

    server: ZammadServer
    control: SandboxControl
    agents: dict[str, int] = field(default_factory=dict)
    tickets: dict[str, int] = field(default_factory=dict)
    support: int = 0

    def furnish(self) -> None:
        """Put people, tickets and types in place."""
        server = self.server
        self.agents = {
            name: server.add_agent(f"{name}@example.com", firstname=name.title()) for name in ("anna", "ben")
        }
        self.support = server.add_type("Support")
        for name, title in (("acme", "Printer is out of paper"), ("globex", "VPN is slow")):
            organization = server.add_organization(name.title())
            person = server.add_user(f"office@{name}.example", organization_id=organization)
            self.tickets[name] = server.add_ticket(title, customer_id=person, organization_id=organization)

    def book(
        self,
        minutes: int | str,
        moment: datetime | None = None,
        *,
        agent: str = "anna",
        ticket: str = "acme",
        type_id: int | None = None,
    ) -> int:
        """Book minutes, on a Monday morning unless told otherwise."""
        return self.server.book(
            self.tickets[ticket], self.agents[agent], str(minutes), type_id or self.support, moment or at("09:00")
        )

    def number(self, ticket: str = "acme") -> str:
        """The number of a ticket, as people write it."""
        return f"#{self.server.state.tickets[self.tickets[ticket]].number}"


@dataclass
class Office:
    """Kimai: the account of the tests, Anna and Ben, one activity, and somebody else's project."""

    server: KimaiServer
    control: SandboxControl
    gate: Gate
    users: dict[str, int] = field(default_factory=dict)
    activity: int = 0
    other_project: int = 0

    def furnish(self) -> None:
        """Put people and an activity in place. The account lives in New York, Anna in Berlin, Ben in UTC."""
        server = self.server
        self.users = {
            "sync": server.add_user("sync", "sync@example.com", ["ROLE_SUPER_ADMIN"], "America/New_York", KIMAI_TOKEN),
            "anna": server.add_user("anna", "anna@example.com", timezone="Europe/Berlin"),
            "ben": server.add_user("ben", "ben@example.com", timezone="UTC"),
        }
        self.activity = server.add_activity("Consulting")
        self.other_project = server.add_project("Own work", server.add_customer("Ourselves"))

    @property
    def rows(self) -> list[Timesheet]:
        """All time sheets, lowest id first."""
        return sorted(self.server.kimai.timesheets, key=lambda row: row.id)

    def of(self, booking: int) -> list[Timesheet]:
        """The time sheets that carry the marker of a booking."""
        return [row for row in self.rows if str(booking) in marked_ids(row.description or "", "zammad")]

    def sheet(self, booking: int) -> Timesheet:
        """The one time sheet of a booking."""
        (row,) = self.of(booking)
        return row

    def minutes(self) -> dict[int, list[int]]:
        """The minutes of each time sheet of ours, by booking."""
        found: dict[int, list[int]] = {}
        for row in self.rows:
            for booking in marked_ids(row.description or "", "zammad"):
                found.setdefault(int(booking), []).append(row.duration // 60)
        return found

    def creates_sent(self) -> int:
        """How many requests to create a time sheet have come."""
        return self.control.requests().by_route.get("POST /api/timesheets", 0)

    def change(self, row: Timesheet, **columns: Any) -> None:
        """Edit a time sheet as a person in Kimai would."""
        self.server.kimai.timesheets.put(replace(row, **columns))

    def amend(self, table: str, row_id: int, **columns: Any) -> None:
        """Change master data as an administrator in Kimai would."""
        rows = self.server.kimai.tables[table]
        rows.put(replace(rows.rows[row_id], **columns))

    def type_by_hand(self, begin: datetime, minutes: int, description: str, user: str = "anna", **columns: Any) -> int:
        """A time sheet that somebody typed."""
        end = datetime.fromtimestamp(begin.timestamp() + minutes * 60, ZONE)
        return self.server.add_timesheet(
            self.users[user], self.other_project, self.activity, begin, end, description, **columns
        )


@dataclass(frozen=True)
class World:
    """Both systems, and the product between them.

    A sync goes through the pipeline, or where Dagster is what is tested (`on_dagster`) through a real run of it.
    """

    desk: Desk
    office: Office
    environment: Environment
    on_dagster: bool = False

    def sync(
        self,
        first: date = MONDAY,
        last: date | None = None,
        *,
        job: str = "sync",
        override_limits: bool = False,
    ) -> SyncReport:
        """Run the chain as `zk sync` does."""
        runtime = self.environment.runtime
        if self.on_dagster or job not in {"sync", "plan"}:
            # Importing the definitions takes a second, and the partitions read the settings of the environment.
            from zk_pipeline.definitions import defs  # noqa: PLC0415

            whoever = ANNA if override_limits else None
            named = defs.resolve_job_def(job)
            return sync_days(runtime, named, first, last or first, _unheard, override_by=whoever)
        run = partial(self._run_without_dagster, push=job == "sync", overrides_limits=override_limits)
        return run_over(runtime, run, first, last or first, _unheard, asked_meanwhile=job == "sync")

    def _run_without_dagster(self, first: date, last: date, *, push: bool, overrides_limits: bool) -> Ran:
        """The pipeline as a run of Dagster calls it, with the settings as the environment has them now."""
        run = RunContext(str(uuid4()), (first, last), by_person=True, at_once=True, overrides_limits=overrides_limits)
        try:
            runtime = replace(self.environment.runtime, settings=load_settings())
            with open_systems(runtime, run) as systems:
                Pipeline(systems, run, list(days_between(first, last)), _log).run(push=push)
        except (DaysFailedError, *SYSTEM_ERRORS) as error:
            return Ran(run.id, str(error))
        return Ran(run.id)

    def map_types(self) -> None:
        """Give the activity to bookings of the one type and to those without any."""
        for type_id in (self.desk.support, None):
            self.execute(
                "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (:type, :activity)",
                type=type_id,
                activity=self.office.activity,
            )

    def execute(self, statement: str, **values: Any) -> None:
        """Run one statement on the product's database."""
        with self.environment.runtime.database.transaction() as connection:
            connection.execute(text(statement), values)

    def value(self, query: str) -> Any:
        """The first value of a query on the product's database."""
        with self.environment.runtime.database.transaction() as connection:
            return connection.execute(text(query)).scalar()

    def conflicts(self) -> list[Row[Any]]:
        """What waits for a person."""
        with self.environment.runtime.database.transaction() as connection:
            return conflicts.open_conflicts(connection)

    def reasons(self) -> list[str]:
        """Why people are waited for."""
        return [str(row.reason) for row in self.conflicts()]

    def ledger(self) -> dict[int, str]:
        """The state of each booking's last write."""
        with self.environment.runtime.database.transaction() as connection:
            rows = connection.execute(select(pushes.c.source_id, pushes.c.state))
            return {int(row.source_id): str(row.state) for row in rows}

    def recorded_days(self, *key: str) -> set[str]:
        """The days of an asset that Dagster has recorded as materialized."""
        with dg.DagsterInstance.get() as instance:
            return set(instance.get_materialized_partitions(dg.AssetKey(key)))

    def metadata(self, key: Sequence[str], day: date = MONDAY) -> dict[str, Any]:
        """The values of the last materialization of an asset's day."""
        with dg.DagsterInstance.get() as instance:
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(list(key)), asset_partitions=[day.isoformat()]), limit=1
            ).records
        materialization = records[0].asset_materialization
        assert materialization is not None
        return {name: value.value for name, value in materialization.metadata.items()}


def _unheard(sentence: str) -> None:
    """Nobody reads the progress."""
