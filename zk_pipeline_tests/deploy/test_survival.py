"""The stack starts on the database of the release before; nothing is lost when its processes die or a token expires."""

import itertools
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest

from zk_pipeline.connectors.zammad.signature import signature
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.processes.health_check import SECONDS_OF_SILENCE
from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.store.encryption import generate_key
from zk_pipeline_tests.collector import Collector, serving
from zk_pipeline_tests.deploy.conftest import two_roles, without_dagsters_database
from zk_pipeline_tests.deploy.proxy import nginx
from zk_pipeline_tests.deploy.stack import Stack, needs_tini, pass_time, running, zk
from zk_pipeline_tests.store.make_release import RELEASES, ROWS
from zk_sandbox.control import with_control
from zk_sandbox.demo import KIMAI_TOKEN, ZAMMAD_TOKEN
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.kimai.model import Timesheet
from zk_sandbox.server import ServerThread
from zk_sandbox.zammad import ZammadServer

SECRET = "signed"
ACCOUNT = "zk-sync"
MARKER = re.compile(r"\[zk-zammad-(\d+)\]$")
SECONDS_TO_ARRIVE = 150.0
SECONDS_TO_BE_MISSED = 180.0
"""Health calls a daemon dead after two minutes without a beat."""

SECONDS_TO_CATCH_UP = 120.0
BETWEEN_BOOKINGS = 0.5
pytestmark = pytest.mark.timeout(600)


@dataclass
class Firm:
    """A firm that books on one ticket while everything runs, and what came of its bookings."""

    zammad: ZammadServer
    kimai: KimaiServer
    ticket: int
    agent: int
    kind: int
    server: Path
    collector: Collector
    stack: Stack = field(init=False)
    booked: list[int] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Book again and again, each with its webhook, until the end of the block."""
        done = threading.Event()
        worker = threading.Thread(target=self._work, args=(done,))
        worker.start()
        try:
            yield
        finally:
            done.set()
            worker.join()

    def book(self) -> int:
        """Book once, without a webhook."""
        self.booked.append(self.zammad.book(self.ticket, self.agent, 15, self.kind))
        return self.booked[-1]

    def sheet(self, booking: int) -> Timesheet:
        """The one time sheet of a booking."""
        rows = list(self.kimai.kimai.timesheets)
        (row,) = [row for row in rows if (row.description or "").endswith(f"[zk-zammad-{booking}]")]
        return row

    def asked(self) -> set[tuple[str, int]]:
        """The reasons for which a person is asked, each with the time sheet."""
        url = self.stack.variables["ZK_DATABASE_URL"].replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            query = "SELECT reason, kimai_id FROM sync.conflicts WHERE resolution_status = 'open'"
            return set(connection.execute(query))

    def await_deliveries(self) -> None:
        """Wait until two more deliveries were accepted."""
        wanted = len(self.accepted) + 2
        assert wait_until(lambda: len(self.accepted) >= wanted, SECONDS_TO_ARRIVE)

    def in_kimai(self) -> Counter[int]:
        """How many time sheets there are of each booking."""
        found = (MARKER.search(row.description or "") for row in list(self.kimai.kimai.timesheets))
        return Counter(int(marker[1]) for marker in found if marker)

    def stored(self) -> set[str]:
        """The deliveries that are in the database."""
        url = self.stack.variables["ZK_DATABASE_URL"].replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            return {row[0] for row in connection.execute("SELECT delivery_id FROM sync.webhook_deliveries")}

    def set_tokens(self, *tokens: str) -> None:
        """Have Kimai know our account by these tokens alone."""
        users = self.kimai.kimai.users
        users.put(replace(next(user for user in users if user.username == ACCOUNT), tokens=tokens))

    def store_token(self, token: str) -> None:
        """Give the product another token for Kimai, as an admin does over the API."""
        with self.stack.signed_in("admin") as client:
            listed = client.get("/api/v1/connectors", params={"size": 100}).json()["items"]
            (kimai,) = [row for row in listed if row["active"] and row["role"] == "target"]
            client.patch(f"/api/v1/connectors/{kimai['id']}", json={"token": token}).raise_for_status()

    def own(self, path: str) -> str:
        """What the web app answers on its own machine."""
        port = self.stack.variables["ZK_WEB_PORT"]
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=120, trust_env=False).text

    def sign(self, name: str) -> dict[str, str]:
        """What health tells of one vital sign."""
        return json.loads(self.own("/api/health"))["signs"][name]

    def kimai_is(self, status: str) -> bool:
        """Whether health tells this of Kimai."""
        return self.sign("kimai")["status"] == status

    def refusal(self) -> str:
        """What whoever met the refused token last wrote down; a run that has met it, or a look at the changes."""
        url = self.stack.variables["ZK_DATABASE_URL"].replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            query = "SELECT problem FROM sync.reachability WHERE connector = 'kimai' AND refused"
            return (connection.execute(query).fetchone() or ("",))[0]

    def traced(self) -> set[str]:
        """The names of the spans that came."""
        return {span.name for span in self.collector.spans()}

    def _work(self, done: threading.Event) -> None:
        with self.stack.client() as client:
            while not done.wait(BETWEEN_BOOKINGS):
                self._deliver(client, f"delivery-{self.book()}", done)

    def _deliver(self, client: httpx.Client, delivery: str, done: threading.Event) -> None:
        """Send a delivery again until it is accepted, as Zammad does."""
        body = json.dumps({"ticket": {"id": self.ticket}}).encode()
        headers = {
            "content-type": "application/json",
            "x-hub-signature": signature(SECRET, body),
            "x-zammad-delivery": delivery,
        }
        for _ in itertools.takewhile(lambda _: not done.is_set(), itertools.count()):
            try:
                answer = client.post("/api/v1/webhooks/zammad", content=body, headers=headers)
            except httpx.TransportError:
                continue
            if answer.status_code == 202:
                self.accepted.append(delivery)
                return
            done.wait(BETWEEN_BOOKINGS)


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """Everything running, on the volume that the newest release left."""
    nginx()
    folder = tmp_path_factory.mktemp("survival")
    zammad, kimai = ZammadServer({"zone": "UTC"}), KimaiServer()
    zammad.add_reader(ZAMMAD_TOKEN)
    agent, kind = zammad.add_agent("anna@provider.example"), zammad.add_type("Remote")
    ticket = zammad.add_ticket("Request", organization_id=zammad.add_organization("Customer"))
    kimai.add_user(ACCOUNT, "zk-sync@example.net", ["ROLE_SUPER_ADMIN"], "UTC", KIMAI_TOKEN)
    kimai.add_user("anna", "anna@provider.example", timezone="UTC")
    kimai.add_activity("Remote")
    with (
        serving() as collector,
        ServerThread(with_control(zammad)) as zammad_server,
        ServerThread(with_control(kimai)) as kimai_server,
        embedded_server(folder / "server") as server,
    ):
        made = Firm(zammad, kimai, ticket, agent, kind, folder / "server", collector)
        without_dagsters_database(server)
        with psycopg.connect(**server.parameters()) as connection:
            connection.execute(max(RELEASES.glob("*.sql")).read_bytes())
            # Its systems and customers are made up, and a database takes the bookings of one Zammad only.
            connection.execute("UPDATE sync.connectors SET active = false")
            connection.execute("DELETE FROM zammad.time_accountings")
            connection.execute("DELETE FROM sync.customer_mappings")
        given = {
            **two_roles(server),
            "ZK_ENCRYPTION_KEY": generate_key(),
            "ZK_ZAMMAD_URL": zammad_server.url,
            "ZK_ZAMMAD_TOKEN": ZAMMAD_TOKEN,
            "ZK_KIMAI_URL": kimai_server.url,
            "ZK_KIMAI_TOKEN": KIMAI_TOKEN,
            "ZK_WEBHOOK_SECRET": SECRET,
            "ZK_RETRY_SECONDS": "2",
            "ZK_POLL_SECONDS": "5",
            "ZK_KIMAI_POLL_SECONDS": "10",
            "ZK_KIMAI_TIME_LIMIT": "5",
            "ZK_OTLP_ENDPOINT": collector.url,
        }
        with running(folder, given, daemon=True) as stack:
            made.stack = stack
            zk(stack.variables, "mappings", "set", "activity", "Remote", "Remote")
            yield made


def test_what_the_release_before_stored_is_still_there(firm: Firm):
    url = firm.stack.variables["ZK_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        kept = connection.execute("SELECT count(*) FROM sync.pushes WHERE connector LIKE 'connector %'").fetchone()
    assert kept == (ROWS,)


@pytest.mark.parametrize("name", ["webserver", "web", "daemon", "code"])
def test_nothing_is_lost_or_doubled_when_a_process_is_killed_under_load(firm: Firm, name: str):
    with firm.at_work():
        firm.await_deliveries()
        firm.stack.crash(name)
        firm.stack.services[name].await_health()
        firm.await_deliveries()
    assert_everything_arrived_once(firm)


def test_nothing_is_lost_or_doubled_when_all_processes_hang_under_load_and_their_health_checks_kill_them(
    firm: Firm, tmp_path: Path
):
    needs_tini()
    services, variables = firm.stack.services, firm.stack.variables
    with firm.at_work():
        firm.await_deliveries()
        for name, service in services.items():
            assert service.check_health(variables, tmp_path / name) == 0, name
            service.suspend()
        for name in services:
            pass_time(tmp_path / name, SECONDS_OF_SILENCE)
        for name, service in services.items():
            assert wait_until(partial(service.is_ended_by_its_check, variables, tmp_path / name), SECONDS_TO_BE_MISSED)
            service.start(variables)
        for service in services.values():
            service.await_health()
        firm.await_deliveries()
    assert_everything_arrived_once(firm)


def test_nothing_is_lost_or_doubled_when_the_database_is_killed_under_load(firm: Firm):
    with firm.at_work():
        firm.await_deliveries()
        postmaster = int((firm.server / "postgres" / "postmaster.pid").read_text().split()[0])
        os.killpg(os.getpgid(postmaster), signal.SIGKILL)
        with embedded_server(firm.server):
            firm.await_deliveries()
    assert_everything_arrived_once(firm)


def test_nothing_is_lost_or_doubled_when_the_token_of_kimai_expires_under_load(firm: Firm):
    with firm.at_work():
        firm.await_deliveries()
        firm.set_tokens()
        assert wait_until(firm.refusal, SECONDS_TO_ARRIVE)
        assert wait_until(lambda: firm.kimai_is("fail"), SECONDS_TO_ARRIVE)
        assert 'zk_token_refused{system="kimai"} 1.0' in firm.own("/metrics")
        assert "Make a new API token in the profile of an active user" in firm.refusal()
        before = firm.in_kimai()
        firm.await_deliveries()
        assert firm.in_kimai() == before
        firm.set_tokens("renewed")
        firm.store_token("renewed")
    assert_everything_arrived_once(firm)


def test_the_processes_of_runs_and_of_the_web_app_send_their_traces(firm: Firm):
    with firm.at_work():
        firm.await_deliveries()
    assert_everything_arrived_once(firm)
    assert wait_until(lambda: {"run sync", "sync/kimai_pushes", "webhook"} <= firm.traced(), SECONDS_TO_ARRIVE)


def test_what_happened_while_only_the_daemon_was_dead_for_minutes_is_made_up_for(firm: Firm):
    edited, deleted, edited_there, deleted_there = (firm.book() for _ in range(4))
    assert_everything_arrived_once(firm)
    daemon = firm.stack.services["daemon"]
    daemon.kill()
    booked = firm.book()
    firm.zammad.edit(edited, units="35")
    asked = {"deleted_in_zammad": firm.sheet(deleted), "kimai_edited": firm.sheet(edited_there)}
    firm.zammad.delete(deleted)
    sheets = firm.kimai.kimai.timesheets
    sheets.put(replace(firm.sheet(edited_there), duration=5 * 60))
    asked["deleted_in_kimai"] = firm.sheet(deleted_there)
    sheets.remove(firm.sheet(deleted_there).id)
    assert wait_until(lambda: firm.sign("daemons")["status"] == "fail", SECONDS_TO_BE_MISSED)
    assert booked not in firm.in_kimai()
    daemon.start(firm.stack.variables)
    daemon.await_health()
    assert wait_until(lambda: booked in firm.in_kimai() and firm.sheet(edited).duration == 35 * 60, SECONDS_TO_CATCH_UP)
    expected = {(reason, sheet.id) for reason, sheet in asked.items()}
    assert wait_until(lambda: firm.asked() >= expected, SECONDS_TO_CATCH_UP)
    assert firm.in_kimai()[booked] == 1


def assert_everything_arrived_once(firm: Firm) -> None:
    assert set(firm.accepted) <= firm.stored()
    assert wait_until(lambda: set(firm.booked) <= set(firm.in_kimai()), SECONDS_TO_ARRIVE)
    assert firm.in_kimai() == Counter(firm.booked)
