"""A trail of any events verifies, and any change of any row is found at that row or the one after it."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline_tests.databases import without_guards

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.decimals(-(10**9), 10**9, places=4) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.lists(
    st.builds(AuditEvent, TEXTS, TEXTS, TEXTS, st.dictionaries(TEXTS, VALUES, max_size=4), st.none() | TEXTS),
    min_size=2,
    max_size=6,
)
CHANGES = [
    *(
        f"UPDATE sync.audit_logs SET {column} = {column} || 'x' WHERE id = :id"
        for column in ("event", "actor", "subject")
    ),
    "UPDATE sync.audit_logs SET run_id = coalesce(run_id, '') || 'x' WHERE id = :id",
    "UPDATE sync.audit_logs SET created_at = created_at - interval '1 microsecond' WHERE id = :id",
    "UPDATE sync.audit_logs SET detail_hash = reverse(detail_hash) || 'x' WHERE id = :id",
    'UPDATE sync.audit_details SET detail = detail || \'{"": ["x"]}\' WHERE id = :id',
    "UPDATE sync.audit_details SET salt = salt || 'x' WHERE id = :id",
    "DELETE FROM sync.audit_details WHERE id = :id; DELETE FROM sync.audit_logs WHERE id = :id",
]
trails = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def begin_anew(connection: Connection, events: list[AuditEvent]) -> None:
    """A trail of these events alone."""
    without_guards(connection)
    connection.execute(text("TRUNCATE sync.audit_logs, sync.audit_details, sync.audit_head"))
    audit.append(connection, events)


@trails
@given(events=EVENTS)
def test_any_events_make_a_chain_that_verifies_also_when_details_are_erased(
    database: Database, events: list[AuditEvent]
):
    with database.transaction() as connection:
        begin_anew(connection, events)
        found = audit.verify(connection)
        assert (found.rows, found.broken_at) == (len(events), None)
        audit.remove_details(connection, [*range(2, len(events) + 1, 2)], "pipeline", "retention")
        assert audit.verify(connection).broken_at is None


@trails
@given(events=EVENTS, change=st.sampled_from(CHANGES), data=st.data())
def test_any_change_of_any_row_is_found(database: Database, events: list[AuditEvent], change: str, data: Any):
    row = data.draw(st.integers(1, len(events)))
    with database.transaction() as connection:
        begin_anew(connection, events)
        for statement in change.split("; "):
            connection.execute(text(statement), {"id": row})
        assert audit.verify(connection).broken_at in {row, row + 1}
