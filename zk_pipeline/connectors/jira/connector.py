"""The Jira connector: worklogs, their issues, and the people who logged them (docs/jira.md)."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from zk_pipeline.connectors.answer import RowReader, run_concurrently
from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.connectors.contract import (
    ChangedRows,
    ChangedTicket,
    ChangedTickets,
    Endpoint,
    RemainingChanges,
    SourceConnector,
    Sweep,
    SweepReport,
)
from zk_pipeline.connectors.errors import NotFoundError
from zk_pipeline.connectors.http import HttpConnector
from zk_pipeline.connectors.jira import rows as jira_rows
from zk_pipeline.connectors.jira.errors import JiraDialect, api_root, is_cloud, without_page
from zk_pipeline.connectors.jira.feeds import DELETED, LISTED_AT_ONCE, UPDATED, Worklogs
from zk_pipeline.connectors.jira.index import Surroundings, WorklogIndex, report_unlisted
from zk_pipeline.connectors.jira.issues import Issues, type_of
from zk_pipeline.connectors.jira.rows import Person, Worklog, milliseconds, moment_of
from zk_pipeline.connectors.jira.validation import validate, version_findings
from zk_pipeline.connectors.jira.webhooks import JiraWebhooks
from zk_pipeline.connectors.mirror import MemoryMirror, Mirror, MirroredSource
from zk_pipeline.domain.records import (
    ActivityType,
    BookingKey,
    Existence,
    SourceDirectory,
    Ticket,
    TimeAccounting,
    Unreadable,
    Window,
)

PAGES_AT_ONCE = 10
"""Pages of a feed that one call reads. A tick of the sensor has a minute."""

FOUND_AT_ONCE = 50
_NO_UNITS = Decimal(0)
DELETIONS_FRESH_SECONDS = 30.0

_ID = re.compile(r"id:(\S{1,128})", re.IGNORECASE)
_WITHHELD = "Jira withholds the name of this account at present"


class JiraConnector(HttpConnector, SourceConnector, MirroredSource):
    """Reads worklogs of Jira Cloud, with a token `e-mail:token`, or of Jira Data Center, with a token alone."""

    kind = "jira"
    webhooks = JiraWebhooks()
    attributes = frozenset({"component", "label", "project", "field"})

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        endpoint = replace(endpoint, base_url=without_page(endpoint.base_url))
        super().__init__(endpoint, JiraDialect(endpoint), sleep=sleep)
        self._root = api_root(endpoint)
        self._is_cloud = is_cloud(endpoint)
        self._worklogs = Worklogs(self._http, self._root)
        self._issues = Issues(self._http, self._root, is_cloud=self._is_cloud, attributes=endpoint.attributes)
        self._index = WorklogIndex(self._worklogs, MemoryMirror(), self._look_around)
        self._people: dict[str, Person] = {}
        self._shown: dict[str, bool] = {}
        self._deletions_read_at = float("-inf")

    def keep_in(self, mirror: Mirror) -> None:
        """Use this mirror instead of one that is forgotten with the connector."""
        self._index.mirror = mirror

    def validate(self) -> Validation:
        """Test connection, kind, permissions, projects, and who logs the work."""
        return validate(self._http, self._worklogs, self._issues, self._index.mirror, is_cloud=self._is_cloud)

    def version_findings(self) -> tuple[Finding, ...]:
        """Findings about kind and version, in one request."""
        return version_findings(self._http, self._root, is_cloud=self._is_cloud)

    # Bookings

    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        """Read the bookings of the window as they are now: the mirror tells which, Jira what is in them."""
        del hint
        return Sweep(lambda: self._sweep(window))

    def _sweep(self, window: Window) -> Iterator[list[TimeAccounting] | SweepReport]:
        self._catch_up()
        expected = self._index.within(window)
        found = self._read([row.id for row in expected])
        report_unlisted([row.id for row in expected], found)
        self._index.note_places(row.booking for row in found)
        # A row that moved out of the window, or of which nobody knows when it counts, is not of the window any more.
        places = {row.id: row.counts_at for row in expected}
        rows = [_placed(row.booking, places[row.booking.id]) for row in found]
        rows = [row for row in self._with_types(rows) if window.start <= row.counts_at < window.end]
        rows.sort(key=lambda row: (row.counts_at, int(row.id)))
        for start in range(0, len(rows), LISTED_AT_ONCE):
            yield rows[start : start + LISTED_AT_ONCE]
        yield SweepReport(
            window=window,
            pages=-(-len(expected) // LISTED_AT_ONCE),
            rows=len(rows),
            total_before=None,
            total_after=None,
            high_water=max((row.updated_at for row in rows), default=None),
            complete=True,
        )

    def fetch_changes(self, since: datetime, rest: RemainingChanges | None = None) -> ChangedRows:
        """Read what the feeds tell from `since` on; the last minute is hidden from them, and comes the next time.

        A worklog that a feed names and Jira does not show is left out: it proves nothing.
        """
        position = milliseconds(rest.until if rest else since)
        changes: dict[str, int] = {}
        reached, go_on = position, False
        for number, page in enumerate(self._worklogs.feed(UPDATED, position), start=1):
            changes |= page.changes
            reached = page.until
            go_on = not page.is_last and number >= PAGES_AT_ONCE
            if go_on:
                break
        found = self._read(changes)
        report_unlisted(changes, found)
        rows = tuple(self._with_types([row.booking for row in found]))
        newest_first = tuple(sorted(rows, key=lambda row: row.updated_at, reverse=True))
        if go_on:
            self._index.note((row.booking for row in found), changes, {})
            return ChangedRows(newest_first, None, RemainingChanges(moment_of(reached), 0, LISTED_AT_ONCE, None))
        gone: dict[str, int] = {}
        for page in self._worklogs.feed(DELETED, milliseconds(since)):
            gone |= page.changes
            reached = max(reached, page.until)
        self._index.note((row.booking for row in found), changes, gone)
        return ChangedRows(newest_first, None, gone=tuple(sorted(gone, key=int)), until=moment_of(reached))

    def fetch_of_ticket(self, ticket_id: str) -> list[TimeAccounting]:
        """Read all worklogs of one issue; `[]` also for an issue that is gone or hidden."""
        try:
            found = self._worklogs.of_issue(ticket_id)
        except NotFoundError:
            return []
        self._meet(found)
        return self._with_types([row.booking for row in found])

    def exists(self, booking: BookingKey) -> Existence:
        """Whether a worklog still exists: gone only if Jira itself announced its deletion.

        What Jira does not show may as well be hidden: by a project, a security level, or a group or role that the
        worklog was restricted to.
        """
        if not (booking.id.isascii() and booking.id.isdecimal()):
            return Existence.DOUBT
        if time.monotonic() - self._deletions_read_at > DELETIONS_FRESH_SECONDS:
            self._index.catch_up_with_deletions()
            self._deletions_read_at = time.monotonic()
        if self._index.mirror.gone([booking.id]):
            return Existence.GONE
        shown = self._shown.get(booking.id)
        if shown is None:
            shown = bool(self._read([booking.id]))
        return Existence.THERE if shown else Existence.DOUBT

    def _catch_up(self) -> None:
        self._shown.clear()
        self._index.catch_up()
        self._deletions_read_at = time.monotonic()

    def _read(self, ids: Collection[str]) -> list[Worklog]:
        """These worklogs, as far as Jira shows them. Who logged them is remembered, and which were shown."""
        found = self._worklogs.listed(ids)
        self._meet(found)
        shown = {row.booking.id for row in found}
        self._shown |= {id_: id_ in shown for id_ in ids}
        return found

    def _meet(self, found: Iterable[Worklog]) -> None:
        authors = [row.author for row in found if row.author and not row.author.nameless]
        self._people |= {author.agent.id: author for author in authors}

    def _with_types(self, rows: Sequence[TimeAccounting]) -> list[TimeAccounting]:
        tickets = self._issues.read({row.ticket_id for row in rows})
        types = {id_: type_of(ticket) for id_, ticket in tickets.items()}
        return [replace(row, type_id=types.get(row.ticket_id)) for row in rows]

    # Tickets

    def fetch_changed_tickets(self, since: datetime) -> ChangedTickets:
        """Search the issues by the time of their change; the index may miss one, whose days show it when they run.

        Their sums are not compared: the feeds tell every change of a worklog.
        """
        span = max(datetime.now(UTC) - since, timedelta(0))
        found = self._issues.changed(since, span // timedelta(minutes=1) + 2)
        return ChangedTickets(tuple(ChangedTicket(row, units=_NO_UNITS) for row in found.tickets), found.complete)

    def fetch_tickets(self, accountings: Iterable[TimeAccounting]) -> list[Ticket]:
        """Read the issues of these bookings. One that is gone or hidden is not in the list."""
        found = self._issues.read({row.ticket_id for row in accountings if "issueId" not in row.faults})
        return [found[id_] for id_ in sorted(found, key=int)]

    # People and master data

    def fetch_types(self) -> SourceDirectory:
        """Read all types of issues, which stand for the activity."""
        answer = self._http.get(f"{self._root}/issuetype")
        types, unreadable = answer.readable("issue type", _issue_type)
        return SourceDirectory(activity_types=tuple(types), unreadable=unreadable)

    def fetch_agents(self, ids: Collection[str]) -> SourceDirectory:
        """Read these people; most are known from the worklogs that were read.

        Whose name Jira withholds, as it does while its user service is down, counts as unreadable: what was stored of
        that person stays.
        """
        wanted = set(ids)
        unknown = sorted(wanted - self._people.keys())
        read = [row for row in run_concurrently(self._person, unknown) if row is not None]
        people = [*(self._people[id_] for id_ in sorted(wanted & self._people.keys())), *read]
        nameless = [row.agent.id for row in people if row.nameless]
        return SourceDirectory(
            tuple(row.agent for row in people if not row.nameless),
            unreadable=tuple(Unreadable("account", id_, _WITHHELD) for id_ in nameless),
        )

    def find(self, text: str) -> SourceDirectory:
        """Search people with Jira's own search, or by id, and customers by a part of their name.

        Jira finds only people who show themselves, and none without the permission Browse users and groups.
        """
        wanted = text.strip()
        organizations = self._issues.organizations()
        if by_id := _ID.fullmatch(wanted):
            of_id = tuple(row for row in organizations if row.id == by_id[1])
            return SourceDirectory(self.fetch_agents([by_id[1]]).agents, of_id)
        named = tuple(row for row in organizations if wanted.casefold() in row.name.casefold())
        asked = {"query" if self._is_cloud else "username": wanted, "maxResults": FOUND_AT_ONCE}
        answer = self._http.get(f"{self._root}/user/search", asked, needs=("USER_PICKER",))
        people, unreadable = answer.readable("account", jira_rows.person)
        found = [row for row in people if row.account_type != jira_rows.APP and not row.nameless]
        return SourceDirectory(tuple(row.agent for row in found), named, unreadable=unreadable)

    def _person(self, account: str) -> Person | None:
        """One person; `None` if Jira does not know that account."""
        asked = {"accountId" if self._is_cloud else "key": account}
        try:
            answer = self._http.get(f"{self._root}/user", asked)
        except NotFoundError:
            return None
        found, _ = answer.readable("account", jira_rows.person, [answer.data])
        return next((row for row in found if row.agent.id == account), None)

    def _look_around(self, seen: Mapping[str, str]) -> Surroundings:
        me = jira_rows.person(self._http.get(f"{self._root}/myself").row("account"))
        live = self._issues.projects()
        retired: set[str] = set()
        if not seen.keys() <= live.keys():
            retired = {id_ for stage in ("archived", "deleted") for id_ in self._issues.projects(stage)}
        return Surroundings(me.agent.id, live, retired)


def _placed(row: TimeAccounting, place: datetime) -> TimeAccounting:
    """The booking; one whose begin is unreadable stays where the mirror knows it."""
    return replace(row, worked_at=place) if "started" in row.faults else row


def _issue_type(row: RowReader) -> ActivityType:
    return ActivityType(jira_rows.number(row, "id"), row.text("name"), active=True)
