"""A restoration is remembered for as long as what was forgotten by it may still be found in the target."""

from datetime import UTC, datetime, timedelta

from zk_pipeline.store import ledger
from zk_pipeline.store.database import Database

NIGHT, NOON = datetime(2025, 10, 6, 2, tzinfo=UTC), datetime(2025, 10, 6, 12, tzinfo=UTC)


def test_a_restoration_lapses_by_itself(database: Database) -> None:
    with database.transaction() as connection:
        assert ledger.last(connection, NOON) is None
        ledger.remember(connection, NIGHT, NOON)
        assert ledger.last(connection, NOON + timedelta(days=61)) == NOON
        assert ledger.last(connection, NOON + timedelta(days=62)) is None
