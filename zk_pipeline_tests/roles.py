"""The two roles of a database server of one's own, made by the script of the deployment with PostgreSQL's own psql."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import make_url

from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.runtime.embedded_programs import program
from zk_pipeline.runtime.environment import PROJECT

SCRIPT = PROJECT / "deploy" / "database" / "roles.sql"
OWNER, APPLICATION = "zk_owner", "zk_app"
PASSWORDS = {"DATABASE_OWNER_PASSWORD": "owner's", "DATABASE_PASSWORD": "application's"}


def make_roles(
    server: DatabaseEndpoint, passwords: Mapping[str, str] = PASSWORDS, *, script: Path = SCRIPT
) -> subprocess.CompletedProcess[str]:
    """Run the script as the superuser of this server."""
    address = ["-h", server.host, "-p", str(server.port), "-U", server.user, "-d", "postgres"]
    return subprocess.run(
        [program("psql"), "--no-psqlrc", "--quiet", *address, "-f", script],
        env={"PATH": os.environ["PATH"], **passwords},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def address(url: str, role: str) -> str:
    """The same database by another role."""
    return make_url(url).set(username=role).render_as_string(hide_password=False)


def addresses(server: DatabaseEndpoint) -> dict[str, str]:
    """The variables of a process that migrates; all others get none of the owner's."""
    return {
        "ZK_DATABASE_URL": address(server.url(), APPLICATION),
        "ZK_DATABASE_OWNER_URL": address(server.url(), OWNER),
        "ZK_DAGSTER_URL": address(server.dagster_url(), APPLICATION),
    }
