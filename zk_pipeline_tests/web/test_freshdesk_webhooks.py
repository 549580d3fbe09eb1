"""What Freshdesk's automation rules deliver: hints with a secret in a header, taken once, and never believed."""

import pytest

from zk_pipeline.connectors.freshdesk import webhooks
from zk_pipeline_tests.web.conftest import SECRET, Web, refused
from zk_sandbox.freshdesk.automations import Automation

PATH = "/api/v1/webhooks/freshdesk"


@pytest.fixture
def freshdesk(web: Web) -> Web:
    """The web app with Freshdesk as its source."""
    web.rows("UPDATE sync.connectors SET name = 'freshdesk', kind = 'freshdesk' WHERE name = 'zammad' RETURNING id")
    return web


def rule(web: Web, secret: str = SECRET, **fields: str) -> Automation:
    return Automation(str(web.client.base_url.join(PATH)), {"X-ZK-Secret": secret}, **fields)


def test_a_delivery_is_a_hint_for_its_ticket_and_taken_once_in_a_minute(
    freshdesk: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    automation = rule(freshdesk)
    for minute in ("09:30", "09:30", "09:31"):
        monkeypatch.setattr(webhooks, "this_minute", lambda minute=minute: minute)
        assert automation.send(11) == 202
    assert [(row[0], str(row[2])) for row in freshdesk.stored()] == [("freshdesk", "11")] * 2


def test_a_burst_of_late_deliveries_is_taken(freshdesk: Web) -> None:
    automation = rule(freshdesk)
    for ticket in (11, 12, 13):
        automation.put_off(ticket)
    assert automation.send_waiting(dropped=1) == [202, 202]
    assert sorted(str(row[2]) for row in freshdesk.stored()) == ["12", "13"]


def test_the_secret_may_be_the_password_of_basic(freshdesk: Web) -> None:
    answer = freshdesk.client.post(PATH, json={"ticket_id": 11}, auth=("freshdesk", SECRET))
    assert answer.status_code == 202


@pytest.mark.parametrize("secret", ["another secret", ""])
def test_without_the_secret_nothing_is_taken(freshdesk: Web, secret: str) -> None:
    assert rule(freshdesk, secret).send(11) == 401
    assert freshdesk.stored() == []
    answer = freshdesk.client.post(PATH, json={"ticket_id": 11}, headers={"X-ZK-Secret": "another secret"})
    refused(answer, 401, "The secret is another one")
    assert SECRET not in answer.text


def test_a_subject_that_breaks_the_body_has_no_effect(freshdesk: Web) -> None:
    body = '{"ticket_id": {{ticket.id}}, "subject": "{{ticket.subject}}"}'
    assert rule(freshdesk, body=body).send(11, "Printer\non fire") == 400
    assert rule(freshdesk, body='{"subject": "{{ticket.subject}}"}').send(11, "Printer") == 422
    assert freshdesk.stored() == []
