"""The Jira connector against the simulated Jira of both kinds: what it reads, and what it never concludes."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.connectors.conformance import SourceConformance
from zk_pipeline.connectors.contract import SourceConnector
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    UnavailableError,
)
from zk_pipeline.connectors.jira.connector import JiraConnector
from zk_pipeline.connectors.jira.text import plain_comment
from zk_pipeline.connectors.mirror import MemoryMirror
from zk_pipeline.domain.records import BookingKey, Existence, Window
from zk_pipeline_tests.connectors.conftest import Pauses
from zk_pipeline_tests.connectors.jira_world import (
    DAY,
    MAIL,
    MINUTE,
    SECRET,
    TOKENS,
    WINDOW,
    JiraWorld,
    ids,
    read,
    worlds,
)
from zk_sandbox.jira import worklog_routes

NOWHERE = "http://127.0.0.1:9"
KINDS = ["cloud", "server"]


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, pauses: Pauses) -> Iterator[JiraWorld]:
    for made in worlds(pauses):
        yield made.reset(request.param)


@pytest.fixture
def cloud(pauses: Pauses) -> Iterator[JiraWorld]:
    yield from worlds(pauses)


def key(booking: int, world: JiraWorld) -> BookingKey:
    return BookingKey(str(booking), str(world.issue))


class Conformance(SourceConformance):
    deployment = ""

    @pytest.fixture
    def world(self, pauses: Pauses) -> Iterator[JiraWorld]:
        for made in worlds(pauses):
            yield made.reset(self.deployment)

    @pytest.fixture
    def window(self, world: JiraWorld) -> Window:
        for minute, seconds in enumerate([900, 60, 5400, 3600]):
            world.log(DAY + minute * MINUTE, seconds=seconds)
        world.log(DAY - MINUTE)
        world.log(DAY + timedelta(days=1))
        return WINDOW

    @pytest.fixture
    def connector(self, world: JiraWorld) -> JiraConnector:
        return world.connect()

    @pytest.fixture
    def stranger(self, world: JiraWorld) -> JiraConnector:
        return world.connect(f"{MAIL}:unknown-token" if self.deployment == "cloud" else "unknown-token")

    @pytest.fixture
    def unreachable(self, world: JiraWorld) -> JiraConnector:
        return world.connect(base_url=NOWHERE, attempts=1)


class TestCloud(Conformance):
    deployment = "cloud"


class TestDataCenter(Conformance):
    deployment = "server"


class TestRows:
    def test_a_worklog_is_a_booking(self, world: JiraWorld) -> None:
        new = world.log(
            DAY + timedelta(hours=9), at=DAY + timedelta(hours=12), seconds=100, comment="Changed the toner"
        )
        [row] = read(world.connect())
        assert (row.id, row.ticket_id, row.agent_id) == (str(new), str(world.issue), world.ada)
        assert (row.seconds, row.units, row.note) == (100, Decimal(0), "Changed the toner")
        assert (row.worked_at, row.created_at) == (DAY + timedelta(hours=9), DAY + timedelta(hours=12))
        assert row.worked_until == DAY + timedelta(hours=9, seconds=100)
        assert row.counts_at == row.worked_at
        assert row.is_final
        assert not row.faults

    @pytest.mark.parametrize("printed", ["utc", "site"])
    def test_the_printed_offset_does_not_matter(self, world: JiraWorld, printed: str) -> None:
        world.site.configure({"printed_zone": printed, "zone": "Asia/Kolkata"})
        world.log(DAY + timedelta(hours=9))
        assert read(world.connect())[0].worked_at == DAY + timedelta(hours=9)

    @pytest.mark.parametrize(("keeps", "seconds"), [(True, 90), (False, 60)])
    def test_seconds_are_as_jira_has_them(self, world: JiraWorld, keeps: bool, seconds: int) -> None:
        world.site.configure({"keeps_seconds": keeps})
        world.log(seconds=90)
        assert read(world.connect())[0].seconds == seconds

    def test_the_author_counts_and_not_the_editor(self, world: JiraWorld) -> None:
        new = world.log()
        world.site.edit(new, DAY, editor_id=world.site.add_user("Boss"))
        assert read(world.connect())[0].agent_id == world.ada

    def test_the_type_of_the_issue_is_that_of_the_booking(self, world: JiraWorld) -> None:
        world.site.change_issue(world.issue, DAY, issue_type="Incident")
        world.log()
        source = world.connect()
        named = {kind.id: kind.name for kind in source.fetch_types().activity_types}
        assert named[read(source)[0].type_id or ""] == "Incident"

    @pytest.mark.parametrize(
        ("field", "value", "named"),
        [
            ("timeSpentSeconds", -60, "timeSpentSeconds"),
            ("timeSpentSeconds", "60", "timeSpentSeconds"),
            ("started", "yesterday", "started"),
            ("author", None, "created_by_id"),
            ("created", None, "created_at"),
            ("issueId", "X-1", "issueId"),
        ],
    )
    def test_one_bad_row_costs_no_other(
        self, cloud: JiraWorld, monkeypatch: pytest.MonkeyPatch, field: str, value: Any, named: str
    ) -> None:
        bad, good = cloud.log(), cloud.log(DAY + MINUTE)
        whole = worklog_routes.worklog_json
        source = cloud.connect()
        assert ids(read(source)) == [bad, good]
        monkeypatch.setattr(
            worklog_routes,
            "worklog_json",
            lambda site, row: whole(site, row) | ({field: value} if row.id == bad else {}),
        )
        rows = {int(row.id): row for row in read(source)}
        assert set(rows[bad].faults) == {named}
        assert not rows[good].faults


class TestComments:
    def test_a_document_becomes_text(self) -> None:
        document = {
            "type": "doc",
            "content": [
                {"type": "paragraph", "content": [
                    {"type": "text", "text": "Asked "},
                    {"type": "mention", "attrs": {"id": "1", "text": "@Bob"}},
                    {"type": "hardBreak"},
                    {"type": "text", "text": "and looked at", "marks": [{"type": "strong"}]},
                    {"type": "text", "text": " "},
                    {"type": "inlineCard", "attrs": {"url": "https://example.com/1"}},
                ]},
                {"type": "bulletList", "content": [
                    {"type": "listItem", "content": [
                        {"type": "paragraph", "content": [{"type": "text", "text": "toner"}]}]},
                    {"type": "listItem", "content": [
                        {"type": "paragraph", "content": [{"type": "text", "text": "paper"}]}]},
                ]},
                {"type": "tomorrowsNode", "content": [{"type": "text", "text": "new"}]},
                {"type": "mediaSingle", "content": [{"type": "media", "attrs": {"id": "x"}}]},
            ],
        }  # fmt: skip
        assert plain_comment(document) == "Asked @Bob\nand looked at https://example.com/1\n- toner\n- paper\nnew"

    @pytest.mark.parametrize("broken", [None, {}, {"type": "doc", "content": 7}, {"content": [None, 3]}, [], 5])
    def test_no_document_is_no_text(self, broken: Any) -> None:
        assert plain_comment(broken) == ""

    def test_depth_has_an_end(self) -> None:
        document: dict[str, Any] = {"type": "text", "text": "deep"}
        for _ in range(500):
            document = {"type": "panel", "content": [document]}
        assert plain_comment(document) == ""

    @pytest.mark.parametrize(
        ("wiki", "plain"),
        [
            ("h1. Toner\n*new* and _clean_", "Toner\nnew and clean"),
            ("see [the page|https://example.com/a] or [https://example.com]",
             "see the page (https://example.com/a) or https://example.com"),
            ("* one\n** two\n# three", "- one\n- two\n- three"),
            ("{code:java}\nint a = b * c;\n{code}", "int a = b * c;"),
            ("{color:red}hot{color} -cold- well-known", "hot cold well-known"),
            ("||Part||Hours||\n|fuser|2|", "Part Hours\nfuser 2"),
            ("asked [~bob] !photo.png|thumbnail! snake_case_name 2*3*4", "asked @bob snake_case_name 2*3*4"),
            (r"a\\ b \{kept\}", "a\nb {kept}"),
            ("from 9-12, 13-15", "from 9-12, 13-15"),
        ],
    )  # fmt: skip
    def test_wiki_markup_becomes_text(self, wiki: str, plain: str) -> None:
        assert plain_comment(wiki) == plain


class TestMirror:
    def test_a_window_takes_few_requests_once_the_mirror_is_there(self, world: JiraWorld) -> None:
        for minute in range(5):
            world.log(DAY + minute * MINUTE)
        mirror = MemoryMirror()
        read(world.connect(mirror=mirror))
        world.control.reset_requests()
        assert len(read(world.connect(mirror=mirror))) == 5
        counted = world.control.requests()
        assert (counted.reads, counted.writes) == (7, 0), counted.by_route

    def test_only_changes_are_read_again(self, world: JiraWorld) -> None:
        mirror = MemoryMirror()
        world.log()
        read(world.connect(mirror=mirror))
        new = world.log(DAY + MINUTE, at=datetime.now(UTC) - 2 * MINUTE)
        world.control.reset_requests()
        assert ids(read(world.connect(mirror=mirror)))[-1] == new
        assert mirror.count() == 2

    def test_a_walk_that_was_cut_off_continues(self, cloud: JiraWorld) -> None:
        for second in range(1500):
            cloud.log(DAY, at=DAY + timedelta(seconds=second))
        mirror = MemoryMirror()
        cloud.control.add_fault("respond", path="/worklog/updated", skip=1, status=503, times=3)
        with pytest.raises(UnavailableError):
            read(cloud.connect(mirror=mirror))
        assert mirror.count() == 1000
        cloud.control.clear_faults()
        assert len(read(cloud.connect(mirror=mirror))) == 1500
        assert "walk" not in mirror.state()

    def test_a_new_project_is_walked_for_its_old_worklogs(self, cloud: JiraWorld) -> None:
        mirror = MemoryMirror()
        hidden = cloud.site.add_project("SECRET", "Secret", browsers=[])
        old = cloud.log(DAY, issue=cloud.site.add_issue(hidden, "Case", at=DAY))
        assert read(cloud.connect(mirror=mirror)) == []
        cloud.site.state.projects[hidden].browsers = None
        assert ids(read(cloud.connect(mirror=mirror))) == [old]

    def test_another_account_is_walked_for(self, cloud: JiraWorld) -> None:
        mirror = MemoryMirror()
        shown_to_boss = cloud.log(DAY, visibility={"type": "group", "value": "board"})
        assert read(cloud.connect(mirror=mirror)) == []
        boss = cloud.site.add_user("Boss", "boss@example.com", groups=["board"])
        cloud.site.add_token(boss, "boss-token")
        other = cloud.connect("boss@example.com:boss-token", mirror=mirror)
        assert ids(read(other)) == [shown_to_boss]
        assert any("another account" in row.text for row in cloud.connect(mirror=mirror).validate().findings)

    def test_once_a_week_everything_is_walked(self, cloud: JiraWorld) -> None:
        mirror = MemoryMirror()
        restricted = cloud.log(DAY, visibility={"type": "group", "value": "board"})
        later = cloud.log(DAY + timedelta(hours=1))
        assert ids(read(cloud.connect(mirror=mirror))) == [later]
        cloud.site.state.users[cloud.reader].groups = ["board"]
        assert ids(read(cloud.connect(mirror=mirror))) == [later]
        state = mirror.state()
        mirror.save((), {}, {**state, "walked_at": (datetime.now(UTC) - timedelta(days=8)).isoformat()})
        assert ids(read(cloud.connect(mirror=mirror))) == [restricted, later]

    @pytest.mark.parametrize("shows", [True, False])
    def test_ids_of_hidden_projects_change_nothing(self, cloud: JiraWorld, shows: bool) -> None:
        cloud.site.configure({"feed_shows_hidden": shows})
        seen = cloud.log()
        secret = cloud.site.add_project("SECRET", "Secret", browsers=[])
        cloud.log(DAY, issue=cloud.site.add_issue(secret, "Case", at=DAY))
        assert ids(read(cloud.connect())) == [seen]

    @pytest.mark.parametrize("each", ["worklog", "change"])
    def test_a_worklog_comes_once_however_often_it_changed(self, cloud: JiraWorld, each: str) -> None:
        cloud.site.configure({"feed_rows": each})
        new = cloud.log()
        for minute in range(3):
            cloud.site.edit(new, DAY + minute * MINUTE, seconds=60 * (minute + 1))
        assert [row.seconds for row in read(cloud.connect())] == [180]
        assert ids(cloud.connect().fetch_changes(DAY).rows) == [new]

    def test_the_next_page_is_not_asked_of_another_host(self, cloud: JiraWorld) -> None:
        cloud.site.configure({"next_page_host": "https://elsewhere.example.com/worklog/updated"})
        for second in range(1001):
            cloud.log(DAY, at=DAY + timedelta(seconds=second))
        assert len(read(cloud.connect())) == 1001

    def test_a_feed_that_stands_still_is_an_error(self, cloud: JiraWorld) -> None:
        cloud.log()
        mirror = MemoryMirror()
        read(cloud.connect(mirror=mirror))
        cloud.site.configure({"feed_stands_still": True})
        source = cloud.connect()
        with pytest.raises(ProtocolError, match="does not lead beyond"):
            source.fetch_changes(DAY)
        assert source.requests.reads <= 2


class TestExistence:
    def test_only_an_announced_deletion_is_proof(self, world: JiraWorld) -> None:
        new = world.log()
        source = world.connect()
        read(source)
        world.site.delete(new, datetime.now(UTC) - 2 * MINUTE)
        assert source.exists(key(new, world)) is Existence.THERE, "Read a moment ago; no request is spent again."
        assert world.connect().exists(key(new, world)) is Existence.GONE

    def test_within_the_hidden_minute_there_is_doubt(self, world: JiraWorld) -> None:
        new = world.log()
        world.site.delete(new)
        assert world.connect().exists(key(new, world)) is Existence.DOUBT

    @pytest.mark.parametrize(("leaves", "answer"), [(True, Existence.GONE), (False, Existence.DOUBT)])
    def test_a_deleted_issue_may_prove_nothing(self, world: JiraWorld, leaves: bool, answer: Existence) -> None:
        world.site.configure({"tombstones_of_issues": leaves})
        new = world.log()
        world.site.delete_issue(world.issue, datetime.now(UTC) - 2 * MINUTE)
        assert world.connect().exists(key(new, world)) is answer

    @pytest.mark.parametrize("hide", ["project", "security level", "role", "archive"])
    def test_what_is_hidden_is_not_gone(self, world: JiraWorld, hide: str) -> None:
        new = world.log()
        if hide == "project":
            world.site.revoke(world.project, world.reader)
        elif hide == "security level":
            world.site.change_issue(world.issue, DAY, readers=[])
        elif hide == "role":
            world.site.edit(new, DAY, visibility={"type": "role", "value": "Leads"})
        else:
            world.site.state.projects[world.project].status = "deleted"
        assert world.connect().exists(key(new, world)) is Existence.DOUBT

    def test_hidden_rows_of_a_sweep_are_not_asked_for_one_by_one(self, world: JiraWorld) -> None:
        mirror = MemoryMirror()
        bookings = [world.log(DAY + minute * MINUTE) for minute in range(9)]
        read(world.connect(mirror=mirror))
        world.site.revoke(world.project, world.reader)
        source = world.connect(mirror=mirror)
        assert read(source) == []
        before = source.requests
        assert {source.exists(key(each, world)) for each in bookings} == {Existence.DOUBT}
        assert source.requests == before

    def test_one_that_moved_to_another_issue_is_there(self, world: JiraWorld) -> None:
        new = world.log()
        world.site.move_worklogs([new], world.site.add_issue(world.project, "Other", at=DAY), DAY)
        assert world.connect().exists(key(new, world)) is Existence.THERE

    @pytest.mark.parametrize("kept", [None, 30])
    def test_deletions_since_the_last_read_are_known(self, cloud: JiraWorld, kept: int | None) -> None:
        cloud.site.configure({"tombstones_kept_days": kept})
        mirror = MemoryMirror()
        new = cloud.log()
        read(cloud.connect(mirror=mirror))
        cloud.site.delete(new, datetime.now(UTC) - 2 * MINUTE)
        read(cloud.connect(mirror=mirror))
        cloud.site.state.tombstones.clear()
        assert cloud.connect(mirror=mirror).exists(key(new, cloud)) is Existence.GONE


class TestChanges:
    def test_edits_and_deletions_come_with_the_position_reached(self, world: JiraWorld) -> None:
        first, second = world.log(DAY), world.log(DAY + MINUTE)
        mirror = MemoryMirror()
        read(world.connect(mirror=mirror))
        world.site.delete(first, DAY + 9 * MINUTE)
        seen = world.connect(mirror=mirror).fetch_changes(DAY)
        assert (ids(seen.rows), seen.total, seen.rest) == ([second], None, None)
        assert (seen.gone, seen.until) == ((str(first),), DAY + 9 * MINUTE)
        assert mirror.gone([str(first), str(second)]) == {str(first)}

    def test_nothing_new_takes_two_requests(self, world: JiraWorld) -> None:
        source = world.connect()
        since = datetime.now(UTC)
        assert source.fetch_changes(since).rows == ()
        assert source.requests.reads == 2

    def test_a_long_outage_is_read_in_turns(self, cloud: JiraWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("zk_pipeline.connectors.jira.connector.PAGES_AT_ONCE", 1)
        logged = [cloud.log(DAY, at=DAY + timedelta(seconds=second)) for second in range(1500)]
        source = cloud.connect()
        seen = source.fetch_changes(DAY)
        found = ids(seen.rows)
        while seen.rest:
            seen = source.fetch_changes(DAY, seen.rest)
            found += ids(seen.rows)
        assert sorted(set(found)) == logged

    def test_changed_issues_are_found_in_any_zone(self, world: JiraWorld) -> None:
        now = datetime.now(UTC)
        world.site.state.users[world.reader].zone = "Pacific/Auckland"
        other = world.site.add_issue(world.project, "Other", at=now - MINUTE)
        changed = world.connect().fetch_changed_tickets(now - 10 * MINUTE)
        assert [row.ticket.id for row in changed.rows] == [str(other)]
        assert changed.complete

    def test_a_search_that_repeats_itself_ends(self, cloud: JiraWorld) -> None:
        now = datetime.now(UTC)
        cloud.site.change_issue(cloud.issue, now)
        cloud.site.configure({"repeats_page_token": True})
        with pytest.raises(ProtocolError, match="twice"):
            cloud.connect().fetch_changed_tickets(now - MINUTE)


class TestTickets:
    def test_an_issue_is_a_ticket(self, world: JiraWorld) -> None:
        world.log()
        source = world.connect()
        [ticket] = source.fetch_tickets(read(source))
        assert (ticket.id, ticket.number, ticket.title) == (str(world.issue), "ACME-1", "Printer on fire")
        assert (ticket.organization_id, ticket.organization_name) == (f"project-{world.project}", "Acme support")
        assert (ticket.group_id, ticket.group_name, ticket.complete) == (str(world.project), "Acme support", True)

    def test_an_organization_of_the_service_desk_is_the_customer(self, world: JiraWorld) -> None:
        beta = world.site.add_organization("Beta Ltd")
        world.site.change_issue(world.issue, DAY, organizations=[beta])
        world.log()
        source = world.connect()
        [ticket] = source.fetch_tickets(read(source))
        assert (ticket.organization_id, ticket.organization_name) == (str(beta), "Beta Ltd")

    def test_of_several_organizations_none_is_taken(self, world: JiraWorld) -> None:
        two = [world.site.add_organization(name) for name in ("Beta Ltd", "Alpha Ltd")]
        world.site.change_issue(world.issue, DAY, organizations=two)
        world.log()
        source = world.connect()
        [ticket] = source.fetch_tickets(read(source))
        assert "Alpha Ltd, Beta Ltd" in ticket.faults["organization_id"]

    def test_a_service_desk_without_an_organization_is_no_customer(self, world: JiraWorld) -> None:
        desk = world.site.add_project("DESK", "Our desk", kind="service_desk")
        world.log(issue=world.site.add_issue(desk, "Case", at=DAY))
        source = world.connect()
        [ticket] = source.fetch_tickets(read(source))
        assert (ticket.organization_id, ticket.organization_name, dict(ticket.faults)) == (None, None, {})

    def test_without_a_service_desk_the_project_is_the_customer(self, world: JiraWorld) -> None:
        world.site.configure({"organizations_field": None})
        world.log()
        source = world.connect()
        [ticket] = source.fetch_tickets(read(source))
        assert ticket.organization_name == "Acme support"
        assert [row.name for row in source.find("acme").organizations] == ["Acme support"]

    def test_an_issue_has_the_attributes_that_rules_read_and_no_others(self, world: JiraWorld) -> None:
        world.site.change_issue(world.issue, DAY, components=["Beta Ltd"], labels=["billing", "urgent"])
        world.log()
        source = world.connect()
        assert [dict(row.attributes) for row in source.fetch_tickets(read(source))] == [{}]
        asked = frozenset({"component", "label", "project", "field:status", "field:customfield_99"})
        source = world.connect(attributes=asked)
        [ticket] = source.fetch_tickets(read(source))
        named = {name: [value["name"] for value in values] for name, values in ticket.attributes.items()}
        assert {name: named[name] for name in ("component", "label", "project")} == {
            "component": ["Beta Ltd"],
            "label": ["billing", "urgent"],
            "project": ["Acme support"],
        }
        assert "field:customfield_99" not in named
        [changed] = source.fetch_changed_tickets(DAY).rows
        assert changed.ticket.attributes == ticket.attributes

    def test_a_hidden_issue_has_no_ticket_and_costs_no_other(self, world: JiraWorld) -> None:
        hidden = world.site.add_issue(world.project, "Hidden", at=DAY, readers=[])
        seen = read_row(world)
        other = replace(seen, id="1", ticket_id=str(hidden))
        assert [row.id for row in world.connect().fetch_tickets([seen, other])] == [str(world.issue)]

    def test_an_issue_that_moved_keeps_its_id(self, world: JiraWorld) -> None:
        row = read_row(world)
        world.site.move_issue(world.issue, world.site.add_project("NEW", "New Ltd"), DAY)
        [ticket] = world.connect().fetch_tickets([row])
        assert (ticket.id, ticket.number, ticket.organization_name) == (row.ticket_id, "NEW-1", "New Ltd")


def read_row(world: JiraWorld) -> Any:
    world.log()
    return read(world.connect())[0]


class TestPeople:
    def test_who_logged_is_known_without_a_request(self, world: JiraWorld) -> None:
        world.log()
        source = world.connect()
        read(source)
        before = source.requests.reads
        [agent] = source.fetch_agents([world.ada]).agents
        assert (agent.id, agent.name, agent.email, agent.active) == (world.ada, "Ada Agent", "ada@example.com", True)
        assert source.requests.reads == before

    def test_who_shows_no_address_has_none(self, cloud: JiraWorld) -> None:
        shy = cloud.site.add_user("Shy", "shy@example.com", shows_email=False)
        [agent] = cloud.connect().fetch_agents([shy]).agents
        assert (agent.name, agent.email) == ("Shy", "")

    def test_people_are_found_by_name_and_apps_are_not(self, world: JiraWorld) -> None:
        world.site.add_user("Ada Robot", account_type="app")
        found = world.connect().find("ada")
        names = [row.name for row in found.agents]
        assert "Ada Agent" in names
        assert ("Ada Robot" in names) is not world.site.settings.is_cloud

    def test_deleted_accounts_have_no_person(self, world: JiraWorld) -> None:
        world.log()
        del world.site.state.users[world.ada]
        [row] = read(world.connect()) if world.site.settings.is_cloud else [None]
        if row:
            assert "created_by_id" in row.faults
        assert world.connect().fetch_agents([world.ada]).agents == ()


class TestTokens:
    def test_a_scoped_token_reads_at_the_gateway(self, cloud: JiraWorld) -> None:
        new = cloud.log()
        cloud.site.add_token(cloud.reader, "scoped", scopes=["read:jira-work"])
        gateway = f"{cloud.url}/ex/jira/{cloud.site.settings.cloud_id}"
        assert ids(read(cloud.connect(f"{MAIL}:scoped", base_url=gateway))) == [new]
        assert ids(read(cloud.connect("scoped", base_url=gateway))) == [new]
        cloud.site.add_token(cloud.reader, "narrow", scopes=["read:jira-user"])
        with pytest.raises(PermissionDeniedError, match="scope"):
            read(cloud.connect(f"{MAIL}:narrow", base_url=gateway))

    @pytest.mark.parametrize("page", ["/browse/ACME-1", "/rest/api/3", "/jira/software/projects/ACME/boards/1", "/"])
    def test_a_pasted_page_is_cut_off(self, cloud: JiraWorld, page: str) -> None:
        new = cloud.log()
        assert ids(read(cloud.connect(base_url=cloud.url + page))) == [new]

    def test_a_visitors_answer_is_never_an_empty_list(self, cloud: JiraWorld) -> None:
        cloud.site.configure({"feeds_for_strangers": "anonymous"})
        cloud.log()
        with pytest.raises(AuthenticationError) as caught:
            cloud.connect(f"{MAIL}:dead").fetch_changes(DAY)
        assert "token" in caught.value.remedy

    def test_refusals_that_are_not_jiras_are_told_apart(self, cloud: JiraWorld) -> None:
        source = cloud.connect(attempts=1)
        cloud.control.add_fault("html", path="/worklog/list", status=401, times=1)
        with pytest.raises(AuthenticationError):
            source.exists(key(1, cloud))
        cloud.control.add_fault("html", path="/worklog/deleted", status=404, times=1)
        with pytest.raises(ProtocolError, match="not one of Jira's"):
            cloud.connect(attempts=1).exists(key(1, cloud))

    def test_time_tracking_that_is_off_says_so(self, world: JiraWorld) -> None:
        world.site.configure({"time_tracking": False})
        with pytest.raises(ProtocolError, match="Time Tracking") as caught:
            read(world.connect())
        assert "Switch on" in caught.value.remedy

    def test_no_issue_is_not_found(self, world: JiraWorld) -> None:
        assert world.connect().fetch_of_ticket("999999") == []
        with pytest.raises(NotFoundError):
            world.connect()._worklogs.of_issue("999999")  # pyright: ignore[reportPrivateUsage]


class TestValidation:
    def findings(self, source: SourceConnector) -> dict[str, str]:
        return {f"{row.subject}/{row.level}": row.text for row in source.validate().findings}

    def test_all_is_well(self, world: JiraWorld) -> None:
        world.log(at=datetime.now(UTC) - timedelta(days=1))
        validation = world.connect().validate()
        assert validation.ok, validation.findings
        assert (validation.account, validation.timezone) == (MAIL, "UTC")

    def test_the_wrong_kind_of_token_is_named(self, cloud: JiraWorld) -> None:
        cloud.reset("server")
        shown = str(cloud.connect(TOKENS["cloud"]).validate())
        assert SECRET not in shown
        assert not cloud.connect(TOKENS["cloud"]).validate().ok

    def test_an_old_data_center_is_refused(self, cloud: JiraWorld) -> None:
        cloud.reset("server").site.configure({"version": "8.5.0"})
        assert any(row.level == "fail" for row in cloud.connect().version_findings())

    def test_an_account_that_sees_nothing_fails(self, world: JiraWorld) -> None:
        world.site.revoke(world.project, world.reader)
        assert "no project" in self.findings(world.connect())["projects/fail"]

    def test_hidden_worklogs_are_a_warning(self, cloud: JiraWorld) -> None:
        cloud.site.configure({"feed_shows_hidden": True})
        secret = cloud.site.add_project("SECRET", "Secret", browsers=[])
        cloud.log(issue=cloud.site.add_issue(secret, "Case"), at=datetime.now(UTC) - timedelta(days=1))
        assert "1 of 1 worklogs" in self.findings(cloud.connect())["worklogs/warn"]

    def test_tempo_is_recognized_by_its_app(self, cloud: JiraWorld) -> None:
        app = cloud.site.add_user("Tempo Timesheets", account_type="app")
        for author in (app, cloud.ada):
            cloud.log(author=author, at=datetime.now(UTC) - timedelta(days=1))
        assert "Tempo" in self.findings(cloud.connect())["authors/fail"]

    def test_an_archived_project_is_not_lost(self, cloud: JiraWorld, caplog: pytest.LogCaptureFixture) -> None:
        mirror = MemoryMirror()
        cloud.site.add_project("OTHER", "Other")
        read(cloud.connect(mirror=mirror))
        cloud.site.state.projects[cloud.project].status = "archived"
        with caplog.at_level(logging.WARNING):
            assert "projects/warn" not in self.findings(cloud.connect(mirror=mirror))
            read(cloud.connect(mirror=mirror))
        assert "no longer visible" not in caplog.text

    def test_who_may_not_search_people_is_told(self, world: JiraWorld) -> None:
        world.site.state.users[world.reader].browses_users = False
        assert "may not search" in self.findings(world.connect())["people/warn"]
