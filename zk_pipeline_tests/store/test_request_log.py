"""The log of requests: appended in sets, read by booking in the order of sending."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from zk_pipeline.domain.requests import RequestRecord
from zk_pipeline.store import request_log
from zk_pipeline.store.database import Database

NOW = datetime.now(UTC)


def sent(method: str = "POST", days_ago: float = 0, **fields: Any) -> RequestRecord:
    usual: dict[str, Any] = {"asked": None, "status": 200, "answered": None, "error": "", "seconds": 0.0126}
    return RequestRecord(method, "/api/timesheets", sent_at=NOW - timedelta(days=days_ago), **(usual | fields))


def test_the_requests_of_a_booking_come_back_in_the_order_in_which_they_were_sent(database: Database) -> None:
    with database.transaction() as connection:
        later, earlier = sent("GET"), sent("POST", 1)
        request_log.append(connection, "kimai", [("1", later), ("2", sent("PATCH")), ("1", earlier)], "run")
        request_log.append(connection, "other", [("1", sent("DELETE"))], "run")
        rows = connection.execute(request_log.of_booking("kimai", "1")).all()
    assert [(row.method, row.run_id, row.sent_at) for row in rows] == [
        ("POST", "run", earlier.sent_at),
        ("GET", "run", later.sent_at),
    ]


def test_a_lost_answer_has_neither_status_nor_json(database: Database) -> None:
    lost = sent(asked={"user": 1}, status=None, error="No answer.")
    with database.transaction() as connection:
        request_log.append(connection, "kimai", [("1", lost)], "run")
        row = connection.execute(request_log.of_booking("kimai", "1")).one()
        is_null = select(func.count()).where(request_log.request_log.c.answered.is_(None))
        assert connection.execute(is_null).scalar() == 1
    assert (row.asked, row.status, row.answered, row.error) == ({"user": 1}, None, None, "No answer.")
    assert row.seconds == Decimal("0.013")


def test_nothing_to_append_is_no_error(database: Database) -> None:
    with database.transaction() as connection:
        request_log.append(connection, "kimai", [], "run")
        assert connection.execute(select(func.count()).select_from(request_log.request_log)).scalar() == 0
