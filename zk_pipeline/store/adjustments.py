"""Adjustments: what was booked or credited for bookings that changed after they were billed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, text, update

from zk_pipeline.domain.adjustments import Adjustment, AdjustmentState, OutstandingAdjustment, PostingKey, is_adjustment
from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.domain.periods import month_of
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import among
from zk_pipeline.store.raw_tables import activities, customers, kimai_users, projects
from zk_pipeline.store.tables import adjustments, normalized_entries

NOT_CHARGED = "Nothing was charged for it."
_OF_PEOPLE = ("user_email", "user_name", "customer_name")
"""Names are not stored: they come from the source's directory, which can erase them."""
_INSTANTS = ("begin_at", "end_at", "created_at", "updated_at")
_MINUTES = ("booked_minutes", "time_minutes", "open_minutes")
_IDS = ("ticket_id", "activity_type_id", "agent_id", "organization_id", "group_id")
_UNUSED_IDS = text(
    """
    SELECT setval(
        format('%I.%I', schemaname, sequencename)::regclass,
        greatest(last_value, extract(epoch FROM now())::bigint)
    )
    FROM pg_sequences WHERE schemaname = 'sync' AND sequencename = 'adjustments_id_seq'
    """
)


@dataclass(frozen=True, slots=True)
class AdjustmentDecision:
    """Who decided an adjustment and when, about which facts, and where it is booked."""

    by: str
    at: datetime
    facts_hash: str
    entry_date: date
    begin_at: datetime


def make(
    connection: Connection, connector: str, owed: OutstandingAdjustment, decided: AdjustmentDecision, run_id: str
) -> None:
    """Store an adjustment for each outstanding posting, and record that.

    A credit of time that was never charged is settled at once: there is nothing to give back.
    """
    for amount in owed.amounts:
        state = AdjustmentState.BOOKED if amount.seconds > 0 else AdjustmentState.OPEN
        credited = owed.credit(amount)
        settled: dict[str, Any] = {}
        if credited == 0:
            state = AdjustmentState.SETTLED
            settled = {"settled_by": decided.by, "settled_at": decided.at, "note": NOT_CHARGED}
        values = {
            "connector": connector,
            "source_id": owed.source_id,
            "kimai_id": owed.kimai_id,
            "original_day": owed.day,
            "original_month": month_of(owed.day),
            "minutes": amount.minutes,
            "reason": owed.reason,
            "entry_date": decided.entry_date,
            "begin_at": decided.begin_at,
            "user_id": amount.side.user_id,
            "project_id": amount.side.project_id,
            "project_number": amount.side.project_number,
            "activity_id": amount.side.activity_id,
            "original": _entry_json(owed.entry) if owed.entry is not None and amount.seconds > 0 else None,
            "facts_hash": decided.facts_hash,
            "decided_by": decided.by,
            "decided_at": decided.at,
            "state": state,
            "amount": credited,
            **settled,
        }
        number = connection.execute(insert(adjustments).values(values).returning(adjustments.c.id)).scalar_one()
        detail = {"booking": owed.source_id, "minutes": str(amount.minutes), "reason": owed.reason, "state": state}
        event = AuditEvent("adjustment.made", decided.by, f"adjustment:{number}", detail, run_id)
        audit.append(connection, [event])


def booked_on(connection: Connection, connector: str, day: date) -> list[Adjustment]:
    """The adjustments that are booked on this day, oldest first."""
    query = select(adjustments).where(
        adjustments.c.connector == connector,
        adjustments.c.entry_date == day,
        adjustments.c.state == AdjustmentState.BOOKED,
    )
    return [_adjustment(row) for row in connection.execute(query.order_by(adjustments.c.id)).mappings()]


def by_booking(
    connection: Connection, connector: str, day: date, source_ids: Collection[str]
) -> dict[str, list[Adjustment]]:
    """The adjustments of this work day's bookings and of these bookings, oldest first."""
    mine = (adjustments.c.original_day == day) | among(adjustments.c.source_id, source_ids)
    query = select(adjustments).where(adjustments.c.connector == connector, mine)
    found: dict[str, list[Adjustment]] = {}
    for row in connection.execute(query.order_by(adjustments.c.id)).mappings():
        found.setdefault(row["source_id"], []).append(_adjustment(row))
    return found


def known(connection: Connection, connector: str, source_ids: Iterable[str]) -> frozenset[str]:
    """Those of the source ids that are adjustments of ours."""
    ids = {int(source_id[1:]): source_id for source_id in source_ids if is_adjustment(source_id)}
    if not ids:
        return frozenset()
    query = select(adjustments.c.id).where(adjustments.c.connector == connector, adjustments.c.id.in_(ids))
    return frozenset(ids[id_] for id_ in connection.execute(query).scalars())


def credit_list(
    connection: Connection, target: str, month: date | None = None, *, settled: bool = False
) -> Sequence[Row]:
    """The credits of a month or of all months, oldest first, with the target's names; settled ones on request."""
    table, query = adjustments, _credits(target)
    if month is not None:
        query = query.where(table.c.original_month == month)
    if not settled:
        query = query.where(table.c.state == AdjustmentState.OPEN)
    return connection.execute(query.order_by(table.c.original_day, table.c.id)).all()


def credit(connection: Connection, target: str, adjustment_id: int) -> Row:
    """One existing credit, with the target's names."""
    return connection.execute(_credits(target).where(adjustments.c.id == adjustment_id)).one()


def one(connection: Connection, adjustment_id: int) -> Row | None:
    """One adjustment, locked until the transaction ends."""
    return connection.execute(select(adjustments).where(adjustments.c.id == adjustment_id).with_for_update()).first()


def settle(connection: Connection, adjustment_id: int, *, actor: str, note: str) -> None:
    """Record that a person has settled a credit."""
    values = {"state": AdjustmentState.SETTLED, "settled_by": actor, "settled_at": func.now(), "note": note}
    connection.execute(update(adjustments).where(adjustments.c.id == adjustment_id).values(values))


def take_unused_ids(connection: Connection) -> None:
    """Number new adjustments with ids that were never used, not even in states that this database has lost.

    They continue from the Unix time in seconds, which the number of adjustments never overtakes.
    """
    connection.execute(_UNUSED_IDS)


def _credits(target: str) -> Select[Any]:
    table, entries = adjustments, normalized_entries
    entry = (entries.c.source == table.c.connector) & (entries.c.source_id == table.c.source_id)
    user = (kimai_users.c.connector == target) & (kimai_users.c.id == table.c.user_id)
    project = (projects.c.connector == target) & (projects.c.id == table.c.project_id)
    customer = (customers.c.connector == target) & (customers.c.id == projects.c.customer_id)
    activity = (activities.c.connector == target) & (activities.c.id == table.c.activity_id)
    joined = (
        table.outerjoin(kimai_users, user)
        .outerjoin(projects, project)
        .outerjoin(customers, customer)
        .outerjoin(activities, activity)
        .outerjoin(entries, entry)
    )
    columns = select(
        table,
        func.coalesce(entries.c.ticket_number, "").label("ticket"),
        kimai_users.c.username.label("user"),
        func.coalesce(projects.c.name, table.c.project_number).label("project"),
        customers.c.name.label("customer"),
        customers.c.currency,
        activities.c.name.label("activity"),
    )
    return columns.select_from(joined).where(table.c.minutes < 0)


def _adjustment(row: Mapping[Any, Any]) -> Adjustment:
    return Adjustment(
        id=row["id"],
        source=row["connector"],
        source_id=row["source_id"],
        kimai_id=row["kimai_id"],
        original_day=row["original_day"],
        minutes=row["minutes"],
        reason=row["reason"],
        entry_date=row["entry_date"],
        begin_at=row["begin_at"],
        decided_at=row["decided_at"],
        side=PostingKey(row["user_id"], row["project_id"], row["project_number"], row["activity_id"]),
        original=_entry(row["original"]) if row["original"] else None,
        amount=row["amount"],
    )


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {name: value for name, value in asdict(entry).items() if name not in _OF_PEOPLE}


def _entry(value: Mapping[str, Any]) -> Entry:
    instants = {name: datetime.fromisoformat(value[name]) for name in _INSTANTS}
    minutes = {name: Decimal(value[name]) for name in _MINUTES}
    # Earlier releases stored whole numbers.
    ids = {name: None if value[name] is None else str(value[name]) for name in _IDS}
    return Entry(
        **{
            **value,
            **instants,
            **minutes,
            **ids,
            "user_email": "",
            "user_name": "",
            "customer_name": None,
            "entry_date": date.fromisoformat(value["entry_date"]),
            "tags": tuple(value["tags"]),
            "sync_status": SyncStatus(value["sync_status"]),
        }
    )
