"""The Kimai connector: time sheets of all users, and the customers, projects, activities and tags they refer to."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from zk_pipeline.connectors.answer import ApiResponse, in_chunks
from zk_pipeline.connectors.checks import Finding, Validation, version_numbers
from zk_pipeline.connectors.contract import (
    Endpoint,
    LastRead,
    NewestRow,
    Sweep,
    SweepReport,
    TargetConnector,
)
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError, UnavailableError, ValidationFailedError
from zk_pipeline.connectors.http import HttpConnector, Params
from zk_pipeline.connectors.kimai import reading
from zk_pipeline.connectors.kimai.account import ALL_USERS, USERS, KimaiAccount
from zk_pipeline.connectors.kimai.errors import TIMESHEETS, KimaiDialect
from zk_pipeline.connectors.kimai.masterdata import (
    CUSTOMERS,
    PROJECTS,
    change_state,
    ensure_tag,
    is_searchable,
    read_state,
    remove_customer,
    remove_project,
    same_tag,
)
from zk_pipeline.connectors.kimai.reading import (
    NAIVE,
    PAGE_SIZE,
    TimesheetList,
    TimesheetReading,
    misread,
    query_span,
    read_invoices,
    read_timesheets,
    wall_clock,
    with_offset,
)
from zk_pipeline.connectors.kimai.validation import OLDEST_VERSION, validate, version_findings
from zk_pipeline.domain.records import (
    Customer,
    InvoiceReading,
    MasterDataKind,
    MasterDataState,
    Project,
    TargetDirectory,
    TargetServer,
    Timesheet,
    TimesheetChange,
    TimesheetDraft,
    Window,
)
from zk_pipeline.domain.vanished import SortedListing

CREATE = ("create_own_timesheet", "create_other_timesheet")
EDIT = ("edit_other_timesheet", "edit_exported_timesheet (when exported)")
DELETE = ("delete_other_timesheet", "edit_exported_timesheet (when exported)")
VIEW = ("view_other_timesheet",)
LONGEST_DESCRIPTION = 65_535

_log = logging.getLogger(__name__)


class KimaiConnector(HttpConnector, TargetConnector):
    """Reads and writes time sheets of Kimai 2.14 or newer (docs/kimai.md §2, §3, §4)."""

    kind = "kimai"

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(endpoint, KimaiDialect(), sleep=sleep)
        self._account = KimaiAccount(self._http)

    def validate(self) -> Validation:
        """Test connection, version and permissions; creates nothing (docs/kimai.md §1, §11)."""
        return validate(self._http)

    def version_findings(self) -> tuple[Finding, ...]:
        """Findings about the version, in one request."""
        return version_findings(self._http)

    def fetch(self, window: Window) -> Sweep[Timesheet]:
        """Read the time sheets of all users that begin within the window, lowest id first (docs/kimai.md §2).

        The rows of one window are kept in memory until its totals are known to be stable. Raises
        `PermissionDeniedError` for an account that only sees its own time sheets, because all others would be created
        again.
        """
        return Sweep(lambda: self._sweep(window))

    def confirm(self, read: LastRead) -> SweepReport | None:
        """Ask for edits in the window, and the numbers that deletions and bulk exports change (docs/kimai.md §2)."""
        # Kimai's `end` is inclusive, and its times have whole seconds.
        inner = Window(read.window.start, read.window.end - timedelta(seconds=1))
        begin, end = query_span(inner, self._account.caller().zone)

        def number(filters: Params) -> int:
            listing = TimesheetList(self._http, {"begin": begin, "end": end, **filters})
            listing.row_at(0)
            return listing.total

        if number(_modified_after(read.since)) or number({}) != read.rows or number({"exported": 1}) != read.exported:
            return None
        return read.confirmed(read.rows)

    def fetch_changes(self, since: datetime) -> list[Timesheet]:
        """Read the changes by Kimai's own timestamp, which misses deletions and bulk exports (docs/kimai.md §2).

        Raises `UnavailableError` if rows moved between the pages, so that one may have been missed.
        """
        return self._all(_modified_after(since))

    def changes(self, since: datetime) -> SortedListing[Timesheet]:
        """The changes by Kimai's own timestamp, sorted by id, readable in parts."""
        return TimesheetList(self._http, _modified_after(since))

    def newest(self) -> NewestRow:
        """The highest id and the number of all time sheets, in one request (docs/kimai.md §2)."""
        listing = TimesheetList(self._http, {"order": "DESC"})
        row = listing.row_at(0)
        return NewestRow(row.id if row else 0, listing.total, listing.answered_at)

    def listing(self, words: str) -> SortedListing[Timesheet]:
        """The time sheets with these words, by id (docs/kimai.md §2, §12)."""
        return TimesheetList(self._http, {"term": words})

    def fetch_directory(self) -> TargetDirectory:
        """Read server, users, customers, projects and activities in seven requests. Refuses Kimai before 2.14."""
        answer = self._http.get("/api/version")
        version = answer.row("version")
        if version_numbers(version.text("version")) < OLDEST_VERSION:
            raise answer.fault(f"Kimai {version.text('version')} is too old.", "Update Kimai to 2.14 or newer.")
        config = self._http.get("/api/config/timesheet").row("configuration")
        self._account.forget()
        return self._directory(reading.server(version, config))

    def refresh_directory(self, server: TargetServer) -> TargetDirectory:
        """Read users, customers, projects and activities, and the account if it was not read yet."""
        return self._directory(server)

    def _directory(self, server: TargetServer) -> TargetDirectory:
        me = self._account.me().row("user")
        users, bad_users = self._http.get(USERS, ALL_USERS, needs=("view_user",)).readable("user", reading.user)
        customers, bad_customers = CUSTOMERS.everything(self._http)
        projects, bad_projects = PROJECTS.everything(self._http)
        activities, bad_activities = self._http.get("/api/activities", {"visible": 3}).readable(
            "activity", reading.activity
        )
        directory = TargetDirectory(
            server=reading.called_by(server, me),
            users=tuple(users),
            customers=tuple(customers),
            projects=tuple(projects),
            activities=tuple(activities),
            unreadable=(*bad_users, *bad_customers, *bad_projects, *bad_activities),
        )
        self._account.learn(directory.users)
        return directory

    def fetch_invoices(self) -> InvoiceReading:
        """Read all invoices, a page of 500 at a time (docs/kimai.md §15)."""
        return read_invoices(self._http)

    def fetch_billed(self) -> list[Timesheet]:
        """Read all exported and billable time sheets. Raises `UnavailableError` if rows moved meanwhile."""
        return self._all({"exported": 1, "billable": 1})

    def get(self, timesheet_id: int) -> Timesheet | None:
        """Read one time sheet; `None` if Kimai says that it does not exist."""
        try:
            answer = self._http.get(f"{TIMESHEETS}/{timesheet_id}", needs=VIEW)
        except NotFoundError:
            return None
        return reading.timesheet(answer.row("time sheet"))

    def find(self, marker: str) -> list[Timesheet]:
        """Find the time sheets whose description has the marker, in brackets or between spaces (docs/kimai.md §12).

        Raises `ValueError` for a marker that Kimai cannot search, `UnavailableError` if time sheets moved during the
        read, so that one may have been missed, and `PermissionDeniedError` if nothing was found by an account that only
        sees its own time sheets.
        """
        if not is_searchable(marker):
            raise ValueError(
                f"The marker {marker!r} cannot be searched for: use one word without colon or leading '!'."
            )
        found = self._all({"term": marker})
        # Kimai found the marker in a text that is unreadable here: it exists, so nothing is created beside it.
        hits = [row for row in found if "description" in row.faults or _holds(row.description, marker)]
        if not hits:
            self._expect_view_of_all("The account does not see whether somebody else's time sheet has the marker.")
        return hits

    def create(self, draft: TimesheetDraft) -> Timesheet:
        """Create a time sheet in one attempt. Tags that Kimai dropped are missing in the result, and logged.

        Raises `ProtocolError` with `outcome_unknown` if something other than the draft was stored (docs/kimai.md §3).
        """
        zone = self._account.caller().zone
        self._check_length(draft.description)
        body = {
            "user": draft.user_id,
            "project": draft.project_id,
            "activity": draft.activity_id,
            "begin": wall_clock(draft.begin, zone),
            "end": wall_clock(draft.end, zone),
            "description": draft.description,
            "tags": ",".join(draft.tags),
        }
        answer = self._http.write("POST", TIMESHEETS, body, needs=CREATE)
        made = reading.written(answer)
        _check_references(answer, body)
        if misread(draft.begin, made.raw["begin"], zone):
            self._account.forget()
            raise answer.fault(
                f"Time sheet {made.id} begins at {made.begin} instead of {draft.begin}: Kimai read it in another zone.",
                "The time zone of the account was changed; run again.",
            )
        dropped = [name for name in draft.tags if not any(same_tag(name, kept) for kept in made.tags)]
        if dropped:
            _log.warning("Kimai dropped the tags %s of time sheet %d: they do not exist there.", dropped, made.id)
        return made

    def update(self, current: Timesheet, change: TimesheetChange) -> Timesheet:
        """Change a time sheet that was read as `current`; an empty change sends nothing (docs/kimai.md §4).

        Billable flag and rates are sent a second time, alone, if Kimai reset them, as it does when a time sheet moves.
        """
        self._check_length(change.description or "")
        fields = _fields(change)
        if change.begin is None and change.end is None:
            changed = self._patch(current, fields) if fields else current
            return self._kept(changed, fields)
        zone = self._account.zone_of_entry(current)
        changed = self._patch(current, fields | _times(change, zone))
        if zone is not None and _was_misread(change, changed, zone):
            # Stored with another zone of the same offset: the format with offset is exact in any zone.
            changed = self._patch(current, fields | _times(change, None))
        return self._kept(changed, fields)

    def delete(self, timesheet_id: int) -> None:
        """Delete a time sheet; no error if it is already gone."""
        with suppress(NotFoundError):
            self._http.write("DELETE", f"{TIMESHEETS}/{timesheet_id}", repeatable=True, needs=DELETE)

    def create_customer(self, *, name: str, number: str) -> Customer:
        """Create a customer; if Kimai says that the number is taken, return the one that has it (docs/kimai.md §7)."""
        return CUSTOMERS.create(self._http, number, {"name": name})

    def create_project(self, *, name: str, number: str, customer_id: int) -> Project:
        """Create a project; if Kimai says that the number is taken, return the one that has it, of any customer."""
        return PROJECTS.create(self._http, number, {"name": name, "customer": customer_id})

    def find_customer(self, number: str) -> Customer | None:
        """The customer with exactly this number, even if hidden; the oldest if there are several."""
        return CUSTOMERS.find(self._http, number)

    def find_project(self, number: str) -> Project | None:
        """The project with exactly this number, even if hidden or ended; the oldest if there are several."""
        return PROJECTS.find(self._http, number)

    def delete_customer(self, customer_id: int, *, number: str) -> None:
        """Delete the customer if it has this number and nothing refers to it (docs/kimai.md §7)."""
        self._expect_view_of_all("The account does not see whether others use the record.")
        remove_customer(self._http, customer_id, number)

    def delete_project(self, project_id: int, *, number: str) -> None:
        """Delete the project if it has this number and nothing refers to it (docs/kimai.md §7)."""
        self._expect_view_of_all("The account does not see whether others use the record.")
        remove_project(self._http, project_id, number)

    def state_of(self, kind: MasterDataKind, record_id: int) -> MasterDataState | None:
        """Whether people hid the record, and when a project ends; `None` if it is gone."""
        return read_state(self._http, kind, record_id)

    def mend(
        self, kind: MasterDataKind, record_id: int, current: MasterDataState, wanted: MasterDataState
    ) -> MasterDataState:
        """Show or hide the record, or set when a project ends; the rest of it stays."""
        return change_state(self._http, kind, record_id, current, wanted)

    def ensure_tags(self, names: Iterable[str]) -> None:
        """Make sure that the tags exist and are visible. Raises `ValidationFailedError` for a hidden one."""
        for name in dict.fromkeys(names):
            ensure_tag(self._http, name)

    def _all(self, filters: Params) -> list[Timesheet]:
        reading = read_timesheets(self._http, filters)
        if reading.doubt:
            raise UnavailableError(
                f"The search is not complete: {reading.doubt}.",
                system=self._http.system,
                method="GET",
                path=TIMESHEETS,
                remedy="Try again when fewer people book.",
            )
        return reading.rows

    def _sweep(self, window: Window) -> Iterator[list[Timesheet] | SweepReport]:
        caller = self._account.caller()
        begin, end = query_span(window, caller.zone)
        reading = read_timesheets(self._http, {"begin": begin, "end": end})
        # Kimai's `end` is inclusive, and in a repeated hour more was requested.
        rows = [row for row in reading.rows if "begin" in row.faults or window.start <= row.begin < window.end]
        yield from in_chunks(rows, PAGE_SIZE)
        if all(row.user_id == caller.id for row in reading.rows):
            self._expect_view_of_all("Nobody else's time sheets came, and the account does not see them.")
        yield _report(window, reading, len(rows), reading.doubt)

    def _expect_view_of_all(self, problem: str) -> None:
        """Other people's time sheets must be visible: without them they could be deleted, or created a second time."""
        if not self._account.sees_others():
            raise PermissionDeniedError(
                problem,
                system=self._http.system,
                method="GET",
                path=TIMESHEETS,
                remedy="Give a role of the account the permission view_other_timesheet.",
            )

    def _check_length(self, description: str) -> None:
        """Kimai fails with a bare 500 if the text does not fit into its column (docs/kimai.md §3)."""
        size = len(description.encode())
        if size > LONGEST_DESCRIPTION:
            raise ValidationFailedError(
                f"The description has {size} bytes, but Kimai stores {LONGEST_DESCRIPTION} at most.",
                fields={"description": ("too long",)},
                system=self._http.system,
                method="POST",
                path=TIMESHEETS,
                remedy="Shorten the ticket's title or the template of the description.",
            )

    def _kept(self, changed: Timesheet, sent: dict[str, Any]) -> Timesheet:
        shown = {"billable": changed.billable, "hourlyRate": changed.hourly_rate, "fixedRate": changed.fixed_rate}
        lost = {name: sent[name] for name, value in shown.items() if name in sent and not _same(sent[name], value)}
        return self._patch(changed, lost) if lost else changed

    def _patch(self, current: Timesheet, body: dict[str, Any]) -> Timesheet:
        answer = self._http.write("PATCH", f"{TIMESHEETS}/{current.id}", body, repeatable=True, needs=EDIT)
        _check_references(answer, body)
        return reading.written(answer)


def _modified_after(since: datetime) -> Params:
    return {"modified_after": since.astimezone(UTC).strftime(NAIVE)}


def _report(window: Window, reading: TimesheetReading, rows: int, doubt: str) -> SweepReport:
    return SweepReport(
        window=window,
        pages=reading.pages,
        rows=rows,
        total_before=reading.total_before,
        total_after=reading.total_after,
        high_water=None,
        complete=not doubt,
        reason=doubt,
    )


def _holds(description: str, marker: str) -> bool:
    """Kimai also finds parts of words, wildcards and any letter case: only this comparison is exact."""
    bare = marker.removeprefix("[").removesuffix("]")
    return f"[{bare}]" in description or marker in description.split()


def _check_references(answer: ApiResponse, sent: dict[str, Any]) -> None:
    row = answer.row("time sheet")
    for name in ("user", "project", "activity"):
        if name in sent and row.integer(name) != sent[name]:
            raise answer.fault(
                f"Time sheet {row.integer('id')} has the {name} {row.integer(name)} instead of {sent[name]}.",
                "Look at the time sheet in Kimai before it is sent again.",
            )


def _fields(change: TimesheetChange) -> dict[str, Any]:
    tags = None if change.tags is None else ",".join(change.tags)
    fields = {
        "user": change.user_id,
        "project": change.project_id,
        "activity": change.activity_id,
        "description": change.description,
        "tags": tags,
        "billable": change.billable,
        "hourlyRate": _number(change.hourly_rate),
        "fixedRate": _number(change.fixed_rate),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _number(amount: Decimal | None) -> float | None:
    """An amount as a JSON number with the same digits."""
    return None if amount is None else float(amount)


def _same(sent: Any, shown: Any) -> bool:
    return sent == shown if isinstance(sent, bool) else shown is not None and Decimal(str(sent)) == shown


def _times(change: TimesheetChange, zone: ZoneInfo | None) -> dict[str, str]:
    times = {"begin": change.begin, "end": change.end}
    return {
        name: wall_clock(instant, zone) if zone else with_offset(instant)
        for name, instant in times.items()
        if instant is not None
    }


def _was_misread(change: TimesheetChange, changed: Timesheet, zone: ZoneInfo) -> bool:
    sent = {"begin": change.begin, "end": change.end}
    shown = changed.raw
    return any(instant and shown[name] and misread(instant, shown[name], zone) for name, instant in sent.items())
