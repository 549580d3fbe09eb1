"""The doctor's rules on given facts: clocks, zones, secrets and webhook answers."""

import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.domain.records import TargetUser
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.observe.doctor import settings, systems
from zk_pipeline.observe.doctor import settings as webhook
from zk_pipeline.runtime.settings import Settings

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HEADER = "Sun, 01 Mar 2026 12:00:00 GMT"


def user(number: int, timezone: str) -> TargetUser:
    return TargetUser(number, f"user{number}", None, f"User {number}", enabled=True, timezone=timezone)


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0, Level.PASS), (5, Level.PASS), (-5, Level.PASS), (6, Level.WARN), (-60, Level.WARN), (61, Level.FAIL)],
)
def test_a_clock_is_judged_by_how_far_it_is_off(seconds: int, level: Level):
    assert systems.judge("Kimai", timedelta(seconds=seconds)).level is level


@pytest.mark.parametrize(("seconds", "words"), [(90, "90 s ahead of ours"), (-90, "90 s behind ours")])
def test_the_direction_is_told(seconds: int, words: str):
    assert words in systems.judge("Kimai", timedelta(seconds=seconds)).text


def test_the_middle_of_the_request_is_compared_with_the_middle_of_the_headers_second():
    skew = systems.header_skew(HEADER, NOW - timedelta(seconds=2), NOW + timedelta(seconds=3))
    assert skew == timedelta(0)


@pytest.mark.parametrize("header", ["", "yesterday", "2026-03-01T12:00:00Z"])
def test_an_unreadable_date_is_no_skew(header: str):
    assert systems.header_skew(header, NOW, NOW) is None
    assert systems.judge("Zammad", None).level is Level.PASS


def test_a_web_server_whose_clock_is_two_minutes_slow_fails():
    class Slow(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) - 120)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the tests' output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        skew = systems.server_skew(Endpoint("zammad", f"http://127.0.0.1:{server.server_port}", "token"))
        server.shutdown()
    finding = systems.judge("Zammad", skew)
    assert finding.level is Level.FAIL
    assert "behind ours" in finding.text


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("Europe/Berlin", "Europe/Vienna", True),
        ("UTC", "Etc/UTC", True),
        ("Europe/Berlin", "UTC", False),
        ("Africa/Lagos", "Europe/Berlin", False),  # One hour in winter, two in summer.
        ("No/Where", "No/Where", True),
        ("No/Where", "UTC", False),
    ],
)
def test_zones_agree_when_their_clocks_do_all_year(one: str, other: str, agree: bool):
    assert systems.zones_agree(one, other, NOW) is agree


def test_users_elsewhere_are_named_by_zone():
    users = [user(1, "Europe/Berlin"), user(3, "America/New_York"), user(2, "America/New_York"), user(4, "Asia/Tokyo")]
    assert systems.users_elsewhere("Europe/Vienna", users, NOW) == {
        "America/New_York": ["User 2", "User 3"],
        "Asia/Tokyo": ["User 4"],
    }


@pytest.mark.parametrize(
    ("secret", "level"), [("changeme", Level.FAIL), ("Secret", Level.FAIL), ("short-but-own", Level.WARN)]
)
def test_weak_secrets_are_found_and_not_told(secret: str, level: Level):
    finding = settings.judge_secret("ZK_WEBHOOK_SECRET", secret, settings.SHORTEST_SECRET)
    assert finding is not None
    assert finding.level is level
    assert secret not in finding.text + finding.remedy.replace("import secrets", "")


def test_a_long_secret_is_good():
    assert settings.judge_secret("ZK_WEBHOOK_SECRET", "q7Jx0mCkP3vRt9Zs", 16) is None


@pytest.mark.parametrize(
    ("host", "there"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("zk.lan", "zk.lan")]
)
def test_a_server_that_listens_everywhere_is_reached_on_this_machine(host: str, there: str):
    settings = Settings(_env_file=None, web_host=host, web_port=8123)  # pyright: ignore[reportCallIssue]
    assert webhook.address(settings, "zammad") == f"http://{there}:8123/api/v1/webhooks/zammad"


@pytest.mark.parametrize(
    ("status", "headers", "stored", "level", "words"),
    [
        (202, {}, True, Level.PASS, "was stored"),
        (202, {}, False, Level.FAIL, "not in our database"),
        (401, {}, False, Level.FAIL, "refused our signature"),
        (404, {}, False, Level.FAIL, "answered 404"),
        (429, {"Retry-After": "1"}, False, Level.WARN, "limiting deliveries"),
        (503, {}, False, Level.FAIL, "without a secret"),
        (503, {"Retry-After": "5"}, False, Level.FAIL, "could not store"),
    ],
)
def test_each_answer_to_the_delivery_has_its_meaning(
    status: int, headers: dict[str, str], stored: bool, level: Level, words: str
):
    finding = webhook.judge_answer("http://zk.lan", httpx.Response(status, headers=headers), stored=stored)
    assert finding.level is level
    assert words in finding.text
    assert bool(finding.remedy) is (level is not Level.PASS)
