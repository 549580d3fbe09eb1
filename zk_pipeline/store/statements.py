"""Queries on the marts that a statement is made of, and on whether they are still true.

The marts are made by dbt, not by the migrations, so there are no tables of them here.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from zk_pipeline.domain.closing import last_day
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.statement import plain
from zk_pipeline.domain.statement_rows import (
    PARTS,
    AdjustmentLine,
    Amounts,
    Beside,
    Customer,
    DayMinutes,
    Gap,
    Item,
    Line,
    Money,
    OpenConflicts,
    Readings,
)
from zk_pipeline.store import billing, invoices, statement_items, sweeps
from zk_pipeline.store.addresses import Addresses

_AMOUNTS = ("zammad", *PARTS, "billable", "billed", "to_be_billed")
_CUSTOMER = "customer, COALESCE(customer_id, 0) AS customer_id"
_SUMS = ", ".join(f"sum(minutes_{name}) AS {name}" for name in _AMOUNTS)
_LINES = text(
    f"""
    WITH lines AS (
        SELECT {_CUSTOMER}, agent, agent_email, activity, sum(entries)::int AS entries, {_SUMS}
        FROM marts.statement_lines WHERE month = :month
        GROUP BY customer, customer_id, agent, agent_email, activity
    ),
    billed AS (
        SELECT {_CUSTOMER}, agent_name AS agent, agent_address AS agent_email, activity, count(*)::int AS timesheets
        FROM marts.int_entries_named WHERE entry_date BETWEEN :month AND :last AND minutes_kimai <> 0
        GROUP BY customer, customer_id, agent_name, agent_address, activity
    )
    SELECT lines.*, COALESCE(billed.timesheets, 0) AS timesheets
    FROM lines LEFT JOIN billed USING (customer, customer_id, agent, agent_email, activity)
    """  # noqa: S608 (our own names)
)
_DAYS = text(
    f"""
    SELECT {_CUSTOMER}, entry_date, sum(minutes_zammad) AS zammad, sum(minutes_kimai) AS kimai
    FROM marts.int_entries_named WHERE entry_date BETWEEN :month AND :last
    GROUP BY customer, customer_id, entry_date
    """  # noqa: S608
)
_GAPS = text(
    f"""
    SELECT {_CUSTOMER}, entry_key, entry_date, minutes_unexplained
    FROM marts.int_entries_named WHERE entry_date BETWEEN :month AND :last AND minutes_unexplained <> 0
    """  # noqa: S608
)
_CONFLICTS = text(
    """
    WITH questions AS (
        SELECT conflicts.reason, (extract(epoch FROM now() - conflicts.opened_at)::bigint / 86400)::int AS days,
            COALESCE(entries.customer, customers.name, '') AS customer,
            COALESCE(entries.customer_id, customers.id, 0) AS customer_id,
            -- Those by which both sides differ, else all that the booking or the time sheet has.
            abs(COALESCE(
                NULLIF(entries.minutes_waiting, 0), NULLIF(entries.minutes_corrections_open, 0),
                NULLIF(entries.minutes_kimai, 0), entries.minutes_zammad,
                round(sheets.duration_seconds::numeric / 60, 6), 0
            )) AS minutes
        FROM sync.conflicts conflicts
        LEFT JOIN marts.int_entries_named entries ON entries.entry_key
            = CASE WHEN starts_with(conflicts.key, 'kimai:') THEN conflicts.key ELSE conflicts.source_id END
        LEFT JOIN kimai.timesheets sheets
            ON sheets.connector = :target AND conflicts.key = 'kimai:' || conflicts.kimai_id
            AND sheets.id = conflicts.kimai_id
        LEFT JOIN kimai.projects projects ON projects.connector = :target AND projects.id = sheets.project_id
        LEFT JOIN kimai.customers customers ON customers.connector = :target AND customers.id = projects.customer_id
        WHERE conflicts.connector = :target AND conflicts.resolution_status = 'open'
            AND (entries.entry_date BETWEEN :month AND :last OR conflicts.entry_date BETWEEN :month AND :last)
    )
    SELECT customer, customer_id, days, reason, count(*) AS number, sum(minutes) AS minutes
    FROM questions GROUP BY customer, customer_id, days, reason
    """
)
_STALE_DAYS = text(
    """
    WITH built AS (
        SELECT DISTINCT entry_date, day_version, split_part(day_version, ':', 3) AS unit FROM marts.fct_time_entries
        WHERE entry_date BETWEEN :month AND :last
    ),
    found AS (
        SELECT entry_date, day_version FROM marts.stg_day_versions WHERE entry_date BETWEEN :month AND :last
    )
    SELECT COALESCE(found.entry_date, built.entry_date)
    FROM found FULL JOIN built ON found.entry_date = built.entry_date
    WHERE built.day_version IS DISTINCT FROM found.day_version OR built.unit::numeric <> :unit
    ORDER BY 1
    """
)
_RENAMED_DAYS = text(
    """
    WITH named AS (
        SELECT customer_id, customer, agent_name, agent_address, activity, organization_id, count(*) AS entries,
            array_agg(DISTINCT entry_date) AS days
        FROM marts.int_entries_named WHERE entry_date BETWEEN :month AND :last
        GROUP BY customer_id, customer, agent_name, agent_address, activity, organization_id
    )
    SELECT DISTINCT day FROM named CROSS JOIN unnest(days) AS day
    WHERE NOT EXISTS (
        SELECT FROM marts.statement_lines line
        WHERE line.month = :month AND line.customer = named.customer AND line.agent = named.agent_name
            AND line.agent_email = named.agent_address AND line.activity = named.activity
            AND line.customer_id IS NOT DISTINCT FROM named.customer_id
            AND line.organization_id IS NOT DISTINCT FROM named.organization_id AND line.entries = named.entries
    )
    ORDER BY day
    """
)
_BUILT_AT = text("SELECT max(built_at) FROM marts.fct_time_entries WHERE entry_date BETWEEN :month AND :last")
_BOOKED = text("SELECT min(entry_date), max(entry_date) FROM sync.normalized_entries")
_MADE = text("SELECT to_regclass('marts.statement_lines') IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement is made of."""

    lines: list[Line]
    days: list[DayMinutes]
    gaps: list[Gap]
    conflicts: list[OpenConflicts]
    beside: list[Beside]
    money: list[Money]
    items: list[Item]
    adjustments: list[AdjustmentLine]
    readings: Readings
    built_at: datetime | None


def is_made(connection: Connection) -> bool:
    """Whether there are marts at all."""
    return connection.execute(_MADE).scalar_one()


def booked_days(connection: Connection) -> tuple[date, date] | None:
    """The first and the last day on which something is booked."""
    first, last = connection.execute(_BOOKED).one()
    return None if first is None else (first, last)


def rows(connection: Connection, names: Addresses, month: date, zone: ZoneInfo) -> Rows:
    """All rows of a month of the business zone."""
    within = {"month": month, "last": last_day(month)}
    lines = [
        Line(_customer(row), row.agent, row.agent_email, row.activity, _amounts(row))
        for row in connection.execute(_LINES, within)
    ]
    items = statement_items.items(connection, names, month, zone)
    window = days_window(month, last_day(month), zone)
    return Rows(
        lines=lines,
        days=[
            DayMinutes(_customer(row), row.entry_date, _exact(row.zammad), _exact(row.kimai))
            for row in connection.execute(_DAYS, within)
        ],
        gaps=[
            Gap(_customer(row), row.entry_key, row.entry_date, _exact(row.minutes_unexplained))
            for row in connection.execute(_GAPS, within)
        ],
        conflicts=open_conflicts(connection, names.target, month),
        beside=statement_items.beside(items),
        money=billing.money_within(connection, names.target, window, (row.customer for row in (*lines, *items))),
        items=items,
        adjustments=statement_items.adjustments(connection, names, month),
        readings=readings(connection, names, month, zone),
        built_at=connection.execute(_BUILT_AT, within).scalar_one(),
    )


def readings(connection: Connection, names: Addresses, month: date, zone: ZoneInfo) -> Readings:
    """When each side was last read for the days of a month, and when invoices were."""
    last, known = last_day(month), invoices.load(connection, names.target)
    return Readings(
        sweeps.days_read(connection, names.source, month, last, zone),
        sweeps.days_read(connection, names.target, month, last, zone),
        known.read_at,
        billing.checked_at(connection, names.target),
        known.problem,
    )


def open_conflicts(connection: Connection, target: str, month: date) -> list[OpenConflicts]:
    """What is asked about the month's bookings, and about the time sheets that lie in it."""
    within = {"month": month, "last": last_day(month), "target": target}
    return [
        OpenConflicts(_customer(row), row.days, row.number, row.reason, _exact(row.minutes))
        for row in connection.execute(_CONFLICTS, within)
    ]


def stale_days(connection: Connection, month: date, last: date, minutes_per_unit: Decimal) -> list[date]:
    """The days of a month that are no longer as the marts say: other rows, another unit, or other names."""
    within = {"month": month, "last": last}
    changed = connection.execute(_STALE_DAYS, {**within, "unit": minutes_per_unit}).scalars()
    return sorted({*changed, *connection.execute(_RENAMED_DAYS, within).scalars()})


def _customer(row: Row) -> Customer:
    return Customer(row.customer, row.customer_id)


def _amounts(row: Row) -> Amounts:
    minutes = {name: _exact(getattr(row, name)) for name in _AMOUNTS}
    return Amounts(entries=row.entries, timesheets=row.timesheets, **minutes)


def _exact(minutes: Decimal) -> Decimal:
    """The same amount without zeros at its end."""
    return Decimal(plain(minutes))
