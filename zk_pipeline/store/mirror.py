"""The index of bookings of sources that cannot be asked for a window; it holds nothing about people."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, any_, func, select
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, insert
from sqlalchemy.sql import bindparam

from zk_pipeline.domain.records import MirroredBooking, Window
from zk_pipeline.store import sweeps
from zk_pipeline.store.database import Database
from zk_pipeline.store.raw_tables import mirrored_bookings

SUBJECT = "mirror"
_COLUMNS = [mirrored_bookings.c[name] for name in ("id", "ticket_id", "counts_at", "changed_at")]
_THERE = mirrored_bookings.c.gone_at.is_(None)


class StoredMirror:
    """A `connectors.mirror.Mirror` in the database; each call is a transaction of its own."""

    def __init__(self, database: Database, connector: str) -> None:
        self._database = database
        self._connector = connector
        self._own = mirrored_bookings.c.connector == connector

    def state(self) -> dict[str, Any]:
        """What the source noted of its own reading."""
        with self._database.transaction() as connection:
            return sweeps.load(connection, self._connector, SUBJECT) or {}

    def save(
        self, rows: Iterable[MirroredBooking], gone: Mapping[str, datetime], state: Mapping[str, Any] | None = None
    ) -> None:
        """Store bookings, deletions and the state, all or nothing. A deletion is kept for good: it is the proof."""
        with self._database.transaction() as connection:
            self._save_rows(connection, rows)
            self._save_gone(connection, gone)
            if state is not None:
                sweeps.save(connection, self._connector, SUBJECT, state)

    def within(self, window: Window) -> list[MirroredBooking]:
        """The bookings that count within the window and were not deleted, oldest first."""
        moment = mirrored_bookings.c.counts_at
        query = select(*_COLUMNS).where(self._own, _THERE, moment >= window.start, moment < window.end)
        with self._database.transaction() as connection:
            found = connection.execute(query.order_by(moment, mirrored_bookings.c.id)).all()
        return [MirroredBooking(*row) for row in found]

    def known(self, ids: Collection[str]) -> dict[str, MirroredBooking]:
        """Those of these bookings that are in the index and were not deleted."""
        query = select(*_COLUMNS).where(self._own, _THERE, self._among(ids))
        with self._database.transaction() as connection:
            return {row.id: MirroredBooking(*row) for row in connection.execute(query)}

    def gone(self, ids: Collection[str]) -> set[str]:
        """Those of these bookings whose deletion was announced."""
        query = select(mirrored_bookings.c.id).where(self._own, ~_THERE, self._among(ids))
        with self._database.transaction() as connection:
            return set(connection.scalars(query))

    def count(self) -> int:
        """The bookings that were not deleted."""
        with self._database.transaction() as connection:
            counted = connection.scalar(select(func.count()).select_from(mirrored_bookings).where(self._own, _THERE))
        return counted or 0

    def _among(self, ids: Collection[str]) -> Any:
        return mirrored_bookings.c.id == any_(bindparam(None, sorted(ids), ARRAY(TEXT)))

    def _save_rows(self, connection: Connection, rows: Iterable[MirroredBooking]) -> None:
        values = [
            {
                "connector": self._connector,
                "id": row.id,
                "ticket_id": row.ticket_id,
                "counts_at": row.counts_at,
                "changed_at": row.changed_at,
            }
            for row in rows
        ]
        if values:
            statement = insert(mirrored_bookings)
            fields = {name: statement.excluded[name] for name in ("ticket_id", "counts_at", "changed_at")}
            connection.execute(
                statement.on_conflict_do_update(index_elements=list(mirrored_bookings.primary_key), set_=fields), values
            )

    def _save_gone(self, connection: Connection, gone: Mapping[str, datetime]) -> None:
        """Note deletions, also of bookings that were never seen."""
        values = [{"connector": self._connector, "id": id_, "gone_at": at} for id_, at in sorted(gone.items())]
        if values:
            statement = insert(mirrored_bookings)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(mirrored_bookings.primary_key), set_={"gone_at": statement.excluded.gone_at}
                ),
                values,
            )
