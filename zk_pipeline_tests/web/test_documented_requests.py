"""The requests and answers that docs/ shows, sent to a running web app and compared with its answers."""

import json
import shlex
from pathlib import Path
from typing import Any

import httpx

from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.documented import Step, blocks, is_shown, steps
from zk_pipeline_tests.web.conftest import PAYLOAD, TESTER, Web

DOCS = PROJECT / "docs"
ADDRESS = "https://zk.example.com"
EMAIL, PASSWORD = "ops@example.com", "correct horse battery"


def sent(web: Web, step: Step, **values: str) -> httpx.Response:
    """The answer to a `curl` command of a page, sent to this web app with these values in place of the page's."""
    command = step.command
    for shown, real in values.items():
        command = command.replace(shown, real)
    program, *words = shlex.split(command)
    assert program == "curl"
    headers: dict[str, str] = {}
    body, url = None, ""
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(0)
        else:
            assert word.startswith(ADDRESS), word
            url = word.removeprefix(ADDRESS)
    return web.client.request("POST" if body else "GET", url, headers=headers, content=body)


def example(page: str, key: str) -> Any:
    """The JSON block of a page whose object has this key."""
    found = [json.loads(block.text) for block in blocks(DOCS / page, "json")]
    return next(one for one in found if key in one)


def shape(value: Any) -> Any:
    """The names and kinds of a JSON value, without its contents."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return type(value)


def test_scripts_sign_in_as_the_page_shows(web: Web):
    with web.database.transaction() as connection:
        users.create(connection, TESTER, NewUser(EMAIL, Role.ADMIN, "Ops", PASSWORD))
    login, me = [step for step in steps(DOCS / "security.md") if step.command.startswith("curl")]
    tokens = sent(web, login, **{"…": PASSWORD})
    assert is_shown(tokens.text, login.shown), tokens.text
    told = sent(web, me, TOKEN=tokens.json()["access_token"])
    assert is_shown(told.text, me.shown), told.text


def test_every_curl_command_stands_on_a_page_that_is_tested_here():
    having = {page.name for page in Path(DOCS).glob("*.md") if any(s.command.startswith("curl") for s in steps(page))}
    assert having == {"security.md"}


def test_the_custom_payload_of_the_page_is_accepted(web: Web):
    (payload,) = [block.text for block in blocks(DOCS / "webhooks.md", "json") if "#{ticket.id}" in block.text]
    assert web.post(payload.replace("#{ticket.id}", "4711").encode()).status_code == 202
    assert [ticket for _, _, ticket, _ in web.stored()] == ["4711"]


def test_an_error_has_the_form_and_the_sentence_of_the_page(web: Web):
    shown = example("webhooks.md", "request_id")
    answer = web.client.post("/api/v1/webhooks/zammad", content=PAYLOAD, headers={"content-type": "application/json"})
    told = answer.json()
    assert (answer.status_code, told["detail"]) == (shown["status_code"], shown["detail"])
    assert shape(told) == shape(shown)
    assert len(told["request_id"]) == len(shown["request_id"])
    assert len(told["timestamp"]) == len(shown["timestamp"])


def test_the_health_has_the_form_of_the_page(web: Web):
    shown = example("operations.md", "signs")
    told = web.client.get("/api/health").json()
    assert {"daemons", "automations", "queue", "long_runs"} == shown["signs"].keys() - told["signs"].keys()
    assert all(told["signs"][name].keys() == shown["signs"][name].keys() for name in told["signs"])
    assert told.keys() == shown.keys()
