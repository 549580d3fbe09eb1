"""The webhook intake over HTTP: what each delivery is answered, and what is stored of it."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from zk_pipeline.connectors.contract import SourceConnector
from zk_pipeline.connectors.webhooks import IncomingDelivery, NoTicketError, UntrustedDeliveryError, WebhookScheme
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.connectors.zammad.signature import signature
from zk_pipeline.web import webhooks
from zk_pipeline.web.webhooks import BODY_LIMIT
from zk_pipeline_tests.web.conftest import PATH, PAYLOAD, SECRET, Web, refused

DELIVERY = {"x-zammad-delivery": "5d0a5a3c-8e31-4f0e-9d2a-0d8b5c7f1a11"}
DEFAULT_PAYLOAD = {
    "article": {"accounted_time": 15.0, "body": "Fixed \u003cb\u003eit\u003c/b\u003e", "id": 7, "time_unit": "15.0"},
    "ticket": {
        "customer": {"email": "nicole@example.com", "id": 3},
        "id": 42,
        "number": "31042",
        "state": "open",
        "ticket_time_accounting_ids": [1, 2],
        "time_unit": "30.0",
    },
}


CONTRACTS = Path(os.environ.get("CONTRACTS", Path(__file__).parents[2] / "../shared/contracts"))
DELIVERIES = CONTRACTS / "zammad_deliveries.jsonl"


@pytest.mark.skipif(not DELIVERIES.exists(), reason=f"{DELIVERIES} is not there")
@pytest.mark.parametrize("settings", [{"webhook_secret": SecretStr("zamsecret123")}], indirect=True)
def test_what_a_real_zammad_delivered_is_taken_byte_by_byte_and_each_attempt_after_the_first_once(web: Web):
    expected: dict[str, tuple[str, bytes]] = {}
    answers: list[tuple[int, int]] = []
    for line in DELIVERIES.read_text().splitlines():
        delivery = json.loads(line)
        body = base64.b64decode(delivery["body_b64"])
        headers = {name.lower(): value for name, value in delivery["headers"].items()}
        answer = web.client.post(PATH, content=body, headers=headers)
        signed = "x-hub-signature" in headers
        answers.append((202 if signed else 401, answer.status_code))
        if signed:
            expected.setdefault(headers["x-zammad-delivery"], (str(json.loads(body)["ticket"]["id"]), body))
    assert len(answers) == 65
    assert [pair for pair in answers if pair[0] != pair[1]] == []
    assert {row[1]: row[2:] for row in web.stored()} == expected
    assert len(web.stored()) == len(expected)


def test_a_signed_delivery_is_stored_as_it_came(web: Web):
    body = json.dumps(DEFAULT_PAYLOAD).encode()
    answer = web.post(body, DELIVERY)
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert web.stored() == [("zammad", DELIVERY["x-zammad-delivery"], "42", body)]


def test_a_custom_payload_needs_the_ticket_alone(web: Web):
    assert web.post(b'{"ticket": {"id": 7}, "text": "more"}').status_code == 202
    assert [row[2] for row in web.stored()] == ["7"]


def test_a_connector_may_be_called_by_its_id(web: Web):
    (row,) = web.rows("SELECT id FROM sync.connectors WHERE name = 'zammad'")
    assert web.post(PAYLOAD, path=f"/api/v1/webhooks/{row[0]}").status_code == 202
    assert [stored[0] for stored in web.stored()] == ["zammad"]


def test_a_repeated_delivery_is_accepted_and_stored_once(web: Web):
    later = b'{"ticket":{"id":1,"state":"closed"}}'  # The sender builds the body again for each attempt.
    assert [web.post(body, DELIVERY).status_code for body in (PAYLOAD, PAYLOAD, later)] == [202, 202, 202]
    assert [row[3] for row in web.stored()] == [PAYLOAD]


@pytest.mark.parametrize("header", [{}, {"x-zammad-delivery": "two words"}, {"x-zammad-delivery": "x" * 5000}])
def test_without_a_usable_id_a_hash_of_the_body_stands_for_it(web: Web, header: dict[str, str]):
    assert [web.post(PAYLOAD, header).status_code for _ in range(2)] == [202, 202]
    ((_, delivery_id, _, _),) = web.stored()
    assert delivery_id.startswith("sha256:")


def test_upper_case_digits_of_the_signature_are_accepted(web: Web):
    header = "sha1=" + signature(SECRET, PAYLOAD)[5:].upper()
    assert web.post(PAYLOAD, {"x-hub-signature": header}).status_code == 202


@pytest.mark.parametrize(
    "header",
    [
        signature("another secret", PAYLOAD),
        signature(SECRET, b'{"ticket":{"id":2}}'),  # Of an earlier body.
        signature(SECRET, b'{"ticket": {"id": 1}}'),  # Of the body before a proxy serialized it again.
        "sha1=",
    ],
)
def test_a_signature_that_does_not_fit_the_bytes_is_refused(web: Web, header: str):
    refused(web.post(PAYLOAD, {"x-hub-signature": header}), 401, "X-Hub-Signature does not fit this body")
    assert web.stored() == []


def test_an_unsigned_delivery_is_refused(web: Web):
    answer = web.client.post(PATH, content=PAYLOAD, headers={"content-type": "application/json"})
    refused(answer, 401, "X-Hub-Signature is missing")
    assert web.stored() == []


class TokenScheme:
    """Of a system that sends the secret itself, and calls the ticket by another name."""

    def check(self, delivery: IncomingDelivery, secret: str) -> None:
        if delivery.headers.get("x-token") != secret:
            raise UntrustedDeliveryError("The token is another one.")

    def delivery_id(self, delivery: IncomingDelivery) -> str:
        return delivery.headers["x-event"]

    def ticket_id(self, payload: Any) -> str:
        if "issue" not in payload:
            raise NoTicketError("The payload has no issue.")
        return str(payload["issue"])


def declare(monkeypatch: pytest.MonkeyPatch, scheme: WebhookScheme | None) -> None:
    """Let the kind of the stored connector have this scheme."""

    class Other(ZammadConnector):
        webhooks = scheme

    kinds: dict[str, type[SourceConnector]] = {"zammad": Other}
    monkeypatch.setattr(webhooks, "source_kinds", lambda: kinds)


def test_a_kind_with_a_scheme_of_its_own_is_checked_and_read_by_it(web: Web, monkeypatch: pytest.MonkeyPatch):
    declare(monkeypatch, TokenScheme())
    body, header = b'{"issue": 9}', {"x-event": "e1", "x-token": SECRET}
    assert web.post(body, header).status_code == 202
    assert web.stored() == [("zammad", "e1", "9", body)]
    refused(web.post(body, header | {"x-token": "wrong"}), 401, "The token is another one")
    refused(web.post(body, {"x-event": "e1"}), 401, "The token is another one")
    refused(web.post(PAYLOAD, header), 422, "The payload has no issue")
    assert len(web.stored()) == 1


def test_a_kind_without_webhooks_takes_none(web: Web, monkeypatch: pytest.MonkeyPatch):
    declare(monkeypatch, None)
    refused(web.post(PAYLOAD), 404, "sends no webhooks")
    assert web.stored() == []


@pytest.mark.parametrize("settings", [{"webhook_secret": None}], indirect=True)
def test_without_a_secret_nothing_is_taken(web: Web):
    refused(web.post(PAYLOAD), 503, "Set ZK_WEBHOOK_SECRET")
    assert web.stored() == []


def test_a_long_body_is_refused(web: Web):
    body = b'{"ticket":{"id":1},"x":"' + b"x" * (2 * BODY_LIMIT) + b'"}'
    refused(web.post(body), 413, "longer than 1048576 bytes")
    assert web.stored() == []


def test_a_long_body_of_unannounced_length_is_refused(web: Web):
    def chunks() -> Iterator[bytes]:
        for _ in range(32):
            yield b" " * 65536

    answer = web.client.post(PATH, content=chunks(), headers={"content-type": "application/json"})
    refused(answer, 413, "longer than 1048576 bytes")


def test_a_body_of_just_the_limit_is_accepted(web: Web):
    start = b'{"ticket":{"id":1},"x":"'
    body = start + b"x" * (BODY_LIMIT - len(start) - 2) + b'"}'
    assert (len(body), web.post(body).status_code) == (BODY_LIMIT, 202)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_what_is_not_declared_as_json_is_refused(web: Web, media_type: str):
    refused(web.post(PAYLOAD, {"content-type": media_type}), 415, "Content-Type: application/json")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"<xml/>", b"[" * 200_000, b'{"ticket":{"id":' + b"9" * 5000])
def test_a_signed_body_that_is_no_json_is_refused(web: Web, body: bytes):
    refused(web.post(body), 400, "The body is no JSON")


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"null", b"{}", b'{"ticket":[]}', b'{"ticket":{}}', b'{"ticket":{"id":0}}', b'{"ticket":{"id":-1}}',
        b'{"ticket":{"id":"x"}}', b'{"ticket":{"id":"0"}}', b'{"ticket":{"id":" 1"}}', b'{"ticket":{"id":"+1"}}',
        '{"ticket":{"id":"\u0661"}}'.encode(), b'{"ticket":{"id":""}}', b'{"ticket":{"id":1.5}}',
        b'{"ticket":{"id":true}}',
        b'{"ticket":{"id":9223372036854775808}}', b'{"ticket":{"id":"9223372036854775808"}}',
    ],
)  # fmt: skip
def test_a_payload_without_a_ticket_is_refused(web: Web, body: bytes):
    refused(web.post(body), 422, "ticket.id is no positive whole number")
    assert web.stored() == []


@pytest.mark.parametrize("name", ["osticket", "kimai", "retired", "999", "%00", "%ff"])
def test_only_an_active_source_takes_deliveries(web: Web, name: str):
    refused(web.post(PAYLOAD, path=f"/api/v1/webhooks/{name}"), 404, "no active source connector")
    assert web.stored() == []


@pytest.mark.parametrize("settings", [{"webhook_rate": 2}], indirect=True)
def test_an_address_that_sends_too_much_is_told_when_to_try_again(web: Web):
    answers = [web.post(PAYLOAD, {"x-forwarded-for": f"10.0.0.{n}"}) for n in range(3)]
    assert [answer.status_code for answer in answers[:2]] == [202, 202]
    refused(answers[2], 429, "ZK_WEBHOOK_RATE")
    assert answers[2].headers["retry-after"] == "1"


@pytest.mark.parametrize("settings", [{"webhook_rate": 1, "trusted_proxies": "127.0.0.1"}], indirect=True)
def test_strangers_behind_the_same_proxy_do_not_use_up_what_zammad_may_send(web: Web):
    stranger, zammad = {"x-forwarded-for": "203.0.113.9"}, {"x-forwarded-for": "10.0.0.5"}
    assert [web.post(PAYLOAD, stranger).status_code for _ in range(2)] == [202, 429]
    assert web.post(PAYLOAD, zammad).status_code == 202


@pytest.mark.parametrize("settings", [{"webhook_secret": None, "webhook_rate": 1}], indirect=True)
def test_what_is_wrong_in_many_ways_is_refused_for_the_first(web: Web):
    long, plain = b"x" * (BODY_LIMIT + 1), {"content-type": "text/plain"}
    assert web.post(long, plain).status_code == 413
    assert web.post(long, plain).status_code == 429
