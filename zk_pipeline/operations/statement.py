"""The statement of a month, made of marts that are true."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from zk_pipeline.domain.closing import last_day, month_name, month_of
from zk_pipeline.domain.statement import CustomerError, Statement, of_customer, statement_of
from zk_pipeline.operations import closed_statements, marts
from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.errors import OperationError, StaleError, UnknownError
from zk_pipeline.operations.months import month_given
from zk_pipeline.operations.runs import launch_once
from zk_pipeline.run_tags import REASON_TAG
from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import Settings
from zk_pipeline.stages.marts.project import MartsError
from zk_pipeline.store import statements
from zk_pipeline.store.addresses import addresses

MARTS_JOB = "marts"


def statement(
    runtime: Runtime, name: str, customer: str | None = None, *, refresh: bool = True, closed: bool = False
) -> Statement:
    """The statement of the month `name`, such as `2025-08`, of all customers or of one, by name or number in Kimai.

    With `closed` it is the one that closing the month kept. With `refresh` the marts are built first if the month
    changed since. Raises `OperationError` for what is no month or cannot be built, `UnknownError` for a customer who is
    not in it, and `StaleError` while there are no marts, or no statement that was kept.
    """
    month = month_given(name)
    if refresh and not closed:
        bring_up_to_date(runtime, month)
    with runtime.database.transaction() as connection:
        if closed:
            return _part(closed_statements.as_closed(connection, month), customer)
        if not statements.is_made(connection):
            raise StaleError(f"There is no statement yet. zk statement {month_name(month)} makes it.")
        whole = read(connection, month, runtime.settings)
        found = _part(whole, customer)
        return replace(found, closing=closed_statements.beside(connection, whole, found))


def read(connection: Connection, month: date, settings: Settings) -> Statement:
    """The statement of a month as the marts say, of all customers."""
    rows = statements.rows(connection, addresses(connection), month, settings.zone)
    made = statement_of(
        month,
        rows.lines,
        rows.days,
        rows.gaps,
        rows.conflicts,
        rows.beside,
        rows.money,
        rows.items,
        rows.adjustments,
    )
    stale_days = tuple(_stale(connection, month, settings.minutes_per_unit))
    return replace(made, built_at=rows.built_at, stale_days=stale_days, readings=rows.readings)


def months(runtime: Runtime) -> tuple[date, ...]:
    """The months from the last one with a booking back to the first; none while nothing is booked."""
    with runtime.database.transaction() as connection:
        days = statements.booked_days(connection)
    found: list[date] = []
    if days is not None:
        month = month_of(days[1])
        while month >= month_of(days[0]):
            found.append(month)
            month = month_of(month - timedelta(days=1))
    return tuple(found)


def bring_up_to_date(runtime: Runtime, month: date) -> bool:
    """Build the marts if a month is no longer as they say; whether that was so. Raises `OperationError` if it fails."""
    with runtime.database.transaction() as connection:
        if statements.is_made(connection) and not _stale(connection, month, runtime.settings.minutes_per_unit):
            return False
    try:
        marts.refresh(runtime)
    except MartsError as error:
        raise OperationError(str(error)) from error
    return True


def launch_refresh(runtime: Runtime, actor: Actor) -> str:
    """Have Dagster build the marts; returns the run's id. Raises `DagsterServerError`."""
    return launch_once(runtime, actor, MARTS_JOB, {REASON_TAG: "person"})


def _part(whole: Statement, customer: str | None) -> Statement:
    """The statement of one customer, if one was asked for."""
    if not customer:
        return whole
    try:
        return of_customer(whole, customer)
    except CustomerError as error:
        raise UnknownError(error.args[0]) from error


def _stale(connection: Connection, month: date, minutes_per_unit: Decimal) -> list[date]:
    return statements.stale_days(connection, month, last_day(month), minutes_per_unit)
