"""Whatever is sent is answered with a status of the list, never with an error of the server."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zk_pipeline.connectors.webhooks import LARGEST_ID, NoTicketError
from zk_pipeline.connectors.zammad.signature import signature
from zk_pipeline.connectors.zammad.webhooks import ZammadWebhooks
from zk_pipeline_tests.web.conftest import SECRET, Web

ANSWERS = {202, 400, 401, 404, 415, 422}

shared_server = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["ticket", "id"]) | st.text(), inner),
)
header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")).map(
    lambda value: value.strip().encode("latin-1")
)


@shared_server
@given(body=st.binary() | values.map(lambda value: json.dumps(value).encode()), delivery=header_values)
def test_any_signed_body_is_stored_or_refused(web: Web, body: bytes, delivery: bytes):
    headers: dict[str, Any] = {"x-zammad-delivery": delivery}
    assert web.post(body, headers).status_code in ANSWERS


@shared_server
@given(name=st.text(min_size=1), media_type=header_values, signed=header_values)
def test_any_headers_and_connector_are_answered(web: Web, name: str, media_type: bytes, signed: bytes):
    path = "/api/v1/webhooks/" + "".join(f"%{byte:02x}" for byte in name.encode())
    headers: dict[str, Any] = {"content-type": media_type, "x-hub-signature": signed}
    assert web.post(b'{"ticket":{"id":1}}', headers, path=path).status_code in ANSWERS


@shared_server
@given(ticket=st.integers(1, LARGEST_ID), kind=st.sampled_from((int, str)))
def test_every_id_of_a_ticket_is_stored_as_a_number_or_as_text(web: Web, ticket: int, kind: type[int | str]):
    body = json.dumps({"ticket": {"id": kind(ticket)}}).encode()
    assert web.post(body, {"x-hub-signature": signature(SECRET, body)}).status_code == 202
    assert str(ticket) in {row[2] for row in web.stored()}


@settings(deadline=None)
@given(payload=values.filter(lambda value: not isinstance(value, dict) or "ticket" not in value))
def test_a_payload_that_names_no_ticket_is_refused(payload: object):
    with pytest.raises(NoTicketError):
        ZammadWebhooks().ticket_id(json.loads(json.dumps(payload)))
