"""A Kimai with thirty people, and plans of new entries for it, as reconciliation would leave them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from benchmarks.harness import ZONE
from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.ledger import Desired
from zk_pipeline.domain.mapping import CustomerPlan, ProjectPlan
from zk_pipeline.domain.markers import marker
from zk_pipeline.domain.normalize import TimeSpan
from zk_pipeline.domain.plan import Draft, PlanLine
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.push.pusher import Pusher, PushSettings
from zk_pipeline.store import plans
from zk_sandbox.demo import KIMAI_TOKEN
from zk_sandbox.kimai import KimaiServer

THREADS = 4
TAGS = ("zammad", "synced")
_USERS = 30


@dataclass(frozen=True, slots=True)
class Kimai:
    """The server's state before the push, and what the entries refer to."""

    state: dict[str, Any]
    users: tuple[int, ...]
    activity: int
    project: ProjectPlan


def kimai_with_people() -> Kimai:
    """Thirty users, one project, and the tags; no time sheets."""
    server = KimaiServer()
    server.add_user("zk-sync", "zk-sync@example.net", ["ROLE_SUPER_ADMIN"], ZONE, KIMAI_TOKEN)
    users = tuple(server.add_user(f"agent{n}", f"agent{n}@provider.example", timezone=ZONE) for n in range(_USERS))
    activity = server.add_activity("Support")
    customer = CustomerPlan(server.add_customer("Customer", "zammad-org-1"), "zammad-org-1", "Customer")
    project = ProjectPlan(server.add_project("Support", customer.id or 0, "ZO1"), "ZO1", "Support", customer)
    for tag in TAGS:
        server.add_tag(tag)
    return Kimai(server.snapshot(), users, activity, project)


def plan(kimai: Kimai, day: date, first_id: int, number: int) -> list[PlanLine]:
    """So many creates of one day, of bookings with ids from `first_id`."""
    return [_line(kimai, day, first_id + place, place) for place in range(number)]


def store(runtime: Runtime, target: TargetConnector, lines: list[PlanLine]) -> None:
    """Make these the plan of their day."""
    with runtime.database.transaction() as connection:
        plans.replace_day(connection, target.endpoint.name, lines[0].entry_date, lines, "benchmark")


def push(runtime: Runtime, target: TargetConnector, day: date, expected: int) -> None:
    """Push the day's plan. Raises `RuntimeError` when it does not create what was expected."""
    locks = WriteProtection(runtime.settings.zone)
    settings = PushSettings("zammad", lambda _: locks, THREADS, time_limit=60, serial_users=False)
    report = Pusher(runtime.database, target, settings, "benchmark").day(day)
    if report.created != expected:
        raise RuntimeError(f"{report.created} of {expected} entries were created: {report}")


def _line(kimai: Kimai, day: date, source_id: int, place: int) -> PlanLine:
    begin = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(minutes=place % 600)
    minutes = 15 + place % 60
    desired = Desired(
        kimai.users[place % _USERS], kimai.activity, kimai.project.id, kimai.project.number, begin, minutes * 60
    )
    draft = Draft(
        desired=desired,
        span=TimeSpan(begin, begin + timedelta(minutes=minutes)),
        project=kimai.project,
        description=f"Ticket #{71000 + place}: Request {place} {marker('zammad', str(source_id))}",
        tags=TAGS,
    )
    return PlanLine(day, str(source_id), None, Status.MISSING, Action.CREATE, Decimal(minutes), draft=draft)
