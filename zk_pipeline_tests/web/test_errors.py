"""The one form of errors, whoever raises them, and the id that ties an answer to the log."""

import logging
from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI

from zk_pipeline.web import errors
from zk_pipeline_tests.web.conftest import PATH, Web, refused, serving


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A small app with what can go wrong."""
    app = FastAPI()
    errors.install(app)

    @app.get("/defect")
    async def defect() -> None:
        raise RuntimeError("what only the log may know")

    @app.get("/numbers/{number}")
    async def number_of(number: int) -> int:
        return number

    @app.get("/doubled")
    async def doubled(number: int) -> int:
        return 2 * number

    with serving(app) as client:
        yield client


def test_a_defect_is_answered_without_its_text_and_logged_with_it(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.ERROR):
        answer = client.get("/defect")
    refused(answer, 500, "The server failed.")
    assert "what only the log may know" not in answer.text
    assert "what only the log may know" in caplog.text
    assert answer.json()["request_id"] in caplog.text
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")


def test_a_wrong_value_is_named(client: httpx.Client):
    refused(client.get("/numbers/seven"), 422, "path.number='seven': Input should be a valid integer")


def test_a_missing_value_is_named(client: httpx.Client):
    refused(client.get("/doubled"), 422, "query.number: Field required")


def test_a_body_that_cannot_be_read_is_refused_with_what_is_taken(web: Web):
    answer = web.client.post("/api/v1/auth/login", content=b"\xff", headers={"content-type": "application/json"})
    refused(answer, 400, "the API takes JSON in UTF-8")


def test_no_value_of_a_body_is_told_back(web: Web):
    given = {"email": "ada@example.com", "password": {"nested": "hidden"}}
    answer = web.client.post("/api/v1/auth/login", json=given)
    refused(answer, 422, "body.password: ")
    assert "hidden" not in answer.text


def test_an_unknown_path_is_named(web: Web):
    refused(web.client.get("/api/v2/{nothing}"), 404, "There is nothing at /api/v2/")


def test_another_method_is_told_the_possible_ones(web: Web):
    answer = web.client.get(PATH)
    refused(answer, 405, "GET is not possible")
    assert answer.headers["allow"] == "POST"


def test_the_callers_request_id_is_kept(web: Web):
    answer = web.client.get("/nothing", headers={"x-request-id": "proxy-7f.3:1"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "proxy-7f.3:1"


@pytest.mark.parametrize("given", ["", "two words", "x" * 101, "a\u00e4", "<script>"])
def test_a_request_id_that_cannot_be_used_is_replaced(web: Web, given: str):
    answer = web.client.get("/nothing", headers={"x-request-id": given.encode()})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] != given


def test_good_answers_carry_a_request_id_too(web: Web):
    assert len(web.client.get("/api/health").headers["x-request-id"]) == 32


@pytest.mark.parametrize("settings", [{"public_url": "https://zk.example.com"}], indirect=True)
def test_over_tls_browsers_are_told_to_use_nothing_else(web: Web):
    for path in ("/api/health", "/nothing"):
        assert web.client.get(path).headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_whoever_is_refused_is_logged_by_number_and_route(
    web: Web, as_role: Callable[[str], httpx.Client], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        refused(as_role("viewer").get("/api/v1/users/7"), 403, "needs the role admin")
        web.client.post("/sign-in", headers={"origin": "https://evil.example"})
    first, second = (record.getMessage() for record in caplog.records if "was refused" in record.getMessage())
    assert first.startswith("user:1 was refused with 403: This needs the role admin; you have viewer.")
    assert first.endswith("(GET /api/v1/users/{user_id})")
    assert second.startswith("somebody was refused with 403: ")
    assert second.endswith("(POST /sign-in)")
