"""Queries on the target's invoices, and on whether they could be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.records import Invoice, InvoiceReading
from zk_pipeline.store.database import upsert
from zk_pipeline.store.raw_tables import invoice_readings, invoices

_FIELDS = Invoice.__slots__


@dataclass(frozen=True, slots=True)
class Known:
    """The stored invoices, when they were read last, and what kept the last reading from succeeding."""

    rows: tuple[Invoice, ...]
    read_at: datetime | None
    problem: str


def save(connection: Connection, connector: str, reading: InvoiceReading) -> None:
    """Store what was read; invoices that are not there any more are removed. Without a reading the stored ones stay."""
    if not reading.problem:
        _replace(connection, connector, reading.rows)
    moment = None if reading.problem else func.now()
    values = {"connector": connector, "problem": reading.problem, "read_at": moment}
    kept = invoice_readings.c.read_at if reading.problem else func.now()
    statement = insert(invoice_readings).values(values)
    changes = {"problem": reading.problem, "tried_at": func.now(), "read_at": kept}
    connection.execute(statement.on_conflict_do_update(index_elements=["connector"], set_=changes))


def load(connection: Connection, connector: str) -> Known:
    """What is known of the invoices; nothing before the first reading."""
    tried = connection.execute(select(invoice_readings).where(invoice_readings.c.connector == connector)).first()
    query = select(*(invoices.c[name] for name in _FIELDS)).where(invoices.c.connector == connector)
    rows = tuple(Invoice(*row) for row in connection.execute(query.order_by(invoices.c.id)))
    if tried is None:
        return Known(rows, None, "")
    return Known(rows, tried.read_at, tried.problem)


def _replace(connection: Connection, connector: str, rows: Sequence[Invoice]) -> None:
    gone = invoices.c.id.not_in([row.id for row in rows])
    connection.execute(delete(invoices).where(invoices.c.connector == connector, gone))
    values = [{"connector": connector, **{name: getattr(row, name) for name in _FIELDS}} for row in rows]
    upsert(connection, invoices, values, only_if_changed=True)
