"""Authentication, permissions and error answers of the simulated Zammad (docs/zammad.md §1, §8)."""

import re
from datetime import timedelta

import pytest

from zk_pipeline_tests.sandbox.conftest import NOON, READER_TOKEN


def failure(answer):
    return answer.status_code, answer.json()["error"], answer.headers.get("X-Failure")


def test_a_call_without_credentials_is_forbidden_not_unauthorized(api):
    del api.headers["Authorization"]
    text = "Authentication required"
    assert failure(api.get("/users/me")) == (403, text, text)


def test_an_unknown_token_is_unauthorized(api):
    text = "Can't find User for Token"
    assert failure(api.as_token("nobody's").get("/users/me")) == (401, text, text)


def test_an_expired_token_is_refused_but_its_use_is_noted(zammad, api):
    agent = zammad.add_agent("anna@example.net")
    zammad.add_token(agent, "old", permissions=["ticket.agent"], expires_at=NOON - timedelta(days=1))
    text = "Not authorized (token expired)!"
    assert failure(api.as_token("old").get("/users/me")) == (401, text, text)
    assert zammad.state.tokens["old"].last_used_at == NOON


def test_the_token_of_an_inactive_owner_is_refused(zammad, api):
    agent = zammad.add_agent("anna@example.net", active=False)
    zammad.add_token(agent, "hers", permissions=["ticket.agent"])
    status, text, _ = failure(api.as_token("hers").get("/users/me"))
    assert (status, text[:13]) == (401, "Login failed.")


@pytest.mark.parametrize(
    "header",
    [f"Token token={READER_TOKEN}", f'Token token="{READER_TOKEN}"', f"Bearer {READER_TOKEN}"],
)
def test_the_token_is_taken_in_each_way_of_writing_it(api, header):
    answer = api.get("/users/me", headers={"Authorization": header})
    assert answer.json()["login"] == "zk-sync@example.net"


def test_basic_credentials_are_taken_of_those_who_have_a_password(zammad, api):
    zammad.add_user("anna@example.net", password="secret")
    del api.headers["Authorization"]
    assert api.get("/users/me", auth=("anna@example.net", "secret")).json()["email"] == "anna@example.net"
    for credentials in (("anna@example.net", "wrong"), ("zk-sync@example.net", "")):
        assert failure(api.get("/users/me", auth=credentials))[:2] == (401, "Invalid BasicAuth credentials")


def test_the_text_of_a_refusal_does_not_tell_whether_the_token_or_its_owner_lacks_the_permission(zammad, api):
    agent = zammad.add_agent("anna@example.net", password="secret")
    zammad.add_token(agent, "wide", permissions=["admin", "ticket.agent"])
    zammad.add_token(agent, "narrow", permissions=["ticket.agent"])
    for token in ("narrow", "wide"):
        assert failure(api.as_token(token).get("/time_accountings"))[:2] == (403, "Not authorized")
        assert failure(api.as_token(token).get("/version"))[:2] == (403, "Token authorization failed.")
    del api.headers["Authorization"]
    refused = api.get("/version", auth=("anna@example.net", "secret"))
    assert failure(refused)[:2] == (403, "User authorization failed.")


@pytest.mark.parametrize("header", ["From", "X-On-Behalf-Of"])
@pytest.mark.parametrize("name", ["anna@example.net", "Anna@Example.net", "{id}"])
def test_whoever_may_change_users_books_as_another(zammad, api, header, name):
    agent, boss = zammad.add_agent("anna@example.net"), zammad.add_user("boss@example.net", permissions=["admin.user"])
    zammad.add_token(boss, "boss", permissions=["ticket.agent"])
    ticket = zammad.add_ticket("Printer")
    path, body = f"/tickets/{ticket}/time_accountings", {"time_unit": 5}
    sent = {header: name.format(id=agent)}
    row = api.as_token("boss").post(path, json=body, headers=sent).json()
    assert row["created_by_id"] == agent
    refused = failure(api.post(path, json=body, headers=sent))
    assert refused[:2] == (403, "Current user has no permission to use 'From'/'X-On-Behalf-Of'!")
    unknown = failure(api.as_token("boss").post(path, json=body, headers={header: "nobody"}))
    assert unknown[:2] == (403, "No such user 'nobody'")


def test_a_parent_permission_includes_its_children(zammad, api):
    admin = zammad.add_user("root@example.net", permissions=["admin"])
    zammad.add_token(admin, "root", permissions=["admin"])
    assert api.as_token("root").rows("/time_accountings") == []


def test_the_version_needs_full_admin(zammad, api):
    assert failure(api.get("/version"))[:2] == (403, "Token authorization failed.")
    admin = zammad.add_user("root@example.net", permissions=["admin"])
    zammad.add_token(admin, "root", permissions=["admin"])
    assert api.as_token("root").rows("/version") == {"version": "6.5.0"}


def test_maintenance_mode_keeps_everybody_out(zammad, api):
    zammad.configure({"maintenance_mode": True})
    assert failure(api.get("/users/me"))[:2] == (403, "Maintenance mode enabled!")


def test_token_access_can_be_switched_off(zammad, api):
    zammad.configure({"token_access": False})
    assert failure(api.get("/users/me"))[:2] == (403, "API token access disabled!")


def test_an_unknown_route_is_not_found(api):
    assert failure(api.get("/nothing/here")) == (404, "This page doesn't exist.", None)


def test_an_error_is_an_html_page_unless_json_is_accepted(api):
    page = api.get("/time_accountings/7", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert api.get("/time_accountings/7", headers={"Accept": "text/html, */*;q=0.1"}).json()["error"]


def test_a_body_that_is_no_json_is_a_server_error(api):
    assert api.post("/tickets/search", content=b"{").status_code == 500


def test_a_database_that_ends_statements_is_422_and_its_text_is_for_administrators(zammad, api):
    admin = zammad.add_user("root@example.net", permissions=["admin"])
    zammad.add_token(admin, "root", permissions=["admin"])
    zammad.configure({"database": "cancelling"})
    answer = api.get("/time_accountings")
    assert (answer.status_code, answer.json().keys()) == (422, {"error"})
    assert re.fullmatch(r"Error ID \S{8}: Please contact your administrator\.", answer.json()["error"])
    assert api.as_token("root").get("/time_accountings").json()["error"].startswith("PG::QueryCanceled")


def test_without_a_database_every_request_is_a_server_error(zammad, api):
    zammad.configure({"database": "down"})
    answer = api.get("/time_accountings")
    assert (answer.status_code, answer.json()) == (500, {"status": 500, "error": "Internal Server Error"})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"colour": "red"}, "Zammad has no setting colour"),
        ({"version": "new"}, "version is 'new'"),
        ({"zone": "Europe/Bärlin"}, "zone is 'Europe/Bärlin'"),
        ({"unit": "day"}, "unit is 'day'"),
        ({"database": "slow"}, "database is 'slow'"),
        ({"search_backend": "solr"}, "search_backend is 'solr'"),
        ({"now": "2025-08-16T12:00:00"}, "has no offset"),
    ],
)
def test_a_setting_that_no_zammad_has_is_refused_and_changes_nothing(zammad, settings, sentence):
    before = zammad.settings
    with pytest.raises(ValueError, match=sentence):
        zammad.configure(settings)
    assert zammad.settings is before
