"""The source's rows: bookings, tickets, and the directory of agents, organizations and types."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import array

from zk_pipeline.domain.changed_days import KnownBooking, StoredCount
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.records import (
    ActivityType,
    Agent,
    BookingKey,
    Organization,
    SourceDirectory,
    TimeAccounting,
    Window,
)
from zk_pipeline.domain.source_ids import source_id_order
from zk_pipeline.store import suppression
from zk_pipeline.store.booking_decisions import PAIRED, moved_bookings
from zk_pipeline.store.database import among, by_source_id, upsert
from zk_pipeline.store.raw_tables import activity_types, agents, organizations, tickets, time_accountings

_KEPT = ("agent_id", "work_day", "decided_id", "first_seen_at")
_WORKED = ("worked_at", "worked_until", "seconds", "note", "is_final")
_LAST_READ = (*_KEPT, "ticket_id", "article_id", "units", "type_id", "created_at", "updated_at", *_WORKED)
"""The columns of an unreadable booking that keep their last readable values."""

_COUNTS_AT = func.coalesce(time_accountings.c.worked_at, time_accountings.c.created_at)
_KNOWN = tuple(time_accountings.c[name] for name in KnownBooking.__slots__)
_STAMPED = {"first_seen_at": "now()", "last_seen_at": "now()"}
_BOOKING = tuple(
    column for column in time_accountings.c if column.name in TimeAccounting.__slots__ and column.name != "raw"
)


def save_bookings(
    connection: Connection,
    connector: str,
    rows: Iterable[TimeAccounting],
    zone: ZoneInfo,
    sweep_id: int,
    decided_id: int | None = None,
) -> list[TimeAccounting]:
    """Store bookings as they are now, and return them so. The first known agent never changes (docs/zammad.md §11).

    Nor does the work day, whatever the current zone is: it changes together with everything derived from it
    (`stored_settings.move`). `decided_id` is the id of the recorded settings for new bookings. An unreadable booking
    keeps its last readable values, and gets its faults.
    """
    saved = suppression.redactor(connection).rows(rows)
    stamps = {"connector": connector, "decided_id": decided_id, "sweep_id": sweep_id, "gone_at": None}
    values = [stamps | _values(row, zone) for row in saved]
    readable = [value for value in values if not value["faults"]]
    # Values that are stored for ever must not be guessed.
    guessed = time_accountings.c.faults.has_any(array(["created_at", "created_by_id"]))  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue, reportUnknownVariableType]
    connection.execute(
        delete(time_accountings).where(
            time_accountings.c.connector == connector,
            among(time_accountings.c.id, [value["id"] for value in readable]),
            guessed,
        )
    )
    parked = [value for value in values if value["faults"]]
    upsert(connection, time_accountings, readable, keep=_KEPT, stamped=_STAMPED)
    upsert(connection, time_accountings, parked, keep=_LAST_READ, stamped=_STAMPED)
    return saved


def _values(row: TimeAccounting, zone: ZoneInfo) -> dict[str, Any]:
    """The columns of a booking that come from the source."""
    named = ("id", "ticket_id", "article_id", "units", "type_id", "agent_id", "created_at", "updated_at")
    values = {name: getattr(row, name) for name in (*named, *_WORKED, "raw", "faults")}
    return values | {"work_day": local_day(row.counts_at, zone)}


def bookings_of_days(connection: Connection, connector: str, first: date, last: date) -> list[TimeAccounting]:
    """The bookings with a work day from `first` to `last` that are not known to be gone, without raw payload."""
    query = select(*_BOOKING).where(
        time_accountings.c.connector == connector,
        time_accountings.c.work_day.between(first, last),
        time_accountings.c.gone_at.is_(None),
    )
    return [_booking(row) for row in connection.execute(query).mappings()]


def bookings_with_corrections(connection: Connection, connector: str, first: date, last: date) -> list[TimeAccounting]:
    """All bookings, of any day, whose group of ticket, agent and type has bookings on these days and a correction.

    A group whose last correction was deleted, became positive or moved to another group counts as long as an entry of
    it is still reduced. Groups that people joined, by pairing a correction with a booking, come together.
    """
    values = {"connector": connector, "first": first, "last": last}
    return [_booking(row) for row in connection.execute(_WITH_CORRECTIONS, values).mappings()]


def count_within(connection: Connection, connector: str, window: Window) -> int:
    """How many bookings of the window are stored and not known to be gone."""
    query = select(func.count()).where(
        time_accountings.c.connector == connector,
        window.start <= _COUNTS_AT,
        window.end > _COUNTS_AT,
        time_accountings.c.gone_at.is_(None),
    )
    return connection.execute(query).scalar_one()


def unseen_bookings(connection: Connection, connector: str, window: Window, sweep_id: int) -> dict[BookingKey, date]:
    """Bookings within the window that the sweep did not find, with their work days: not yet proof of a deletion.

    They are selected by the instant that they count at, as the sweep is, because the work day may differ after a change
    of the zone.
    """
    table = time_accountings
    query = select(table.c.id, table.c.ticket_id, table.c.work_day).where(
        table.c.connector == connector,
        window.start <= _COUNTS_AT,
        window.end > _COUNTS_AT,
        table.c.gone_at.is_(None),
        table.c.sweep_id != sweep_id,
    )
    found = connection.execute(query.order_by(*by_source_id(table.c.id)))
    return {BookingKey(row.id, row.ticket_id): row.work_day for row in found}


def mark_bookings_gone(connection: Connection, connector: str, ids: Collection[str]) -> None:
    """Record that the source proved these bookings to be deleted."""
    if not ids:
        return
    statement = (
        update(time_accountings)
        .where(time_accountings.c.connector == connector, time_accountings.c.id.in_(ids))
        .values(gone_at=func.now())
    )
    connection.execute(statement)


def known_bookings(connection: Connection, connector: str, ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that belong to a stored booking that is not gone."""
    if not ids:
        return frozenset()
    query = select(time_accountings.c.id).where(
        time_accountings.c.connector == connector,
        among(time_accountings.c.id, ids),
        time_accountings.c.gone_at.is_(None),
    )
    return frozenset(connection.execute(query).scalars())


def stored_bookings(
    connection: Connection,
    connector: str,
    *,
    ids: Collection[str] = (),
    ticket_ids: Collection[str] = (),
    since: date | None = None,
    with_merged: bool = False,
) -> list[KnownBooking]:
    """The bookings with these ids, on these tickets, or of the last days; none that is known to be gone.

    With `with_merged`, a ticket includes bookings that somebody moved there, or whose own ticket was merged into it.
    """
    table = time_accountings
    wanted = among(table.c.id, ids) | among(table.c.ticket_id, ticket_ids)
    if with_merged:
        wanted |= table.c.id.in_(
            select(moved_bookings.c.booking_id).where(
                moved_bookings.c.source == connector, moved_bookings.c.ticket_id.in_(ticket_ids)
            )
        )
        merged = select(tickets.c.id).where(tickets.c.connector == connector, tickets.c.merged_into.in_(ticket_ids))
        wanted |= table.c.ticket_id.in_(merged)
    if since is not None:
        wanted |= table.c.work_day >= since
    query = select(*_KNOWN).where(table.c.connector == connector, table.c.gone_at.is_(None), wanted)
    return [KnownBooking(**row) for row in connection.execute(query).mappings()]


def stored_within(connection: Connection, connector: str, window: Window) -> list[KnownBooking]:
    """The stored bookings that count within the window; none that is known to be gone."""
    query = select(*_KNOWN).where(
        time_accountings.c.connector == connector,
        time_accountings.c.gone_at.is_(None),
        window.start <= _COUNTS_AT,
        window.end > _COUNTS_AT,
    )
    return [KnownBooking(**row) for row in connection.execute(query).mappings()]


def sums_of_tickets(connection: Connection, connector: str, ticket_ids: Collection[str]) -> dict[str, Decimal]:
    """The sum of the stored bookings of each of these tickets, without those known to be gone."""
    table = time_accountings
    query = (
        select(table.c.ticket_id, func.sum(table.c.units))
        .where(table.c.connector == connector, table.c.gone_at.is_(None), table.c.ticket_id.in_(ticket_ids))
        .group_by(table.c.ticket_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


_COVERED = """
    WITH read AS (
        SELECT DISTINCT window_start, window_end FROM sync.sweeps
        WHERE connector = :connector AND subject = :subject AND complete
    ), begun AS (
        SELECT window_start, window_end, window_start > max(window_end) OVER (
            ORDER BY window_start, window_end ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS apart FROM read
    ), numbered AS (
        SELECT window_start, window_end, count(*) FILTER (WHERE apart) OVER (
            ORDER BY window_start, window_end
        ) AS number FROM begun
    ), covered AS (
        SELECT min(window_start) AS first, max(window_end) AS last FROM numbered GROUP BY number
    )
"""


def covered_windows(connection: Connection, connector: str, subject: str) -> list[Window]:
    """The disjoint spans of which complete sweeps read every booking, oldest first."""
    query = text(f"{_COVERED} SELECT first, last FROM covered ORDER BY 1")  # noqa: S608 (a constant of ours)
    return [Window(*row) for row in connection.execute(query, {"connector": connector, "subject": subject})]


def stored_count(connection: Connection, connector: str, subject: str, shown: Collection[str]) -> StoredCount:
    """The stored bookings within `covered_windows`, and which of the `shown` ones are not among them."""
    query = text(
        f"""{_COVERED}
        SELECT
            (
                SELECT coalesce(string_agg(extract(EPOCH FROM first) || '-' || extract(EPOCH FROM last), ' '), '')
                FROM (SELECT first, last FROM covered ORDER BY first) AS in_order
            ),
            count(*),
            array_agg(bookings.id) FILTER (WHERE bookings.id = ANY(:shown))
        FROM zammad.time_accountings AS bookings
        JOIN covered ON coalesce(bookings.worked_at, bookings.created_at) >= covered.first
            AND coalesce(bookings.worked_at, bookings.created_at) < covered.last
        WHERE bookings.connector = :connector
        """  # noqa: S608 (a constant of ours)
    )
    values = {"connector": connector, "subject": subject, "shown": list(shown)}
    covered, number, stored = connection.execute(query, values).one()
    return StoredCount(covered, number, frozenset(shown) - set(stored or ()))


def booking_keys(connection: Connection, connector: str, window: Window) -> list[tuple[int, int]]:
    """Creation in microseconds and id of each booking of a span that is not known to be gone, in order.

    A source whose bookings can be listed in this order has whole numbers for ids.
    """
    query = text(
        """
        SELECT (EXTRACT(EPOCH FROM created_at) * 1000000)::bigint, id::bigint FROM zammad.time_accountings
        WHERE connector = :connector AND gone_at IS NULL
            AND coalesce(worked_at, created_at) >= :start AND coalesce(worked_at, created_at) < :end
        ORDER BY 1, 2
        """
    )
    values = {"connector": connector, "start": window.start, "end": window.end}
    return [(row[0], row[1]) for row in connection.execute(query, values)]


def earliest_day(connection: Connection, connector: str) -> date | None:
    """The first work day of any stored booking."""
    query = select(func.min(time_accountings.c.work_day)).where(time_accountings.c.connector == connector)
    return connection.execute(query).scalar()


def agents_with(connection: Connection, connector: str, addresses: Iterable[str]) -> set[str]:
    """The ids of the stored agents with one of these addresses, ignoring case."""
    folded = {address.casefold() for address in addresses if address}
    query = select(agents.c.id).where(agents.c.connector == connector, func.lower(agents.c.email).in_(folded))
    return set(connection.execute(query).scalars())


def save_directory(connection: Connection, connector: str, directory: SourceDirectory) -> None:
    """Store what was read of the directory. An agent deleted in the source stays, because bookings refer to him."""
    redactor = suppression.redactor(connection)
    for table, rows in (
        (agents, directory.agents),
        (organizations, directory.organizations),
        (activity_types, directory.activity_types),
    ):
        fields = [column.name for column in table.c if column.name not in {"connector", "seen_at"}]
        known = redactor.rows(rows)
        values = [{"connector": connector, **{name: getattr(row, name) for name in fields}} for row in known]
        upsert(connection, table, values, only_if_changed=True)


def load_directory(connection: Connection, connector: str) -> SourceDirectory:
    """The stored directory."""

    def rows(table: Any) -> list[Mapping[str, Any]]:
        columns = [column for column in table.c if column.name not in {"connector", "seen_at"}]
        return [
            dict(row) for row in connection.execute(select(*columns).where(table.c.connector == connector)).mappings()
        ]

    return SourceDirectory(
        tuple(Agent(**row) for row in rows(agents)),
        tuple(Organization(**row) for row in rows(organizations)),
        tuple(ActivityType(**row) for row in rows(activity_types)),
    )


def unlisted_agents(connection: Connection, connector: str) -> list[str]:
    """Agents with bookings who are not in the directory: new, or deleted in the source."""
    query = (
        select(time_accountings.c.agent_id)
        .distinct()
        .where(
            time_accountings.c.connector == connector,
            ~time_accountings.c.faults.has_key("created_by_id"),
            ~exists().where(agents.c.connector == connector, agents.c.id == time_accountings.c.agent_id),
        )
    )
    return sorted(connection.scalars(query), key=source_id_order)


def _booking(row: Mapping[Any, Any]) -> TimeAccounting:
    return TimeAccounting(**row, raw={})


_WITH_CORRECTIONS = text(
    f"""
    WITH RECURSIVE joined AS (
        SELECT a.ticket_id, a.agent_id, a.type_id,
            b.ticket_id AS other_ticket_id, b.agent_id AS other_agent_id, b.type_id AS other_type_id
        {PAIRED}
        WHERE p.source = :connector
    ), touched AS (
        (
            SELECT ticket_id, agent_id, type_id FROM zammad.time_accountings
            WHERE connector = :connector AND work_day BETWEEN :first AND :last
            UNION
            -- As they were when last looked at: a booking that changed its ticket or type has left a group as well.
            SELECT COALESCE(m.from_ticket_id, e.ticket_id), e.agent_id, e.activity_type_id
            FROM sync.normalized_entries e
            LEFT JOIN sync.moved_bookings m ON m.source = e.source AND m.booking_id = e.source_id
            WHERE e.source = :connector AND e.entry_date BETWEEN :first AND :last
        )
        UNION
        SELECT j.other_ticket_id, j.other_agent_id, j.other_type_id
        FROM touched t JOIN joined j ON j.ticket_id = t.ticket_id AND j.agent_id = t.agent_id
            AND j.type_id IS NOT DISTINCT FROM t.type_id
    ), corrected AS (
        -- Of the touched groups alone: to join all corrections with all that is touched takes the square of both.
        SELECT t.ticket_id, t.agent_id, t.type_id FROM touched t
        WHERE EXISTS (
            SELECT FROM zammad.time_accountings c
            WHERE c.connector = :connector AND c.ticket_id = t.ticket_id AND c.agent_id = t.agent_id
                AND c.type_id IS NOT DISTINCT FROM t.type_id AND c.units < 0 AND c.gone_at IS NULL
        )
        UNION
        SELECT b.ticket_id, b.agent_id, b.type_id FROM touched t
        JOIN zammad.time_accountings b ON b.connector = :connector AND b.ticket_id = t.ticket_id
            AND b.agent_id = t.agent_id AND b.type_id IS NOT DISTINCT FROM t.type_id
        JOIN sync.normalized_entries e ON e.source = b.connector AND e.source_id = b.id
            AND e.time_minutes < e.booked_minutes
        UNION
        SELECT t.ticket_id, t.agent_id, t.type_id
        FROM touched t JOIN joined j ON j.ticket_id = t.ticket_id AND j.agent_id = t.agent_id
            AND j.type_id IS NOT DISTINCT FROM t.type_id
    )
    SELECT b.id, b.ticket_id, b.article_id, b.units, b.type_id, b.agent_id, b.created_at, b.updated_at, b.faults,
        b.work_day, b.decided_id, b.worked_at, b.worked_until, b.seconds, b.note, b.is_final
    FROM zammad.time_accountings b
    JOIN corrected c ON c.ticket_id = b.ticket_id AND c.agent_id = b.agent_id
        AND c.type_id IS NOT DISTINCT FROM b.type_id
    WHERE b.connector = :connector AND b.gone_at IS NULL
    """  # noqa: S608 (a part that is written once)
)
