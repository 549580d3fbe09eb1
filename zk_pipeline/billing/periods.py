"""Closing and reopening months."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import Connection

from zk_pipeline.audit import anchors
from zk_pipeline.billing.files.closed_statement import closing_content, statement_hash
from zk_pipeline.billing.statements import checked_month, read
from zk_pipeline.domain.instants import days_between, days_window, local_day
from zk_pipeline.domain.periods import StatementTotals, closing_obstacles, fingerprint, in_hours, last_day, month_name
from zk_pipeline.identity.actors import Actor, OperationError, StaleError
from zk_pipeline.operate.runs import launch_once
from zk_pipeline.runtime.dagster_server import DagsterServerError
from zk_pipeline.runtime.run_tags import MONTH_TAG, REASON_TAG
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.stages import marts, rereading
from zk_pipeline.stages.push.tagging import WritesDisabledError, require_writing
from zk_pipeline.stages.systems import push_lock
from zk_pipeline.store import audit, conflicts, day_requests, invoices, ledger, periods, suppression
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.target import timesheets_around

TAG_JOB = "tag_billed"


@dataclass(frozen=True, slots=True)
class Period:
    """One closing of a month. Times are in UTC.

    `audit_head` is the hash of the last audit row before the closing, `statement_hash` that of the statement
    (docs/billing.md); `minutes_waiting` waited for people when it was closed.
    """

    month: str
    closed: bool
    closed_at: datetime
    closed_by: str
    audit_head: str
    statement_hash: str
    minutes_waiting: Decimal
    reopened_at: datetime | None
    reopened_by: str | None
    reopened_reason: str | None


@dataclass(frozen=True, slots=True)
class PeriodState:
    """Whether a month can be closed: `objections` as sentences, and the sums behind them.

    `open` describes open work that would be closed with the month; `at_rest`: the month is over, and no day requested.
    """

    month: str
    closed: bool
    minutes_waiting: Decimal
    minutes_unexplained: Decimal
    objections: tuple[str, ...]
    open: str = ""
    at_rest: bool = True


def history(runtime: Runtime) -> list[Period]:
    """All closings, newest month and closing first."""
    with runtime.database.transaction() as connection:
        return _history(connection)


def closing_state(runtime: Runtime, name: str, *, with_waiting: bool = False) -> PeriodState:
    """Whether a month can be closed. Raises `OperationError` for an invalid month."""
    month = checked_month(name)
    with runtime.database.transaction() as connection:
        totals, objections = _objections(connection, runtime, month, with_waiting=with_waiting)
        closed = month in periods.closed_months(connection)
    waiting = f"{in_hours(totals.minutes_waiting)} waiting, {totals.in_question_text}"
    return PeriodState(
        month_name(month),
        closed,
        totals.minutes_waiting,
        totals.minutes_unexplained,
        tuple(objections),
        waiting if totals.in_question else "",
        at_rest=last_day(month) < local_day(datetime.now(UTC), runtime.settings.zone) and not totals.asked_days,
    )


def close(runtime: Runtime, actor: Actor, name: str, *, with_waiting: bool = False) -> Period:
    """Close a month, after running pushes. Raises `StaleError` with all objections."""
    month = checked_month(name)
    with _month_locked(runtime, month) as connection:
        if month in periods.closed_months(connection):
            raise StaleError(f"{month_name(month)} is already closed. Reopen it to close it again.")
        totals, objections = _objections(connection, runtime, month, with_waiting=with_waiting)
        if objections:
            raise StaleError(" ".join(objections))
        # A running erasure ends first, so that no erased name is stored.
        suppression.one_erasure_at_a_time(connection)
        statement = closing_content(read(connection, month, runtime.settings))
        hashed = statement_hash(statement)
        _, head = audit.head(connection)
        periods.close(
            connection,
            month,
            actor=actor.name,
            audit_head=head,
            statement=statement,
            statement_hash=hashed,
            kept_hash=fingerprint(statement),
            waiting=totals.minutes_waiting,
        )
        detail = {"audit_head": head, "statement_hash": hashed, "minutes_waiting": str(totals.minutes_waiting)}
        audit.append(connection, [actor.audit_event("period.closed", _subject(month), detail)])
        _keep_locked_timesheets(connection, runtime, month)
        _request_waiting_days(connection, month)
        closed = _latest_closing(connection, month)
    anchors.publish(runtime, f"{month_name(month)} closed")
    return closed


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """A month as it was closed, and the run that tags its time sheets if that was wanted, or why there is none."""

    period: Period
    tag_run_id: str | None = None
    tag_problem: str | None = None


def close_and_tag(
    runtime: Runtime, actor: Actor, name: str, *, with_waiting: bool = False, tag: bool = False
) -> ClosedMonth:
    """Close a month, and start the run that tags its time sheets with `tag`.

    If that run cannot be started, the month is closed all the same. Raises `StaleError` with all objections, also if
    nothing may be tagged.
    """
    if tag:
        require_tagging(runtime)
    period = close(runtime, actor, name, with_waiting=with_waiting)
    if not tag:
        return ClosedMonth(period)
    try:
        return ClosedMonth(period, tag_run_id=launch_tagging(runtime, actor, name))
    except DagsterServerError as error:
        return ClosedMonth(period, tag_problem=str(error))


def reopen(runtime: Runtime, actor: Actor, name: str, reason: str) -> Period:
    """Reopen a closed month, for a reason. Raises `OperationError` without one, `StaleError` if it is open."""
    month = checked_month(name)
    if not reason.strip():
        raise OperationError("Say why the month is reopened: the reason is missing.", "reason")
    with _month_locked(runtime, month) as connection:
        if not periods.reopen(connection, month, actor=actor.name, reason=reason.strip()):
            raise StaleError(f"{month_name(month)} is not closed.")
        audit.append(connection, [actor.audit_event("period.reopened", _subject(month), {"reason": reason.strip()})])
        _request_waiting_days(connection, month)
        return _latest_closing(connection, month)


def require_tagging(runtime: Runtime) -> None:
    """Raise `StaleError` if ZK_PUSH_MODE does not allow writing tags."""
    try:
        require_writing(runtime.settings.push_mode)
    except WritesDisabledError as error:
        raise StaleError(str(error)) from error


def record_tagging_request(runtime: Runtime, actor: Actor, name: str) -> str:
    """Record who requests the tagging of a closed month, before its run begins; returns the month's name.

    Raises `OperationError` for an invalid month, `StaleError` if it is open or nothing may be written.
    """
    require_tagging(runtime)
    month = checked_month(name)
    with runtime.database.transaction() as connection:
        if month not in periods.closed_months(connection):
            raise StaleError(f"Close {month_name(month)} first, then tag it.")
        audit.append(
            connection, [actor.audit_event("tagging.requested", _subject(month), {"month": month_name(month)})]
        )
    return month_name(month)


def launch_tagging(runtime: Runtime, actor: Actor, name: str) -> str:
    """Start a run that tags the time sheets of a closed month; returns its id.

    Raises `StaleError` if the month is open, and `DagsterServerError`.
    """
    month = record_tagging_request(runtime, actor, name)
    tags = {REASON_TAG: "person", MONTH_TAG: month}
    return launch_once(runtime, actor, TAG_JOB, tags, about=month)


@contextmanager
def _month_locked(runtime: Runtime, month: date) -> Iterator[Connection]:
    """A transaction during which nothing writes to the days of the month or to the marts."""
    with runtime.database.transaction() as connection:
        target = active_connectors(connection).target
    locks = [push_lock(target, day) for day in days_between(month, last_day(month))]
    with runtime.database.lock(marts.LOCK, *locks), runtime.database.transaction() as connection:
        yield connection


def _objections(
    connection: Connection, runtime: Runtime, month: date, *, with_waiting: bool
) -> tuple[StatementTotals, list[str]]:
    today = local_day(datetime.now(UTC), runtime.settings.zone)
    totals = month_totals(connection, runtime.settings, month)
    return totals, closing_obstacles(month, totals, today, with_waiting=with_waiting)


def month_totals(connection: Connection, settings: Settings, month: date) -> StatementTotals:
    """What decides whether a month may be closed."""
    totals = periods.totals(connection, active_connectors(connection), month, settings.minutes_per_unit)
    return replace(totals, not_read_since=rereading.not_read_since(connection, settings, month, datetime.now(UTC)))


def _request_waiting_days(connection: Connection, month: date) -> None:
    """Request the days with open conflicts, whose possible decisions have changed."""
    waiting = conflicts.open_conflicts(connection, month, last_day(month))
    day_requests.ask(connection, {row.entry_date for row in waiting}, "closing")


def _keep_locked_timesheets(connection: Connection, runtime: Runtime, month: date) -> None:
    """Store the time sheets of the month, so that later changes become conflicts."""
    target, last = active_connectors(connection).target, last_day(month)
    ours = [row.kimai_id for row in ledger.bound_timesheets(connection, target, month, last) if row.kimai_id]
    window = days_window(month, last, runtime.settings.zone)
    rows = [row for row in timesheets_around(connection, target, window, ours) if not row.faults]
    known = invoices.locked_as(connection, target, [row.id for row in rows])
    new = [row for row in rows if row.id not in known]
    if new:
        invoices.keep_locked(connection, target, new)


def _subject(month: date) -> str:
    return f"period:{month_name(month)}"


def _history(connection: Connection) -> list[Period]:
    return [
        Period(
            month=month_name(row.month),
            closed=row.reopened_at is None,
            closed_at=row.closed_at,
            closed_by=row.closed_by,
            audit_head=row.audit_head,
            statement_hash=row.statement_hash,
            minutes_waiting=row.minutes_waiting,
            reopened_at=row.reopened_at,
            reopened_by=row.reopened_by,
            reopened_reason=row.reopened_reason,
        )
        for row in periods.history(connection)
    ]


def _latest_closing(connection: Connection, month: date) -> Period:
    """The latest closing of a month that has one."""
    return next(period for period in _history(connection) if period.month == month_name(month))
