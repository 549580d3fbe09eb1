"""Users and API tokens over the API: admins manage people, people their own tokens, and no secret comes out."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline_tests.web.conftest import Web, refused
from zk_pipeline_tests.web.signing_in import LOGIN, ME, PASSWORD, bearer, events

USERS, TOKENS, CONFIRM = "/api/v1/users", "/api/v1/tokens", "/api/v1/auth/confirm"
ADA = {"email": "ada@example.com", "role": "viewer"}
AsRole = Callable[[str], httpx.Client]


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def wanted(**changed: Any) -> dict[str, Any]:
    return {"name": "nightly export", "role": "viewer", "expires_at": in_days(30), **changed}


def test_an_admin_creates_changes_and_lists_users(in_session: AsRole, web: Web):
    admin = in_session("admin")
    made = admin.post(USERS, json={"email": "Ada@Example.com", "role": "viewer", "password": PASSWORD})
    assert (made.status_code, made.json()["email"], "password" in made.text.replace("has_password", "")) == (
        201,
        "ada@example.com",
        False,
    )
    path = f"{USERS}/{made.json()['id']}"
    assert admin.patch(path, json={"role": "operator", "name": "Ada"}).json()["role"] == "operator"
    assert admin.get(path).json()["name"] == "Ada"
    listed = admin.get(USERS, params={"size": 1, "page": 1}).json()
    assert (listed["total"], listed["pages"], listed["items"][0]["email"]) == (2, 2, "ada@example.com")
    assert admin.put(f"{path}/password", json={"password": "another long one"}).status_code == 204
    answer = web.client.post(LOGIN, json={"email": "ada@example.com", "password": "another long one"})
    assert answer.status_code == 200


def test_blanks_around_a_password_belong_to_it_in_the_api_as_on_the_page(in_session: AsRole, web: Web):
    blank = f"  {PASSWORD} "
    made = in_session("admin").post(USERS, json={"email": " ada@example.com ", "role": "viewer", "password": blank})
    assert (made.status_code, made.json()["email"]) == (201, "ada@example.com")
    for password, status, page in ((blank, 200, 303), (PASSWORD, 401, 401)):
        given = {"email": "ada@example.com", "password": password}
        assert web.client.post(LOGIN, json=given).status_code == status
        origin = {"origin": str(web.client.base_url).rstrip("/")}
        assert web.client.post("/sign-in", data=given, headers=origin).status_code == page


def test_changes_of_users_are_audited_with_before_and_after(in_session: AsRole, web: Web):
    admin = in_session("admin")
    made = admin.post(USERS, json={"email": "ada@example.com", "role": "viewer"}).json()
    admin.patch(f"{USERS}/{made['id']}", json={"role": "operator"})
    assert events(web)[-1] == ("user.changed", "user:1", f"user:{made['id']}")
    ((detail,),) = web.rows("SELECT detail FROM sync.audit_details ORDER BY id DESC LIMIT 1")
    assert (detail["before"], detail["after"]) == ({"role": "viewer"}, {"role": "operator"})


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"email": "admin@example.com", "role": "viewer"}, 409, "User admin@example.com already exists"),
        ({"email": "ada", "role": "viewer"}, 422, "is invalid. Write it as"),
        ({"email": "ada@example.com", "role": "root"}, 422, "body.role"),
        ({"email": "ada@example.com", "role": "viewer", "password": "short"}, 422, "this one has 5"),
        ({"email": "ada@example.com", "role": "viewer", "password": "Passw0rd!2024"}, 422, "password is a common one"),
        ({"email": "ada@example.com", "role": "viewer", "password": "qwertyuiop12"}, 422, "password is a common one"),
        (
            {"email": "ada.lovelace@example.com", "role": "viewer", "password": "AdaLovelace1!"},
            422,
            "nothing to do with your name",
        ),
        ({**ADA, "name": "Ada Lovelace", "password": "Lovelace ada example"}, 422, "nothing to do with your name"),
        ({**ADA, "password": "kimai-zammad-1"}, 422, "names of these systems"),
        ({"email": "ada@example.com", "role": "viewer", "id": 7}, 422, "Extra inputs"),
        ({"email": "ada@example.com", "role": "viewer", "password_hash": "x"}, 422, "Extra inputs"),
    ],
)
def test_what_cannot_be_a_user_is_refused(in_session: AsRole, body: dict[str, Any], status: int, told: str):
    refused(in_session("admin").post(USERS, json=body), status, told)


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"active": False}])
def test_the_last_admin_cannot_step_down(in_session: AsRole, change: dict[str, Any]):
    admin = in_session("admin")
    refused(admin.patch(f"{USERS}/1", json=change), 409, "is the last active admin")
    assert admin.get(ME).json()["active"] is True


@pytest.mark.parametrize("more", [{"password_hash": "x"}, {"email": "x@example.com"}, {"oidc_subject": "x"}])
def test_a_change_of_a_user_holds_nothing_else(in_session: AsRole, more: dict[str, str]):
    refused(in_session("admin").patch(f"{USERS}/1", json={"name": "Ada", **more}), 422, "Extra inputs")


def test_an_unknown_user_is_named(as_role: AsRole):
    refused(as_role("admin").get(f"{USERS}/99"), 404, "User 99 does not exist")


def test_a_token_is_shown_once_and_recognized_until_it_is_revoked(in_session: AsRole, web: Web):
    operator = in_session("operator")
    made = operator.post(TOKENS, json=wanted()).json()
    assert made["token"].startswith("zk_")
    listed = operator.get(TOKENS)
    assert made["token"] not in listed.text
    assert listed.json()["items"][0]["name"] == "nightly export"
    assert web.client.get(ME, headers=bearer(made["token"])).status_code == 200
    assert operator.get(TOKENS).json()["items"][0]["last_used_at"] is not None
    assert operator.delete(f"{TOKENS}/{made['id']}").status_code == 204
    refused(web.client.get(ME, headers=bearer(made["token"])), 401, "The token is not valid")


def test_a_token_changes_nothing_of_its_account_and_ends_with_a_new_password(in_session: AsRole, web: Web):
    made = in_session("operator").post(TOKENS, json=wanted()).json()
    with_token = {"headers": bearer(made["token"])}
    for change in ({"name": "Eve"}, {"password": "another long one", "current_password": PASSWORD}):
        refused(web.client.patch(ME, json=change, **with_token), 403, "cannot change the account that it belongs to")
    path = f"{USERS}/{made['user_id']}/password"
    assert in_session("admin").put(path, json={"password": "another long one"}).status_code == 204
    refused(web.client.get(ME, **with_token), 401, "The token is not valid")


def test_a_token_is_stored_as_its_hash_alone(in_session: AsRole, web: Web):
    token = in_session("viewer").post(TOKENS, json=wanted()).json()["token"]
    stored = web.rows("SELECT to_jsonb(api_tokens)::text FROM sync.api_tokens") + web.rows(
        "SELECT to_jsonb(audit_details)::text FROM sync.audit_details"
    )
    assert token not in str(stored)
    assert token.removeprefix("zk_") not in str(stored)


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({"role": "admin"}, 403, "of at most operator, your own"),
        ({"expires_at": in_days(400)}, 422, "Choose an expiry within the next 366 days"),
        ({"expires_at": in_days(-1)}, 422, "Choose an expiry within the next 366 days"),
        ({"expires_at": "2026-12-01T00:00:00"}, 422, "body.expires_at"),
        ({"expires_at": None}, 422, "body.expires_at"),
        ({"name": " "}, 422, "Give the token a name"),
        ({"user_id": 1}, 422, "Extra inputs"),
    ],
)
def test_a_token_beyond_its_maker_or_a_year_is_refused(
    in_session: AsRole, changed: dict[str, Any], status: int, told: str
):
    refused(in_session("operator").post(TOKENS, json=wanted(**changed)), status, told)


def test_a_token_allows_no_more_than_its_user_does_now(as_role: AsRole, in_session: AsRole):
    admin, operator, other = in_session("admin"), as_role("operator"), as_role("admin")
    number = operator.get(ME).json()["id"]
    admin.patch(f"{USERS}/{number}", json={"role": "admin"})
    refused(operator.get(USERS), 403, "you have operator")
    admin.patch(f"{USERS}/{number}", json={"role": "viewer"})
    refused(in_session("operator").post(TOKENS, json=wanted(role="operator")), 403, "of at most viewer, your own")
    admin.patch(f"{USERS}/{number}", json={"active": False})
    refused(operator.get(ME), 401, "The token is not valid")
    assert other.get(USERS).status_code == 200


def test_other_peoples_tokens_are_the_matter_of_admins(as_role: AsRole, in_session: AsRole):
    viewer, operator, admin = as_role("viewer"), in_session("operator"), as_role("admin")
    number = operator.post(TOKENS, json=wanted()).json()["id"]
    assert {token["email"] for token in viewer.get(TOKENS).json()["items"]} == {"viewer@example.com"}
    refused(viewer.delete(f"{TOKENS}/{number}"), 404, f"Token {number} is not yours")
    assert len({token["email"] for token in admin.get(TOKENS).json()["items"]}) == 3
    assert admin.delete(f"{TOKENS}/{number}").status_code == 204


def test_an_api_token_makes_no_further_one(as_role: AsRole):
    refused(as_role("viewer").post(TOKENS, json=wanted()), 403, "make another one")


CHANGES = (
    ("POST", USERS, {"email": "eve@example.com", "role": "admin"}),
    ("PATCH", f"{USERS}/1", {"role": "viewer"}),
    ("PATCH", f"{USERS}/1", {"active": False}),
    ("PUT", f"{USERS}/1/password", {"password": "another long one"}),
    ("POST", TOKENS, wanted()),
)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES, ids=lambda part: str(part)[:30])
def test_accounts_are_changed_and_tokens_made_by_who_gave_the_password_lately(
    in_session: AsRole, as_role: AsRole, web: Web, method: str, path: str, body: dict[str, Any]
):
    as_role("viewer")
    refused(as_role("admin").request(method, path, json=body), 403, "An API token cannot")
    admin = in_session("admin")
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET confirmed_at = now() - interval '301 seconds'"))
    refused(admin.request(method, path, json=body), 403, "Confirm with your password first")
    refused(admin.post(CONFIRM, json={"password": "a wrong password"}), 401, "password is wrong")
    refused(admin.request(method, path, json=body), 403, "Confirm with your password first")
    assert admin.post(CONFIRM, json={"password": PASSWORD}).status_code == 204
    assert admin.request(method, path, json=body).is_success


def test_a_session_that_never_was_confirmed_changes_nothing_and_guesses_are_limited(in_session: AsRole, web: Web):
    viewer = in_session("viewer")
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET confirmed_at = NULL"))
    refused(viewer.post(TOKENS, json=wanted()), 403, "Confirm with your password first")
    refused(viewer.patch(ME, json={"name": "Somebody else"}), 403, "Confirm with your password first")
    guessed = [viewer.post(CONFIRM, json={"password": "a wrong password"}).status_code for _ in range(11)]
    assert guessed == [401] * 10 + [429]
    refused(viewer.post(CONFIRM, json={"password": PASSWORD}), 429, "too many failed sign-ins")
