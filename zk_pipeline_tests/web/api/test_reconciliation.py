"""`/api/v1/reconciliation`: the plan line by line with both sides, and one line field by field."""

from typing import Any

import httpx
import pytest

from zk_pipeline.store.database import Database
from zk_pipeline_tests.domain.builders import DAY
from zk_pipeline_tests.web.api.planned import (
    MISSING,
    SCRIPT,
    SHEET_SYNCED,
    SYNCED,
    TYPED,
    UNMAPPED,
    planned_day,
    store_plan,
)
from zk_pipeline_tests.web.conftest import refused

PATH = "/api/v1/reconciliation"


@pytest.fixture(autouse=True)
def _planned(database: Database) -> None:
    store_plan(database, planned_day())


def line_of(client: httpx.Client, key: str) -> dict[str, Any]:
    return next(row for row in client.get(PATH).json()["items"] if row["key"] == key)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [SYNCED, TYPED, UNMAPPED, MISSING]),
        ({"view": "matches"}, [SYNCED]),
        ({"view": "missing"}, [UNMAPPED, MISSING]),
        ({"view": "conflicts"}, [TYPED, UNMAPPED]),
        ({"action": "create"}, [MISSING]),
        ({"status": "duplicate"}, [TYPED]),
        ({"reason": "unmapped_activity"}, [UNMAPPED]),
        ({"customer": "globex"}, [TYPED]),
        ({"customer": "OBE"}, [TYPED]),
        ({"customer": "glob%x"}, []),
        ({"customer": "_lobex"}, []),
        ({"agent": "ANNA@example.org", "view": "matches"}, [SYNCED]),
        ({"agent": "a agent", "view": "matches"}, [SYNCED]),
        ({"ticket_number": "50"}, [SYNCED, TYPED, UNMAPPED, MISSING]),
        ({"ticket_number": "#5"}, []),
        ({"first": "2025-08-17"}, []),
        ({"first": str(DAY), "last": str(DAY), "size": 2, "page": 2}, [UNMAPPED, MISSING]),
    ],
)
def test_views_and_filters_narrow_the_lines(
    viewer: httpx.Client, parameters: dict[str, Any], expected: list[str]
) -> None:
    page = viewer.get(PATH, params=parameters).json()
    assert [row["key"] for row in page["items"]] == expected
    assert page["total"] == (4 if "size" in parameters else len(expected))


def test_a_line_has_both_sides_with_exact_minutes_and_links(viewer: httpx.Client) -> None:
    line = line_of(viewer, SYNCED)
    booking, sheet = line["booking"], line["timesheet"]
    assert (booking["ticket_number"], booking["agent"], booking["minutes"]) == ("#50", "Anna Agent", "60.0000")
    assert (sheet["timesheet_id"], sheet["user"], sheet["customer"]) == (SHEET_SYNCED, "anna", "Acme")
    assert (sheet["project"], sheet["activity"], sheet["minutes"]) == ("Acme", "Support", "60")
    assert sheet["begin_at"] == booking["begin_at"] == "2025-08-16T11:00:00Z"
    assert booking["ticket_url"] == "http://zammad.invalid/#ticket/zoom/50"
    assert sheet["url"] == f"http://kimai.invalid/en/team/timesheet/{SHEET_SYNCED}/edit"
    assert (line["status"], line["action"], line["differing"], line["conflict_id"]) == ("in_sync", "none", [], None)


def test_a_line_without_time_sheet_has_one_side(viewer: httpx.Client) -> None:
    line = line_of(viewer, MISSING)
    assert (line["action"], line["timesheet"]) == ("create", None)


def test_a_line_that_waits_names_its_conflict_until_it_is_decided(operator: httpx.Client) -> None:
    line = line_of(operator, TYPED)
    assert line["booking"]["ticket_title"] == SCRIPT
    body = {"choice": "link", "facts_hash": line["facts_hash"]}
    assert operator.post(f"/api/v1/conflicts/{line['conflict_id']}/decision", json=body).status_code == 200
    assert line_of(operator, TYPED)["conflict_id"] is None
    assert [row["key"] for row in operator.get(PATH, params={"view": "conflicts"}).json()["items"]] == [UNMAPPED]


def test_one_line_is_told_field_by_field_with_what_to_do(viewer: httpx.Client) -> None:
    told = viewer.get(f"{PATH}/{DAY}/{TYPED}").json()
    assert told["line"] == line_of(viewer, TYPED)
    fields = {side["field"]: side for side in told["sides"]}
    assert fields["duration"] == {"field": "duration", "wanted": "30 min", "found": "30 min", "differs": False}
    assert told["meaning"] == "A time sheet typed by hand says the same."
    assert "Link it" in told["next_step"]
    assert [row["kind"] for row in told["candidates"]] == ["the same"]


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        (f"{PATH}/{DAY}/999", 404, "The plan of 2025-08-16 has no line 999"),
        (f"{PATH}/yesterday/6", 422, "path.day"),
        (f"{PATH}/{DAY}/x", 422, "path.key"),
        (f"{PATH}?view=some", 422, "query.view"),
        (f"{PATH}?size=201", 422, "query.size"),
        (f"{PATH}?agent=%00", 422, "query.agent"),
    ],
)
def test_what_is_not_there_or_no_filter_gets_a_sentence(
    viewer: httpx.Client, path: str, status: int, sentence: str
) -> None:
    refused(viewer.get(path), status, sentence)
