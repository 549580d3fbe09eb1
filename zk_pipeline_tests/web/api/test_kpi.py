"""`/api/v1/kpi`: the figures of the dashboard."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline_tests.domain.builders import DAY
from zk_pipeline_tests.web.api.planned import planned_day, store_plan
from zk_pipeline_tests.web.conftest import Web, refused

PATH = "/api/v1/kpi"
OF_DAY = {"first": str(DAY), "last": str(DAY + timedelta(days=1))}


def test_the_series_has_booked_and_synced_minutes_of_each_day(viewer: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    figures = viewer.get(PATH, params=OF_DAY).json()
    assert figures["series"] == [{"day": str(DAY), "booked": "150.0000", "synced": "60.0000"}]
    assert (figures["active_connectors"], figures["status"]["conflicts"]) == (2, 2)
    assert (Decimal(figures["minutes_today"]), figures["last_run"]) == (0, None)


def test_minutes_of_today_and_of_this_month_are_those_that_are_in_kimai(viewer: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    today = datetime.now(UTC).date()
    with web.database.transaction() as connection:
        for table in ("normalized_entries", "pushes"):
            connection.execute(text(f"UPDATE sync.{table} SET entry_date = :day"), {"day": today})
    for parameters in ({}, OF_DAY):
        figures = viewer.get(PATH, params=parameters).json()
        assert Decimal(figures["minutes_today"]) == Decimal(figures["minutes_this_month"]) == 60


def test_an_empty_installation_has_figures(viewer: httpx.Client, web: Web) -> None:
    with web.database.transaction() as connection:
        connection.execute(text("DELETE FROM sync.connectors"))
    figures = viewer.get(PATH).json()
    assert (figures["active_connectors"], figures["series"]) == (0, [])
    assert figures["status"]["last_synced_at"] is None
    assert viewer.get("/api/v1/conflicts").json()["total"] == viewer.get("/api/v1/reconciliation").json()["total"] == 0


def test_a_series_that_cannot_be_shown_gets_a_sentence(viewer: httpx.Client) -> None:
    refused(viewer.get(PATH, params={"first": "2025-02-01", "last": "2025-01-01"}), 422, "Swap them")
    refused(viewer.get(PATH, params={"first": "2020-01-01", "last": "2025-01-01"}), 422, "Choose at most 366.")


@pytest.mark.parametrize(("last", "status"), [("0001-01-01", 200), ("9999-12-31", 422)])
def test_a_series_up_to_the_end_of_the_calendar_is_answered(viewer: httpx.Client, last: str, status: int) -> None:
    assert viewer.get(PATH, params={"last": last}).status_code == status


def test_the_story_of_a_booking_is_told(viewer: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    (story,) = viewer.get("/api/v1/entries/9/trace").json()["items"]
    assert story["entry"]["ticket_number"] == "#50"
    assert story["ledger"]["state"] == "confirmed"
    assert viewer.get("/api/v1/entries/kimai:109/trace").json()["items"] == [story]
    refused(viewer.get("/api/v1/entries/999/trace"), 404, "No booking 999. Sync its day")
    refused(viewer.get("/api/v1/entries/x/trace"), 422, "path.source_id")
