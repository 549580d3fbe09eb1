"""The marts and rows of a statement, and whether they are up to date."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.numbers import customer_pattern
from zk_pipeline.domain.periods import last_day
from zk_pipeline.domain.statement import plain
from zk_pipeline.domain.statement_rows import (
    PARTS,
    ZERO,
    AdjustmentLine,
    Amounts,
    DayMinutes,
    Money,
    OpenConflicts,
    Origin,
    OtherTime,
    Readings,
    StatementCustomer,
    StatementGap,
    StatementItem,
    StatementLine,
)
from zk_pipeline.store import connectors, invoices, sweeps
from zk_pipeline.store.connectors import ActiveConnectors

# The single rows of a statement: time sheets with their tickets, and what was adjusted or credited.
#
# A month's items are the time sheets of its bookings, and what else lies in the month for our customers. Together they
# are what the target itself adds up to, in minutes and in money.

_ITEMS = text(
    r"""
    WITH booked AS MATERIALIZED (
        SELECT entries.kimai_id, entries.source_id, entries.entry_date, entries.ticket_id, entries.ticket_number,
            entries.customer, COALESCE(entries.customer_id, 0) AS customer_id, entries.agent_name AS agent,
            entries.agent_address AS agent_email, entries.activity, entries.minutes_kimai AS minutes,
            COALESCE(sheets.billable, false) AS billable,
            CASE WHEN sheets.billable THEN sheets.rate ELSE 0 END AS amount
        FROM marts.int_entries_named entries
        LEFT JOIN kimai.timesheets sheets
            ON sheets.connector = :target AND sheets.id = entries.kimai_id AND sheets.gone_at IS NULL
        WHERE entries.entry_date BETWEEN :month AND :last AND entries.kimai_id IS NOT NULL
    ),
    here AS MATERIALIZED (
        SELECT sheets.id, sheets.description, (sheets.begin_at AT TIME ZONE :zone)::date AS day,
            COALESCE(customers.name, '') AS customer, COALESCE(customers.id, 0) AS customer_id,
            COALESCE(users.name, '') AS agent, COALESCE(users.email, '') AS agent_email,
            COALESCE(activities.name, '') AS activity, sheets.billable,
            round(sheets.duration_seconds::numeric / 60, 6) AS minutes,
            CASE WHEN sheets.billable THEN sheets.rate ELSE 0 END AS amount
        FROM kimai.timesheets sheets
        LEFT JOIN kimai.projects projects ON projects.connector = :target AND projects.id = sheets.project_id
        LEFT JOIN kimai.customers customers ON customers.connector = :target AND customers.id = projects.customer_id
        LEFT JOIN kimai.users users ON users.connector = :target AND users.id = sheets.user_id
        LEFT JOIN kimai.activities activities
            ON activities.connector = :target AND activities.id = sheets.activity_id
        WHERE sheets.connector = :target AND sheets.gone_at IS NULL
            AND sheets.begin_at >= :start AND sheets.begin_at < :end
    ),
    others AS MATERIALIZED (
        SELECT here.*,
            COALESCE(bound.source_id, marked.source_id, substring(here.description FROM :marker)) AS source_id,
            CASE
                WHEN bound.source_id IS NOT NULL THEN 'of_other_months'
                WHEN here.description ~ :marker THEN 'copies'
                ELSE 'not_from_a_ticket'
            END AS origin
        FROM here
        LEFT JOIN LATERAL (
            SELECT min(source_id) AS source_id FROM sync.pushes WHERE connector = :target AND kimai_id = here.id
        ) bound ON true
        LEFT JOIN unnest(CAST(:marked_sheets AS bigint[]), CAST(:marked_ids AS text[])) AS marked (id, source_id)
            ON marked.id = here.id
        WHERE NOT EXISTS (SELECT FROM booked WHERE booked.kimai_id = here.id)
    ),
    ours AS (
        SELECT customer_id FROM marts.statement_lines WHERE month = :month
        UNION SELECT customer_id FROM others WHERE origin <> 'not_from_a_ticket'
        UNION SELECT kimai_customer_id FROM sync.customer_mappings
        UNION SELECT id FROM kimai.customers WHERE connector = :target AND number ~ :customers
    ),
    items AS (
        SELECT NULL AS origin, customer, customer_id, entry_date AS day, source_id, ticket_id, ticket_number, agent,
            agent_email, activity, minutes, billable, amount, kimai_id, '' AS description
        FROM booked
        UNION ALL
        SELECT origin, customer, customer_id, day, source_id, NULL, NULL, agent, agent_email, activity, minutes,
            billable, amount, id, description
        FROM others WHERE origin <> 'not_from_a_ticket' OR customer_id IN (SELECT customer_id FROM ours)
        UNION ALL
        SELECT 'in_other_months', customer, customer_id, entry_date, source_id, ticket_id, ticket_number, agent,
            agent_email, activity, -minutes, billable, -amount, kimai_id, ''
        FROM booked WHERE NOT EXISTS (SELECT FROM here WHERE here.id = booked.kimai_id)
    )
    SELECT items.*, COALESCE(customers.currency, '') AS currency, made.original_day,
        COALESCE(tickets.number, entries.ticket_number, items.ticket_number, '') AS number,
        COALESCE(tickets.title, entries.ticket_title, '') AS title
    FROM items
    LEFT JOIN kimai.customers customers ON customers.connector = :target AND customers.id = items.customer_id
    LEFT JOIN sync.normalized_entries entries ON entries.source = :source AND entries.source_id = items.source_id
    LEFT JOIN zammad.tickets tickets
        ON tickets.connector = :source AND tickets.id = COALESCE(entries.ticket_id, items.ticket_id)
    LEFT JOIN sync.adjustments made ON made.connector = :source
        AND made.id = CASE WHEN items.source_id ~ '^a[0-9]{1,18}$' THEN substr(items.source_id, 2)::bigint END
    WHERE items.minutes <> 0 OR items.amount <> 0
    """
)
_ENCODED = text(
    """
    SELECT id, description FROM kimai.timesheets
    WHERE connector = :target AND gone_at IS NULL AND begin_at >= :start AND begin_at < :end AND description ~ :marker
    """
)
_ADJUSTMENTS = text(
    """
    SELECT COALESCE(customers.name, made.project_number, '') AS customer, COALESCE(customers.id, 0) AS customer_id,
        COALESCE(customers.currency, '') AS currency, made.id, made.source_id, made.original_day, made.entry_date,
        made.state, made.note, COALESCE(users.name, '') AS agent, COALESCE(users.email, '') AS agent_email,
        COALESCE(activities.name, '') AS activity,
        COALESCE(tickets.number, entries.ticket_number, '') AS number,
        COALESCE(tickets.title, entries.ticket_title, '') AS title,
        -- Whole seconds are meant, of which the stored minutes cut off what does not fit into four places.
        round(COALESCE(carrying.duration_seconds, round(made.minutes * 60)) / 60, 6) AS minutes,
        CASE
            WHEN made.minutes < 0 THEN -made.amount
            WHEN NOT carrying.billable THEN 0
            ELSE carrying.rate
        END AS amount
    FROM sync.adjustments made
    LEFT JOIN LATERAL (
        SELECT customer_id FROM kimai.projects
        WHERE connector = :target
            AND (id = made.project_id OR (made.project_id IS NULL AND number = made.project_number))
        ORDER BY id LIMIT 1
    ) projects ON true
    LEFT JOIN kimai.customers customers ON customers.connector = :target AND customers.id = projects.customer_id
    LEFT JOIN kimai.users users ON users.connector = :target AND users.id = made.user_id
    LEFT JOIN kimai.activities activities ON activities.connector = :target AND activities.id = made.activity_id
    LEFT JOIN sync.normalized_entries entries
        ON entries.source = made.connector AND entries.source_id = made.source_id
    LEFT JOIN zammad.time_accountings bookings
        ON bookings.connector = made.connector
        AND bookings.id = made.source_id
    LEFT JOIN zammad.tickets tickets
        ON tickets.connector = made.connector AND tickets.id = COALESCE(entries.ticket_id, bookings.ticket_id)
    LEFT JOIN sync.pushes written
        ON written.connector = :target AND made.minutes > 0 AND written.source_id = 'a' || made.id
    LEFT JOIN kimai.timesheets carrying
        ON carrying.connector = :target AND carrying.id = written.kimai_id AND carrying.gone_at IS NULL
    WHERE made.connector = :source AND (
        (made.minutes < 0 AND made.entry_date BETWEEN :month AND :last)
        OR (made.original_day BETWEEN :month AND :last AND made.entry_date NOT BETWEEN :month AND :last)
    )
    """
)
_ANY_MARKER = re.compile(r"\s*\[zk-[a-z0-9-]+-[a-z0-9]+\]")


def read_items(connection: Connection, names: ActiveConnectors, month: date, zone: ZoneInfo) -> list[StatementItem]:
    """The time sheets of the month's bookings, and all other time of the month."""
    last = last_day(month)
    window = days_window(month, last, zone)
    within = {
        "month": month,
        "last": last,
        "source": names.source,
        "target": names.target,
        "start": window.start,
        "end": window.end,
        "zone": zone.key,
        "marker": rf"\[zk-{names.source}-([a-z0-9]+)\]",
        "customers": customer_pattern(*connectors.number_spaces(connection)),
    }
    read = _encoded_markers(connection, names, within)
    within |= {"marked_sheets": list(read), "marked_ids": list(read.values())}
    return [_item(row) for row in connection.execute(_ITEMS, within)]


def _encoded_markers(connection: Connection, names: ActiveConnectors, within: dict[str, Any]) -> dict[int, str]:
    """The bookings of the time sheets whose marker does not have the id as it is; there are none of whole numbers."""
    found = connection.execute(_ENCODED, within | {"marker": rf"\[zk-{names.source}-x"}).all()
    read = {row.id: marked_ids(row.description, names.source) for row in found}
    return {id_: ids[0] for id_, ids in read.items() if ids}


def beside(rows: Iterable[StatementItem]) -> list[OtherTime]:
    """The items that are not of the month's bookings, summed by customer and origin."""
    found: dict[tuple[StatementCustomer, Origin], tuple[int, Decimal]] = {}
    for row in rows:
        if row.origin is not None and row.minutes:
            number, minutes = found.get((row.customer, row.origin), (0, ZERO))
            found[row.customer, row.origin] = (number + 1, minutes + row.minutes)
    return [OtherTime(customer, origin, *sums) for (customer, origin), sums in found.items()]


def adjustments(connection: Connection, names: ActiveConnectors, month: date) -> list[AdjustmentLine]:
    """Credits of the month, and adjustments and credits in other months of its bookings.

    Adjustments of the month that have a time sheet are among its items.
    """
    last = last_day(month)
    within = {"month": month, "last": last, "source": names.source, "target": names.target}
    return [
        AdjustmentLine(
            customer=StatementCustomer(row.customer, row.customer_id),
            id=row.id,
            day=row.original_day,
            booked_on=row.entry_date,
            elsewhere=not month <= row.entry_date <= last,
            state=AdjustmentState(row.state),
            ticket=row.number,
            title=row.title,
            agent=row.agent,
            agent_email=row.agent_email,
            activity=row.activity,
            minutes=_exact_number(row.minutes),
            amount=_amount(row.amount),
            currency=row.currency,
            booking=row.source_id,
            note=row.note,
        )
        for row in connection.execute(_ADJUSTMENTS, within)
    ]


def _item(row: Row) -> StatementItem:
    return StatementItem(
        customer=StatementCustomer(row.customer, row.customer_id),
        day=row.day,
        ticket=row.number,
        # Without a ticket, the target's own text is all there is.
        title=row.title or " ".join(_ANY_MARKER.sub("", row.description).split()),
        agent=row.agent,
        agent_email=row.agent_email,
        activity=row.activity,
        minutes=_exact_number(row.minutes),
        billable=row.billable,
        amount=_amount(row.amount),
        currency=row.currency,
        booking=row.source_id or "",
        timesheet=row.kimai_id,
        origin=Origin(row.origin) if row.origin else None,
        adjusts=row.original_day,
    )


def _amount(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else _exact_number(amount)


def _exact_number(number: Decimal) -> Decimal:
    """The same number without trailing zeros."""
    return Decimal(plain(number))


# The marts of a statement, and whether they are up to date.
#
# The marts are built by dbt, not by the migrations, so they have no table definitions here.

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
    WITH asked AS MATERIALIZED (
        SELECT conflicts.*, keys.entry_key
        FROM sync.conflicts conflicts
        CROSS JOIN LATERAL (
            SELECT CASE WHEN starts_with(conflicts.key, 'kimai:') THEN conflicts.key ELSE conflicts.source_id END
        ) AS keys (entry_key)
        WHERE conflicts.connector = :target AND conflicts.resolution_status = 'open' AND (
            conflicts.entry_date BETWEEN :month AND :last
            OR keys.entry_key IN (
                SELECT entry_key FROM marts.fct_time_entries WHERE entry_date BETWEEN :month AND :last
            )
        )
    ),
    -- By arrays, so that both are looked up by their indexes, however many the planner expects.
    entries AS MATERIALIZED (
        SELECT * FROM marts.int_entries_named WHERE entry_key = ANY (ARRAY(SELECT entry_key FROM asked))
    ),
    sheets AS MATERIALIZED (
        SELECT * FROM kimai.timesheets WHERE connector = :target AND id = ANY (ARRAY(SELECT kimai_id FROM asked))
    ),
    questions AS (
        SELECT asked.reason, (extract(epoch FROM now() - asked.opened_at)::bigint / 86400)::int AS days,
            COALESCE(entries.customer, customers.name, '') AS customer,
            COALESCE(entries.customer_id, customers.id, 0) AS customer_id,
            -- Those by which both sides differ, else all that the booking or the time sheet has.
            abs(COALESCE(
                NULLIF(entries.minutes_waiting, 0), NULLIF(entries.minutes_corrections_open, 0),
                NULLIF(entries.minutes_kimai, 0), entries.minutes_zammad,
                round(sheets.duration_seconds::numeric / 60, 6), 0
            )) AS minutes
        FROM asked
        LEFT JOIN entries ON entries.entry_key = asked.entry_key
        LEFT JOIN sheets ON asked.key = 'kimai:' || asked.kimai_id AND sheets.id = asked.kimai_id
        LEFT JOIN kimai.projects projects ON projects.connector = :target AND projects.id = sheets.project_id
        LEFT JOIN kimai.customers customers ON customers.connector = :target AND customers.id = projects.customer_id
    )
    SELECT customer, customer_id, days, reason, count(*) AS number, sum(minutes) AS minutes
    FROM questions GROUP BY customer, customer_id, days, reason
    """
)
_STALE = """
    WITH built AS (
        SELECT DISTINCT entry_date, day_version, split_part(day_version, ':', 3) AS unit FROM marts.fct_time_entries
        WHERE entry_date BETWEEN :month AND :last
    ),
    found AS (
        SELECT entry_date, day_version FROM marts.stg_day_versions WHERE entry_date BETWEEN :month AND :last
    ),
    -- A day of which there is but a copied time sheet has no entries, so it is never built.
    with_entries AS (
        SELECT entry_date FROM (
            SELECT entry_date FROM marts.stg_bookings UNION ALL SELECT entry_date FROM marts.stg_entries
            UNION ALL SELECT entry_date FROM marts.stg_ledger UNION ALL SELECT entry_date FROM marts.stg_adjustments
        ) AS entries
        WHERE entry_date BETWEEN :month AND :last
    )
    SELECT COALESCE(found.entry_date, built.entry_date)
    FROM found FULL JOIN built ON found.entry_date = built.entry_date
    WHERE (built.unit::numeric <> :unit
        OR (built.day_version IS DISTINCT FROM found.day_version AND (
            built.entry_date IS NOT NULL OR found.entry_date IN (SELECT entry_date FROM with_entries)
        )))
"""
_STALE_DAYS = text(f"{_STALE} ORDER BY 1")
# Closing or reopening the month changes the version of each of its days by one row, and nothing in a statement.
_CLOSED_ALONE = """
    SELECT FROM (VALUES (1), (-1)) AS way (sign)
    WHERE split_part(found.day_version, ':', 1)::bigint = split_part(built.day_version, ':', 1)::bigint + sign
        AND split_part(found.day_version, ':', 2)::numeric = split_part(built.day_version, ':', 2)::numeric
            + sign * hashtextextended('closed/' || CAST(CAST(:month AS date) AS text) || '/', 0)::numeric
        AND substring(found.day_version FROM ':[^:]*:(.*)') = substring(built.day_version FROM ':[^:]*:(.*)')
"""
_CHANGED_DAYS = text(f"{_STALE} AND NOT EXISTS ({_CLOSED_ALONE}) ORDER BY 1")
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
class StatementRows:
    """The rows of a statement."""

    lines: list[StatementLine]
    days: list[DayMinutes]
    gaps: list[StatementGap]
    conflicts: list[OpenConflicts]
    beside: list[OtherTime]
    money: list[Money]
    items: list[StatementItem]
    adjustments: list[AdjustmentLine]
    readings: Readings
    built_at: datetime | None


def is_made(connection: Connection) -> bool:
    """Whether the marts exist."""
    return connection.execute(_MADE).scalar_one()


def booked_days(connection: Connection) -> tuple[date, date] | None:
    """The first and the last day with bookings."""
    first, last = connection.execute(_BOOKED).one()
    return None if first is None else (first, last)


def rows(connection: Connection, names: ActiveConnectors, month: date, zone: ZoneInfo) -> StatementRows:
    """All rows of a month of the business zone."""
    within = {"month": month, "last": last_day(month)}
    lines, items = read_lines(connection, month), read_items(connection, names, month, zone)
    window = days_window(month, last_day(month), zone)
    return StatementRows(
        lines=lines,
        days=[
            DayMinutes(_customer(row), row.entry_date, _exact(row.zammad), _exact(row.kimai))
            for row in connection.execute(_DAYS, within)
        ],
        gaps=[
            StatementGap(_customer(row), row.entry_key, row.entry_date, _exact(row.minutes_unexplained))
            for row in connection.execute(_GAPS, within)
        ],
        conflicts=open_conflicts(connection, names.target, month),
        beside=beside(items),
        money=invoices.money_within(connection, names.target, window, (row.customer for row in (*lines, *items))),
        items=items,
        adjustments=adjustments(connection, names, month),
        readings=readings(connection, names, month, zone),
        built_at=connection.execute(_BUILT_AT, within).scalar_one(),
    )


def read_lines(connection: Connection, month: date) -> list[StatementLine]:
    """What each agent did for each customer in each activity."""
    return [
        StatementLine(_customer(row), row.agent, row.agent_email, row.activity, _amounts(row))
        for row in connection.execute(_LINES, {"month": month, "last": last_day(month)})
    ]


def readings(connection: Connection, names: ActiveConnectors, month: date, zone: ZoneInfo) -> Readings:
    """When each side was last read for the days of a month, and when invoices were."""
    last, known = last_day(month), invoices.load(connection, names.target)
    return Readings(
        sweeps.days_read(connection, names.source, month, last, zone),
        sweeps.days_read(connection, names.target, month, last, zone),
        known.read_at,
        invoices.checked_at(connection, names.target),
        known.problem,
    )


def open_conflicts(connection: Connection, target: str, month: date) -> list[OpenConflicts]:
    """The open conflicts about the month's bookings and the time sheets in it."""
    within = {"month": month, "last": last_day(month), "target": target}
    return [
        OpenConflicts(_customer(row), row.days, row.number, row.reason, _exact(row.minutes))
        for row in connection.execute(_CONFLICTS, within)
    ]


def stale_days(
    connection: Connection, month: date, last: date, minutes_per_unit: Decimal, *, by_closing: bool = True
) -> list[date]:
    """The days of a month that changed since the marts were built: other rows, another unit, or other names.

    Without `by_closing`, closing or reopening the month does not count: it changes no statement.
    """
    within = {"month": month, "last": last}
    query = _STALE_DAYS if by_closing else _CHANGED_DAYS
    changed = connection.execute(query, {**within, "unit": minutes_per_unit}).scalars()
    return sorted({*changed, *connection.execute(_RENAMED_DAYS, within).scalars()})


def _customer(row: Row) -> StatementCustomer:
    return StatementCustomer(row.customer, row.customer_id)


def _amounts(row: Row) -> Amounts:
    minutes = {name: _exact(getattr(row, name)) for name in _AMOUNTS}
    return Amounts(entries=row.entries, timesheets=row.timesheets, **minutes)


def _exact(minutes: Decimal) -> Decimal:
    """The same amount without trailing zeros."""
    return Decimal(plain(minutes))
