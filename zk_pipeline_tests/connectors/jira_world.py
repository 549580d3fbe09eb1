"""A simulated Jira for tests of the connector, of either kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.jira.connector import JiraConnector
from zk_pipeline.connectors.mirror import Mirror
from zk_pipeline.domain.records import TimeAccounting, Window
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.jira import JiraServer
from zk_sandbox.server import ServerThread

MAIL = "zk-sync@example.net"
SECRET = "reader-token-7f3a"
TOKENS = {"cloud": f"{MAIL}:{SECRET}", "server": SECRET}
DAY = datetime(2025, 8, 16, tzinfo=UTC)
WINDOW = Window(DAY, DAY + timedelta(days=1))
MINUTE = timedelta(minutes=1)


@dataclass
class JiraWorld:
    """A site with a service account, a project, an issue and Ada, who logs work; and connectors to it."""

    site: JiraServer
    url: str
    control: SandboxControl
    pauses: Callable[[float], None]
    reader: str = ""
    ada: str = ""
    project: int = 0
    issue: int = 0
    made: list[JiraConnector] = field(default_factory=list[JiraConnector])

    def reset(self, deployment: str = "cloud", **settings: Any) -> "JiraWorld":
        """Start again with an empty site of this kind."""
        version = "1001.0.0-SNAPSHOT" if deployment == "cloud" else "10.3.0"
        self.site.restore(JiraServer({"deployment": deployment, "version": version, **settings}).snapshot())
        self.reader = self.site.add_reader(SECRET, MAIL)
        self.ada = self.site.add_user("Ada Agent", "ada@example.com")
        self.project = self.site.add_project("ACME", "Acme support")
        self.issue = self.site.add_issue(self.project, "Printer on fire", at=DAY - timedelta(days=9))
        self.control.reset_requests()
        return self

    def connect(self, token: str = "", mirror: Mirror | None = None, **settings: Any) -> JiraConnector:
        """A connector, with its own mirror unless one is given."""
        given = token or TOKENS[self.site.settings.deployment]
        named: dict[str, Any] = {"name": "jira", "base_url": self.url, "token": given} | settings
        endpoint = Endpoint(**named)
        connector = JiraConnector(endpoint, sleep=self.pauses)
        if mirror:
            connector.keep_in(mirror)
        self.made.append(connector)
        return connector

    def log(self, started: datetime = DAY, *, at: datetime | None = None, seconds: int = 900, **more: Any) -> int:
        """Work of Ada on the issue, saved when it began unless said otherwise."""
        issue, author = more.pop("issue", self.issue), more.pop("author", self.ada)
        return self.site.log(issue, author, seconds, started, at=at or started, **more)


def worlds(pauses: Callable[[float], None]) -> Iterator[JiraWorld]:
    """A world on a server of its own; its connectors are closed in the end."""
    site = JiraServer()
    with ServerThread(with_control(site)) as server, SandboxControl(server.url) as control:
        world = JiraWorld(site, server.url, control, pauses).reset()
        yield world
        for connector in world.made:
            connector.close()


def read(connector: JiraConnector, window: Window = WINDOW) -> list[TimeAccounting]:
    """The bookings of a window."""
    return [row for page in connector.fetch(window).pages() for row in page]


def ids(rows: list[TimeAccounting] | tuple[TimeAccounting, ...]) -> list[int]:
    return [int(row.id) for row in rows]
