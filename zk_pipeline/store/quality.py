"""Queries of the data checks: reads, units, markers, mappings, requests, and the balance of minutes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from zk_pipeline.store import day_requests as requests
from zk_pipeline.store.booking_decisions import PAIRED
from zk_pipeline.store.raw_tables import time_accountings
from zk_pipeline.store.tables import day_requests

_LOST_IN_NETTING = text(
    f"""
    WITH RECURSIVE entries AS NOT MATERIALIZED (
        -- Corrections stay on the ticket that the source has them on, wherever people want a booking to count.
        SELECT concat_ws('/', COALESCE(m.from_ticket_id, e.ticket_id), e.agent_id, e.activity_type_id) AS name,
            e.booked_minutes - e.time_minutes + e.open_minutes AS lost, e.entry_date
        FROM sync.normalized_entries e
        LEFT JOIN sync.moved_bookings m ON m.source = e.source AND m.booking_id = e.source_id
        WHERE e.source = :source AND e.source_id NOT LIKE 'a%' -- Adjustments were booked nowhere.
    ), groups AS (
        -- Nearly all entries lose nothing, so that grouping all of them would take most of the time.
        SELECT name, sum(lost) AS lost,
            name IN (SELECT name FROM entries WHERE entry_date BETWEEN :first AND :last) AS is_meant
        FROM entries WHERE lost <> 0 GROUP BY name HAVING sum(lost) <> 0
    ), joined AS (
        -- People paired a correction of one group with a booking of another: both keep their minutes together.
        SELECT concat_ws('/', a.ticket_id, a.agent_id, a.type_id) AS one,
            concat_ws('/', b.ticket_id, b.agent_id, b.type_id) AS other
        {PAIRED}
        WHERE p.source = :source
    ), reached AS (
        SELECT one AS name, one AS member FROM joined
        UNION
        SELECT r.name, j.other FROM reached r JOIN joined j ON j.one = r.member
    ), together AS (
        SELECT name, min(member) AS leader FROM reached GROUP BY name
    )
    SELECT COALESCE(sum(abs(lost)), 0) FROM (
        SELECT sum(g.lost) AS lost FROM groups g LEFT JOIN together t ON t.name = g.name
        GROUP BY COALESCE(t.leader, g.name) HAVING bool_or(g.is_meant)
    ) balanced
    """  # noqa: S608 (a part that is written once)
)


class PartOfBookings(NamedTuple):
    """The share of bookings that meet a condition."""

    part: int
    whole: int
    minutes: Decimal


class UnreadWindow(NamedTuple):
    """A window without a complete read since then, with the reason of the last attempt."""

    start: datetime
    end: datetime
    reason: str


class BalanceGap(NamedTuple):
    """An entry whose minutes do not add up, and the difference."""

    entry_key: str
    day: date
    minutes: Decimal


_UNPLANNED = text(
    """
    WITH plans AS (
        SELECT entry_date, key, minutes, max(reconciled_at) OVER (PARTITION BY entry_date) AS made_at
        FROM sync.reconciliation_results
        WHERE connector = :target AND entry_date BETWEEN :first AND :last
    )
    SELECT e.source_id, e.entry_date, e.time_minutes - COALESCE(p.minutes, 0) AS minutes
    FROM sync.normalized_entries e
    LEFT JOIN plans p ON p.entry_date = e.entry_date AND p.key = e.source_id
    LEFT JOIN (SELECT DISTINCT entry_date, made_at FROM plans) made ON made.entry_date = e.entry_date
    WHERE e.source = :source AND e.entry_date BETWEEN :first AND :last
        AND (p.key IS NULL OR p.minutes <> e.time_minutes)
        -- Another run may have brought newer entries meanwhile; their plan follows.
        AND e.normalized_at <= COALESCE(made.made_at, now())
    ORDER BY e.entry_date, e.source_id
    """
)


def unplanned(connection: Connection, source: str, target: str, first: date, last: date) -> list[BalanceGap]:
    """The entries of these days that their plan leaves out, or has with other minutes, and the difference."""
    values = {"source": source, "target": target, "first": first, "last": last}
    return [BalanceGap(*row) for row in connection.execute(_UNPLANNED, values)]


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of minutes in the marts: the entries with a gap, and the total minutes lost in netting."""

    entries: int
    gaps: tuple[BalanceGap, ...]
    lost_in_netting: Decimal


def newest_units(connection: Connection, source: str, limit: int) -> list[Decimal]:
    """The numbers of the newest bookings, in the source's unit; none of a source that has exact seconds."""
    query = select(time_accountings.c.units).where(
        time_accountings.c.connector == source,
        time_accountings.c.gone_at.is_(None),
        time_accountings.c.seconds.is_(None),
    )
    return list(connection.execute(query.order_by(time_accountings.c.created_at.desc()).limit(limit)).scalars())


def unread_windows(connection: Connection, source: str, since: datetime, before: datetime) -> list[UnreadWindow]:
    """Windows with an incomplete read begun between these instants, that no later complete one covers."""
    query = text(
        """
        SELECT DISTINCT ON (s.window_start, s.window_end) s.window_start, s.window_end, s.reason
        FROM sync.sweeps s
        WHERE s.connector = :source AND NOT s.complete AND s.started_at >= :since AND s.started_at < :before
            AND NOT EXISTS (
                SELECT FROM sync.sweeps later
                WHERE later.connector = s.connector AND later.subject = s.subject AND later.id > s.id
                    AND later.complete AND later.window_start <= s.window_start AND later.window_end >= s.window_end
            )
        ORDER BY s.window_start, s.window_end, s.id DESC
        """
    )
    rows = connection.execute(query, {"source": source, "since": since, "before": before})
    return [UnreadWindow(row.window_start, row.window_end, row.reason) for row in rows]


def doubled_markers(connection: Connection, source: str, target: str) -> Mapping[str, list[int]]:
    """The bookings whose marker is in several current time sheets, with these."""
    query = text(
        """
        SELECT found.id[1] AS source_id, array_agg(DISTINCT t.id ORDER BY t.id) AS timesheets
        FROM kimai.timesheets t, regexp_matches(t.description, :pattern, 'g') AS found(id)
        WHERE t.connector = :target AND t.gone_at IS NULL AND strpos(t.description, :beginning) > 0
        GROUP BY found.id[1] HAVING count(DISTINCT t.id) > 1
        ORDER BY found.id[1]
        """
    )
    beginning = f"[zk-{source}-"
    values = {"target": target, "beginning": beginning, "pattern": rf"\[zk-{source}-([a-z0-9]+)\]"}
    return {row.source_id: list(row.timesheets) for row in connection.execute(query, values)}


def unmapped_share(connection: Connection, target: str, first: date) -> PartOfBookings:
    """The bookings from this day on without a mapping, by the plan."""
    query = text(
        """
        SELECT count(*) FILTER (WHERE unmapped) AS part, count(*) AS whole,
            COALESCE(sum(minutes) FILTER (WHERE unmapped), 0) AS minutes
        FROM (
            SELECT minutes, action = 'review' AND COALESCE(reason LIKE 'unmapped\\_%', false) AS unmapped
            FROM sync.reconciliation_results
            WHERE connector = :target AND entry_date >= :first AND source_id = key AND status <> 'excluded'
        ) lines
        """
    )
    row = connection.execute(query, {"target": target, "first": first}).one()
    return PartOfBookings(row.part, row.whole, row.minutes)


def waiting_since(connection: Connection, longer_than: timedelta) -> dict[date, datetime]:
    """The days requested longer ago than this without an answering run, with the instant of the request.

    Held days are left out, because they wait for a person.
    """
    query = (
        select(day_requests.c.day, func.min(day_requests.c.requested_at).label("since"))
        .where(day_requests.c.claimed_by_run.is_(None), ~requests.is_held())
        .group_by(day_requests.c.day)
        .having(func.min(day_requests.c.requested_at) < func.now() - longer_than)
    )
    return {row.day: row.since for row in connection.execute(query.order_by(day_requests.c.day))}


def balance(connection: Connection, source: str, limit: int) -> Balance:
    """The unexplained minutes: the largest gaps of single entries, and those lost in netting."""
    counted = text("SELECT count(*) FROM marts.fct_time_entries WHERE minutes_unexplained <> 0")
    largest = text(
        """
        SELECT entry_key, entry_date, minutes_unexplained FROM marts.fct_time_entries
        WHERE minutes_unexplained <> 0 ORDER BY abs(minutes_unexplained) DESC, entry_date, entry_key LIMIT :limit
        """
    )
    return Balance(
        connection.execute(counted).scalar_one(),
        tuple(BalanceGap(*row) for row in connection.execute(largest, {"limit": limit})),
        lost_in_netting(connection, source),
    )


def lost_in_netting(connection: Connection, source: str, month: tuple[date, date] | None = None) -> Decimal:
    """The minutes by which corrections and what they correct differ; of a `month`, where any of them is on its days."""
    first, last = month or (date.min, date.max)
    values = {"source": source, "first": first, "last": last}
    return connection.execute(_LOST_IN_NETTING, values).scalar_one()
