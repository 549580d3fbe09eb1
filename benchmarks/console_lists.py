"""The lists of the API over a large company's database: how long nearly all of their pages take."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import httpx
from sqlalchemy import text

from benchmarks.harness import Measurement, at_most, deployment
from benchmarks.web_process import web_app
from zk_pipeline.identity import api_tokens, users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.runtime.runtime import Runtime

ENTRIES, WAITING = 200_000, 5_000
MILLISECONDS = 150
SEED = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody looks at: an address, and its parameters apart from the page."""

    name: str
    path: str
    parameters: Mapping[str, str]
    pages: int = 1


def measure(*, quick: bool) -> Iterator[Measurement]:
    """With 200,000 entries and 5,000 open conflicts, 95 of 100 pages of each list are answered within 150 ms."""
    entries = 20_000 if quick else ENTRIES
    with deployment() as environment, web_app() as port:
        seed(environment.runtime, entries)
        with _client(environment.runtime, port) as client:
            for look in _looks():
                milliseconds = [1000 * seconds for seconds in _timed(client, look, 20 if quick else 100)]
                yield at_most(look.name, quantiles(milliseconds, n=20)[18], MILLISECONDS, "ms", look.path)


def _looks() -> list[Look]:
    """Every list, unfiltered and by each filter, on its first and its later pages."""
    today = datetime.now(UTC).date()
    month = {"first": str(today - timedelta(days=30)), "last": str(today - timedelta(days=1))}
    conflicts, lines = "/api/v1/conflicts", "/api/v1/reconciliation"
    agent, customer = {"agent": "agent7@provider.example"}, {"customer": "Customer 7"}
    return [
        Look("conflicts", conflicts, {}, 100),
        Look("conflicts of a reason", conflicts, {"reason": "both_changed"}, 50),
        Look("conflicts of an agent", conflicts, agent),
        Look("conflicts by a part of a ticket", conflicts, {"search": "7123"}),
        Look("conflicts carried out", conflicts, {"resolution_status": "carried_out"}, 100),
        Look("lines of the plan", lines, {}, 100),
        Look("lines, last pages", lines, {"page": "3900"}),
        Look("matches", lines, {"view": "matches"}, 100),
        Look("missing", lines, {"view": "missing"}, 40),
        Look("lines that wait", lines, {"view": "conflicts"}, 100),
        Look("lines of a reason", lines, {"reason": "kimai_edited"}, 50),
        Look("lines of an agent", lines, agent, 10),
        Look("lines of a customer", lines, customer, 8),
        Look("lines of a ticket", lines, {"ticket": "71234"}),
        Look("lines of a month", lines, month, 100),
        Look("plan of a month", "/api/v1/sync/plans", month, 3),
        Look("plans of days to approve", "/api/v1/sync/plans/days", month),
        Look("runs", "/api/v1/sync/runs", {}, 100),
        Look("status", "/api/v1/sync/status", {}),
        Look("figures of the dashboard", "/api/v1/kpi", {}),
    ]


def _timed(client: httpx.Client, look: Look, times: int) -> Iterator[float]:
    """Seconds for each page, the first ones not counted."""
    for number in range(-2, times):
        page = {"page": str(1 + number % look.pages)} if look.pages > 1 else {}  # Figures have no pages.
        parameters = {**page, **look.parameters}
        started = time.perf_counter()
        answer = client.get(look.path, params=parameters)
        seconds = time.perf_counter() - started
        answer.raise_for_status()
        if number >= 0:
            yield seconds


def seed(runtime: Runtime, entries: int) -> None:
    """Fill the database with so many entries, their plan and ledger, and conflicts."""
    sizes = {"entries": entries, "waiting": WAITING}
    with runtime.database.transaction() as connection:
        for statement in SEED.read_text().split(";\n"):
            connection.execute(text(statement), sizes)
    with runtime.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


@contextmanager
def _client(runtime: Runtime, port: int) -> Iterator[httpx.Client]:
    """Somebody who may look at everything."""
    with runtime.database.transaction() as connection:
        user = users.create(connection, Actor("benchmark", Role.ADMIN), NewUser("viewer@provider.example", Role.VIEWER))
        owner = Actor(f"user:{user.id}", Role.VIEWER)
        token = api_tokens.issue(connection, owner, "lists", Role.VIEWER, datetime.now(UTC) + timedelta(days=1)).token
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, trust_env=False) as client:
        yield client
