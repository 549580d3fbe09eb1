"""The lists of the API and the pages of the console over a large database: how long nearly all of them take."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import httpx
from sqlalchemy import text

from benchmarks.harness import Measurement, at_most, deployment
from benchmarks.web_process import web_app
from zk_pipeline.audit import trail
from zk_pipeline.audit.trail import TrailFilter
from zk_pipeline.billing import invoices, months, statements
from zk_pipeline.decisions import causes, lists
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.periods import month_name, month_of
from zk_pipeline.identity import api_tokens, users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.operate import home
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages import marts

ENTRIES, WAITING, ACTS = 200_000, 5_000, 100_000
MILLISECONDS, MILLISECONDS_OF_PAGE = 150, 2_000
SEED = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody looks at: an address, and its parameters apart from the page."""

    name: str
    path: str
    parameters: Mapping[str, str]
    pages: int = 1


def measure(*, quick: bool) -> Iterator[Measurement]:
    """With 200,000 entries, 95 of 100 pages of each list are answered within 150 ms, and pages load within 2 s."""
    entries = 20_000 if quick else ENTRIES
    with deployment() as environment, web_app() as port:
        seed(environment.runtime, entries)
        with _client(environment.runtime, port) as client:
            for look in _looks():
                milliseconds = [1000 * seconds for seconds in _timed(client, look, 20 if quick else 100)]
                yield _nearly_all(look.name, milliseconds, MILLISECONDS, look.path)
        for name, load in _loads(environment.runtime).items():
            limit = MILLISECONDS_OF_PAGE if name.startswith("page") else MILLISECONDS
            yield _nearly_all(name, _called(load, 20), limit, "without HTTP")


def _nearly_all(name: str, milliseconds: list[float], limit: float, note: str) -> Measurement:
    return at_most(name, quantiles(milliseconds, n=20)[18], limit, "ms", note)


def _loads(runtime: Runtime) -> Mapping[str, Callable[[], object]]:
    """What the pages of the console load when they are opened, and what their filters offer for what is typed."""
    failure = marts.failure_of(marts.build(runtime))
    if failure is not None:
        raise failure
    month, reader = month_of(datetime.now(UTC).date() - timedelta(days=1)), Actor("benchmark", Role.ADMIN)
    return {
        "page Home": lambda: home.home(runtime),
        "page To do, causes": lambda: causes.causes(runtime, ConflictFilter()),
        "page To do, money": lambda: invoices.questions(runtime, month),
        "page Month": lambda: _month(runtime, month),
        "page Audit": lambda: trail.page(runtime, reader, TrailFilter(), 20, 0),
        "page Audit, of an actor": lambda: trail.page(runtime, reader, TrailFilter(actor="user:7"), 20, 0),
        "names of acts and actors": lambda: trail.options(runtime, reader),
        "names of agents": lambda: lists.agent_options(runtime, "agent 7"),
        "names of customers": lambda: lists.customer_options(runtime, "mer 7"),
    }


def _month(runtime: Runtime, month: date) -> None:
    whole = statements.statement(runtime, month_name(month), refresh=False)
    months.progress(runtime, month_name(month), whole)


def _called(load: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each call, the first ones not counted."""
    found: list[float] = []
    for _ in range(times + 2):
        started = time.perf_counter()
        load()
        found.append(1000 * (time.perf_counter() - started))
    return found[2:]


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
    """Fill the database with so many entries, their plan and ledger, conflicts and acts."""
    sizes = {"entries": entries, "waiting": WAITING, "acts": ACTS}
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
