"""Doing something twice does it once: what is sent again with its key, at once or later, is answered and not done."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline_tests.domain.builders import DAY
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.api.planned import UNMAPPED, planned_day, store_plan
from zk_pipeline_tests.web.conftest import Web, refused

USERS = "/api/v1/users"
SYNC = "/api/v1/sync"
KEY = {"idempotency-key": "5c0f6d2e-1f1e-4f5e-9b1a-0d7a1f0c2b3d"}
BODY = {"email": "berta@example.com", "name": "Berta", "role": "viewer"}
RANGE = {"first": "2025-08-15", "last": "2025-08-17"}


@pytest.fixture
def admin(in_session: AsRole) -> httpx.Client:
    """In a session, since it makes users."""
    return in_session("admin")


def number_of(web: Web, query: str) -> int:
    ((number,),) = web.rows(f"SELECT count(*) FROM {query}")
    return number


@pytest.fixture
def users(admin: httpx.Client, web: Web) -> int:
    """How many users there are before the test makes any."""
    return number_of(web, "sync.users")


def test_what_is_sent_many_times_at_once_is_done_once_and_answered_alike(
    admin: httpx.Client, web: Web, users: int
) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: admin.post(USERS, json=BODY, headers=KEY), range(24)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert number_of(web, "sync.users") == users + 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 23


def test_what_is_sent_without_key_is_tried_each_time(admin: httpx.Client) -> None:
    assert [admin.post(USERS, json=BODY).status_code for _ in range(2)] == [201, 409]


def test_the_key_of_another_request_is_refused(admin: httpx.Client, web: Web, users: int) -> None:
    admin.post(USERS, json=BODY, headers=KEY)
    sentence = f"'{KEY['idempotency-key']}' was used for a different request before."
    refused(admin.post(USERS, json={**BODY, "name": "Bert"}, headers=KEY), 422, sentence)
    refused(admin.post(f"{SYNC}/requests", json=RANGE, headers=KEY), 422, sentence)
    assert (number_of(web, "sync.users"), number_of(web, "sync.day_requests")) == (users + 1, 0)


def test_a_key_is_the_askers_own(admin: httpx.Client, operator: httpx.Client) -> None:
    first = admin.post(f"{SYNC}/requests", json=RANGE, headers=KEY)
    second = operator.post(f"{SYNC}/requests", json={**RANGE, "first": "2025-08-16"}, headers=KEY)
    assert (first.json()["first"], second.json()["first"]) == ("2025-08-15", "2025-08-16")


def test_an_answer_that_is_kept_can_be_read_by_nobody_without_the_key_of_the_installation(
    admin: httpx.Client, web: Web
) -> None:
    assert admin.post(USERS, json=BODY, headers=KEY).status_code == 201
    kept = str(web.rows("SELECT * FROM sync.acts"))
    assert KEY["idempotency-key"] in kept
    assert "Berta" not in kept


def test_what_failed_changed_nothing_and_may_be_tried_again_with_its_key(operator: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    ((number, facts),) = web.rows(f"SELECT id, facts_hash FROM sync.conflicts WHERE source_id = '{UNMAPPED}'")
    path = f"/api/v1/conflicts/{number}/decision"
    ask: dict[str, Any] = {"json": {"choice": "ignore", "facts_hash": facts}, "headers": KEY}
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.conflicts SET facts_hash = 'others'"))
    refused(operator.post(path, **ask), 409, "changed meanwhile")
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.conflicts SET facts_hash = :facts"), {"facts": facts})
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: operator.post(path, **ask), range(4)))
    assert {(answer.status_code, answer.json()["day"]) for answer in answers} == {(200, str(DAY))}
    assert number_of(web, "sync.audit_logs WHERE event = 'conflict.decided'") == 1
    refused(operator.post(path, json=ask["json"]), 409, "is no longer open")


def test_an_act_whose_process_died_is_for_a_person_to_look_at(
    operator: httpx.Client, as_role: AsRole, web: Web
) -> None:
    operator.post(f"{SYNC}/requests", json=RANGE, headers=KEY)
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.acts SET status = NULL, answer = NULL, asked_at = now() - interval '3m'"))
    refused(operator.post(f"{SYNC}/requests", json=RANGE, headers=KEY), 409, "was cut off before it was answered")
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.acts SET asked_at = now() - interval '25h'"))
    assert operator.post(f"{SYNC}/requests", json=RANGE, headers=KEY).status_code == 202, "a key is kept for a day"


def test_a_key_that_cannot_be_one_is_told(operator: httpx.Client, web: Web) -> None:
    headers = {"idempotency-key": "with blanks"}
    refused(operator.post(f"{SYNC}/requests", json=RANGE, headers=headers), 422, "Idempotency-Key has 1 to 200 letters")
    assert number_of(web, "sync.day_requests") == 0


def test_a_stranger_and_a_lower_role_are_refused_before_any_key(web: Web, viewer: httpx.Client) -> None:
    refused(web.client.post(f"{SYNC}/requests", json=RANGE, headers=KEY), 401, "Nobody is signed in")
    refused(viewer.post(f"{SYNC}/requests", json=RANGE, headers=KEY), 403, "role operator")
    assert number_of(web, "sync.acts") == 0
