"""Periods: months closed and reopened, the totals that closing needs, and which customers were reviewed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.periods import StatementTotals, last_day
from zk_pipeline.store import quality, statements
from zk_pipeline.store.connectors import ActiveConnectors
from zk_pipeline.store.tables import closed_statements, customer_reviews, day_requests, normalized_entries, periods

# The mart is built by dbt, not by the migrations.
_SUMS = text(
    """
    SELECT (SELECT count(*) FROM marts.statement_lines WHERE month = :month) AS lines,
        coalesce(sum(minutes_waiting), 0) AS minutes_waiting, count(*) FILTER (WHERE minutes_waiting <> 0) AS waiting,
        coalesce(sum(abs(minutes_unexplained)), 0) AS minutes_unexplained,
        coalesce(sum(abs(minutes_corrections_open)), 0) AS corrections_open
    FROM marts.int_entries_named WHERE booking_month = :month
    """
)


def closed_months(connection: Connection) -> frozenset[date]:
    """The closed months, by their first days."""
    return frozenset(connection.execute(select(periods.c.month).where(periods.c.reopened_at.is_(None))).scalars())


def history(connection: Connection) -> Sequence[Row]:
    """Every closing of every month, the newest month and closing first."""
    return connection.execute(select(periods).order_by(periods.c.month.desc(), periods.c.id.desc())).all()


def last(connection: Connection, month: date) -> Row | None:
    """The last closing of a month, with its stored statement and that statement's hash, if any."""
    kept = closed_statements
    joined = periods.outerjoin(kept, kept.c.id == periods.c.id)
    query = select(periods, kept.c.content, kept.c.hash).select_from(joined).where(periods.c.month == month)
    return connection.execute(query.order_by(periods.c.id.desc()).limit(1)).first()


def close(
    connection: Connection,
    month: date,
    *,
    actor: str,
    audit_head: str,
    statement: Mapping[str, Any],
    statement_hash: str,
    kept_hash: str,
    waiting: Decimal,
) -> None:
    """Record that a month is closed, and store its statement; `kept_hash` covers all of it."""
    values = {
        "month": month,
        "closed_by": actor,
        "audit_head": audit_head,
        "statement_hash": statement_hash,
        "minutes_waiting": waiting,
    }
    number = connection.execute(insert(periods).values(values).returning(periods.c.id)).scalar_one()
    kept = {"id": number, "content": dict(statement), "hash": kept_hash}
    connection.execute(insert(closed_statements).values(kept))


def reopen(connection: Connection, month: date, *, actor: str, reason: str) -> bool:
    """Open a closed month again; false if it is not closed."""
    statement = update(periods).where(periods.c.month == month, periods.c.reopened_at.is_(None))
    values = {"reopened_at": func.now(), "reopened_by": actor, "reopened_reason": reason}
    return connection.execute(statement.values(values)).rowcount == 1


def kept_statements(connection: Connection) -> Sequence[Row]:
    """The statements stored by closings, with months and hashes, in the order of closing."""
    kept = closed_statements
    joined = kept.join(periods, periods.c.id == kept.c.id)
    return connection.execute(select(kept, periods.c.month).select_from(joined).order_by(kept.c.id)).all()


def set_hash(connection: Connection, period_id: int, hashed: str) -> None:
    """Set the hash of a whole stored statement; the closing's own hash stays."""
    kept = closed_statements
    connection.execute(update(kept).where(kept.c.id == period_id).values(hash=hashed))


def totals(connection: Connection, names: ActiveConnectors, month: date, minutes_per_unit: Decimal) -> StatementTotals:
    """The totals of a month's statement and days; `minutes_per_unit` is today's unit."""
    within = (month, last_day(month))
    entries = select(func.count()).where(
        normalized_entries.c.source == names.source, normalized_entries.c.entry_date.between(*within)
    )
    asked = select(day_requests.c.day.distinct()).where(
        day_requests.c.claimed_by_run.is_(None), day_requests.c.day.between(*within)
    )
    days = connection.execute(asked.order_by(day_requests.c.day)).scalars().all()
    counted = connection.execute(entries).scalar_one()
    if not statements.is_made(connection):
        return StatementTotals(None, counted, Decimal(0), Decimal(0), asked_days=days)
    sums = connection.execute(_SUMS, {"month": month}).one()
    questions = statements.open_conflicts(connection, names.target, month)
    return StatementTotals(
        lines=sums.lines,
        entries=counted,
        minutes_waiting=sums.minutes_waiting,
        minutes_unexplained=sums.minutes_unexplained,
        lost_in_netting=quality.lost_in_netting(connection, names.source, within),
        waiting=sums.waiting,
        questions=sum(row.number for row in questions),
        minutes_in_question=sum((row.minutes for row in questions), Decimal(0)),
        corrections_open=sums.corrections_open,
        asked_days=days,
        stale_days=statements.stale_days(connection, month, last_day(month), minutes_per_unit),
    )


# Which customers of a month a person has reviewed.


def reviews(connection: Connection, month: date) -> dict[str, Row]:
    """The reviews of a month by customer."""
    query = select(customer_reviews).where(customer_reviews.c.month == month)
    return {row.customer: row for row in connection.execute(query)}


def review(connection: Connection, month: date, hashes: Mapping[str, str], actor: str) -> None:
    """Record that these customers were reviewed, with the hash of each; a later review replaces an earlier one."""
    rows = [{"month": month, "customer": key, "hash": hashed, "reviewed_by": actor} for key, hashed in hashes.items()]
    made = insert(customer_reviews)
    again = {"hash": made.excluded.hash, "reviewed_by": made.excluded.reviewed_by, "reviewed_at": func.now()}
    connection.execute(made.on_conflict_do_update(index_elements=list(customer_reviews.primary_key), set_=again), rows)


def withdraw_reviews(connection: Connection, month: date, customers: Collection[str]) -> None:
    """Forget that these customers were reviewed."""
    table = customer_reviews
    connection.execute(delete(table).where(table.c.month == month, table.c.customer.in_(customers)))
