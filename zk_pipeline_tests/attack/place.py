"""An installation under attack: `zk up` between simulated systems, and a user of each role."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from zk_pipeline.identity import api_tokens, users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.runtime.runtime import AUDIT_KEY_PURPOSE
from zk_pipeline.runtime.settings import ENV_FILE
from zk_pipeline.store.database import Database
from zk_pipeline_tests.cli.conftest import Home, Zk
from zk_pipeline_tests.cli.test_up import Up, free_port, surroundings, zk_up
from zk_pipeline_tests.web.conftest import TESTER, client_of
from zk_pipeline_tests.web.console.site import Site
from zk_pipeline_tests.web.signing_in import LOGIN, PASSWORD
from zk_sandbox.client import NO_CERTIFICATES
from zk_sandbox.server import SandboxProcess

SECONDS_TO_START = 300
EVIL = "https://evil.example"
CROSS_SITE = {"origin": EVIL, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}


@dataclass
class Place:
    """What attackers find: the addresses, and for those with an account what it gives them."""

    up: Up
    site: Site
    zk: Zk
    tokens: dict[Role, str]
    folder: Path
    """Whatever an attack puts down beside the installation."""

    stack: ExitStack = field(repr=False)

    def client(self, role: Role | None = None, *, dagster: bool = False, source: str = "") -> httpx.Client:
        """A client of the web app or of Dagster's UI, a stranger's without a role.

        `source` is another address of this machine that it sends from.
        """
        url = self.up.url if dagster else self.up.web_url
        headers = {"authorization": f"Bearer {self.tokens[role]}"} if role else None
        if not source:
            return self.stack.enter_context(client_of(url, headers))
        transport = httpx.HTTPTransport(verify=NO_CERTIFICATES, local_address=source)
        client = httpx.Client(base_url=url, headers=headers, transport=transport, timeout=120, trust_env=False)
        return self.stack.enter_context(client)

    def signed_in(self, role: Role, email: str = "") -> httpx.Client:
        """A browser's client with a session of this role, or of somebody else with its password, and its cookies.

        It sends no Origin of its own: whoever uses it says where a request comes from.
        """
        client = self.client()
        typed = {"email": email or self.site.email(role), "password": PASSWORD, "cookies": True}
        client.post(LOGIN, json=typed, headers=self.own).raise_for_status()
        return client

    def somebody(self, email: str, role: Role = Role.OPERATOR) -> int:
        """The number of a further user, who has the usual password."""
        with self.site.database.transaction() as connection:
            return users.create(connection, TESTER, NewUser(email, role, "", PASSWORD)).id

    @property
    def own(self) -> dict[str, str]:
        """What a browser sends with the console's own requests."""
        return {"origin": self.up.web_url}


@contextmanager
def open_place() -> Iterator[Place]:
    """Start everything with `zk up`, and stop it afterwards."""
    # Every account of the machine may look into this folder, as into one below /opt or /srv.
    with tempfile.TemporaryDirectory(prefix="zk-attack-") as directory, ExitStack() as stack:
        folder = Path(directory)
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir(mode=0o755)
        systems = stack.enter_context(SandboxProcess("demo"))
        variables = {**_variables(systems), **surroundings(folder)}
        up = stack.enter_context(zk_up(home, variables, free_port()))
        up.wait_for("Press Ctrl-C", SECONDS_TO_START)
        yield stack.enter_context(placed(up, variables))


@contextmanager
def placed(up: Up, variables: dict[str, str]) -> Iterator[Place]:
    """A running installation as a place for attacks; `variables` are those that it was started with."""
    with embedded_server(up.home) as server, ExitStack() as stack:
        database = Database(server.url(), up.cipher.derived(AUDIT_KEY_PURPOSE))
        stack.callback(database.close)
        site = Site(up.web_url, up.home, variables, database)
        given = {ENV_FILE: os.devnull, "ZK_HOME": str(up.home), "ZK_ENCRYPTION_KEY": up.secret_key}
        zk = Zk(Home(up.home, "zk", {**variables, **server.environment(), **given}))
        yield Place(up, site, zk, _tokens(site), up.home.parent, stack)


def _variables(systems: SandboxProcess) -> dict[str, str]:
    """An installation that syncs nothing by itself: what it costs is for the attacks."""
    return {
        "ZK_TIMEZONE": "Europe/Berlin",
        "ZK_SCHEDULES": "false",
        "ZK_SENSOR_SECONDS": "3600",
        "ZK_ZAMMAD_URL": systems.zammad_url,
        "ZK_ZAMMAD_TOKEN": systems.zammad_token,
        "ZK_KIMAI_URL": systems.kimai_url,
        "ZK_KIMAI_TOKEN": systems.kimai_token,
    }


def _tokens(site: Site) -> dict[Role, str]:
    """A user of each role, and an API token of each."""
    tokens: dict[Role, str] = {}
    for role in Role:
        number = site.add_user(site.email(role), role)
        with site.database.transaction() as connection:
            until = datetime.now(UTC) + timedelta(days=1)
            tokens[role] = api_tokens.issue(connection, Actor(f"user:{number}", role), "attack", role, until).token
    return tokens
