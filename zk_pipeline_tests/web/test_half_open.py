"""Requests that begin and do not arrive, over real sockets to a real server."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.web import limits
from zk_pipeline_tests.cli.test_up import free_port

BEGUN = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow:"
REST = b" yes\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server that waits for headers for half a second."""
    monkeypatch.setattr(limits, "SECONDS_FOR_HEADERS", 0.5)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, http=limits.InTimeProtocol, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server.started, 90)
    yield port
    server.should_exit = True
    thread.join(10)


def ended(connection: socket.socket) -> bool:
    """Whether the server ends the connection within three seconds without a word."""
    connection.settimeout(3)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


@pytest.mark.parametrize("sent", [b"", b"G", BEGUN], ids=["nothing", "a letter", "half of the headers"])
def test_what_does_not_arrive_ends(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        assert ended(connection)


def test_a_later_request_that_does_not_arrive_ends_too_and_one_that_does_is_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(2):
            connection.sendall(BEGUN)
            time.sleep(0.2)
            connection.sendall(REST)
            answer = b""
            while not answer.endswith(b"hello"):
                answer += connection.recv(1000)
        connection.sendall(BEGUN)
        assert ended(connection)
