"""Health is told to everybody, costs little, and gives nothing away; only the database makes it unavailable."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zk_pipeline.sandbox.server import ServerThread
from zk_pipeline.settings import Settings
from zk_pipeline.store import refusals
from zk_pipeline.store.database import Database
from zk_pipeline.web import health
from zk_pipeline.web.remembered import Remembered
from zk_pipeline_tests.web.conftest import Web, web_app

PATH = "/api/health"


class DagsterWeb:
    """Answers Dagster's question for its daemons as the real web server does, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.heard = threading.Event()
        self.daemons: list[dict[str, Any]] = []

    def beats(self, seconds: float, *, healthy: bool = True, required: bool = True) -> None:
        """A daemon whose last sign of life is from this instant."""
        row = {"daemonType": "SENSOR", "required": required, "healthy": healthy, "lastHeartbeatTime": seconds}
        self.daemons.append(row)

    def app(self) -> Starlette:
        def answer(request: Request) -> Response:
            del request
            self.asked += 1
            self.heard.set()
            return JSONResponse({"data": {"instance": {"daemonHealth": {"allDaemonStatuses": self.daemons}}}})

        return Starlette(routes=[Route("/graphql", answer, methods=["POST"])])


@pytest.fixture
def dagster() -> DagsterWeb:
    return DagsterWeb()


@pytest.fixture
def watched(database: Database, settings: Settings, dagster: DagsterWeb) -> Iterator[Web]:
    """The web app beside a Dagster."""
    with ServerThread(dagster.app()) as server:
        beside = settings.model_copy(update={"dagster_address": server.url})
        with web_app(database, beside) as web:
            yield web


def parts(web: Web) -> dict[str, Any]:
    return web.client.get(PATH).json()["parts"]


def known(web: Web, part: str) -> dict[str, Any]:
    """A part once it was asked for in the background."""
    for _ in range(200):
        found = parts(web)[part]
        if found["text"] != health.UNKNOWN.text:
            return found
        threading.Event().wait(0.05)
    raise AssertionError(f"{part} was never asked.")


def test_supervisors_find_status_and_database_where_they_always_were(web: Web) -> None:
    answer = web.client.get(PATH)
    found = answer.json()
    assert (answer.status_code, found["status"], found["database"]) == (200, "ok", "ok")
    assert set(found["parts"]) == {"database", "dagster", "zammad", "kimai"}
    assert all(set(part) == {"status", "age_seconds", "text"} for part in found["parts"].values())


def test_dagster_is_as_old_as_its_oldest_daemon(watched: Web, dagster: DagsterWeb, database: Database) -> None:
    with database.transaction() as connection:
        now = connection.execute(text("SELECT EXTRACT(EPOCH FROM now())::float8")).scalar_one()
    dagster.beats(now - 5)
    dagster.beats(now - 40)
    dagster.beats(now - 9000, required=False)
    found = known(watched, "dagster")
    assert found["status"] == "ok"
    assert 40 <= found["age_seconds"] < 60


def test_a_daemon_without_a_sign_of_life_is_told_and_the_app_stays_available(watched: Web, dagster: DagsterWeb) -> None:
    dagster.beats(1_700_000_000, healthy=False)
    assert known(watched, "dagster")["status"] == "unavailable"
    assert watched.client.get(PATH).status_code == 200


def test_dagster_is_not_asked_by_every_call(watched: Web, dagster: DagsterWeb) -> None:
    for _ in range(20):
        watched.client.get(PATH)
    assert dagster.heard.wait(10)
    known(watched, "dagster")
    assert dagster.asked == 1


def test_a_dagster_that_does_not_answer_gives_nothing_away(database: Database, settings: Settings) -> None:
    nowhere = settings.model_copy(update={"dagster_address": "http://127.0.0.1:9"})
    with web_app(database, nowhere) as web:
        found = known(web, "dagster")
    assert found == {"status": "unavailable", "age_seconds": None, "text": "Dagster does not answer."}


def test_the_systems_are_as_old_as_our_last_good_read_of_them(web: Web, database: Database) -> None:
    sweep = "INSERT INTO sync.sweeps (connector, subject, window_start, window_end, run_id, complete, ended_at) VALUES "
    with database.transaction() as connection:
        connection.execute(text(sweep + "('kimai', 't', now(), now(), 'r', true, now() - interval '9 hours')"))
        connection.execute(text(sweep + "('kimai', 't', now(), now(), 'r', false, now())"))
        connection.execute(
            text(
                "INSERT INTO sync.cursors (connector, subject, value, updated_at) "
                "VALUES ('zammad', 'changes', '{}', now() - interval '30 seconds')"
            )
        )
    zammad, kimai = known(web, "zammad"), known(web, "kimai")
    assert (zammad["status"], 30 <= zammad["age_seconds"] < 60) == ("ok", True)
    assert (kimai["status"], kimai["age_seconds"] > 9 * 3600 - 1) == ("stale", True)


@pytest.mark.parametrize(("read", "status"), [("1 hour", "refused"), ("-1 second", "ok")])
def test_a_system_that_refuses_our_token_is_told_until_it_is_read_again(
    web: Web, database: Database, read: str, status: str
) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE sync.connectors SET updated_at = now() - interval '2 hours'"))
        refusals.note(connection, "kimai")
        statement = (
            "INSERT INTO sync.sweeps (connector, subject, window_start, window_end, run_id, complete, ended_at) "
            "VALUES ('kimai', 't', now(), now(), 'r', true, now() - CAST(:ago AS interval))"
        )
        connection.execute(text(statement), {"ago": read})
    assert known(web, "kimai")["status"] == status
    assert known(web, "zammad")["status"] == "unknown"


def test_what_was_never_read_is_unknown(web: Web) -> None:
    assert known(web, "kimai") == {"status": "unknown", "age_seconds": None, "text": "It was not read yet."}


def test_what_is_remembered_is_asked_once_however_many_want_to_know() -> None:
    asked: list[int] = []
    answered = threading.Event()

    def ask() -> int:
        asked.append(1)
        answered.wait(10)
        return 7

    remembered = Remembered(ask, 0, seconds=60)
    assert [remembered.value() for _ in range(10)] == [0] * 10
    answered.set()
    for thread in threading.enumerate():
        if thread.name == "remembered":
            thread.join(10)
    assert (remembered.value(), len(asked)) == (7, 1)
