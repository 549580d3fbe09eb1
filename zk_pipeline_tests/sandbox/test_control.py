"""The control plane over real sockets: counting, state, settings, latency and every kind of fault."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.server import ServerThread


class Notebook:
    """A minimal simulated system: notes that can be listed, shown and added."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.limit = 1000
        self.added = threading.Event()

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/notes", self._list, methods=["GET"]),
                Route("/notes", self._add, methods=["POST"]),
                Route("/notes/{id}/lines/{line}", self._show, methods=["GET"]),
                Route("/api/v1/tickets/search", self._list, methods=["POST"]),
            ]
        )

    def snapshot(self) -> dict[str, Any]:
        return {"notes": self.notes}

    def restore(self, snapshot: dict[str, Any]) -> None:
        self.notes = list(snapshot["notes"])

    def configure(self, settings: dict[str, Any]) -> None:
        if set(settings) != {"limit"}:
            raise ValueError("A notebook has only the setting limit.")
        self.limit = settings["limit"]

    async def _list(self, _request: Request) -> Response:
        return JSONResponse({"notes": self.notes})

    async def _show(self, request: Request) -> Response:
        return JSONResponse(request.path_params)

    async def _add(self, request: Request) -> Response:
        self.notes.append((await request.json())["text"])
        self.added.set()
        return JSONResponse({"count": len(self.notes)}, status_code=201)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def url(notebook: Notebook) -> Iterator[str]:
    with ServerThread(with_control(notebook)) as server:
        yield server.url


@pytest.fixture
def control(url: str) -> Iterator[SandboxControl]:
    with SandboxControl(url) as client:
        yield client


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
        yield client


def add(http: httpx.Client, text: str = "a note") -> httpx.Response:
    return http.post("/notes", json={"text": text})


def test_reads_and_writes_are_counted_by_route_with_ids_folded(http, control):
    http.get("/notes/7/lines/12")
    http.get("/notes/8/lines/3?x=1")
    add(http)
    http.post("/api/v1/tickets/search", json={})
    requests = control.requests()
    assert (requests.reads, requests.writes) == (3, 1)
    assert requests.by_route == {
        "GET /notes/{id}/lines/{id}": 2,
        "POST /notes": 1,
        "POST /api/v1/tickets/search": 1,
    }
    assert requests.log[1] == {"method": "GET", "path": "/notes/8/lines/3", "query": "x=1", "status": 200}


def test_counting_starts_anew_after_a_reset_and_ignores_the_control_plane(http, control):
    http.get("/notes")
    control.reset_requests()
    control.state()
    assert control.requests().by_route == {}


def test_the_state_can_be_taken_and_put_back(http, control):
    add(http, "kept")
    state = control.state()
    add(http, "lost")
    control.restore(state)
    assert http.get("/notes").json() == {"notes": ["kept"]}


def test_settings_are_changed_and_an_unknown_one_is_refused_with_its_sentence(notebook, control):
    control.configure(limit=3)
    assert notebook.limit == 3
    with pytest.raises(httpx.HTTPStatusError) as refusal:
        control.configure(colour="red")
    assert refusal.value.response.json() == {"error": "A notebook has only the setting limit."}


def test_latency_is_added_to_requests_but_not_to_the_control_plane(http, control):
    control.set_latency(0.2)
    began = time.monotonic()
    control.requests()
    between = time.monotonic()
    http.get("/notes")
    assert between - began < 0.2 <= time.monotonic() - between


def test_respond_answers_in_the_apps_place_without_effect(http, control, notebook):
    control.add_fault("respond", path="/notes", status=429, headers={"Retry-After": "7"}, text='{"slow":1}')
    answer = add(http)
    assert (answer.status_code, answer.headers["retry-after"], answer.json()) == (429, "7", {"slow": 1})
    assert notebook.notes == []


def test_html_answers_with_an_error_page(http, control, notebook):
    control.add_fault("html", path="/notes")
    answer = add(http)
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
    assert notebook.notes == []


def test_drop_before_closes_the_socket_without_answer_or_effect(http, control, notebook):
    control.add_fault("drop_before", method="POST", path="/notes", times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        add(http)
    assert notebook.notes == []
    assert control.requests().log[-1]["status"] is None


def test_drop_after_has_its_effect_and_then_closes_the_socket_without_answer(http, control, notebook):
    control.add_fault("drop_after", method="POST", path="/notes", times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        add(http)
    assert notebook.notes == ["a note"]
    assert add(http).json() == {"count": 2}


def test_delay_holds_the_answer_back(http, control):
    control.add_fault("delay", path="/notes", seconds=0.2)
    began = time.monotonic()
    assert add(http).status_code == 201
    assert time.monotonic() - began >= 0.2


def test_delay_has_no_effect_once_the_client_has_gone(http, control, notebook):
    control.add_fault("delay", path="/notes", seconds=0.3, times=1)
    with pytest.raises(httpx.ReadTimeout):
        http.post("/notes", json={"text": "impatient"}, timeout=0.1)
    assert not notebook.added.wait(0.4)


def test_late_takes_effect_even_though_the_client_has_gone(http, control, notebook):
    control.add_fault("late", path="/notes", seconds=0.3, times=1)
    with pytest.raises(httpx.ReadTimeout):
        http.post("/notes", json={"text": "late"}, timeout=0.1)
    assert notebook.notes == []
    assert notebook.added.wait(90)
    assert notebook.notes == ["late"]


def test_late_answers_a_client_that_still_waits(http, control):
    control.add_fault("late", path="/notes", seconds=0.1)
    assert add(http).json() == {"count": 1}


def test_truncate_sends_half_of_the_body_as_if_it_were_whole(http, control, notebook):
    control.add_fault("truncate", path="/notes")
    answer = add(http)
    assert (answer.status_code, answer.content) == (201, b'{"cou')
    assert notebook.notes == ["a note"]


def test_a_fault_passes_some_requests_first_and_ends_after_its_times(http, control):
    fault = control.add_fault("respond", path="/notes", status=503, skip=1, times=2)
    assert [http.get("/notes").status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    listed = control.faults()
    assert [(item["id"], item["hits"]) for item in listed] == [(fault, 2)]


def test_a_fault_hits_only_the_method_path_and_body_it_names(http, control):
    control.add_fault("respond", method="POST", path="^/notes$", body="Ticket #\\d+", status=500)
    assert add(http, "Lunch").status_code == 201
    assert http.get("/notes").status_code == 200
    assert add(http, "Ticket #50").status_code == 500


def test_cleared_faults_are_over(http, control):
    control.add_fault("drop_before")
    control.clear_faults()
    assert http.get("/notes").status_code == 200


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"kind": "explode"}, "kind is 'explode'; use one of respond,"),
        ({"kind": "delay", "second": 1}, "A fault has no field second."),
        ({"kind": "delay", "path": "("}, "path is '(', not a regular expression"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_its_reason(http, fault, sentence):
    answer = http.post("/_sandbox/faults", json=fault)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)


def test_a_port_already_taken_is_reported_at_once(url, notebook):
    port = int(url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"), ServerThread(with_control(notebook), port):
        pytest.fail("two servers on one port")
