"""Everything running as `zk up` runs it, between two simulated systems of this process that count their requests."""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import create_server

import httpx

from benchmarks.harness import ZONE, Addresses, deployment
from zk_pipeline.domain.mapping_lines import ActivityMapping
from zk_pipeline.runtime.environment import Environment
from zk_pipeline.store import mappings
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.demo import KIMAI_TOKEN, ZAMMAD_TOKEN
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.server import ServerThread
from zk_sandbox.zammad import ZammadServer

SECRET = "signature-token-of-the-benchmarks"
SECONDS_TO_START = 120


@dataclass(frozen=True, slots=True)
class Running:
    """The systems, the product between them, the process of `zk up`, and the webhook's address."""

    zammad: ZammadServer
    kimai: KimaiServer
    zammad_control: SandboxControl
    kimai_control: SandboxControl
    environment: Environment
    up: int
    webhook: str
    ticket: int
    agent: int
    type_id: int

    def book(self, minutes: int) -> int:
        """Book on the ticket, just now."""
        return self.zammad.book(self.ticket, self.agent, minutes, self.type_id)

    def deliver(self) -> None:
        """Send the delivery that Zammad sends for the ticket; returns when it is accepted."""
        body = json.dumps({"ticket": {"id": self.ticket}}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature": f"sha1={hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()}",
            "X-Zammad-Delivery": str(uuid.uuid4()),
        }
        httpx.post(self.webhook, content=body, headers=headers, trust_env=False).raise_for_status()

    def bookings_in_kimai(self) -> int:
        """How many time sheets there are, seen without a request."""
        return len(self.kimai.kimai.timesheets)


@contextmanager
def everything_running() -> Iterator[Running]:
    """A company of one agent, with everything running until the end."""
    zammad, kimai = ZammadServer({"zone": ZONE}), KimaiServer()
    zammad.add_reader(ZAMMAD_TOKEN)
    agent, type_id = zammad.add_agent("anna@provider.example"), zammad.add_type("Remote")
    ticket = zammad.add_ticket("Request", organization_id=zammad.add_organization("Customer"))
    kimai.add_user("zk-sync", "zk-sync@example.net", ["ROLE_SUPER_ADMIN"], ZONE, KIMAI_TOKEN)
    kimai.add_user("anna", "anna@provider.example", timezone=ZONE)
    activity = kimai.add_activity("Remote")
    port, web_port = _free_port(), _free_port()
    with (
        ServerThread(with_control(zammad)) as zammad_server,
        ServerThread(with_control(kimai)) as kimai_server,
        SandboxControl(zammad_server.url) as zammad_control,
        SandboxControl(kimai_server.url) as kimai_control,
        deployment(Addresses(zammad_server.url, kimai_server.url)) as environment,
    ):
        with environment.runtime.database.transaction() as connection:
            wanted = [ActivityMapping(str(type_id), None, activity)]
            mappings.change(connection, wanted, actor="benchmark", source="zammad", target="kimai")
        with _up(port, web_port) as up:
            webhook = f"http://127.0.0.1:{web_port}/api/v1/webhooks/zammad"
            yield Running(
                zammad, kimai, zammad_control, kimai_control, environment, up, webhook, ticket, agent, type_id
            )  # fmt: skip


@contextmanager
def _up(port: int, web_port: int) -> Iterator[int]:
    """`zk up` on the deployment that the environment names; its process."""
    variables = {**os.environ, "ZK_WEB_PORT": str(web_port), "ZK_WEBHOOK_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", "from zk_pipeline.cli.app import main; main()", "up", "--port", str(port)]
    ready, lines = threading.Event(), list[str]()
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as up:

        def read() -> None:
            for line in up.stdout or ():
                lines.append(line)
                if "Press Ctrl-C" in line:
                    ready.set()
            ready.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            ready.wait(SECONDS_TO_START)
            if not lines or up.poll() is not None or "Press Ctrl-C" not in lines[-1]:
                raise RuntimeError(f"zk up did not start: {''.join(lines)}")
            yield up.pid
        finally:
            if up.poll() is None:
                up.send_signal(signal.SIGINT)
            up.wait()
            reader.join()


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
