"""Health is told to everybody, costs nothing, and gives nothing away; only the database makes the app unavailable.

What makes each sign fail is tested by causing it, in defs/test_vital_signs.py.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from zk_pipeline.observe import measurements
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import request_log
from zk_pipeline.store.database import Database
from zk_pipeline.web import health
from zk_pipeline_tests.web.conftest import Web, web_app

OURS = {"database", "disk", "day_requests", "webhooks", "sync", "zammad", "kimai"}
READ = (
    "INSERT INTO sync.sweeps (connector, subject, window_start, window_end, run_id, complete, ended_at) "
    "VALUES (:name, 't', now(), now(), 'r', :complete, now() - CAST(:ago AS interval))"
)


def signs(web: Web) -> dict[str, Any]:
    """All signs once each was measured."""

    def found() -> dict[str, Any]:
        return web.client.get(health.PATH).json()["signs"]

    assert wait_until(lambda: all(sign["age_seconds"] is not None for sign in found().values()), 90)
    return found()


def read(database: Database, name: str, ago: str, *, complete: bool = True) -> None:
    with database.transaction() as connection:
        connection.execute(text(READ), {"name": name, "ago": ago, "complete": complete})


def test_supervisors_find_status_database_and_every_sign(web: Web) -> None:
    assert web.client.get(health.PATH).status_code == 200
    found = signs(web)
    assert set(found) == OURS
    assert all(set(sign) == {"status", "age_seconds", "text", "remedy"} for sign in found.values())
    told = web.client.get(health.PATH).json()
    assert (told["status"], told["database"]) == ("warn", "ok"), "nothing was read yet"


def test_the_figures_do_not_wait_for_callers(web: Web) -> None:
    signs(web)
    assert web.client.get(health.PATH).json()["signs"]["database"]["age_seconds"] < 10


def test_a_dagster_whose_database_does_not_answer_gives_nothing_away(database: Database) -> None:
    nowhere = "postgresql+psycopg2://zk:secret@127.0.0.1:1/dagster"
    given: dict[str, Any] = {"_env_file": None, "dagster_url": nowhere}
    with web_app(database, Settings(**given)) as web:
        assert wait_until(lambda: web.client.get(health.PATH).json()["signs"]["daemons"]["status"] == "fail", 90)
        answer = web.client.get(health.PATH)
    assert answer.status_code == 200
    assert "127.0.0.1" not in answer.text
    assert "secret" not in answer.text


def test_the_systems_are_as_old_as_our_last_good_read_of_them(database: Database, settings: Settings) -> None:
    read(database, "kimai", "9 hours")
    read(database, "kimai", "1 second", complete=False)
    read(database, "zammad", "30 seconds")
    with web_app(database, settings) as web:
        found = signs(web)
    assert (found["zammad"]["status"], found["zammad"]["text"][:11]) == ("ok", "It was read")
    assert (found["kimai"]["status"], found["kimai"]["text"]) == ("fail", "It was not read with success for 9 h.")


def test_a_rarely_polled_target_may_be_older(database: Database) -> None:
    given: dict[str, Any] = {"_env_file": None, "kimai_poll_seconds": 4 * 3600}
    read(database, "kimai", "9 hours")
    with web_app(database, Settings(**given)) as web:
        assert signs(web)["kimai"]["status"] == "ok"


NOTED = {
    "away": (timedelta(minutes=3), timedelta(minutes=1), False, "fail"),
    "away for seconds": (timedelta(seconds=5), timedelta(seconds=1), False, "warn"),
    "refused for seconds": (timedelta(seconds=5), timedelta(seconds=1), True, "fail"),
    "with another token": (timedelta(hours=3), timedelta(hours=2), True, "ok"),
}


@pytest.mark.parametrize(("began", "last", "refused", "status"), NOTED.values(), ids=NOTED)
def test_a_system_that_fails_is_told_until_it_answers_or_has_another_token(
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    began: timedelta,
    last: timedelta,
    refused: bool,
    status: str,
) -> None:
    monkeypatch.setattr(measurements, "SECONDS_BETWEEN_MEASUREMENTS", 0.2)
    problem, now = "https://kimai.example.com answered 503.", datetime.now(UTC)
    read(database, "kimai", "1 second")
    with database.transaction() as connection:
        connection.execute(text("UPDATE sync.connectors SET updated_at = now() - interval '1 hour'"))
        for ago in (began, last):
            request_log.note_failure(connection, "kimai", now - ago, problem, None, refused=refused)
    with web_app(database, settings) as web:
        assert signs(web)["kimai"]["status"] == status
        assert "kimai.example.com" not in web.client.get(health.PATH).text
        with database.transaction() as connection:
            request_log.note_success(connection, "kimai", now)
        assert wait_until(lambda: signs(web)["kimai"]["status"] == "ok", 90)


def test_what_was_never_read_is_told_as_such(web: Web) -> None:
    assert (signs(web)["kimai"]["status"], signs(web)["kimai"]["text"]) == ("warn", "It was not read yet.")
