"""What a listener hears of the requests: each attempt as it went, and no secret in any of them."""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.kimai.errors import KimaiDialect
from zk_pipeline.connectors.request_records import (
    DEEPEST_JSON,
    LONGEST_JSON,
    MASK,
    listening,
    masked,
    presentable,
    secrets_of,
)
from zk_pipeline.domain.requests import RequestRecord
from zk_pipeline_tests.connectors.conftest import Pauses, controlled
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.server import ServerThread

TOKEN = "token-of/the+tests"
THING = "/api/thing"


class Parrot:
    """A server that gives back what it was told, its caller's credentials included."""

    def app(self) -> ASGIApp:
        async def thing(request: Request) -> Response:
            told = await request.body()
            return JSONResponse({"told": json.loads(told or b"null"), "by": request.headers["Authorization"]})

        return Starlette(routes=[Route(THING, thing, methods=["GET", "POST", "PATCH"])])

    def snapshot(self) -> dict[str, Any]:
        return {}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Nothing is kept."""

    def configure(self, settings: dict[str, Any]) -> None:
        raise ValueError(f"There are no settings {list(settings)}.")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ServerThread(with_control(Parrot())) as server:
        yield server.url


@pytest.fixture
def control(url: str) -> Iterator[SandboxControl]:
    yield from controlled(url)


@pytest.fixture
def client(url: str, control: SandboxControl, pauses: Pauses) -> Iterator[HttpClient]:
    client = HttpClient(Endpoint("kimai", url, TOKEN, timeout_seconds=5), KimaiDialect(), sleep=pauses)
    yield client
    client.close()


def exchange(**fields: Any) -> RequestRecord:
    usual: dict[str, Any] = {"method": "POST", "path": THING, "asked": None, "status": 200, "answered": None}
    return RequestRecord(**(usual | {"error": "", "seconds": 0.1, "sent_at": datetime.now(UTC)} | fields))


def test_a_write_is_told_with_what_was_asked_and_answered(client: HttpClient) -> None:
    heard: list[RequestRecord] = []
    before = datetime.now(UTC)
    with listening(heard.append):
        client.write("POST", THING, {"user": 7})
    (told,) = heard
    assert (told.method, told.path, told.asked, told.status) == ("POST", THING, {"user": 7}, 200)
    assert (told.answered["told"], told.error) == ({"user": 7}, "")
    assert before <= told.sent_at <= before + timedelta(seconds=5)
    assert 0 < told.seconds < 5


def test_the_token_is_masked_wherever_it_stands(client: HttpClient) -> None:
    heard: list[RequestRecord] = []
    with listening(heard.append, in_doubt=True):
        client.write("POST", THING, {"text": f"It is {TOKEN}.", f"x{TOKEN}": 1, "list": [TOKEN]})
        client.get(THING, {"term": TOKEN})
    assert heard[0].asked == {"text": f"It is {MASK}.", f"x{MASK}": MASK, "list": [MASK]}
    assert heard[0].answered["by"] == f"Bearer {MASK}"
    assert heard[1].path == f"{THING}?term={MASK}"
    assert TOKEN not in repr(heard)


def test_a_token_that_a_refusal_quotes_is_masked(client: HttpClient, control: SandboxControl) -> None:
    quoted = json.dumps({"code": 400, "message": f"{TOKEN} is bad"}).replace("/", "\\/")
    control.add_fault("respond", path=THING, status=400, text=quoted)
    heard: list[RequestRecord] = []
    with listening(heard.append), pytest.raises(ConnectorError):
        client.write("POST", THING, {})
    assert (heard[0].status, heard[0].answered["message"]) == (400, f"{MASK} is bad")
    assert TOKEN not in repr(heard)


def test_reads_are_not_told_while_nothing_is_in_doubt(client: HttpClient) -> None:
    heard: list[RequestRecord] = []
    with listening(heard.append):
        client.get(THING)
        client.write("POST", THING, {})
        client.get(THING)
    assert [told.method for told in heard] == ["POST"]


def test_a_lost_answer_is_told_and_so_are_the_look_ups_after_it(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("drop_after", path=THING, times=1)
    heard: list[RequestRecord] = []
    with listening(heard.append):
        with pytest.raises(ConnectorError):
            client.write("POST", THING, {"a": 1})
        client.get(THING, {"term": "[zk-zammad-1]"})
    lost, look_up = heard
    assert (lost.status, lost.answered, lost.asked) == (None, None, {"a": 1})
    assert "The connection broke before the answer was complete." in lost.error
    assert (look_up.method, look_up.path, look_up.status) == ("GET", f"{THING}?term=[zk-zammad-1]", 200)


def test_every_attempt_of_a_repeated_write_is_told(client: HttpClient, control: SandboxControl) -> None:
    control.add_fault("respond", path=THING, status=503, text='{"message": "down"}', times=1)
    control.add_fault("respond", path=THING, status=429, times=1)
    heard: list[RequestRecord] = []
    with listening(heard.append):
        client.write("PATCH", THING, {"a": 1}, repeatable=True)
    assert [told.status for told in heard] == [503, 429, 200]
    assert [bool(told.error) for told in heard] == [True, True, False]
    assert [told.sent_at for told in heard] == sorted(told.sent_at for told in heard)


def test_nothing_is_told_of_what_other_threads_send(client: HttpClient) -> None:
    heard: dict[int, list[RequestRecord]] = {number: [] for number in range(20)}

    def send(number: int) -> None:
        with listening(heard[number].append):
            client.write("POST", THING, {"number": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, heard))
    assert {number: [told.asked for told in heard[number]] for number in heard} == {
        number: [{"number": number}] for number in heard
    }


def test_a_block_within_a_block_listens_alone(client: HttpClient) -> None:
    outer: list[RequestRecord] = []
    inner: list[RequestRecord] = []
    with listening(outer.append):
        with listening(inner.append):
            client.write("POST", THING, {"a": 1})
        client.write("POST", THING, {"a": 2})
    client.write("POST", THING, {"a": 3})
    assert ([told.asked for told in inner], [told.asked for told in outer]) == ([{"a": 1}], [{"a": 2}])


@pytest.mark.parametrize(
    "name", ["password", "plainPassword", "api_key", "apiToken", "Authorization", "client_secret", "Cookie"]
)
def test_what_is_named_like_a_secret_is_masked(name: str) -> None:
    told = presentable(exchange(answered=[{"user": {name: "abc", "id": 1}}]), (TOKEN,))
    assert told.answered == [{"user": {name: MASK, "id": 1}}]


def test_a_named_value_is_masked_by_its_name() -> None:
    fields = [{"name": "api_key", "value": "abc"}, {"name": "cost_center", "value": "4711"}]
    assert masked({"metaFields": fields}, (TOKEN,)) == {
        "metaFields": [{"name": "api_key", "value": MASK}, {"name": "cost_center", "value": "4711"}]
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc123def456", f"Authorization: Bearer {MASK}"),
        ("Token token=abcdef", f"Token token={MASK}"),
        ("Authorization: Basic emstdGVzdC1rZXk6WA==", f"Authorization: Basic {MASK}"),
        ("see https://paul:hidden@host/x", f"see https://{MASK}@host/x"),
        ("#50001 Basic maintenance, bearer responsibilities", "#50001 Basic maintenance, bearer responsibilities"),
        ("Password reset at https://host:8080/x", "Password reset at https://host:8080/x"),
    ],
)
def test_credentials_within_a_text_are_masked_and_other_words_stay(text: str, shown: str) -> None:
    assert masked({"description": text}, (TOKEN,)) == {"description": shown}


@pytest.mark.parametrize(
    ("token", "sent", "secrets"),
    [
        ("key-1", "Bearer key-1", ("key-1",)),
        ("key-1", "Basic a2V5LTE6WA==", ("a2V5LTE6WA==", "key-1")),
        (
            "ada@example.com:key-1",
            "Basic YWRhQGV4YW1wbGUuY29tOmtleS0x",
            ("YWRhQGV4YW1wbGUuY29tOmtleS0x", "ada@example.com:key-1", "key-1"),
        ),
    ],
)
def test_a_secret_is_masked_in_every_form_in_which_it_is_sent(token: str, sent: str, secrets: tuple[str, ...]) -> None:
    assert secrets_of(token, sent) == secrets
    for secret in secrets:
        assert masked({"said": f"by {secret}!"}, secrets_of(token, sent)) == {"said": f"by {MASK}!"}


def test_a_long_answer_is_cut_off_and_says_so() -> None:
    rows = ["ä" * 100] * 1000
    told = presentable(exchange(answered=rows), (TOKEN,)).answered
    size = len(json.dumps(rows, ensure_ascii=False).encode())
    assert told["cut_off"] == f"The first {LONGEST_JSON} of {size} bytes."
    assert told["beginning"].startswith('["ää')
    assert LONGEST_JSON - 2 < len(told["beginning"].encode()) <= LONGEST_JSON


def test_json_that_postgresql_does_not_take_is_made_storable() -> None:
    deep: Any = "bottom"
    for _ in range(DEEPEST_JSON * 2):
        deep = [deep]
    odd = {"nan": math.nan, "huge": math.inf, "nul": "a\x00b", "half": "a\ud800b", "deep": deep, "none": None}
    told = masked(odd, (TOKEN,))
    assert (told["nan"], told["huge"], told["nul"], told["half"]) == ("nan", "inf", "a\ufffdb", "a\ufffdb")
    assert "bottom" not in json.dumps(told)
    assert told["none"] is None
