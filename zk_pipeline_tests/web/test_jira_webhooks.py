"""What Jira delivers: signed on Cloud, with a secret in a header from Data Center, each event taken once."""

import hashlib
import hmac
import json

import httpx
import pytest

from zk_pipeline_tests.web.conftest import SECRET, Web, refused

PATH = "/api/v1/webhooks/jira"
UPDATED = json.dumps({"webhookEvent": "worklog_updated", "worklog": {"id": "1", "issueId": "10001"}}).encode()


@pytest.fixture
def jira(web: Web) -> Web:
    """The web app with Jira as its source."""
    web.rows("UPDATE sync.connectors SET name = 'jira', kind = 'jira' WHERE name = 'zammad' RETURNING id")
    return web


def send(web: Web, body: bytes = UPDATED, signed: bytes | None = UPDATED, **headers: str) -> httpx.Response:
    """Deliver a body with the signature of `signed`, or without one."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if signed is not None:
        named["x-hub-signature"] = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return web.client.post(PATH, content=body, headers={"content-type": "application/json", **named})


def test_a_delivery_is_a_hint_for_its_issue_however_often_it_comes(jira: Web) -> None:
    for retry in ("", "1"):
        answer = send(jira, x_atlassian_webhook_identifier="5b1-0", x_atlassian_webhook_retry=retry)
        assert answer.status_code == 202
    assert [(row[0], row[1], str(row[2])) for row in jira.stored()] == [("jira", "5b1-0", "10001")]


def test_one_byte_of_difference_is_refused(jira: Web) -> None:
    refused(send(jira, UPDATED.replace(b"10001", b"10002")), 401, "does not fit")
    assert jira.stored() == []


def test_data_center_needs_the_secret_in_a_header(jira: Web) -> None:
    refused(send(jira, signed=None), 401, "X-ZK-Secret")
    answer = send(jira, signed=None, x_zk_secret="guessed")
    refused(answer, 401, "another one")
    assert SECRET not in answer.text
    assert send(jira, signed=None, x_zk_secret=SECRET).status_code == 202
    assert [str(row[2]) for row in jira.stored()] == ["10001"]


def test_a_deleted_issue_is_a_hint_and_an_event_without_issue_is_none(jira: Web) -> None:
    deleted = json.dumps({"webhookEvent": "jira:issue_deleted", "issue": {"id": "10002"}}).encode()
    assert send(jira, deleted, deleted).status_code == 202
    other = json.dumps({"webhookEvent": "project_updated"}).encode()
    assert send(jira, other, other).status_code == 422
    assert [str(row[2]) for row in jira.stored()] == ["10002"]
