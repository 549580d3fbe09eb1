"""The trail is read in pages and by filters, and shows who acted only for as long as they are users."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from zk_pipeline.audit import trail
from zk_pipeline.audit.trail import TrailFilter
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database

NOW = datetime.now(UTC)


@pytest.fixture
def trailed(database: Database) -> Database:
    """Five rows: two people sign in, the pipeline writes, one of them decides."""
    rows = [
        AuditEvent("login.succeeded", "user:1", "user:1", {"address": "10.0.0.7"}),
        AuditEvent("login.succeeded", "user:2", "user:2", {"address": "10.0.0.8"}),
        AuditEvent("kimai.timesheet.created", "pipeline", "booking:1", {"minutes": "15"}, "run-1"),
        AuditEvent("kimai.timesheet.updated", "pipeline", "booking:17", {"minutes": "30"}, "run-2"),
        AuditEvent("conflict.decided", "user:1", "conflict:4", {"note": "100% Überstunden"}),
    ]
    with database.transaction() as connection:
        audit.append(connection, rows)
    return database


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (TrailFilter(), [5, 4, 3, 2, 1]),
        (TrailFilter(event="kimai.timesheet."), [4, 3]),
        (TrailFilter(event="%"), []),
        (TrailFilter(actor="user:1"), [5, 1]),
        (TrailFilter(subject="booking:1"), [3]),
        (TrailFilter(run_id="run-2"), [4]),
        (TrailFilter(text="überstunden"), [5]),
        (TrailFilter(text="0%"), [5]),
        (TrailFilter(text="booking"), [4, 3]),
        (TrailFilter(since=NOW + timedelta(days=1)), []),
        (TrailFilter(until=NOW - timedelta(days=1)), []),
        (TrailFilter(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1), actor="user:2"), [2]),
    ],
)
def test_a_filter_finds_its_rows_and_counts_them(trailed: Database, wanted: TrailFilter, ids: list[int]) -> None:
    with trailed.transaction() as connection:
        assert [row.id for row in trail.newest(connection, wanted, 10)] == ids
        assert [row.id for row in trail.following(connection, wanted, 0, 10)] == ids[::-1]
        assert trail.count(connection, wanted) == len(ids)


def test_pages_follow_each_other_without_gap_or_overlap(trailed: Database) -> None:
    with trailed.transaction() as connection:
        pages = [[row.id for row in trail.newest(connection, TrailFilter(), 2, offset)] for offset in (0, 2, 4, 6)]
    assert pages == [[5, 4], [3, 2], [1], []]


def test_a_row_whose_detail_was_erased_is_shown_without_it(trailed: Database) -> None:
    with trailed.transaction() as connection:
        audit.remove_details(connection, [3], "pipeline", "retention")
        (row,) = trail.newest(connection, TrailFilter(subject="booking:1"), 10)
    assert (row.detail, row.event) == (None, "kimai.timesheet.created")


def test_only_users_who_still_exist_have_a_name(trailed: Database) -> None:
    with trailed.transaction() as connection:
        connection.execute(
            text("INSERT INTO sync.users (id, email, name, role) VALUES (1, 'a@example.com', 'Anna', 'admin')")
        )
        names = trail.names_of(connection, {"user:1", "user:2", "cli:root", "user:x", "pipeline"})
    assert names == {"user:1": "Anna"}
