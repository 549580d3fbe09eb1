"""The audit trail over the API: pages, filters, exports as streams, and whether the chain is whole."""

import csv
import io
import json

import pytest
from sqlalchemy import text

from zk_pipeline.audit import trail
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline_tests.databases import without_guards
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web, refused

PATH = "/api/v1/audit"


@pytest.fixture
def trailed(web: Web) -> Web:
    """Rows of the pipeline; further ones come from whoever signs in."""
    record(web, 3)
    return web


def record(web: Web, number: int, title: str = "=cmd|' /C calc'!A0") -> None:
    events = [
        AuditEvent("kimai.timesheet.created", "pipeline", f"booking:{id_}", {"title": title}, "run")
        for id_ in range(1, number + 1)
    ]
    with web.database.transaction() as connection:
        audit.append(connection, events)


def test_a_page_has_the_newest_rows_first_and_the_total(trailed: Web, as_role: AsRole) -> None:
    found = as_role("viewer").get(PATH, params={"event": "kimai.", "size": 2, "page": 2}).json()
    assert (found["total"], found["pages"], found["page"]) == (3, 2, 2)
    assert [row["subject"] for row in found["items"]] == ["booking:1"]


def signed_in(web: Web) -> None:
    """User 98 signed in and decided, from an address; somebody failed to sign in as them."""
    detail = {"address": "203.0.113.9", "note": "as agreed"}
    events = [
        AuditEvent("user.signed_in", "user:98", "user:98", {"address": "203.0.113.9"}),
        AuditEvent("user.sign_in_failed", "anonymous", "user:98", {"address": "203.0.113.9"}),
        AuditEvent("session.token_reused", "anonymous", "user:98", {"address": "203.0.113.9"}),
        AuditEvent("user.signed_out", "user:98", "user:98", {"address": "203.0.113.9"}),
        AuditEvent("conflict.decided", "user:98", "conflict:1", detail),
    ]
    with web.database.transaction() as connection:
        audit.append(connection, events)


@pytest.mark.parametrize(("role", "reads"), [("viewer", False), ("operator", True), ("admin", True)])
def test_viewers_read_neither_sign_ins_nor_addresses_of_others(
    web: Web, as_role: AsRole, role: str, reads: bool
) -> None:
    client = as_role(role)
    signed_in(web)
    for answer in (
        client.get(PATH, params={"size": 100}),
        client.get(f"{PATH}/export", params={"format": "csv"}),
        client.get(f"{PATH}/export", params={"format": "jsonl"}),
    ):
        assert ("203.0.113.9" in answer.text, "user.sign_in_failed" in answer.text) == (reads, reads)
        assert "as agreed" in answer.text
    assert client.get(PATH, params={"search": "203.0.113"}).json()["total"] == (5 if reads else 0)


def test_viewers_read_their_own_sign_ins(web: Web, as_role: AsRole) -> None:
    client = as_role("viewer")
    with web.database.transaction() as connection:
        number = connection.execute(text("SELECT id FROM sync.users WHERE role = 'viewer'")).scalar_one()
        detail = {"address": "198.51.100.7"}
        audit.append(connection, [AuditEvent("user.signed_in", f"user:{number}", f"user:{number}", detail)])
    (row, *_) = client.get(PATH, params={"event": "user.signed_in"}).json()["items"]
    assert (row["actor"], row["detail"]) == (f"user:{number}", detail)


def test_users_are_shown_by_name_and_the_trail_holds_their_number(web: Web, as_role: AsRole) -> None:
    client = as_role("admin")
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.users SET name = 'Anna' WHERE role = 'admin'"))
        number = connection.execute(text("SELECT id FROM sync.users WHERE role = 'admin'")).scalar_one()
        audit.append(connection, [AuditEvent("conflict.decided", f"user:{number}", "conflict:1", {})])
    (row,) = client.get(PATH, params={"event": "conflict."}).json()["items"]
    assert (row["actor"], row["actor_name"]) == (f"user:{number}", "Anna")


@pytest.mark.parametrize(
    "wanted",
    [
        {"since": "2026-02-01T00:00:00", "until": "2026-01-01T00:00:00Z"},
        {"since": "yesterday"},
        {"page": "0"},
        {"search": "a\x00b"},
        {"event": "e" * 201},
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_a_sentence(as_role: AsRole, wanted: dict[str, str]) -> None:
    refused(as_role("viewer").get(PATH, params=wanted), 422, "")


def test_the_whole_calendar_may_be_asked_for(as_role: AsRole) -> None:
    span = {"since": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:59:59-14:00"}
    assert as_role("viewer").get(PATH, params=span).status_code == 200


def test_a_csv_export_is_text_to_a_spreadsheet(trailed: Web, as_role: AsRole) -> None:
    record(trailed, 1, title="plain")
    answer = as_role("viewer").get(f"{PATH}/export", params={"format": "csv", "event": "kimai."})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [row["subject"] for row in rows] == ["booking:1", "booking:2", "booking:3", "booking:1"]
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "-", "@"))]


def test_an_export_of_json_lines_holds_all_rows_however_many_pieces_they_take(
    web: Web, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "ROWS_AT_ONCE", 4)
    record(web, 10)
    answer = as_role("viewer").get(f"{PATH}/export", params={"format": "jsonl", "event": "kimai."})
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["subject"] for row in rows] == [f"booking:{number}" for number in range(1, 11)]
    assert rows[0]["detail"]["title"].startswith("=cmd")


def test_an_export_of_nothing_is_a_header_alone(as_role: AsRole) -> None:
    answer = as_role("viewer").get(f"{PATH}/export", params={"format": "csv", "event": "none"})
    assert answer.text.splitlines() == ["id,at,event,actor,actor_name,subject,run_id,detail,hash"]
    german = {"format": "csv", "event": "none", "csv_dialect": "excel"}
    assert as_role("viewer").get(f"{PATH}/export", params=german).content.startswith(b"\xef\xbb\xbfid;at;event;")


def test_another_format_is_refused(as_role: AsRole) -> None:
    refused(as_role("viewer").get(f"{PATH}/export", params={"format": "xml"}), 422, "format")


def test_a_broken_chain_is_told(trailed: Web, as_role: AsRole) -> None:
    client = as_role("admin")
    assert client.get(f"{PATH}/verification").json()["broken_at"] is None
    with trailed.database.transaction() as connection:
        without_guards(connection)
        connection.execute(text("UPDATE sync.audit_logs SET actor = 'nobody' WHERE id = 2"))
    found = client.get(f"{PATH}/verification").json()
    assert (found["broken_at"], found["text"][:5]) == (2, "Row 2")


def test_only_admins_have_the_chain_verified(as_role: AsRole) -> None:
    refused(as_role("operator").get(f"{PATH}/verification"), 403, "the role admin")
