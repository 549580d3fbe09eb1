"""Entity tags: what the caller has already is not sent again; what is streamed is not held back."""

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.api.planned import planned_day, store_plan
from zk_pipeline_tests.web.conftest import Web

PATHS = (
    "/api/v1/conflicts",
    "/api/v1/conflicts/1",
    "/api/v1/reconciliation",
    "/api/v1/reconciliation/2025-08-16/6",
    "/api/v1/sync/runs",
    "/api/v1/sync/plans?first=2025-08-16&last=2025-08-16",
    "/api/v1/kpi",
)


@pytest.fixture
def viewer(as_role: AsRole, web: Web) -> httpx.Client:
    store_plan(web.database, planned_day())
    return as_role("viewer")


def given(tag: str) -> dict[str, str]:
    return {"if-none-match": tag}


@pytest.mark.parametrize("path", PATHS)
def test_an_unchanged_read_is_answered_with_304_and_no_body(viewer: httpx.Client, path: str) -> None:
    first = viewer.get(path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-store"
    for names in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = viewer.get(path, headers=given(names))
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["x-request-id"]
        assert "content-length" not in again.headers


def test_a_changed_read_is_sent_with_another_tag(viewer: httpx.Client, web: Web) -> None:
    tag = viewer.get("/api/v1/conflicts").headers["etag"]
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.conflicts SET text = 'Something else.'"))
    answer = viewer.get("/api/v1/conflicts", headers=given(tag))
    assert answer.status_code == 200
    assert answer.headers["etag"] != tag


def test_errors_writes_and_pages_outside_of_the_api_have_no_tag(viewer: httpx.Client) -> None:
    assert "etag" not in viewer.get("/api/v1/conflicts/999").headers
    assert "etag" not in viewer.post("/api/v1/conflicts/decisions/preview", json={}).headers
    assert "etag" not in viewer.get("/api/health").headers


def test_what_is_streamed_passes_through_untagged(viewer: httpx.Client) -> None:
    answer = viewer.get("/api/v1/audit/export", params={"format": "csv"})
    assert answer.status_code == 200
    assert "etag" not in answer.headers
