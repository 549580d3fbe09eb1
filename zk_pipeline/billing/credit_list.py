"""The credit list: minutes billed in excess, which Kimai cannot take back."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Row

from zk_pipeline.billing.statements import checked_month
from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.periods import month_name
from zk_pipeline.identity.actors import Actor, OperationError, StaleError, UnknownError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import adjustments, audit
from zk_pipeline.store.connectors import active_connectors

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Credit:
    """Minutes billed in excess for one person, project and activity; `minutes` are positive.

    `month`, `day` and `ticket` are those of the booking, names are Kimai's current ones. `amount` is the credit without
    tax, `None` if Kimai does not show it. Times are in UTC.
    """

    id: int
    month: str
    day: date
    booking: str
    ticket: str
    kimai_id: int | None
    minutes: Decimal
    amount: Decimal | None
    currency: str | None
    customer: str | None
    project: str
    user: str | None
    activity: str | None
    reason: str
    state: AdjustmentState
    decided_by: str
    decided_at: datetime
    settled_by: str | None
    settled_at: datetime | None
    note: str


def list_credits(runtime: Runtime, month: str = "", *, settled: bool = False) -> list[Credit]:
    """The open credits of a month or of all, oldest first; `settled` includes the others. Raises `OperationError`."""
    wanted = checked_month(month) if month else None
    with runtime.database.transaction() as connection:
        target = active_connectors(connection).target
        return [_credit(row) for row in adjustments.credit_list(connection, target, wanted, settled=settled)]


def settle(runtime: Runtime, actor: Actor, credit_id: int, note: str) -> Credit:
    """Record how a credit was settled. Raises the errors of `identity.actors`."""
    if not note.strip():
        raise OperationError("Say how the credit was settled: the note is missing.", "note")
    with runtime.database.transaction() as connection:
        row = adjustments.one(connection, credit_id) if credit_id <= LARGEST_ID else None
        if row is None or row.minutes > 0:
            raise UnknownError(f"Credit {credit_id} does not exist. The list of credits shows the open ones.")
        if row.state != AdjustmentState.OPEN:
            raise StaleError(f"Credit {credit_id} is settled already, by {row.settled_by} ({row.note}).")
        adjustments.settle(connection, credit_id, actor=actor.name, note=note.strip())
        detail = {"booking": row.source_id, "minutes": str(row.minutes), "note": note.strip()}
        audit.append(connection, [actor.audit_event("credit.settled", f"adjustment:{credit_id}", detail)])
        return _credit(adjustments.credit(connection, active_connectors(connection).target, credit_id))


def _credit(row: Row) -> Credit:
    return Credit(
        id=row.id,
        month=month_name(row.original_month),
        day=row.original_day,
        booking=row.source_id,
        ticket=row.ticket,
        kimai_id=row.kimai_id,
        minutes=-row.minutes,
        amount=row.amount,
        currency=row.currency,
        customer=row.customer,
        project=row.project,
        user=row.user,
        activity=row.activity,
        reason=row.reason,
        state=AdjustmentState(row.state),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        settled_by=row.settled_by,
        settled_at=row.settled_at,
        note=row.note,
    )
