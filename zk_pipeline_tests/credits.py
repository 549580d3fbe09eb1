"""A credit in the database, for tests that need one and not the runs that lead to it."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, insert

from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.store.tables import adjustments


def credited(connection: Connection, **changed: Any) -> int:
    """The id of a new credit: 15 minutes of booking 6, which is gone from August 2025, but for what is changed."""
    row = {
        "connector": "zammad",
        "source_id": "6",
        "kimai_id": 7,
        "original_day": date(2025, 8, 16),
        "original_month": date(2025, 8, 1),
        "minutes": Decimal(-15),
        "reason": "The booking is gone.",
        "entry_date": date(2025, 10, 1),
        "begin_at": func.now(),
        "user_id": 10,
        "project_number": "ZO7",
        "activity_id": 20,
        "facts_hash": "f",
        "decided_by": "cli:anna",
        "decided_at": func.now(),
        "state": AdjustmentState.OPEN,
    }
    return connection.execute(insert(adjustments).values(row | changed).returning(adjustments.c.id)).scalar_one()
