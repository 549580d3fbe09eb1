"""Reading Kimai: pages, rows, times as Kimai means them, invoices (docs/kimai.md §2, §3, §6 to §8, §15)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zk_pipeline.connectors.answer import ApiResponse, RowReader, http_date
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError
from zk_pipeline.connectors.http import HttpClient, Params
from zk_pipeline.connectors.kimai.errors import TIMESHEETS
from zk_pipeline.domain.records import (
    Activity,
    Customer,
    Invoice,
    InvoiceReading,
    Project,
    TargetServer,
    TargetUser,
    Timesheet,
    Window,
)

# Kimai's JSON rows as plain rows (docs/kimai.md §6, §7, §8).

LONGEST_SECONDS = 2**31 - 1
UNKNOWN_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
"""The begin of a time sheet whose own is unreadable; it counts for every day."""


def timesheet(row: RowReader) -> Timesheet:
    """One time sheet, of which only the id must be readable. Tags are sorted, because Kimai's order is not stable."""
    faults: dict[str, str] = {}
    end = row.spare(faults, "end", row.optional_instant, None)
    seconds = row.spare(faults, "duration", row.optional_integer, None) or 0
    if abs(seconds) > LONGEST_SECONDS:
        faults["duration"], seconds = f"{seconds} seconds are too many", 0
    pause = row.spare(faults, "break", row.integer, 0) if row.has("break") else 0
    if abs(pause) > LONGEST_SECONDS:
        faults["break"], pause = f"{pause} seconds are too many", 0
    return Timesheet(
        id=row.integer("id"),
        user_id=row.spare(faults, "user", row.integer, 0),
        project_id=row.spare(faults, "project", row.integer, 0),
        activity_id=row.spare(faults, "activity", row.integer, 0),
        begin=row.spare(faults, "begin", row.instant, end or UNKNOWN_MOMENT),
        end=end,
        duration_seconds=seconds,
        description=row.spare(faults, "description", row.optional_text, None) or "",
        tags=tuple(sorted(row.spare(faults, "tags", row.texts, ()))),
        exported=row.spare(faults, "exported", row.boolean, instead=False),
        billable=row.spare(faults, "billable", row.boolean, instead=False),
        raw=row.raw,
        faults=faults,
        break_seconds=pause,
        rate=row.spare(faults, "rate", row.optional_amount, None),
        hourly_rate=row.spare(faults, "hourlyRate", row.optional_amount, None),
        fixed_rate=row.spare(faults, "fixedRate", row.optional_amount, None),
    )


def written(answer: ApiResponse) -> Timesheet:
    """The time sheet in the response to a write. Raises `ProtocolError` if it is unreadable."""
    row = timesheet(answer.row("time sheet"))
    if row.faults:
        raise answer.fault(f"Time sheet {row.id} cannot be read: {', '.join(row.faults)}.")
    return row


def user(row: RowReader) -> TargetUser:
    """One user; before 2.45 there is no e-mail address in the row."""
    username = row.text("username")
    return TargetUser(
        id=row.integer("id"),
        username=username,
        email=row.text("email") if row.has("email") else None,
        name=(row.text("alias") if row.has("alias") else "") or username,
        enabled=row.boolean("enabled"),
        timezone=row.text("timezone"),
        system_account=row.has("systemAccount") and row.boolean("systemAccount"),
    )


def customer(row: RowReader) -> Customer:
    """One customer."""
    return Customer(
        id=row.integer("id"),
        name=row.text("name"),
        number=_number(row),
        visible=row.boolean("visible"),
        currency=row.text("currency") if row.has("currency") else "",
    )


def invoice(row: RowReader) -> Invoice:
    """One invoice; its customer is a nested object."""
    return Invoice(
        id=row.integer("id"),
        number=row.text("invoiceNumber"),
        customer_id=row.row("customer", "customer").integer("id"),
        currency=row.text("currency"),
        total=row.amount("total"),
        tax=row.amount("tax"),
        vat=row.amount("vat"),
        status=row.text("status"),
        created_at=row.instant("createdAt"),
        due_days=row.integer("dueDays"),
        payment_date=row.optional_date("paymentDate"),
    )


def project(row: RowReader) -> Project:
    """One project; its dates have no time of day."""
    return Project(
        id=row.integer("id"),
        name=row.text("name"),
        number=_number(row),
        customer_id=row.integer("customer"),
        visible=row.boolean("visible"),
        start=row.optional_date("start"),
        end=row.optional_date("end"),
        global_activities=row.boolean("globalActivities"),
        locked_until=row.optional_date("lockedUntil"),
    )


def activity(row: RowReader) -> Activity:
    """One activity; a global one has no project."""
    return Activity(
        id=row.integer("id"),
        name=row.text("name"),
        number=_number(row),
        project_id=row.optional_integer("project"),
        visible=row.boolean("visible"),
    )


def server(version: RowReader, config: RowReader) -> TargetServer:
    """The server, from Kimai's two descriptions of itself (docs/kimai.md §10), called by nobody yet."""
    return TargetServer(
        version=version.text("version"),
        caller_id=0,
        caller_name="",
        caller_timezone="",
        tracking_mode=config.text("trackingMode"),
        allow_future_times=config.boolean("isAllowFutureTimes"),
        allow_overlapping=config.boolean("isAllowOverlapping"),
    )


def called_by(server: TargetServer, me: RowReader) -> TargetServer:
    """The server with the account that calls it."""
    return replace(
        server, caller_id=me.integer("id"), caller_name=me.text("username"), caller_timezone=me.text("timezone")
    )


def _number(row: RowReader) -> str | None:
    return row.text("number") if row.has("number") else None


# Instants as Kimai reads them: wall-clock times in a zone (docs/kimai.md §2, §3).

NAIVE = "%Y-%m-%dT%H:%M:%S"
MISREAD = timedelta(minutes=30)
"""No two zones differ by less, and rounding hardly ever moves a time by as much."""


def zone_named(name: str) -> ZoneInfo | None:
    """The zone of an IANA name, or `None` if this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None


def overlap(local: datetime) -> timedelta:
    """How long until this wall-clock time occurs again; zero except in one night a year."""
    earlier, later = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    return (earlier or timedelta(0)) - (later or timedelta(0))


def wall_clock(instant: datetime, zone: ZoneInfo) -> str:
    """The local time that Kimai reads as this instant in that zone; with offset if the time occurs twice."""
    local = instant.astimezone(zone)
    return local.isoformat(timespec="seconds") if overlap(local) else local.strftime(NAIVE)


def with_offset(instant: datetime) -> str:
    """The instant in the format that means the same in every zone."""
    return instant.astimezone(UTC).isoformat(timespec="seconds")


def query_span(window: Window, zone: ZoneInfo) -> tuple[str, str]:
    """Local times around the window, for the filters `begin` and `end`, which take no offset.

    If such a time occurs twice, they span more than the window.
    """
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)
    first = (window.start - overlap(start)).astimezone(zone)
    last = (window.end + overlap(end)).astimezone(zone)
    return first.strftime(NAIVE), last.strftime(NAIVE)


def misread(sent: datetime, shown: str, zone: ZoneInfo) -> bool:
    """Whether a time was read in another zone than it was sent in.

    `shown` is the time in the response, with the offset of the zone in which it was read. A shift with the right offset
    is the server's rounding.
    """
    moment = datetime.fromisoformat(shown)
    return abs(moment - sent) >= MISREAD and moment.utcoffset() != moment.astimezone(zone).utcoffset()


# Reading all pages of Kimai's time sheets, and noticing if rows moved between them (docs/kimai.md §2).

PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class TimesheetReading:
    """The result of one pass over the pages. `doubt` says why rows may have been missed, or is empty."""

    rows: list[Timesheet]
    pages: int
    total_before: int
    total_after: int
    doubt: str


class TimesheetList:
    """The time sheets of all users that match the filters, by id; positions count from 0, pages from 1."""

    def __init__(self, http: HttpClient, filters: Params) -> None:
        self._http = http
        self._filters = filters
        self.total = 0
        """The number of time sheets, by the last response."""
        self.answered_at: datetime | None = None
        """When that was, by Kimai's clock."""

    def row_at(self, position: int) -> Timesheet | None:
        """The time sheet at a position, or `None` past the end."""
        return next(iter(self._page(position + 1, 1)), None)

    def rows_from(self, position: int) -> tuple[int, list[Timesheet]]:
        """The page with the time sheet at this position, and the position of its first one."""
        number = position // PAGE_SIZE + 1
        return (number - 1) * PAGE_SIZE, self._page(number, PAGE_SIZE)

    def key(self, row: Timesheet) -> tuple[int, int]:
        """The sort key of the list."""
        return row.id, row.id

    def _page(self, number: int, size: int) -> list[Timesheet]:
        params = {"user": "all", "orderBy": "id", "order": "ASC", "size": size, "page": number, **self._filters}
        try:
            answer = self._http.get(TIMESHEETS, params, needs=("view_other_timesheet",))
        except NotFoundError:  # Past the end (docs/kimai.md §2).
            return []
        self.total = answer.header_number("X-Total-Count")
        self.answered_at = http_date(answer.headers.get("Date", ""))
        return [timesheet(row) for row in answer.rows("time sheet")]


def read_timesheets(http: HttpClient, filters: Params) -> TimesheetReading:
    """Read the time sheets of all users that match the filters, lowest id first.

    Pages are computed for each request; if the total changes between them, all are read again.
    """
    reading = _read_once(http, filters)
    return _read_once(http, filters) if reading.doubt else reading


def _read_once(http: HttpClient, filters: Params) -> TimesheetReading:
    # Only `id` gives every page the same order in every version (docs/kimai.md §2).
    params = {"user": "all", "orderBy": "id", "order": "ASC", "size": PAGE_SIZE, **filters}
    rows: dict[int, Timesheet] = {}
    before = after = 0
    number = last = 1
    doubt = ""
    while number <= last and not doubt:
        try:
            answer = http.get(TIMESHEETS, {**params, "page": number}, needs=("view_other_timesheet",))
        except NotFoundError:
            if number == 1:
                raise
            # Kimai's response past the end: the list became shorter meanwhile.
            doubt = "time sheets disappeared during the read"
            break
        after = answer.header_number("X-Total-Count")
        if number == 1:
            before, last = after, answer.header_number("X-Total-Pages")
        good, unreadable = answer.readable("time sheet", timesheet)
        rows |= {row.id: row for row in good}
        if unreadable:
            doubt = "a time sheet came whose id cannot be read"
        if after != before:
            doubt = f"the number of time sheets went from {before} to {after} during the read"
        number += 1
    if not doubt and len(rows) != before:
        doubt = f"{before} time sheets were announced, but {len(rows)} came"
    return TimesheetReading([rows[key] for key in sorted(rows)], number - 1, before, after, doubt)


# Reading Kimai's invoices, and explaining why an account may not (docs/kimai.md §15).

INVOICES = "/api/invoices"
VIEW = "view_invoice"


def read_invoices(http: HttpClient) -> InvoiceReading:
    """All invoices. A missing permission, or a version without invoices, gives a reading with a problem."""
    rows: dict[int, Invoice] = {}
    number = last = 1
    total = 0
    while number <= last:
        try:
            answer = http.get(INVOICES, {"size": PAGE_SIZE, "page": number}, needs=(VIEW,))
        except PermissionDeniedError:
            return InvoiceReading(problem=f"The account may not read invoices: {VIEW} is missing.")
        except NotFoundError:
            # A page past the end is 404 too: the list became shorter meanwhile.
            why = "Before 2.22 Kimai has no list of invoices." if number == 1 else _moved(total, len(rows))
            return InvoiceReading(problem=why)
        total, last = answer.header_number("X-Total-Count"), answer.header_number("X-Total-Pages")
        good, unreadable = answer.readable("invoice", invoice)
        if unreadable:
            return InvoiceReading(problem=str(unreadable[0]))
        rows |= {row.id: row for row in good}
        number += 1
    if len(rows) != total:
        return InvoiceReading(problem=_moved(total, len(rows)))
    return InvoiceReading(tuple(rows[key] for key in sorted(rows)))


def _moved(total: int, came: int) -> str:
    return f"Invoices were made or deleted during the read: {total} were announced, but {came} came."
