"""Signing in over the API: tokens for scripts, cookies for browsers, and what ends a session."""

import pytest
from sqlalchemy import text

from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Role
from zk_pipeline_tests.web.conftest import TESTER, Web, refused
from zk_pipeline_tests.web.signing_in import (
    LOGIN,
    LOGOUT,
    ME,
    PASSWORD,
    REFRESH,
    bearer,
    content,
    events,
    login,
    me,
    own_origin,
    signed_in,
    user,
)


@pytest.fixture
def ada(web: Web) -> int:
    return user(web.database).id


def test_a_script_signs_in_and_is_recognized(web: Web, ada: int):
    answer = me(web, signed_in(web)["access_token"])
    assert (answer.json()["email"], answer.json()["role"]) == ("ada@example.com", "operator")


def test_the_email_may_be_written_in_capitals(web: Web, ada: int):
    assert login(web, " Ada@Example.COM ").status_code == 200


def test_a_sign_in_a_failure_and_a_sign_out_are_audited_without_the_email(web: Web, ada: int):
    tokens = signed_in(web)
    login(web, password="wrong password 1")
    login(web, "nobody@example.com")
    web.client.post(LOGOUT, headers=bearer(tokens["access_token"]))
    happened = events(web)
    assert happened[:2] == [
        ("user.signed_in", f"user:{ada}", f"user:{ada}"),
        ("user.sign_in_failed", "nobody", f"user:{ada}"),
    ]
    assert happened[2][2].startswith("account:")
    assert happened[3] == ("user.signed_out", f"user:{ada}", f"user:{ada}")
    (details,) = web.rows("SELECT string_agg(detail::text, ' ') FROM sync.audit_details WHERE id > 1")
    assert "@" not in details[0]
    assert "127.0.0.1" in details[0]


def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(web: Web, ada: int):
    wrong, unknown = login(web, password="wrong password 1"), login(web, "nobody@example.com")
    refused(wrong, 401, "E-mail or password is wrong")
    assert (unknown.status_code, unknown.json()["detail"]) == (401, wrong.json()["detail"])


def test_every_sign_in_is_a_session_of_its_own(web: Web, ada: int):
    first, second = signed_in(web), signed_in(web)
    assert content(first["access_token"])["sid"] != content(second["access_token"])["sid"]


def test_a_session_that_a_browser_brings_along_is_not_taken_over(web: Web, ada: int):
    typed = {"email": "ada@example.com", "password": PASSWORD, "cookies": True}
    planted = web.client.post(LOGIN, json=typed, headers=own_origin(web)).cookies["zk_session"]
    fresh = web.client.post(LOGIN, json=typed, headers=own_origin(web)).cookies["zk_session"]
    assert not set(fresh.split(".")) & set(planted.split("."))


def test_a_refresh_token_gives_fresh_tokens_once(web: Web, ada: int):
    tokens = signed_in(web)
    fresh = web.client.post(REFRESH, json={"refresh_token": tokens["refresh_token"]}).json()
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert me(web, fresh["access_token"]).status_code == 200
    assert web.client.post(REFRESH, json={"refresh_token": fresh["refresh_token"]}).status_code == 200


@pytest.mark.parametrize("renewals", [1, 3])
def test_a_refresh_token_that_is_shown_again_ends_the_session(web: Web, ada: int, renewals: int):
    stolen = signed_in(web)["refresh_token"]
    token, access = stolen, ""
    for _ in range(renewals):
        answer = web.client.post(REFRESH, json={"refresh_token": token}).json()
        token, access = answer["refresh_token"], answer["access_token"]
    refused(web.client.post(REFRESH, json={"refresh_token": stolen}), 401, "the session is over")
    refused(me(web, access), 401, "the session is over")
    refused(web.client.post(REFRESH, json={"refresh_token": token}), 401, "the session is over")
    assert events(web)[-1] == ("session.token_reused", "nobody", f"user:{ada}")


@pytest.mark.parametrize(("minutes", "status"), [(119, 200), (121, 401)])
def test_a_session_that_nobody_uses_ends(web: Web, ada: int, minutes: int, status: int):
    token = signed_in(web)["refresh_token"]
    with web.database.transaction() as connection:
        passed = text("UPDATE sync.sessions SET refreshed_at = now() - make_interval(mins => :minutes)")
        connection.execute(passed, {"minutes": minutes})
    assert web.client.post(REFRESH, json={"refresh_token": token}).status_code == status


def test_an_access_token_renews_nothing_and_a_refresh_token_opens_nothing(web: Web, ada: int):
    tokens = signed_in(web)
    refused(web.client.post(REFRESH, json={"refresh_token": tokens["access_token"]}), 401, "the session is over")
    refused(me(web, tokens["refresh_token"]), 401, "the session is over")


def test_after_a_sign_out_no_token_of_the_session_counts(web: Web, ada: int):
    tokens = signed_in(web)
    assert web.client.post(LOGOUT, headers=bearer(tokens["access_token"])).status_code == 204
    refused(me(web, tokens["access_token"]), 401, "the session is over")
    refused(web.client.post(REFRESH, json={"refresh_token": tokens["refresh_token"]}), 401, "the session is over")


def test_a_new_role_counts_at_once(web: Web, ada: int):
    token = signed_in(web)["access_token"]
    refused(web.client.get("/api/v1/users", headers=bearer(token)), 403, "needs the role admin")
    with web.database.transaction() as connection:
        users.change(connection, TESTER, ada, role=Role.ADMIN)
    assert web.client.get("/api/v1/users", headers=bearer(token)).status_code == 200


def test_a_deactivated_user_is_out_at_once_and_cannot_come_back(web: Web, ada: int):
    tokens = signed_in(web)
    with web.database.transaction() as connection:
        users.change(connection, TESTER, ada, active=False)
    refused(me(web, tokens["access_token"]), 401, "the session is over")
    refused(web.client.post(REFRESH, json={"refresh_token": tokens["refresh_token"]}), 401, "the session is over")
    refused(login(web), 401, "E-mail or password is wrong")


def test_a_reactivated_user_has_to_sign_in_again(web: Web, ada: int):
    tokens = signed_in(web)
    with web.database.transaction() as connection:
        users.change(connection, TESTER, ada, active=False)
        users.change(connection, TESTER, ada, active=True)
    refused(me(web, tokens["access_token"]), 401, "the session is over")
    assert login(web).status_code == 200


def test_a_new_password_needs_the_current_one_and_ends_all_sessions(web: Web, ada: int):
    token = signed_in(web)["access_token"]
    change = {"password": "another long one", "current_password": "a wrong password"}
    refused(web.client.patch(ME, json=change, headers=bearer(token)), 401, "password is wrong")
    change["current_password"] = PASSWORD
    refused(web.client.patch(ME, json={"password": "short"}, headers=bearer(token)), 422, "current_password is missing")
    refused(web.client.patch(ME, json={**change, "password": "short"}, headers=bearer(token)), 422, "this one has 5")
    assert web.client.patch(ME, json=change, headers=bearer(token)).status_code == 200
    refused(me(web, token), 401, "the session is over")
    refused(login(web), 401, "wrong")
    assert login(web, password="another long one").status_code == 200


@pytest.mark.parametrize("more", [{"role": "admin"}, {"active": True}, {"id": 1}, {"email": "x@example.com"}])
def test_nobody_changes_more_about_themselves_than_name_and_password(web: Web, ada: int, more: dict[str, object]):
    token = signed_in(web)["access_token"]
    refused(web.client.patch(ME, json={"name": "Eve", **more}, headers=bearer(token)), 422, "Extra inputs")
    assert (me(web, token).json()["name"], me(web, token).json()["role"]) == ("Ada", "operator")


@pytest.mark.parametrize("email", ["\0", "ada@example.com\0", "ada\n@example.com", "' OR 1=1 --"])
def test_an_email_that_cannot_be_is_as_wrong_as_any_other(web: Web, email: str):
    refused(login(web, email), 401, "E-mail or password is wrong")
