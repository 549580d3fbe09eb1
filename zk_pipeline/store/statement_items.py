"""Queries on the single rows of a statement: time sheets with their tickets, and what was adjusted or credited.

A month's items are the time sheets of its bookings, and what else lies in the month for our customers. Together they
are what the target itself adds up to, in minutes and in money.
"""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.closing import last_day
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.statement import plain
from zk_pipeline.domain.statement_rows import ZERO, AdjustmentLine, Beside, Customer, Item, Origin
from zk_pipeline.store.addresses import Addresses

_ITEMS = text(
    r"""
    WITH told AS MATERIALIZED (
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
        SELECT here.*, COALESCE(bound.source_id, substring(here.description FROM :marker)) AS source_id,
            CASE
                WHEN bound.source_id IS NOT NULL THEN 'of_other_months'
                WHEN here.description ~ :marker THEN 'copies'
                ELSE 'not_from_a_ticket'
            END AS origin
        FROM here
        LEFT JOIN LATERAL (
            SELECT min(source_id) AS source_id FROM sync.pushes WHERE connector = :target AND kimai_id = here.id
        ) bound ON true
        WHERE NOT EXISTS (SELECT FROM told WHERE told.kimai_id = here.id)
    ),
    ours AS (
        SELECT customer_id FROM marts.statement_lines WHERE month = :month
        UNION SELECT customer_id FROM others WHERE origin <> 'not_from_a_ticket'
        UNION SELECT kimai_customer_id FROM sync.customer_mappings
        UNION SELECT id FROM kimai.customers WHERE connector = :target AND starts_with(number, 'zammad-org-')
    ),
    items AS (
        SELECT NULL AS origin, customer, customer_id, entry_date AS day, source_id, ticket_id, ticket_number, agent,
            agent_email, activity, minutes, billable, amount, kimai_id, '' AS description
        FROM told
        UNION ALL
        SELECT origin, customer, customer_id, day, source_id, NULL, NULL, agent, agent_email, activity, minutes,
            billable, amount, id, description
        FROM others WHERE origin <> 'not_from_a_ticket' OR customer_id IN (SELECT customer_id FROM ours)
        UNION ALL
        SELECT 'in_other_months', customer, customer_id, entry_date, source_id, ticket_id, ticket_number, agent,
            agent_email, activity, -minutes, billable, -amount, kimai_id, ''
        FROM told WHERE NOT EXISTS (SELECT FROM here WHERE here.id = told.kimai_id)
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
        AND bookings.id = CASE WHEN made.source_id ~ '^[0-9]{1,18}$' THEN made.source_id::bigint END
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


def items(connection: Connection, names: Addresses, month: date, zone: ZoneInfo) -> list[Item]:
    """The time sheets of the month's bookings, and what else lies between its first instant and its last."""
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
    }
    return [_item(row) for row in connection.execute(_ITEMS, within)]


def beside(rows: Iterable[Item]) -> list[Beside]:
    """What these items are that are not the month's bookings', by customer and origin."""
    found: dict[tuple[Customer, Origin], tuple[int, Decimal]] = {}
    for row in rows:
        if row.origin is not None and row.minutes:
            number, minutes = found.get((row.customer, row.origin), (0, ZERO))
            found[row.customer, row.origin] = (number + 1, minutes + row.minutes)
    return [Beside(customer, origin, *sums) for (customer, origin), sums in found.items()]


def adjustments(connection: Connection, names: Addresses, month: date) -> list[AdjustmentLine]:
    """What is credited in the month, and what was adjusted or credited elsewhere of its bookings.

    What was adjusted in the month with a time sheet is among its items.
    """
    last = last_day(month)
    within = {"month": month, "last": last, "source": names.source, "target": names.target}
    return [
        AdjustmentLine(
            customer=Customer(row.customer, row.customer_id),
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
            minutes=_exact(row.minutes),
            amount=_amount(row.amount),
            currency=row.currency,
            booking=row.source_id,
            note=row.note,
        )
        for row in connection.execute(_ADJUSTMENTS, within)
    ]


def _item(row: Row) -> Item:
    return Item(
        customer=Customer(row.customer, row.customer_id),
        day=row.day,
        ticket=row.number,
        # Where no ticket is known, what stands in the target is all there is to say.
        title=row.title or " ".join(_ANY_MARKER.sub("", row.description).split()),
        agent=row.agent,
        agent_email=row.agent_email,
        activity=row.activity,
        minutes=_exact(row.minutes),
        billable=row.billable,
        amount=_amount(row.amount),
        currency=row.currency,
        booking=row.source_id or "",
        timesheet=row.kimai_id,
        origin=Origin(row.origin) if row.origin else None,
        adjusts=row.original_day,
    )


def _amount(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else _exact(amount)


def _exact(number: Decimal) -> Decimal:
    """The same number without zeros at its end."""
    return Decimal(plain(number))
