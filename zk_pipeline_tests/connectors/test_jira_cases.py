"""What costs money if it is read naively: each trap of Jira, and what must come of it (docs/jira.md)."""

import base64
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.connectors.errors import AuthenticationError, ProtocolError, RateLimitedError
from zk_pipeline.connectors.jira.webhooks import JiraWebhooks
from zk_pipeline.connectors.mirror import MemoryMirror
from zk_pipeline.connectors.webhooks import IncomingDelivery, NoTicketError, UntrustedDeliveryError
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.records import BookingKey, Existence, Window
from zk_pipeline_tests.connectors.conftest import Pauses
from zk_pipeline_tests.connectors.jira_world import DAY, MAIL, MINUTE, SECRET, JiraWorld, ids, read, worlds
from zk_sandbox.jira.webhooks import announced

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2025, 8, 16, 12, tzinfo=UTC)


@pytest.fixture(params=["cloud", "server"])
def world(request: pytest.FixtureRequest, pauses: Pauses) -> Iterator[JiraWorld]:
    for made in worlds(pauses):
        yield made.reset(request.param)


@pytest.fixture
def cloud(pauses: Pauses) -> Iterator[JiraWorld]:
    yield from worlds(pauses)


def day(number: int, month: int = 6) -> Window:
    start = datetime(2025, month, number, tzinfo=BERLIN).astimezone(UTC)
    return Window(start, start + timedelta(days=1))


def test_01_the_hidden_minute_is_read_a_minute_later(world: JiraWorld) -> None:
    world.site.configure({"now": NOON.isoformat()})
    new = world.log(NOON, at=NOON - timedelta(seconds=30))
    source, since = world.connect(), NOON - timedelta(hours=1)
    assert source.fetch_changes(since).rows == ()
    world.site.configure({"now": (NOON + MINUTE).isoformat()})
    assert ids(source.fetch_changes(since).rows) == [new]


def test_02_rows_at_the_border_of_two_pages_come_once(world: JiraWorld) -> None:
    moments = [*range(998), 998, 998, 998]
    logged = [world.log(DAY, at=DAY + timedelta(seconds=each)) for each in moments]
    world.control.reset_requests()
    found = ids(world.connect().fetch_changes(DAY).rows)
    assert sorted(found) == logged
    assert len(found) == 1001
    assert world.control.requests().by_route["GET /rest/api/{id}/worklog/updated"] == 2


def test_03_a_tie_longer_than_a_page_is_an_error_and_no_endless_loop(world: JiraWorld) -> None:
    for _ in range(1500):
        world.log(DAY)
    source = world.connect()
    world.control.reset_requests()
    with pytest.raises(ProtocolError, match="one and the same instant"):
        read(source)
    feeds = [row["query"] for row in world.control.requests().log if row["path"].endswith("/worklog/updated")]
    assert len(feeds) == len(set(feeds)) == 2


def test_04_what_the_feed_names_and_jira_does_not_show_proves_nothing(
    cloud: JiraWorld, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.site.configure({"feed_shows_hidden": True})
    secret = cloud.site.add_project("SECRET", "Secret", browsers=[])
    hidden = cloud.site.add_issue(secret, "Case", at=DAY)
    seen = [cloud.log(DAY + minute * MINUTE) for minute in range(3)]
    last = [cloud.log(DAY + 9 * MINUTE, issue=hidden) for _ in range(2)]
    with caplog.at_level(logging.INFO):
        changes = cloud.connect().fetch_changes(DAY)
    assert sorted(ids(changes.rows)) == seen
    assert (changes.gone, changes.until) == ((), DAY + 9 * MINUTE)
    assert f"names {len(last)} worklogs that it does not show" in caplog.text


@pytest.mark.parametrize("feeds", ["refused", "anonymous"])
def test_05_a_token_that_expired_is_no_empty_list(cloud: JiraWorld, feeds: str) -> None:
    cloud.site.configure({"feeds_for_strangers": feeds})
    cloud.site.state.projects[cloud.project].public = True
    new = cloud.log()
    mirror = MemoryMirror()
    assert ids(read(cloud.connect(mirror=mirror))) == [new]
    cloud.site.state.tokens[SECRET].expires_at = DAY
    booking = BookingKey(str(new), str(cloud.issue))
    for call in (
        lambda source: source.fetch_changes(DAY),
        lambda source: source.exists(booking),
        lambda source: source.fetch_of_ticket(str(cloud.issue)),
        read,
    ):
        with pytest.raises(AuthenticationError):
            call(cloud.connect(mirror=mirror))
    assert mirror.count() == 1


@pytest.mark.parametrize("requests", range(1, 7))
def test_05_a_token_may_expire_at_any_request(cloud: JiraWorld, requests: int) -> None:
    cloud.log()
    cloud.site.state.tokens[SECRET].requests_left = requests
    with pytest.raises(AuthenticationError):
        read(cloud.connect())


def test_06_an_announced_deletion_is_proof(world: JiraWorld) -> None:
    mirror = MemoryMirror()
    new, other = world.log(), world.log(DAY + MINUTE)
    read(world.connect(mirror=mirror))
    world.site.delete(new, datetime.now(UTC) - 2 * MINUTE)
    source = world.connect(mirror=mirror)
    assert source.fetch_changes(DAY).gone == (str(new),)
    assert ids(read(source)) == [other]
    assert source.exists(BookingKey(str(new), str(world.issue))) is Existence.GONE


def test_07_a_project_that_is_no_longer_visible_deletes_nothing(
    world: JiraWorld, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = MemoryMirror()
    other = world.site.add_project("OTHER", "Other Ltd")
    hidden, seen = world.log(), world.log(issue=world.site.add_issue(other, "Case", at=DAY))
    assert ids(read(world.connect(mirror=mirror))) == [hidden, seen]
    world.site.revoke(world.project, world.reader)
    source = world.connect(mirror=mirror)
    with caplog.at_level(logging.WARNING):
        sweep = source.fetch(Window(DAY, DAY + timedelta(days=1)))
        assert ids([row for page in sweep.pages() for row in page]) == [seen]
    assert sweep.report.complete
    assert "The project Acme support" in caplog.text
    assert source.exists(BookingKey(str(hidden), str(world.issue))) is Existence.DOUBT
    findings = world.connect(mirror=mirror).validate().findings
    assert any("Acme support" in row.text and "Browse Projects" in row.remedy for row in findings)


@pytest.mark.parametrize("requests", range(1, 8))
def test_07_the_right_to_browse_may_end_at_any_request(world: JiraWorld, requests: int) -> None:
    mirror = MemoryMirror()
    new = world.log()
    assert ids(read(world.connect(mirror=mirror))) == [new]
    world.site.state.projects[world.project].closes_after = requests
    source = world.connect(mirror=mirror)
    read(source)
    assert source.exists(BookingKey(str(new), str(world.issue))) is not Existence.GONE


def test_08_work_of_another_day_leaves_one_day_and_enters_the_other(world: JiraWorld) -> None:
    mirror = MemoryMirror()
    begin = datetime(2025, 6, 10, 9, tzinfo=BERLIN).astimezone(UTC)
    new = world.log(begin)
    assert ids(read(world.connect(mirror=mirror), day(10))) == [new]
    world.site.edit(new, begin + timedelta(days=6), started=begin + timedelta(days=5))
    source = world.connect(mirror=mirror)
    [changed] = source.fetch_changes(begin).rows
    assert local_day(changed.counts_at, BERLIN).isoformat() == "2025-06-15"
    assert read(source, day(10)) == []
    assert source.exists(BookingKey(str(new), str(world.issue))) is Existence.THERE
    assert ids(read(source, day(15))) == [new]


@pytest.mark.parametrize("printed", ["utc", "site"])
def test_09_the_day_is_that_of_the_instant_in_the_business_zone(world: JiraWorld, printed: str) -> None:
    world.site.configure({"printed_zone": printed, "zone": "America/New_York"})
    world.log(datetime.fromisoformat("2026-03-31T22:30:00.000+0000"))
    [row] = world.connect().fetch_of_ticket(str(world.issue))
    assert local_day(row.counts_at, BERLIN).isoformat() == "2026-04-01"


def test_10_all_worklogs_of_an_issue_come_or_none(world: JiraWorld) -> None:
    for _ in range(68):
        world.log()
    source = world.connect()
    assert len(source.fetch_of_ticket(str(world.issue))) == 68
    world.site.configure({"total_too_high": 2})
    with pytest.raises(ProtocolError, match="68 of 70"):
        source.fetch_of_ticket(str(world.issue))


@pytest.mark.parametrize("told", [True, False])
def test_11_a_worklog_that_moved_silently_follows_its_issue(world: JiraWorld, told: bool) -> None:
    world.site.configure({"moves_in_feed": told})
    mirror = MemoryMirror()
    new = world.log()
    read(world.connect(mirror=mirror))
    other = world.site.add_issue(world.site.add_project("NEW", "New Ltd"), "Other", at=DAY)
    world.site.move_worklogs([new], other, DAY + MINUTE)
    source = world.connect(mirror=mirror)
    [row] = read(source)
    assert (row.id, row.ticket_id) == (str(new), str(other))
    assert [ticket.organization_name for ticket in source.fetch_tickets([row])] == ["New Ltd"]
    assert mirror.known([str(new)])[str(new)].ticket_id == str(other)


@pytest.mark.parametrize("told", [True, False])
def test_11_an_issue_that_moved_takes_its_worklogs_along(world: JiraWorld, told: bool) -> None:
    world.site.configure({"issue_moves_in_feed": told})
    new = world.log()
    world.site.move_issue(world.issue, world.site.add_project("NEW", "New Ltd"), DAY + MINUTE)
    source = world.connect()
    [row] = read(source)
    assert (row.id, row.ticket_id) == (str(new), str(world.issue))
    assert [ticket.number for ticket in source.fetch_tickets([row])] == ["NEW-1"]


def test_12_who_shows_no_address_is_known_by_account_and_name(cloud: JiraWorld) -> None:
    shy = cloud.site.add_user("Shy Person", "shy@example.com", shows_email=False)
    cloud.log(author=shy)
    source = cloud.connect()
    [row] = read(source)
    [agent] = source.fetch_agents([row.agent_id]).agents
    assert (agent.id, agent.email, agent.name) == (shy, "", "Shy Person")


def test_13_while_the_user_service_is_down_nobody_is_overwritten(cloud: JiraWorld) -> None:
    cloud.site.configure({"user_service_down": True})
    new = cloud.log()
    source = cloud.connect()
    [row] = read(source)
    assert (row.id, row.agent_id) == (str(new), cloud.ada)
    found = source.fetch_agents([cloud.ada])
    assert found.agents == ()
    assert [str(each) for each in found.unreadable] == [
        f"Account {cloud.ada} cannot be read: Jira withholds the name of this account at present"
    ]


def test_14_a_long_pause_is_kept_and_not_tried_early(world: JiraWorld, pauses: Pauses) -> None:
    source = world.connect()
    headers = {"Retry-After": "300", "RateLimit-Reason": "jira-burst-based"}
    world.control.add_fault("respond", path="/worklog/updated", status=429, headers=headers)
    with pytest.raises(RateLimitedError) as caught:
        source.fetch_changes(DAY)
    assert (caught.value.retry_after, source.requests.reads, pauses.seconds) == (300.0, 1, [])
    assert source.system_state is not None
    assert source.system_state.wait == 300.0


def test_14_an_outage_with_a_short_pause_is_waited_for(world: JiraWorld, pauses: Pauses) -> None:
    new = world.log()
    world.control.add_fault("respond", path="/worklog/list", status=503, headers={"Retry-After": "7"}, times=1)
    assert ids(read(world.connect())) == [new]
    assert pauses.seconds == [7.0]


class TestCase15:
    KEY, BODY = "zk-jira-test-key", b'{"worklog":{"id":"1"}}'
    SIGNED = "sha256=2d03fc96e46fe72aba41fb9d5f484f92a97f604c01a22409f03b2fa896a68222"

    def delivery(self, body: bytes = BODY, **headers: str) -> IncomingDelivery:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return IncomingDelivery({"x-hub-signature": self.SIGNED, **named}, body)

    def test_the_signature_is_that_of_the_exact_bytes(self) -> None:
        JiraWebhooks().check(self.delivery(), self.KEY)
        for wrong in (
            self.delivery(self.BODY.replace(b"1", b"2")),
            self.delivery(x_hub_signature=self.SIGNED[:-1] + "3"),
            self.delivery(x_hub_signature=self.SIGNED.replace("sha256", "sha1")),
            self.delivery(x_hub_signature="ünsigned"),
        ):
            with pytest.raises(UntrustedDeliveryError, match="does not fit"):
                JiraWebhooks().check(wrong, self.KEY)
        with pytest.raises(UntrustedDeliveryError, match="does not fit"):
            JiraWebhooks().check(self.delivery(), "another key")

    def test_unsigned_deliveries_are_refused_with_the_reason(self) -> None:
        with pytest.raises(UntrustedDeliveryError, match="missing"):
            JiraWebhooks().check(IncomingDelivery({}, self.BODY), self.KEY)

    @pytest.mark.parametrize("name", ["x-zk-secret", "authorization"])
    def test_data_center_proves_itself_by_a_secret_in_a_header(self, name: str) -> None:
        def sent(secret: str) -> IncomingDelivery:
            basic = f"Basic {base64.b64encode(f'jira:{secret}'.encode()).decode()}"
            return IncomingDelivery({name: secret if name == "x-zk-secret" else basic}, self.BODY)

        JiraWebhooks().check(sent(self.KEY), self.KEY)
        with pytest.raises(UntrustedDeliveryError, match="another one"):
            JiraWebhooks().check(sent("guessed"), self.KEY)

    def test_a_secret_does_not_replace_a_wrong_signature(self) -> None:
        with pytest.raises(UntrustedDeliveryError, match="does not fit"):
            JiraWebhooks().check(self.delivery(self.BODY + b" ", x_zk_secret=self.KEY), self.KEY)

    def test_all_attempts_of_an_event_have_one_id(self) -> None:
        first = self.delivery(x_atlassian_webhook_identifier="5b1-0")
        again = self.delivery(x_atlassian_webhook_identifier="5b1-0", x_atlassian_webhook_retry="1")
        assert JiraWebhooks().delivery_id(first) == JiraWebhooks().delivery_id(again) == "5b1-0"
        assert JiraWebhooks().delivery_id(self.delivery()).startswith("sha256:")

    @pytest.mark.parametrize(
        ("payload", "ticket"),
        [
            ({"worklog": {"id": "1", "issueId": "10001"}}, "10001"),
            ({"worklog": {"id": "1", "issueId": 10001}}, "10001"),
            ({"webhookEvent": "jira:issue_deleted", "issue": {"id": "10002", "key": "ACME-1"}}, "10002"),
        ],
    )
    def test_the_issue_is_what_it_hints_at(self, payload: object, ticket: str) -> None:
        assert JiraWebhooks().ticket_id(payload) == ticket

    @pytest.mark.parametrize("payload", [None, [], {}, {"worklog": {"issueId": "ACME-1"}}, {"issue": {"id": True}}])
    def test_without_an_issue_it_hints_at_nothing(self, payload: object) -> None:
        with pytest.raises(NoTicketError):
            JiraWebhooks().ticket_id(payload)

    def test_a_delivery_of_the_simulated_jira_is_taken(self, cloud: JiraWorld) -> None:
        from_jira = _announced(cloud)
        JiraWebhooks().check(from_jira, self.KEY)
        assert JiraWebhooks().ticket_id(json.loads(from_jira.body)) == str(cloud.issue)


def _announced(world: JiraWorld) -> IncomingDelivery:
    world.site.add_webhook("https://zk.example.net", ["worklog_updated"], TestCase15.KEY)
    [sent] = announced(world.site, "worklog_updated", world.log())
    return IncomingDelivery({name.lower(): value for name, value in sent.headers.items()}, sent.body)


def test_a_quiet_month_takes_few_requests(world: JiraWorld) -> None:
    mirror = MemoryMirror()
    for number in range(300):
        world.log(datetime(2025, 6, 1 + number % 30, 9, tzinfo=UTC))
    month = Window(datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC))
    assert len(read(world.connect(mirror=mirror), month)) == 300
    source = world.connect(mirror=mirror)
    rows = read(source, month)
    source.fetch_tickets(rows)
    source.fetch_types()
    source.fetch_agents({row.agent_id for row in rows})
    source.fetch_changes(datetime.now(UTC))
    source.fetch_changed_tickets(datetime.now(UTC))
    assert source.requests.reads <= 12, world.control.requests().by_route


def test_the_token_is_in_no_text(cloud: JiraWorld) -> None:
    cloud.control.add_fault("respond", status=400, text=json.dumps({"errorMessages": [f"no {MAIL}:{SECRET}"]}))
    with pytest.raises(ProtocolError) as caught:
        cloud.connect().fetch_changes(DAY)
    assert SECRET not in f"{caught.value} {caught.value!r} {cloud.connect()!r} {cloud.connect().validate()}"
