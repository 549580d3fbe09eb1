"""The simulated Jira behaves as documents and clients of the real one say (docs/jira.md)."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from zk_sandbox.control import with_control
from zk_sandbox.jira import JiraServer
from zk_sandbox.jira.records import milliseconds
from zk_sandbox.jira.webhooks import announced, signature
from zk_sandbox.server import ServerThread

NOON = datetime(2025, 8, 16, 12, 0, tzinfo=UTC)
EARLIER = NOON - timedelta(hours=1)
MAIL, TOKEN = "zk-sync@example.net", "reader-token"
REASON = "X-Seraph-LoginReason"


def basic(token: str = TOKEN, mail: str = MAIL) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{mail}:{token}".encode()).decode()}


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[JiraServer, str]]:
    jira = JiraServer()
    with ServerThread(with_control(jira)) as server:
        yield jira, server.url


@pytest.fixture
def jira(service: tuple[JiraServer, str]) -> JiraServer:
    """A site on Cloud with a frozen clock and the service account."""
    server, _ = service
    server.restore(JiraServer({"now": NOON.isoformat()}).snapshot())
    server.add_reader(TOKEN)
    return server


@pytest.fixture
def cloud(jira: JiraServer, service: tuple[JiraServer, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{service[1]}/rest/api/3", headers=basic(), trust_env=False) as client:
        yield client


@pytest.fixture
def center(service: tuple[JiraServer, str]) -> Iterator[tuple[JiraServer, httpx.Client]]:
    """A Data Center."""
    server, url = service
    server.restore(JiraServer({"now": NOON.isoformat(), "deployment": "server", "version": "10.3.0"}).snapshot())
    server.add_reader(TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=f"{url}/rest/api/2", headers=headers, trust_env=False) as client:
        yield server, client


@pytest.fixture
def ada(jira: JiraServer) -> str:
    return jira.add_user("Ada Agent", "ada@example.com", zone="Europe/Berlin")


@pytest.fixture
def project(jira: JiraServer) -> int:
    return jira.add_project("ACME", "Acme support")


@pytest.fixture
def issue(jira: JiraServer, project: int) -> int:
    return jira.add_issue(project, "Printer on fire", at=EARLIER)


def rows(client: httpx.Client, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def feed(client: httpx.Client, name: str = "updated", since: datetime = EARLIER) -> list[int]:
    return [row["worklogId"] for row in rows(client, f"/worklog/{name}", since=milliseconds(since))["values"]]


def listed(client: httpx.Client, *ids: int) -> list[dict[str, Any]]:
    answer = client.post("/worklog/list", json={"ids": ids})
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestFeeds:
    def test_the_last_minute_is_hidden(self, jira, cloud, ada, issue):
        new = jira.log(issue, ada, 900, NOON, at=NOON - timedelta(seconds=30))
        assert feed(cloud) == []
        jira.configure({"now": (NOON + timedelta(seconds=30)).isoformat()})
        assert feed(cloud) == [new]

    def test_since_is_inclusive_and_the_oldest_change_comes_first(self, jira, cloud, ada, issue):
        first = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        second = jira.log(issue, ada, 900, EARLIER, at=EARLIER + timedelta(minutes=5))
        jira.edit(first, EARLIER + timedelta(minutes=9), seconds=60)
        assert feed(cloud, since=EARLIER + timedelta(minutes=5)) == [second, first]

    def test_ids_are_numbers_in_feeds_and_texts_in_rows(self, jira, cloud, ada, issue):
        new = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        assert feed(cloud) == [new]
        row = listed(cloud, new)[0]
        assert (row["id"], row["issueId"]) == (str(new), str(issue))

    def test_a_page_has_a_thousand_rows_and_names_the_next(self, jira, cloud, ada, issue):
        for second in range(1001):
            jira.log(issue, ada, 900, EARLIER, at=EARLIER + timedelta(seconds=second))
        page = rows(cloud, "/worklog/updated", since=0)
        assert (len(page["values"]), page["lastPage"]) == (1000, False)
        assert page["nextPage"].endswith(f"since={page['until']}")
        assert len(rows(cloud, "/worklog/updated", since=page["until"])["values"]) == 2

    def test_ties_of_more_than_a_page_never_end(self, jira, cloud, ada, issue):
        for _ in range(1500):
            jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        page = rows(cloud, "/worklog/updated", since=milliseconds(EARLIER))
        assert page["until"] == page["since"]
        assert not page["lastPage"]

    def test_hidden_worklogs_are_left_out_of_a_list(self, jira, cloud, ada, issue):
        seen = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        kept = jira.log(issue, ada, 900, EARLIER, visibility={"type": "group", "value": "board"}, at=EARLIER)
        assert [row["id"] for row in listed(cloud, seen, kept, 999_999)] == [str(seen)]

    @pytest.mark.parametrize("shows", [True, False])
    def test_a_feed_may_name_worklogs_of_hidden_projects(self, jira, cloud, ada, issue, project, shows):
        new = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        jira.configure({"feed_shows_hidden": shows})
        jira.revoke(project, next(iter(jira.state.users)))
        assert feed(cloud) == ([new] if shows else [])

    @pytest.mark.parametrize("each", ["worklog", "change"])
    def test_a_feed_has_one_row_for_each_worklog_or_for_each_change(self, jira, cloud, ada, issue, each):
        jira.configure({"feed_rows": each})
        new = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        jira.edit(new, EARLIER + timedelta(minutes=1), seconds=60)
        assert feed(cloud) == [new] * (1 if each == "worklog" else 2)

    @pytest.mark.parametrize("leaves", [True, False])
    def test_a_deleted_issue_takes_its_worklogs_along(self, jira, cloud, ada, issue, leaves):
        jira.configure({"tombstones_of_issues": leaves})
        new = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        jira.delete_issue(issue, EARLIER)
        assert feed(cloud, "deleted") == ([new] if leaves else [])
        assert listed(cloud, new) == []

    @pytest.mark.parametrize("shows", [True, False])
    def test_moved_worklogs_may_be_silent(self, jira, cloud, ada, issue, project, shows):
        jira.configure({"moves_in_feed": shows})
        new = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        other = jira.add_issue(project, "Other", at=EARLIER)
        jira.move_worklogs([new], other, EARLIER + timedelta(minutes=1))
        assert feed(cloud, since=EARLIER + timedelta(seconds=1)) == ([new] if shows else [])
        assert listed(cloud, new)[0]["issueId"] == str(other)

    def test_the_feed_of_deletions_may_forget(self, jira, cloud, ada, issue):
        old = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        jira.delete(old, NOON - timedelta(days=40))
        assert feed(cloud, "deleted", NOON - timedelta(days=90)) == [old]
        jira.configure({"tombstones_kept_days": 30})
        assert feed(cloud, "deleted", NOON - timedelta(days=90)) == []


class TestAccess:
    def test_a_dead_token_is_a_visitor_and_a_header_says_so(self, jira, cloud, ada, issue):
        new = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        dead = basic("dead")
        found = cloud.get("/project/search", headers=dead)
        assert (found.status_code, found.json()["total"], found.headers[REASON]) == (200, 0, "AUTHENTICATED_FAILED")
        missing = cloud.get(f"/issue/{issue}/worklog/{new}", headers=dead)
        assert (missing.status_code, missing.headers[REASON]) == (404, "AUTHENTICATED_FAILED")
        assert cloud.get("/myself", headers=dead).status_code == 401

    @pytest.mark.parametrize(("mode", "status"), [("refused", 401), ("anonymous", 200)])
    def test_feeds_refuse_a_dead_token_or_take_it_for_a_visitor(self, jira, cloud, mode, status):
        jira.configure({"feeds_for_strangers": mode})
        answer = cloud.get("/worklog/updated", headers=basic("dead"))
        assert (answer.status_code, answer.headers[REASON]) == (status, "AUTHENTICATED_FAILED")

    def test_a_good_token_has_no_such_header(self, cloud):
        assert REASON not in cloud.get("/myself").headers

    def test_a_token_may_expire_during_a_run(self, jira, cloud):
        jira.state.tokens[TOKEN].requests_left = 1
        assert cloud.get("/myself").status_code == 200
        assert cloud.get("/myself").status_code == 401

    def test_a_scoped_token_works_at_the_gateway_only(self, jira, cloud, service):
        jira.add_token(next(iter(jira.state.users)), "scoped", scopes=["read:jira-work"])
        assert cloud.get("/myself", headers=basic("scoped")).status_code == 401
        gateway = f"{service[1]}/ex/jira/{jira.settings.cloud_id}/rest/api/3"
        assert cloud.get(f"{gateway}/myself", headers=basic("scoped")).status_code == 200
        jira.add_token(next(iter(jira.state.users)), "narrow", scopes=["read:jira-user"])
        assert "scope" in cloud.get(f"{gateway}/myself", headers=basic("narrow")).text

    def test_hidden_and_deleted_look_the_same(self, jira, cloud, issue, project):
        jira.revoke(project, next(iter(jira.state.users)))
        hidden, absent = cloud.get(f"/issue/{issue}"), cloud.get("/issue/999999")
        assert (hidden.status_code, hidden.text) == (absent.status_code, absent.text)

    def test_the_right_to_browse_may_end_during_a_run(self, jira, cloud, issue, project):
        jira.state.projects[project].closes_after = 1
        assert [cloud.get(f"/issue/{issue}").status_code for _ in range(3)] == [200, 404, 404]

    def test_roles_restrict_worklogs_too(self, jira, cloud, ada, issue, project):
        new = jira.log(issue, ada, 900, EARLIER, visibility={"type": "role", "value": "Leads"}, at=EARLIER)
        assert listed(cloud, new) == []
        jira.state.projects[project].roles["Leads"] = [next(iter(jira.state.users))]
        assert len(listed(cloud, new)) == 1


class TestIssues:
    def test_bulk_fetch_leaves_out_what_is_hidden(self, cloud, issue):
        body = {"issueIdsOrKeys": [str(issue), "999999"], "fields": ["summary", "project"]}
        found = cloud.post("/issue/bulkfetch", json=body).json()
        assert [row["id"] for row in found["issues"]] == [str(issue)]
        assert found["issues"][0]["fields"]["project"]["key"] == "ACME"
        refused = cloud.post("/issue/bulkfetch", json={"issueIdsOrKeys": ["1"] * 101, "fields": ["worklog"]})
        assert refused.status_code == 400

    def test_a_search_gives_ids_and_a_token(self, jira, cloud, project):
        ids = [str(jira.add_issue(project, "Case", at=EARLIER)) for _ in range(3)]
        first = rows(cloud, "/search/jql", jql="project = ACME", maxResults=2)
        assert first["issues"] == [{"id": each, "key": first["issues"][at]["key"], "self": first["issues"][at]["self"]}
                                   for at, each in enumerate(ids[:2])]  # fmt: skip
        after = rows(cloud, "/search/jql", jql="project = ACME", maxResults=2, nextPageToken=first["nextPageToken"])
        assert [row["id"] for row in after["issues"]] == ids[2:]
        assert after["isLast"]
        assert cloud.get("/search/jql", params={"jql": "order by key"}).status_code == 400

    def test_an_index_lags_and_misses(self, jira, cloud, issue):
        jira.configure({"index_lag_seconds": 7200})
        assert rows(cloud, "/search/jql", jql="project = ACME")["issues"] == []
        jira.configure({"index_lag_seconds": 0, "index_misses": [issue]})
        assert rows(cloud, "/search/jql", jql="project = ACME")["issues"] == []

    def test_days_of_a_query_are_those_of_the_account(self, jira, cloud, ada, issue):
        jira.log(issue, ada, 900, datetime(2025, 8, 14, 22, 30, tzinfo=UTC), at=EARLIER)
        query = 'worklogDate >= "2025-08-15"'
        assert rows(cloud, "/search/jql", jql=query)["issues"] == []
        jira.state.users[next(iter(jira.state.users))].zone = "Europe/Berlin"
        assert len(rows(cloud, "/search/jql", jql=query)["issues"]) == 1

    def test_a_former_key_leads_to_the_issue(self, jira, cloud, issue):
        jira.move_issue(issue, jira.add_project("NEW", "New"), EARLIER)
        assert rows(cloud, "/issue/ACME-1")["key"] == "NEW-1"

    def test_twenty_worklogs_are_embedded(self, jira, cloud, ada, issue):
        for _ in range(25):
            jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        embedded = rows(cloud, f"/issue/{issue}", fields="worklog")["fields"]["worklog"]
        assert (len(embedded["worklogs"]), embedded["total"]) == (20, 25)


class TestRows:
    def test_times_have_milliseconds_and_no_colon(self, jira, cloud, ada, issue):
        new = jira.log(issue, ada, 30 * 3600, datetime(2025, 8, 15, 22, 30, tzinfo=UTC), "Hot\nwork", at=EARLIER)
        row = listed(cloud, new)[0]
        assert (row["started"], row["timeSpent"]) == ("2025-08-15T22:30:00.000+0000", "3d 6h")
        assert row["comment"]["content"][1]["content"][0]["text"] == "work"
        jira.configure({"printed_zone": "site", "zone": "Europe/Berlin"})
        assert listed(cloud, new)[0]["started"] == "2025-08-16T00:30:00.000+0200"

    def test_people_show_what_they_want(self, jira, cloud, issue):
        shy = jira.add_user("Shy", "shy@example.com", shows_email=False)
        row = listed(cloud, jira.log(issue, shy, 900, EARLIER, at=EARLIER))[0]
        assert row["author"] == {"accountId": shy, "accountType": "atlassian", "active": True, "displayName": "Shy"}
        jira.configure({"user_service_down": True})
        assert rows(cloud, "/user", accountId=shy)["displayName"] == ""

    @pytest.mark.parametrize(("keeps", "seconds"), [(True, 90), (False, 60)])
    def test_seconds_are_kept_or_cut(self, jira, cloud, ada, issue, keeps, seconds):
        jira.configure({"keeps_seconds": keeps})
        assert listed(cloud, jira.log(issue, ada, 90, EARLIER, at=EARLIER))[0]["timeSpentSeconds"] == seconds

    @pytest.mark.parametrize(("inclusive", "count"), [(True, 1), (False, 0)])
    def test_bounds_may_be_inclusive(self, jira, cloud, ada, issue, inclusive, count):
        jira.configure({"inclusive_bounds": inclusive})
        jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        found = rows(cloud, f"/issue/{issue}/worklog", startedAfter=milliseconds(EARLIER))
        assert len(found["worklogs"]) == count

    def test_writes_are_the_accounts_own(self, jira, cloud, issue):
        body = {"timeSpentSeconds": 120, "started": "2025-08-15T09:00:00.000+0000", "comment": "x"}
        made = cloud.post(f"/issue/{issue}/worklog", json=body).json()
        assert made["author"]["accountId"] == next(iter(jira.state.users))
        path = f"/issue/{issue}/worklog/{made['id']}"
        assert cloud.put(path, json={"timeSpentSeconds": 180}).json()["timeSpentSeconds"] == 180
        assert cloud.put(path, json={"timeSpentSeconds": 30}).status_code == 400
        assert cloud.delete(path).status_code == 204
        assert cloud.get(path).status_code == 404

    def test_many_are_moved_and_deleted_at_once(self, jira, cloud, ada, issue, project):
        ids = [jira.log(issue, ada, 900, EARLIER, at=EARLIER) for _ in range(3)]
        other = jira.add_issue(project, "Other", at=EARLIER)
        moved = cloud.post(f"/issue/{issue}/worklog/move", json={"ids": ids[:2], "issueIdOrKey": str(other)})
        assert (moved.status_code, jira.state.worklogs[ids[0]].issue_id) == (204, other)
        assert cloud.request("DELETE", f"/issue/{issue}/worklog", json={"ids": ids}).status_code == 204
        assert sorted(jira.state.worklogs) == ids[:2]

    def test_without_time_tracking_every_worklog_route_fails(self, jira, cloud, issue):
        jira.configure({"time_tracking": False})
        assert cloud.get("/worklog/updated").status_code == cloud.get(f"/issue/{issue}/worklog").status_code == 400


class TestDirectory:
    def test_the_account_and_the_site(self, jira, cloud):
        assert rows(cloud, "/myself")["emailAddress"] == MAIL
        assert rows(cloud, "/serverInfo")["deploymentType"] == "Cloud"
        held = rows(cloud, "/mypermissions", permissions="BROWSE_PROJECTS")["permissions"]
        assert held["BROWSE_PROJECTS"]["havePermission"] is False
        jira.add_project("ACME", "Acme")
        held = rows(cloud, "/mypermissions", permissions="BROWSE_PROJECTS")["permissions"]
        assert held["BROWSE_PROJECTS"]["havePermission"] is True

    @pytest.mark.usefixtures("project")
    def test_projects_by_stage(self, jira, cloud):
        jira.state.projects[jira.add_project("OLD", "Old")].status = "archived"
        keys = [row["key"] for row in rows(cloud, "/project/search")["values"]]
        both = [row["key"] for row in rows(cloud, "/project/search", status=["live", "archived"])["values"]]
        assert (keys, both) == (["ACME"], ["ACME", "OLD"])

    def test_people_are_found_by_those_who_may_browse(self, jira, cloud, ada):
        assert [row["accountId"] for row in rows(cloud, "/user/search", query="ada")] == [ada]
        assert ada in [row["accountId"] for row in rows(cloud, "/users/search")]
        jira.state.users[next(iter(jira.state.users))].browses_users = False
        assert rows(cloud, "/user/search", query="ada") == []
        assert cloud.get("/users/search").status_code == 403

    def test_organizations_are_a_field_of_the_issue(self, jira, cloud, project, service):
        acme = jira.add_organization("Acme Ltd")
        issue = jira.add_issue(project, "Case", organizations=[acme], at=EARLIER)
        field = next(row for row in rows(cloud, "/field") if row["custom"])
        shown = rows(cloud, f"/issue/{issue}", fields=field["id"])["fields"][field["id"]]
        assert shown == [{"id": str(acme), "name": "Acme Ltd"}]
        listed = cloud.get(f"{service[1]}/rest/servicedeskapi/organization").json()
        assert (listed["isLastPage"], listed["values"]) == (True, shown)
        jira.configure({"organizations_field": None})
        assert not any(row["custom"] for row in rows(cloud, "/field"))


class TestDataCenter:
    def test_twenty_worklogs_come_unless_more_are_asked_for(self, center):
        jira, client = center
        ada, issue = jira.add_user("Ada", "ada@example.com"), jira.add_issue(jira.add_project("A", "A"), "Case")
        for _ in range(68):
            jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        few = rows(client, f"/issue/{issue}/worklog")
        assert (len(few["worklogs"]), few["total"]) == (20, 68)
        assert len(rows(client, f"/issue/{issue}/worklog", startAt=0, maxResults=1000)["worklogs"]) == 68

    def test_people_have_names_and_keys_and_comments_are_text(self, center):
        jira, client = center
        ada, issue = jira.add_user("Ada", "ada@example.com"), jira.add_issue(jira.add_project("A", "A"), "Case")
        row = listed(client, jira.log(issue, ada, 900, EARLIER, "h1. Hot", at=EARLIER))[0]
        assert (row["author"]["key"], row["author"]["name"], row["comment"]) == (ada, "ada", "h1. Hot")
        assert rows(client, "/worklog/updated", since=0)["isLastPage"] is True

    def test_one_unknown_id_spoils_a_query(self, center):
        jira, client = center
        issue = jira.add_issue(jira.add_project("A", "A"), "Case", at=EARLIER)
        assert rows(client, "/search", jql=f"id in ({issue})", fields="summary")["total"] == 1
        assert client.get("/search", params={"jql": f"id in ({issue}, 999999)"}).status_code == 400

    def test_a_dead_token_is_refused(self, center):
        _, client = center
        assert client.get("/project", headers={"Authorization": "Bearer dead"}).status_code == 401

    def test_a_hidden_field_hides_the_worklogs(self, center):
        jira, client = center
        project = jira.add_project("A", "A")
        issue = jira.add_issue(project, "Case")
        jira.log(issue, jira.add_user("Ada"), 900, EARLIER, at=EARLIER)
        jira.state.projects[project].logs_work = False
        assert rows(client, f"/issue/{issue}/worklog")["total"] == 0


class TestWebhooks:
    def test_the_signature_is_that_of_the_body(self):
        expected = "sha256=2d03fc96e46fe72aba41fb9d5f484f92a97f604c01a22409f03b2fa896a68222"
        assert signature("zk-jira-test-key", b'{"worklog":{"id":"1"}}') == expected

    def test_who_subscribed_is_told_with_one_identifier(self, jira, cloud, ada, issue, service):
        body = {"name": "zk", "url": "https://zk.example.net", "events": ["worklog_updated"], "secret": "s"}
        cloud.post(f"{service[1]}/rest/webhooks/1.0/webhook", json=body)
        new = jira.log(issue, ada, 900, EARLIER, at=EARLIER)
        assert announced(jira, "worklog_deleted", new) == []
        [first] = announced(jira, "worklog_updated", new, identifier="one")
        [again] = announced(jira, "worklog_updated", new, identifier="one", attempt=1)
        assert json.loads(first.body)["worklog"]["issueId"] == str(issue)
        assert first.headers["X-Hub-Signature"] == signature("s", first.body)
        assert first.headers["X-Atlassian-Webhook-Identifier"] == again.headers["X-Atlassian-Webhook-Identifier"]
        assert ("X-Atlassian-Webhook-Retry" in first.headers, again.headers["X-Atlassian-Webhook-Retry"]) == (
            False,
            "1",
        )

    def test_a_deleted_issue_is_announced_without_its_worklogs(self, jira, issue):
        jira.add_webhook("https://zk.example.net", ["jira:issue_deleted"])
        [delivery] = announced(jira, "jira:issue_deleted", issue)
        assert json.loads(delivery.body)["issue"]["id"] == str(issue)
        assert "X-Hub-Signature" not in delivery.headers


def test_a_snapshot_brings_everything_back(jira, ada, issue):
    jira.delete(jira.log(issue, ada, 900, EARLIER, at=EARLIER), EARLIER)
    jira.log(issue, ada, 900, EARLIER, visibility={"type": "group", "value": "x"}, at=EARLIER)
    saved = json.loads(json.dumps(jira.snapshot()))
    other = JiraServer()
    other.restore(saved)
    assert other.snapshot() == jira.snapshot()


def test_impossible_settings_are_refused():
    jira = JiraServer()
    for wrong in ({"deployment": "moon"}, {"zone": "Nowhere"}, {"colour": "red"}, {"feed_rows": "all"}):
        with pytest.raises(ValueError, match=r"[.;]"):
            jira.configure(wrong)
