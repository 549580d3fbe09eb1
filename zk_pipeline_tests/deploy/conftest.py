"""One running stack for all tests of the deployment."""

from collections.abc import Iterator

import psycopg
import pytest

from zk_pipeline.runtime.embedded import DatabaseEndpoint, embedded_server
from zk_pipeline.store.encryption import generate_key
from zk_pipeline_tests.deploy.proxy import nginx
from zk_pipeline_tests.deploy.stack import Stack, running
from zk_pipeline_tests.roles import addresses, make_roles


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The processes of docker-compose.yml behind nginx, started on an empty volume."""
    nginx()
    folder = tmp_path_factory.mktemp("stack")
    with embedded_server(folder / "server") as server:
        without_dagsters_database(server)
        database = {**two_roles(server), "ZK_ENCRYPTION_KEY": generate_key()}
        with running(folder, database) as started:
            yield started


def two_roles(server: DatabaseEndpoint) -> dict[str, str]:
    """The addresses of both databases after the script that compose runs on an empty volume, and people in upgrades."""
    made = make_roles(server)
    assert (made.returncode, made.stderr) == (0, "")
    return addresses(server)


def without_dagsters_database(server: DatabaseEndpoint) -> None:
    """Leave what PostgreSQL's image makes on an empty volume: our database, and none for Dagster."""
    with psycopg.connect(**server.parameters(), autocommit=True) as connection:
        connection.execute("DROP DATABASE dagster")
