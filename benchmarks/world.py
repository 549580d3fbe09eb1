"""A service provider of any size for the simulated systems: the same bookings at every call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.harness import ZONE, deployment
from zk_pipeline.domain.mapping_lines import ActivityMapping
from zk_pipeline.runtime.environment import Environment
from zk_pipeline.store import mappings
from zk_sandbox.client import SandboxControl
from zk_sandbox.demo import KIMAI_TOKEN, ZAMMAD_TOKEN
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.server import SandboxProcess
from zk_sandbox.zammad import ZammadServer

TYPES = ("Remote", "On site", "Consulting")


@dataclass(frozen=True, slots=True)
class Company:
    """How much there is of everything, and the span over which the bookings are spread evenly.

    With `correct_every` each booking of such a number takes five minutes off the one before it.
    """

    bookings: int
    tickets: int
    agents: int
    organizations: int
    begin: datetime
    end: datetime
    correct_every: int = 0


@dataclass(frozen=True, slots=True)
class Booked:
    """The two systems with a company's bookings, nothing of them in Kimai yet, and the product between them."""

    zammad: SandboxControl
    kimai: SandboxControl
    environment: Environment


@contextmanager
def booked(company: Company, *, latency: float = 0.0) -> Iterator[Booked]:
    """Everything mapped, the systems in a process of their own; each request to them takes `latency` seconds longer."""
    kimai, activities = filled_kimai(company)
    with (
        SandboxProcess(latency=latency) as systems,
        SandboxControl(systems.zammad_url) as zammad_control,
        SandboxControl(systems.kimai_url) as kimai_control,
        deployment(systems) as environment,
    ):
        zammad_control.restore(filled_zammad(company).snapshot())
        kimai_control.restore(kimai.snapshot())
        with environment.runtime.database.transaction() as connection:
            wanted = [
                ActivityMapping(str(type_id), None, activity) for type_id, activity in enumerate(activities, start=1)
            ]
            mappings.change(connection, wanted, actor="benchmark", source="zammad", target="kimai")
        yield Booked(zammad_control, kimai_control, environment)


def filled_zammad(company: Company) -> ZammadServer:
    """A Zammad with the company's bookings; those of one ticket lie close together, as in life."""
    zammad = ZammadServer({"zone": ZONE, "now": (company.begin - timedelta(days=1)).isoformat()})
    zammad.add_reader(ZAMMAD_TOKEN)
    types = [zammad.add_type(name) for name in TYPES]
    agents = [zammad.add_agent(email) for email in _emails(company)]
    organizations = [zammad.add_organization(f"Customer {number}") for number in range(company.organizations)]
    tickets = [
        zammad.add_ticket(f"Request {number}", organization_id=organizations[number % len(organizations)])
        for number in range(company.tickets)
    ]
    step = (company.end - company.begin) / company.bookings
    for number in range(company.bookings):
        corrects = company.correct_every and number % company.correct_every == company.correct_every - 1
        like = number - 1 if corrects else number
        zammad.book(
            tickets[like * company.tickets // company.bookings],
            agents[like % len(agents)],
            -5 if corrects else 5 + number % 90,
            types[like % len(types)],
            company.begin + number * step,
        )
    zammad.configure({"now": None})
    return zammad


def filled_kimai(company: Company) -> tuple[KimaiServer, list[int]]:
    """A Kimai that knows the company's people, and an activity for each type of work; no time sheets yet."""
    kimai = KimaiServer()
    kimai.add_user("zk-sync", "zk-sync@example.net", ["ROLE_SUPER_ADMIN"], ZONE, KIMAI_TOKEN)
    for email in _emails(company):
        kimai.add_user(email.split("@")[0], email, timezone=ZONE)
    return kimai, [kimai.add_activity(name) for name in TYPES]


def month_of(bookings: int) -> Company:
    """A month of thirty agents and twelve organizations, four bookings to a ticket."""
    return Company(
        bookings=bookings,
        tickets=bookings // 4,
        agents=30,
        organizations=12,
        begin=datetime(2025, 9, 1, 5, tzinfo=UTC),
        end=datetime(2025, 9, 30, 18, tzinfo=UTC),
    )


def _emails(company: Company) -> list[str]:
    return [f"agent{number}@provider.example" for number in range(company.agents)]
