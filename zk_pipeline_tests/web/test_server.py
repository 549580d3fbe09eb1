"""The web app as a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from socket import create_server

import httpx
from sqlalchemy import text

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.runtime.settings import ENV_FILE
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import generate_key


def start(home: Path, **variables: str) -> subprocess.Popen[str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("ZK_")}
    return subprocess.Popen(
        [sys.executable, "-m", "zk_pipeline.web.server"],
        env={**others, ENV_FILE: os.devnull, **variables},
        cwd=home,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/health", timeout=120, trust_env=False).is_success
    except httpx.ConnectError:
        return False


def asked_with(secret: str, url: str) -> None:
    """Ask for pages, for what is not there and for a socket, with this in the query of the address."""
    for path in ("/sign-in", "/sign-in/oidc/callback", "/api/v1/entries", "/not/there", "/"):
        httpx.get(f"{url}{path}", params={"code": secret, "next": f"/{secret}"}, timeout=120, trust_env=False)
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    upgrade["sec-websocket-key"] = "x" * 24
    httpx.get(
        f"{url}/_nicegui_ws/socket.io/", params={"client_id": secret}, headers=upgrade, timeout=120, trust_env=False
    )


def test_it_serves_where_the_settings_say_until_it_is_stopped_and_logs_no_query(
    endpoint: DatabaseEndpoint, database: Database, tmp_path: Path
):
    with create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    variables = {"ZK_DATABASE_URL": endpoint.url(), "ZK_ENCRYPTION_KEY": generate_key(), "ZK_WEB_PORT": str(port)}
    with start(tmp_path, **variables) as process:
        try:
            assert wait_until(lambda: is_healthy(f"http://127.0.0.1:{port}") or process.poll() is not None, 90)
            assert process.poll() is None
            asked_with("the-code-of-a-sign-in", f"http://127.0.0.1:{port}")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(90) in {0, -signal.SIGTERM}
        assert process.stderr is not None
        assert "the-code-of-a-sign-in" not in process.stderr.read()


def test_without_a_database_it_ends_with_one_sentence(tmp_path: Path):
    with start(tmp_path) as process:
        assert process.wait(90) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "There is no database. Start everything with `zk up`, or set ZK_DATABASE_URL.\n"


ADMIN = {"ZK_ADMIN_EMAIL": "ops@example.com", "ZK_ADMIN_PASSWORD": "correct horse battery"}


def served(endpoint: DatabaseEndpoint, home: Path, **variables: str) -> str:
    """What the web app says when it ends: by itself, or stopped after it served."""
    with create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    given = {"ZK_DATABASE_URL": endpoint.url(), "ZK_ENCRYPTION_KEY": generate_key(), "ZK_WEB_PORT": str(port)}
    with start(home, **given, **variables) as process:
        wait_until(lambda: is_healthy(f"http://127.0.0.1:{port}") or process.poll() is not None, 90)
        process.send_signal(signal.SIGTERM)
        process.wait(90)
        assert process.stderr is not None
        return process.stderr.read()


def test_the_first_admin_comes_from_the_environment_once(
    endpoint: DatabaseEndpoint, database: Database, tmp_path: Path
):
    for _ in range(2):
        served(endpoint, tmp_path, **ADMIN)
    with database.transaction() as connection:
        users = connection.execute(text("SELECT email, role FROM sync.users")).all()
        actors = connection.execute(text("SELECT actor FROM sync.audit_logs WHERE event = 'user.created'")).scalars()
        assert (users, list(actors)) == ([("ops@example.com", "admin")], ["environment"])


def test_there_is_no_default_password(endpoint: DatabaseEndpoint, database: Database, tmp_path: Path):
    told = served(endpoint, tmp_path, ZK_ADMIN_EMAIL="ops@example.com")
    assert (
        "ZK_ADMIN_EMAIL and ZK_ADMIN_PASSWORD make no admin. Choose a password of 12 to 200 characters: this one has 0."
        in told
    )
