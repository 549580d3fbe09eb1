"""Sweep certificates: what each paged read of a window saw, and where the next one may look first."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from zk_pipeline.domain.records import Window
from zk_pipeline.store.raw_tables import sweeps


def begin_sweep(connection: Connection, connector: str, subject: str, window: Window, run_id: str) -> int:
    """Record that a read of the window begins; returns the id that its rows are stamped with."""
    values = {
        "connector": connector,
        "subject": subject,
        "window_start": window.start,
        "window_end": window.end,
        "run_id": run_id,
    }
    return connection.execute(insert(sweeps).values(values).returning(sweeps.c.id)).scalar_one()


def end_sweep(connection: Connection, sweep_id: int, certificate: Mapping[str, Any]) -> None:
    """Record the certificate of a read that came to its end; a sweep without it counts as incomplete."""
    values = {**certificate, "ended_at": func.now()}
    connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(values))


def last_position(connection: Connection, connector: str, subject: str, window: Window) -> int | None:
    """How many rows stood before the window when a complete sweep last began there."""
    query = (
        select(sweeps.c.position)
        .where(
            sweeps.c.connector == connector,
            sweeps.c.subject == subject,
            sweeps.c.window_start == window.start,
            sweeps.c.complete,
            sweeps.c.position.is_not(None),
        )
        .order_by(sweeps.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar()
