"""`/api/v1/periods` and `/api/v1/credits`: who may close, open and settle, and what stands in the way."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.cli.test_up import free_port
from zk_pipeline_tests.credits import credited
from zk_pipeline_tests.web.conftest import Web, refused

PERIODS = "/api/v1/periods"
CREDITS = "/api/v1/credits"
MONTH = f"{PERIODS}/2025-08"
LINE = """
    INSERT INTO marts.statement_lines (month, customer_id, customer, activity, agent, minutes_zammad, minutes_kimai)
    VALUES ('2025-08-01', 2, 'Globex', 'Support', 'Ben', 30, 30)
"""
NOWHERE = f"http://127.0.0.1:{free_port()}"

pytestmark = pytest.mark.parametrize(
    "settings", [{"timezone": "Europe/Berlin", "dagster_address": NOWHERE}], indirect=True
)


@pytest.fixture
def statement(web: Web) -> Iterator[Web]:
    """A statement without a line, which balances for a month without bookings."""
    with web.database.transaction() as connection:
        empty_marts.make(connection)
    yield web
    with web.database.transaction() as connection:
        empty_marts.drop(connection)


@pytest.fixture
def credit(web: Web) -> int:
    """A credit of 15 minutes."""
    with web.database.transaction() as connection:
        return credited(connection)


def test_an_admin_closes_a_month_and_opens_it_again(statement: Web, admin: httpx.Client, viewer: httpx.Client) -> None:
    answer = admin.post(f"{MONTH}/close", json={})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["period"]["month"], body["period"]["closed"], body["tag_run_id"]) == ("2025-08", True, None)
    assert body["period"]["closed_by"].startswith("user:")
    refused(admin.post(f"{MONTH}/close", json={}), 409, "2025-08 is already closed")
    assert admin.post(f"{MONTH}/reopen", json={"reason": "a mistake"}).json()["closed"] is False
    (row,) = viewer.get(PERIODS).json()["items"]
    assert (row["month"], row["reopened_reason"]) == ("2025-08", "a mistake")
    events = "SELECT event FROM sync.audit_logs WHERE subject = 'period:2025-08' ORDER BY id"
    assert [event for (event,) in statement.rows(events)] == ["period.closed", "period.reopened"]


def test_operators_and_viewers_close_and_open_nothing(
    statement: Web, operator: httpx.Client, viewer: httpx.Client
) -> None:
    for client in (operator, viewer):
        refused(client.post(f"{MONTH}/close", json={}), 403, "This needs the role admin")
        refused(client.post(f"{MONTH}/reopen", json={"reason": "x"}), 403, "This needs the role admin")
        refused(client.post(f"{MONTH}/tags"), 403, "This needs the role admin")
    assert statement.rows("SELECT * FROM sync.periods") == []


def test_what_stands_in_the_way_is_answered_and_nothing_changes(web: Web, admin: httpx.Client) -> None:
    refused(admin.post(f"{MONTH}/close", json={}), 409, "There is no statement yet")
    refused(admin.post(f"{MONTH}/reopen", json={"reason": "x"}), 409, "2025-08 is not closed")
    refused(admin.post(f"{MONTH}/reopen", json={"reason": "  "}), 422, "reason")
    for month in ("2025-13", "0000-01", "9999-12"):
        refused(admin.post(f"{PERIODS}/{month}/close", json={}), 422, "is not a month")
    refused(admin.post(f"{PERIODS}/august/close", json={}), 422, "month")
    assert web.rows("SELECT * FROM sync.periods") == []


def test_a_month_whose_tags_cannot_be_asked_for_is_closed_all_the_same_and_says_so(
    statement: Web, admin: httpx.Client
) -> None:
    body = admin.post(f"{MONTH}/close", json={"tag": True}).json()
    assert (body["period"]["closed"], body["tag_run_id"]) == (True, None)
    assert f"Dagster at {NOWHERE} does not answer" in body["tag_problem"]
    assert statement.rows("SELECT month::text FROM sync.periods") == [("2025-08-01",)]


def test_the_tags_of_a_closed_month_are_asked_for_on_their_own(statement: Web, admin: httpx.Client) -> None:
    refused(admin.post(f"{MONTH}/tags"), 409, "Close 2025-08 first")
    admin.post(f"{MONTH}/close", json={})
    for _ in range(2):
        refused(admin.post(f"{MONTH}/tags"), 502, "Dagster")


def test_who_has_a_month_tagged_is_in_the_trail(statement: Web, admin: httpx.Client) -> None:
    admin.post(f"{MONTH}/close", json={"tag": True})
    admin.post(f"{MONTH}/tags")
    events = "SELECT actor, subject FROM sync.audit_logs WHERE event = 'tagging.requested'"
    closed_by = admin.get(PERIODS).json()["items"][0]["closed_by"]
    assert statement.rows(events) == [(closed_by, "period:2025-08")] * 2


def test_an_operator_reviews_a_customer_just_as_it_was_seen(
    statement: Web, operator: httpx.Client, viewer: httpx.Client
) -> None:
    with statement.database.transaction() as connection:
        connection.execute(text(LINE))
    body = viewer.get(MONTH).json()
    (globex,) = body["customers"]
    assert (globex["holds"], globex["reviewed_by"], globex["change"]["before"]) == (False, "", "0")
    assert [row["step"] for row in body["steps"]] == ["synced", "decided", "balanced", "reviewed", "closed"]
    assert body["steps"][3] == {"step": "reviewed", "finding": "open", "number": 1, "minutes": "0"}
    seen = {"customer": "2", "hash": globex["hash"]}
    path = f"{MONTH}/reviews"
    refused(viewer.post(path, json=seen), 403, "This needs the role operator")
    refused(operator.post(path, json={**seen, "customer": "9"}), 404, "2025-08 has no customer '9'")
    refused(operator.post(path, json={**seen, "hash": "0" * 64}), 409, "Look at Globex again: its time has changed")
    (globex,) = operator.post(path, json=seen).json()["customers"]
    assert (globex["holds"], bool(globex["reviewed_by"]), bool(globex["reviewed_at"])) == (True, True, True)
    (globex,) = operator.post(path, json={**seen, "withdraw": True}).json()["customers"]
    assert (globex["holds"], globex["reviewed_at"]) == (False, None)
    events = "SELECT event, actor LIKE 'user:%' FROM sync.audit_logs WHERE subject = 'period:2025-08' ORDER BY id"
    assert statement.rows(events) == [("review.made", True), ("review.withdrawn", True)]


def test_a_closed_month_is_not_reviewed_any_more(statement: Web, admin: httpx.Client) -> None:
    with statement.database.transaction() as connection:
        connection.execute(text(LINE))
    (globex,) = admin.get(MONTH).json()["customers"]
    assert admin.post(f"{MONTH}/close", json={}).status_code == 200
    refused(admin.post(f"{MONTH}/reviews", json={"customer": "2", "hash": globex["hash"]}), 409, "2025-08 is closed")
    assert statement.rows("SELECT * FROM sync.customer_reviews") == []


def test_before_a_statement_was_made_the_steps_say_so_and_nobody_is_reviewed(web: Web, operator: httpx.Client) -> None:
    body = operator.get(MONTH).json()
    assert (body["steps"][0]["finding"], body["customers"]) == ("unmade", [])
    reviewed = operator.post(f"{MONTH}/reviews", json={"customer": "2", "hash": ""})
    refused(reviewed, 409, "There is no statement of 2025-08 yet. Make it first.")
    assert web.rows("SELECT * FROM sync.customer_reviews") == []


def test_an_operator_settles_a_credit_once(web: Web, credit: int, operator: httpx.Client, viewer: httpx.Client) -> None:
    (row,) = viewer.get(CREDITS, params={"month": "2025-08"}).json()["items"]
    assert (row["id"], row["minutes"], row["project"], row["state"]) == (credit, "15.0000", "ZO7", "open")
    assert viewer.get(CREDITS, params={"month": "2025-09"}).json()["items"] == []
    path = f"{CREDITS}/{credit}/settle"
    refused(viewer.post(path, json={"note": "x"}), 403, "This needs the role operator")
    assert operator.post(path, json={"note": "credit note 12"}).json()["note"] == "credit note 12"
    refused(operator.post(path, json={"note": "again"}), 409, "settled already")
    assert viewer.get(CREDITS, params={"state": "open"}).json()["items"] == []
    assert [row["state"] for row in viewer.get(CREDITS).json()["items"]] == ["settled"]
    refused(operator.post(f"{CREDITS}/999/settle", json={"note": "x"}), 404, "Credit 999 does not exist")
    assert len(web.rows("SELECT * FROM sync.audit_logs WHERE event = 'credit.settled'")) == 1
