"""The HTTP client: what is sent again and what never is, and what each kind of bad answer is called."""

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from zk_pipeline.connectors.answer import Call
from zk_pipeline.connectors.contract import Endpoint, RequestCounts
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolError,
    RateLimitedError,
    UnavailableError,
    ValidationFailedError,
)
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline_tests.connectors.conftest import Pauses, controlled
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.server import ServerThread

TOKEN = "secret-token-42"
THING = "/api/thing"


class PlainDialect:
    """A system that says what it does not like in the field `why`."""

    product = "Thing"

    def authorization(self, token: str) -> str:
        return f"Bearer {token}"

    def refusal(self, call: Call, status: int, data: Any, _headers: Mapping[str, str]) -> ConnectorError:
        if status == 401:
            return call.error(AuthenticationError, str(data), status=status)
        return call.error(ValidationFailedError, str(data), status=status, fields={"": (str(data),)})

    def distrust(self, headers: Mapping[str, str]) -> str | None:
        return "The token is dead: a visitor was answered." if headers.get("X-Visitor") == "yes" else None


@dataclass
class Echo:
    """A server that keeps the headers of what it received."""

    received: list[dict[str, str]] = field(default_factory=list)

    def app(self) -> ASGIApp:
        async def thing(request: Request) -> Response:
            self.received.append(dict(request.headers))
            if request.method == "DELETE":
                return Response(status_code=204)
            return JSONResponse({"method": request.method, "rows": list(range(50))})

        return Starlette(routes=[Route(THING, thing, methods=["GET", "POST", "PUT", "DELETE"])])

    def snapshot(self) -> dict[str, Any]:
        return {}

    def restore(self, _snapshot: dict[str, Any]) -> None:
        self.received.clear()

    def configure(self, _settings: dict[str, Any]) -> None:
        raise ValueError("There are no settings.")


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Echo, str]]:
    echo = Echo()
    with ServerThread(with_control(echo)) as server:
        yield echo, server.url


@pytest.fixture
def echo(service: tuple[Echo, str]) -> Echo:
    service[0].received.clear()
    return service[0]


@pytest.fixture
def control(service: tuple[Echo, str]) -> Iterator[SandboxControl]:
    yield from controlled(service[1])


Make = Callable[..., HttpClient]


@pytest.fixture
def make(service: tuple[Echo, str], pauses: Pauses) -> Iterator[Make]:
    made: list[HttpClient] = []

    def make_client(sleep: Callable[[float], None] = pauses, **settings: Any) -> HttpClient:
        endpoint = Endpoint(**({"name": "thing", "base_url": service[1], "token": TOKEN} | settings))
        made.append(HttpClient(endpoint, PlainDialect(), sleep=sleep))
        return made[-1]

    yield make_client
    for client in made:
        client.close()


@pytest.fixture
def client(make: Make) -> HttpClient:
    return make()


def test_a_read_sends_the_token_asks_for_json_and_gives_it(client: HttpClient, echo: Echo) -> None:
    assert client.get(THING).data["method"] == "GET"
    assert echo.received[0]["authorization"] == f"Bearer {TOKEN}"
    assert echo.received[0]["accept"] == "application/json"


def test_an_answer_without_body_has_no_data(client: HttpClient) -> None:
    assert client.write("DELETE", THING).data is None


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_read_is_repeated_when_its_answer_was_lost(client: HttpClient, control: SandboxControl, kind: str) -> None:
    control.add_fault(kind, path=THING, times=1)
    assert client.get(THING).status == 200
    assert control.requests().reads == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_read_is_repeated_while_the_server_fails(
    client: HttpClient, control: SandboxControl, pauses: Pauses, status: int
) -> None:
    control.add_fault("respond", path=THING, status=status, times=2)
    assert client.get(THING).status == 200
    first, second = pauses.seconds
    assert 0.25 <= first <= 0.75
    assert 0.5 <= second <= 1.5


def test_the_last_failure_is_told_when_all_attempts_fail(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("html", path=THING, status=502)
    with pytest.raises(UnavailableError) as caught:
        client.get(THING)
    assert control.requests().reads == 3
    assert (caught.value.method, caught.value.path, caught.value.status) == ("GET", THING, 502)
    assert caught.value.remedy
    assert not caught.value.outcome_unknown


def test_a_single_attempt_is_not_repeated(make: Make, control: SandboxControl) -> None:
    control.add_fault("respond", path=THING, status=500, times=1)
    with pytest.raises(UnavailableError):
        make(attempts=1).get(THING)
    assert control.requests().reads == 1


def test_a_slow_read_ends_at_the_time_limit(make: Make, control: SandboxControl) -> None:
    control.add_fault("delay", path=THING, seconds=30)
    with pytest.raises(UnavailableError, match="within the time limit"):
        make(timeout_seconds=0.2, attempts=2).get(THING)
    assert control.requests().reads == 2


def test_retry_after_in_seconds_is_waited_for(client: HttpClient, control: SandboxControl, pauses: Pauses) -> None:
    control.add_fault("respond", path=THING, status=429, headers={"Retry-After": "7"}, times=1)
    client.get(THING)
    assert pauses.seconds == [7.0]


def test_retry_after_as_a_date_is_waited_for(client: HttpClient, control: SandboxControl, pauses: Pauses) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    control.add_fault("respond", path=THING, status=503, headers={"Retry-After": moment}, times=1)
    client.get(THING)
    assert 15 < pauses.seconds[0] <= 20


def test_a_retry_after_of_more_than_a_minute_is_not_waited_for_in_place(
    client: HttpClient, control: SandboxControl, pauses: Pauses
) -> None:
    control.add_fault("respond", path=THING, status=429, headers={"Retry-After": "600"}, times=1)
    with pytest.raises(RateLimitedError) as caught:
        client.get(THING)
    assert (caught.value.retry_after, pauses.seconds) == (600.0, [])
    assert client.system_state is not None
    assert client.system_state.wait == 600.0


STANDINGS = {
    "read 500": ("GET", {"kind": "respond", "status": 500}, False),
    "read 503 with a time": ("GET", {"kind": "respond", "status": 503, "headers": {"Retry-After": "9"}}, False),
    "read lost": ("GET", {"kind": "drop_before"}, False),
    "a page of a proxy": ("GET", {"kind": "html", "status": 200}, False),
    "refused": ("GET", {"kind": "respond", "status": 404}, True),
    "a token that is refused": ("GET", {"kind": "respond", "status": 401}, False),
    "a token that is refused at a write": ("POST", {"kind": "respond", "status": 401}, False),
    "write 429": ("POST", {"kind": "respond", "status": 429}, False),
    "write refused": ("POST", {"kind": "respond", "status": 400}, True),
    "write 500, perhaps its own fault": ("POST", {"kind": "respond", "status": 500}, True),
}


@pytest.mark.parametrize(("method", "fault", "answers"), STANDINGS.values(), ids=STANDINGS)
def test_the_last_request_tells_whether_the_system_answers(
    make: Make, control: SandboxControl, method: str, fault: dict[str, Any], *, answers: bool
) -> None:
    client = make(attempts=1)
    client.get(THING)
    control.add_fault(**fault, path=THING, times=1)
    with pytest.raises(ConnectorError):
        client.write(method, THING, {}) if method == "POST" else client.get(THING)
    assert client.system_state is not None
    assert (client.system_state.problem == "") is answers
    assert client.system_state.refused is (fault.get("status") == 401)
    client.get(THING)
    assert client.system_state.problem == ""


@pytest.mark.parametrize("status", [200, 400, 404, 503])
def test_an_answer_to_somebody_else_is_no_answer_whatever_its_status(
    client: HttpClient, control: SandboxControl, pauses: Pauses, status: int
) -> None:
    control.add_fault("respond", path=THING, status=status, headers={"X-Visitor": "yes"}, text="[]")
    with pytest.raises(AuthenticationError, match="a visitor was answered") as caught:
        client.get(THING)
    assert (caught.value.status, caught.value.outcome_unknown, pauses.seconds) == (status, False, [])
    assert "new token" in caught.value.remedy
    assert client.system_state is not None
    assert client.system_state.refused


def test_a_write_that_somebody_else_was_answered_may_have_taken_effect(
    client: HttpClient, control: SandboxControl
) -> None:
    control.add_fault("respond", path=THING, status=200, headers={"X-Visitor": "yes"}, text="{}")
    with pytest.raises(AuthenticationError) as caught:
        client.write("POST", THING, {})
    assert caught.value.outcome_unknown


def test_an_unreadable_retry_after_is_as_good_as_none(
    client: HttpClient, control: SandboxControl, pauses: Pauses
) -> None:
    control.add_fault("respond", path=THING, status=429, headers={"Retry-After": "soon"}, times=1)
    client.get(THING)
    assert pauses.seconds[0] < 1


def test_a_limit_that_lasts_tells_how_long_to_wait(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("respond", path=THING, status=429, headers={"Retry-After": "30"})
    with pytest.raises(RateLimitedError) as caught:
        client.get(THING)
    assert caught.value.retry_after == 30.0


LOST = [
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "delay", "seconds": 30},
    {"kind": "respond", "status": 500},
    {"kind": "respond", "status": 503, "headers": {"Retry-After": "1"}},
    {"kind": "respond", "status": 200, "text": ""},
    {"kind": "html", "status": 502},
    {"kind": "html", "status": 200},
    {"kind": "truncate"},
]


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}")
def test_a_write_without_a_good_answer_is_sent_once_and_its_outcome_is_unknown(
    make: Make, control: SandboxControl, fault: dict[str, Any]
) -> None:
    control.add_fault(**fault, path=THING)
    with pytest.raises(ConnectorError) as caught:
        make(timeout_seconds=0.3).write("POST", THING, {"a": 1}).row("thing")
    assert caught.value.outcome_unknown
    assert control.requests().writes == 1


def test_a_refused_write_has_a_known_outcome(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("respond", path=THING, status=400, text='{"why": "no"}', times=1)
    with pytest.raises(ValidationFailedError) as caught:
        client.write("POST", THING, {"a": 1})
    assert not caught.value.outcome_unknown


def test_a_write_is_sent_again_after_429_which_had_no_effect(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("respond", path=THING, status=429, times=1)
    assert client.write("POST", THING, {"a": 1}).data["method"] == "POST"
    assert control.requests().writes == 2


def test_a_write_whose_connection_was_refused_is_sent_again(make: Make, echo: Echo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = ServerThread(echo.app(), port)

    def come_up(_seconds: float) -> None:
        server.__enter__()

    client = make(sleep=come_up, base_url=f"http://127.0.0.1:{port}")
    try:
        assert client.write("POST", THING, {"a": 1}).data["method"] == "POST"
    finally:
        server.__exit__(None, None, None)
    assert client.requests == RequestCounts(reads=0, writes=2)


def test_a_write_that_never_found_a_server_has_a_known_outcome(make: Make) -> None:
    with pytest.raises(UnavailableError, match="No connection") as caught:
        make(base_url="http://127.0.0.1:9").write("POST", THING, {"a": 1})
    assert not caught.value.outcome_unknown


def test_a_repeatable_write_is_repeated(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("drop_after", path=THING, times=1)
    assert client.write("PUT", THING, {"a": 1}, repeatable=True).data["method"] == "PUT"
    assert control.requests().writes == 2


def test_a_refusal_after_a_lost_answer_leaves_the_outcome_unknown(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("drop_after", path=THING, times=1)
    control.add_fault("respond", path=THING, status=400, text='{"why": "no"}', times=1)
    with pytest.raises(ValidationFailedError) as caught:
        client.write("PUT", THING, {"a": 1}, repeatable=True)
    assert caught.value.outcome_unknown


def test_a_read_that_is_sent_as_post_is_repeated_and_counts_as_a_read(
    client: HttpClient, control: SandboxControl
) -> None:
    control.add_fault("respond", path=THING, status=500, times=1)
    client.search(THING, {"query": "x"})
    assert client.requests == RequestCounts(reads=2, writes=0)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_does_not_travel(
    client: HttpClient, control: SandboxControl, status: int
) -> None:
    other = Echo()
    with ServerThread(other.app()) as elsewhere:
        control.add_fault(
            "respond", path=THING, status=status, headers={"Location": f"{elsewhere.url}{THING}?key=hidden"}
        )
        with pytest.raises(ProtocolError, match=r"redirected to http://127\.0\.0\.1") as caught:
            client.get(THING)
    assert other.received == []
    assert "base URL" in caught.value.remedy
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"kind": "html", "status": 200}, "text/html"),
        ({"kind": "truncate"}, "cut off"),
        ({"kind": "respond", "status": 200, "text": "ok", "headers": {"Content-Type": "text/plain"}}, "text/plain"),
    ],
)
def test_an_answer_that_is_no_json_is_a_protocol_error_at_once(
    client: HttpClient, control: SandboxControl, fault: dict[str, Any], problem: str
) -> None:
    control.add_fault(**fault, path=THING)
    with pytest.raises(ProtocolError, match=problem):
        client.get(THING)
    assert control.requests().reads == 1


def test_a_body_in_a_broken_encoding_is_a_protocol_error(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault(
        "respond", path=THING, status=200, text="no gzip at all", headers={"Content-Encoding": "gzip"}, times=1
    )
    with pytest.raises(ProtocolError, match="cannot be decoded"):
        client.get(THING)


def test_tls_on_a_plain_server_is_told_and_not_repeated(make: Make, service: tuple[Echo, str], pauses: Pauses) -> None:
    client = make(base_url=service[1].replace("http:", "https:"))
    with pytest.raises(UnavailableError, match="No secure connection"):
        client.get(THING)
    assert pauses.seconds == []


def test_counts_hold_with_many_threads(client: HttpClient, control: SandboxControl) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.get(THING), range(100)))
        list(pool.map(lambda _: client.write("POST", THING, {}), range(50)))
    assert client.requests == RequestCounts(reads=100, writes=50)
    assert (control.requests().reads, control.requests().writes) == (100, 50)


def test_a_token_that_the_server_quotes_is_masked(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("respond", path=THING, status=400, text=f'{{"why": "{TOKEN} is bad"}}', times=1)
    with pytest.raises(ValidationFailedError) as caught:
        client.get(THING)
    assert TOKEN not in f"{caught.value} {caught.value!r} {caught.value.fields}"
    assert "*** is bad" in str(caught.value)


def test_neither_logs_nor_errors_hold_token_query_or_body(
    client: HttpClient, control: SandboxControl, caplog: pytest.LogCaptureFixture
) -> None:
    control.add_fault("respond", path=THING, status=500)
    with caplog.at_level(logging.INFO), pytest.raises(UnavailableError) as first:
        client.get(THING, {"term": "private-term"})
    with caplog.at_level(logging.INFO), pytest.raises(UnavailableError) as second:
        client.write("PUT", THING, {"note": "private-note"}, repeatable=True)
    shown = f"{caplog.text} {first.value} {second.value}"
    assert "Attempt 1 of 3" in caplog.text
    assert not any(secret in shown for secret in (TOKEN, "private-term", "private-note"))


def test_errors_name_the_connector_when_it_has_a_name_of_its_own(make: Make, control: SandboxControl) -> None:
    control.add_fault("respond", path=THING, status=500, times=1)
    with pytest.raises(UnavailableError, match=r"^Thing \(branch\): GET /api/thing answered 500: "):
        make(name="branch", attempts=1).get(THING)
