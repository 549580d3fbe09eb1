"""Worklogs of Jira through the whole chain into Kimai: what is read naively elsewhere costs money (docs/jira.md)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.source_changes import ChangeFeed
from zk_pipeline.store import connectors
from zk_pipeline.store.connectors import StoredConnector
from zk_pipeline_tests.defs.world import MONDAY, ZONE, Desk, Office, World
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.jira import JiraServer
from zk_sandbox.kimai.model import Timesheet
from zk_sandbox.server import ServerThread

MAIL, SECRET = "zk-sync@example.net", "jira-token-of-the-tests"
JUNE_10, JUNE_15 = date(2025, 6, 10), date(2025, 6, 15)


@dataclass
class Site:
    """A Jira in which Anna logs work on an issue of Acme."""

    server: JiraServer
    control: SandboxControl
    url: str
    people: dict[str, str] = field(default_factory=dict[str, str])
    projects: dict[str, int] = field(default_factory=dict[str, int])
    issues: dict[str, int] = field(default_factory=dict[str, int])

    def furnish(self) -> None:
        """Put people, projects and issues in place."""
        self.people["reader"] = self.server.add_reader(SECRET, MAIL)
        self.people["anna"] = self.server.add_user("Anna", "anna@example.com")
        for name in ("acme", "globex"):
            self.projects[name] = self.server.add_project(name.upper(), name.title())
            self.issues[name] = self.server.add_issue(
                self.projects[name], f"Case of {name}", at=datetime(2025, 1, 1, tzinfo=UTC)
            )

    def log(self, minutes: int = 30, day: date = MONDAY, *, issue: str = "acme", **more: Any) -> int:
        """Work that began at nine in Berlin, and was saved at once."""
        begin = datetime(day.year, day.month, day.day, 9, tzinfo=ZONE)
        author = more.pop("author", self.people["anna"])
        return self.server.log(self.issues[issue], author, minutes * 60, begin, at=begin, **more)


@dataclass(frozen=True)
class Chain:
    """Jira and Kimai, and the product between them."""

    site: Site
    office: Office
    world: World

    def sync(self, first: date = MONDAY, last: date | None = None) -> Any:
        return self.world.sync(first, last)

    def sheets(self) -> list[Timesheet]:
        return self.office.rows

    def spans(self) -> list[tuple[str, int]]:
        """Day and minutes of each time sheet."""
        return [
            (f"{datetime.fromtimestamp(row.begin, ZONE):%Y-%m-%d %H:%M}", row.duration // 60) for row in self.sheets()
        ]

    def customers(self) -> list[str]:
        tables = self.office.server.kimai.tables
        projects, customers = tables["projects"].rows, tables["customers"].rows
        return [customers[projects[row.project].customer].name for row in self.sheets()]


@contextmanager
def opened(deployment: str) -> Iterator[Site]:
    server = JiraServer({"deployment": deployment, "version": "10.3.0"})
    with ServerThread(with_control(server)) as thread, SandboxControl(thread.url) as control:
        site = Site(server, control, thread.url)
        site.furnish()
        yield site


@pytest.fixture(params=["cloud", "server"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with opened(request.param) as made:
        yield made


@pytest.fixture
def chain(site: Site, office: Office) -> Iterator[Chain]:
    token = f"{MAIL}:{SECRET}" if site.server.settings.is_cloud else SECRET
    with prepare(load_settings()) as environment:
        runtime = environment.runtime
        with runtime.database.transaction() as connection:
            source = StoredConnector("jira", "source", "jira", site.url, token)
            connectors.save(connection, source, runtime.cipher)
        world = World(cast("Desk", None), office, environment)
        world.execute(
            "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (:type, :activity)",
            type=str(10000 + sum(map(ord, "Task"))),
            activity=office.activity,
        )
        yield Chain(site, office, world)


def two_minutes_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=2)


def test_a_worklog_becomes_a_time_sheet_and_stays_one(chain: Chain) -> None:
    chain.site.log(100, comment="Changed the toner")
    for _ in range(2):
        chain.sync()
        assert chain.spans() == [("2025-10-06 09:00", 100)]
    [row] = chain.sheets()
    assert chain.customers() == ["Acme"]
    assert "ACME-1" in (row.description or "")


def test_06_a_deletion_that_jira_announced_is_followed(chain: Chain) -> None:
    gone = chain.site.log(30)
    chain.site.log(45)
    chain.sync()
    chain.site.server.delete(gone, two_minutes_ago())
    chain.sync()
    assert chain.world.reasons() == ["deleted_in_zammad"]
    assert chain.world.value("SELECT id FROM zammad.time_accountings WHERE gone_at IS NOT NULL") == str(gone)


@pytest.mark.parametrize("hide", ["project", "restriction", "issue deleted silently"])
def test_07_what_is_merely_not_shown_stays(chain: Chain, hide: str) -> None:
    server = chain.site.server
    server.configure({"tombstones_of_issues": False})
    hidden = chain.site.log(30)
    chain.sync()
    if hide == "project":
        server.revoke(chain.site.projects["acme"], chain.site.people["reader"])
    elif hide == "restriction":
        server.edit(hidden, two_minutes_ago(), visibility={"type": "group", "value": "board"})
    else:
        server.delete_issue(chain.site.issues["acme"], two_minutes_ago())
    chain.site.log(45, issue="globex")
    chain.sync()
    assert [minutes for _, minutes in chain.spans()] == [30, 45]


def test_05_a_dead_token_changes_nothing(chain: Chain) -> None:
    chain.site.log(30)
    chain.sync()
    chain.site.server.state.tokens[SECRET].expires_at = datetime(2025, 1, 1, tzinfo=UTC)
    before = chain.sheets()
    with pytest.raises(SyncFailedError, match="token"):
        chain.sync()
    assert chain.sheets() == before


def test_08_work_of_another_day_moves_with_its_time_sheet(chain: Chain) -> None:
    new = chain.site.log(30, JUNE_10)
    chain.sync(JUNE_10)
    begin = datetime(2025, 6, 15, 14, tzinfo=ZONE)
    chain.site.server.edit(new, two_minutes_ago(), started=begin)
    chain.sync(JUNE_10)
    chain.sync(JUNE_15)
    assert chain.spans() == [("2025-06-15 14:00", 30)]


def test_08_a_poll_asks_for_the_former_and_the_new_day(chain: Chain) -> None:
    new = chain.site.log(30, JUNE_10)
    chain.sync(JUNE_10)
    feed = ChangeFeed(chain.world.environment.runtime)
    feed.poll(datetime.now(UTC) - timedelta(minutes=5))
    chain.site.server.edit(new, two_minutes_ago(), started=datetime(2025, 6, 15, 14, tzinfo=ZONE))
    assert {JUNE_10, JUNE_15} <= set(feed.poll(datetime.now(UTC)).days)
    for day in (JUNE_10, JUNE_15):
        chain.sync(day)
    assert chain.spans() == [("2025-06-15 14:00", 30)]


def test_11_a_worklog_that_moved_silently_follows_its_customer(chain: Chain) -> None:
    chain.site.server.configure({"moves_in_feed": False})
    new = chain.site.log(30)
    chain.sync()
    chain.site.server.move_worklogs([new], chain.site.issues["globex"], two_minutes_ago())
    chain.sync()
    assert (chain.customers(), chain.spans()) == (["Globex"], [("2025-10-06 09:00", 30)])


def test_12_who_shows_no_address_waits_for_a_mapping_by_name(chain: Chain) -> None:
    shy = chain.site.server.add_user("Shy Person", shows_email=False)
    chain.site.log(30, author=shy)
    chain.sync()
    assert chain.sheets() == []
    [waiting] = chain.world.conflicts()
    assert "Shy Person" in str(waiting)
    assert chain.world.value("SELECT id FROM zammad.agents WHERE name = 'Shy Person'") == shy


def test_13_an_outage_of_the_user_service_changes_nobody(chain: Chain) -> None:
    if not chain.site.server.settings.is_cloud:
        pytest.skip("Data Center has no such service.")
    chain.site.log(30)
    chain.sync()
    chain.site.server.configure({"user_service_down": True})
    chain.site.log(45)
    chain.sync()
    assert chain.world.value("SELECT name || email FROM zammad.agents") == "Annaanna@example.com"
    assert [minutes for _, minutes in chain.spans()] == [30, 45]


def test_several_organizations_wait_until_there_is_one(chain: Chain) -> None:
    server = chain.site.server
    beta, gamma = (server.add_organization(name) for name in ("Beta", "Gamma"))
    server.change_issue(chain.site.issues["acme"], two_minutes_ago(), organizations=[beta, gamma])
    chain.site.log(30)
    chain.sync()
    assert chain.sheets() == []
    assert "Beta, Gamma" in str(chain.world.conflicts())
    server.change_issue(chain.site.issues["acme"], two_minutes_ago(), organizations=[gamma])
    chain.sync()
    assert chain.customers() == ["Gamma"]


def test_a_quiet_month_takes_few_requests_through_the_whole_chain(chain: Chain) -> None:
    first, last = date(2025, 10, 1), date(2025, 10, 31)
    for number in range(60):
        chain.site.log(15, first + timedelta(days=number % 31))
    chain.sync(first, last)
    chain.site.control.reset_requests()
    report = chain.sync(first, last)
    assert report.counts["in_sync"] == 60
    assert chain.site.control.requests().reads <= 12, chain.site.control.requests().by_route


@pytest.fixture
def rules(surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_ACTIVITY_RULES", "component, label:work-*, type")
    surroundings.setenv("ZK_CUSTOMER_RULES", "field:status, organization")


def test_components_labels_and_fields_decide_activity_and_customer(rules: None, chain: Chain) -> None:
    office, world = chain.office, chain.world
    remote = office.server.add_activity("Remote work")
    world.execute(
        "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES ('component:20000', :activity)",
        activity=remote,
    )
    chain.site.server.change_issue(chain.site.issues["acme"], two_minutes_ago(), components=["Remote"], status="Gold")
    chain.site.log(30)
    world.sync()
    [sheet] = chain.sheets()
    assert (sheet.activity, chain.customers()) == (remote, ["Gold"])
    assert world.value("SELECT name FROM zammad.activity_types WHERE id = 'component:20000'") == "Remote"
    world.sync()
    assert len(chain.sheets()) == 1


def test_several_components_wait_and_a_change_of_the_issue_runs_its_days(rules: None, chain: Chain) -> None:
    world = chain.world
    server, issue = chain.site.server, chain.site.issues["acme"]
    server.change_issue(issue, two_minutes_ago(), components=["A", "B"])
    chain.site.log(30)
    world.sync()
    assert chain.sheets() == []
    assert "several values of component (A, B)" in str(world.conflicts())
    server.change_issue(issue, two_minutes_ago(), components=[])
    ChangeFeed(world.environment.runtime).poll(datetime.now(UTC))
    assert world.value("SELECT count(*) FROM sync.day_requests WHERE reason = 'ticket'") == 1
    world.sync()
    assert [minutes for _, minutes in chain.spans()] == [30]
