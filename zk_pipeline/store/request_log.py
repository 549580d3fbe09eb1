"""The log of requests to the target: appended with what the ledger says, read for a trace."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, select

from zk_pipeline.domain.exchanges import Exchange
from zk_pipeline.store import suppression
from zk_pipeline.store.database import insert_rows
from zk_pipeline.store.request_tables import request_log


def append(
    connection: Connection, connector: str, exchanges: Iterable[tuple[str | None, Exchange]], run_id: str
) -> None:
    """Add a run's exchanges, each with the booking it was for, if any."""
    redactor = suppression.redactor(connection)
    values = [
        {
            "connector": connector,
            "run_id": run_id,
            "source_id": source_id,
            "method": exchange.method,
            "path": exchange.path,
            "asked": redactor.value(exchange.asked),
            "status": exchange.status,
            "answered": redactor.value(exchange.answered),
            "error": exchange.error,
            "seconds": round(exchange.seconds, 3),
            "sent_at": exchange.sent_at,
        }
        for source_id, exchange in exchanges
    ]
    insert_rows(connection, request_log, values)


def of_booking(connector: str, source_id: str) -> Select[Any]:
    """The exchanges for one booking, oldest first."""
    return _in_order(connector).where(request_log.c.source_id == source_id)


def of_timesheet(connector: str, kimai_id: int) -> Select[Any]:
    """The exchanges about a time sheet that were for no booking, oldest first."""
    about = request_log.c.path.endswith(f"/timesheets/{kimai_id}")
    return _in_order(connector).where(request_log.c.source_id.is_(None), about)


def _in_order(connector: str) -> Select[Any]:
    query = select(request_log).where(request_log.c.connector == connector)
    return query.order_by(request_log.c.sent_at, request_log.c.id)
