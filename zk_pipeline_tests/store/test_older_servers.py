"""Backups of, and restores into, servers of other versions than the client that comes with the product."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from zk_pipeline.recovery import dumps
from zk_pipeline.recovery.databases import BackupError, verification_database
from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.store import schema
from zk_pipeline.store.database import Database
from zk_pipeline.store.schema import SchemaError, migrate
from zk_pipeline_tests.databases import TRAIL_KEYS

KEY = secrets.token_bytes(32)
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@pytest.fixture(scope="module")
def system_server() -> Iterator[str]:
    """The address of a server of the system's own PostgreSQL, in the oldest version that is installed."""
    if not INSTALLED:
        if os.environ.get("CI"):
            pytest.fail("Install postgresql.")
        pytest.skip("The system has no PostgreSQL server")
    programs = INSTALLED[0].parent
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    data = Path(tempfile.mkdtemp(prefix="zk-system-"))
    os.chown(data, account.pw_uid, account.pw_gid)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, "-D", data / "data", *arguments],
            check=True,
            capture_output=True,
            cwd=data,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
        )

    run("initdb", "--username=zk", "--auth=trust", "--no-sync", "--encoding=UTF8")
    run("pg_ctl", "start", "-w", "-l", str(data / "log"), "-o", f"-k {data} -c listen_addresses= -c fsync=off")
    try:
        yield f"postgresql+psycopg://zk@/postgres?host={data}"
    finally:
        run("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(data)


def new_database(url: str, name: str) -> str:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def fill(url: str) -> None:
    with closing(Database(url, TRAIL_KEYS)) as database:
        migrate(database)
        with database.transaction() as connection:
            connection.exec_driver_sql("INSERT INTO sync.day_requests (day, reason) VALUES ('2025-10-06', 'sync')")


def days(url: str) -> list[str]:
    with closing(Database(url, TRAIL_KEYS)) as database, database.transaction() as connection:
        return list(connection.exec_driver_sql("SELECT day::text FROM sync.day_requests").scalars())


def nothing(_manifest: dumps.BackupManifest, _databases: Mapping[str, str]) -> None:
    """Nothing is left to do once they are loaded."""


@pytest.mark.parametrize(("origin", "target"), [("system", "system"), ("bundled", "system"), ("system", "bundled")])
def test_a_backup_is_restored_across_versions(
    system_server: str, endpoint: DatabaseEndpoint, tmp_path: Path, origin: str, target: str
) -> None:
    servers = {"system": system_server, "bundled": endpoint.url("postgres")}
    begun, restored = new_database(servers[origin], "zk_origin"), new_database(servers[target], "zk_target")
    fill(begun)
    backup = dumps.back_up({"zk": begun}, tmp_path, KEY, {}, {})
    with verification_database(begun) as scratch:
        dumps.load(backup, [KEY], {"zk": scratch})
        assert days(scratch) == ["2025-10-06"]
    dumps.restore(backup, [KEY], {"zk": restored}, nothing)
    assert days(restored) == ["2025-10-06"]


def test_a_server_that_is_too_old_is_refused_at_the_start(system_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "OLDEST_SERVER", 99)
    with pytest.raises(SchemaError, match="Upgrade the server in ZK_DATABASE_URL to PostgreSQL 99 or newer"):
        fill(new_database(system_server, "zk_old"))


def test_a_dump_that_fails_for_another_reason_is_refused(system_server: str, tmp_path: Path) -> None:
    """Such as one that is loaded where its tables stand already."""
    begun = new_database(system_server, "zk_origin")
    fill(begun)
    backup = dumps.back_up({"zk": begun}, tmp_path, KEY, {}, {})
    with pytest.raises(BackupError, match=r"pg_restore failed on the database zk_origin: .*already exists"):
        dumps.load(backup, [KEY], {"zk": begun})
