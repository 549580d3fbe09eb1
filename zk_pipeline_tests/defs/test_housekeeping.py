"""The nightly jobs, executed by Dagster on the product's database."""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg
import pytest
from sqlalchemy import text

from zk_pipeline.audit import anchors
from zk_pipeline.defs.housekeeping import apply_retention, verify_audit
from zk_pipeline.defs.resources import ZkResource, database_of_settings
from zk_pipeline.privacy import retention
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline_tests.databases import without_guards
from zk_pipeline_tests.defs.asking import requested

pytestmark = pytest.mark.dagster

MOMENT = "2026-03-01T12:00:00+00:00"


class March(ZkResource):
    """The product on the first of March."""

    def now(self) -> datetime:
        return datetime.fromisoformat(MOMENT)


@pytest.fixture
def runtime(surroundings: pytest.MonkeyPatch) -> Iterator[Runtime]:
    for name, days in (("REQUESTS", 90), ("WEBHOOKS", 30), ("LOGINS", 60), ("AUDIT", 365)):
        surroundings.setenv(f"ZK_KEEP_{name}_DAYS", str(days))
    with prepare(load_settings()) as environment:
        yield environment.runtime


def executed(job: dg.JobDefinition) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.get() as instance:
        return job.execute_in_process(
            instance=instance,
            resources={"zk": March(database=database_of_settings())},
            tags=requested(job.name),
            raise_on_error=False,
        )


def metadata(result: dg.ExecuteInProcessResult, step: str) -> dict[str, object]:
    (output,) = [event for event in result.events_for_node(step) if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def failure_of(result: dg.ExecuteInProcessResult, step: str) -> str:
    (failed,) = [event for event in result.events_for_node(step) if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    return told.description or ""


def run(runtime: Runtime, *statements: str) -> None:
    with runtime.database.transaction() as connection:
        without_guards(connection)
        for statement in statements:
            connection.execute(text(statement))


def left(runtime: Runtime, query: str) -> list[object]:
    with runtime.database.transaction() as connection:
        return list(connection.execute(text(query)).scalars())


def record(runtime: Runtime, *moments: str) -> None:
    """Rows of the trail, written at these moments."""
    for moment in moments:
        with runtime.database.transaction() as connection, pytest.MonkeyPatch.context() as patch:
            patch.setattr(audit, "datetime", _stopped(moment))
            audit.append(connection, [AuditEvent("login.succeeded", "user:1", "user:1", {"address": "10.0.0.7"})])


def _stopped(moment: str) -> type[datetime]:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            del tz
            return datetime.fromisoformat(moment)

    return Stopped


def test_an_unbroken_chain_is_reported_with_its_head(runtime: Runtime) -> None:
    record(runtime, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
    result = executed(verify_audit)
    told = metadata(result, "verify_chain")
    with runtime.database.transaction() as connection:
        head = audit.verify(connection).head
    assert told == {"rows": 3, "head": head, "anchor": f"3:{head}"}
    kept = (runtime.settings.home / anchors.FILE).read_text()
    assert f"3:{head} daily" in kept


def test_a_trail_that_was_put_back_is_found_by_the_anchor_of_the_night_before(runtime: Runtime) -> None:
    run(runtime, "CREATE TABLE public.kept AS TABLE sync.audit_head")
    record(runtime, "2026-01-01T00:00:00+00:00")
    assert executed(verify_audit).success
    run(runtime, "DELETE FROM sync.audit_details WHERE id > 1")
    run(runtime, "DELETE FROM sync.audit_logs WHERE id > 1")
    run(
        runtime,
        "UPDATE sync.audit_head h SET number = k.number, hash = k.hash, seal = k.seal FROM public.kept k",
    )
    run(runtime, "DROP TABLE public.kept")
    result = executed(verify_audit)
    assert "rows that an anchor or a closed month names are missing" in failure_of(result, "verify_chain")


def test_a_broken_chain_fails_its_run_with_a_sentence_for_people(runtime: Runtime) -> None:
    record(runtime, *["2026-01-01T00:00:00+00:00"] * 3)
    run(runtime, "UPDATE sync.audit_logs SET actor = 'user:2' WHERE id = 2")
    result = executed(verify_audit)
    assert not result.success
    assert "Row 2 of the audit trail does not fit: it was changed" in failure_of(result, "verify_chain")


def test_people_are_told_of_a_broken_chain_by_the_first_failure(
    runtime: Runtime, surroundings: pytest.MonkeyPatch
) -> None:
    surroundings.setenv("ZK_ALERT_URLS", "json://127.0.0.1:9")
    surroundings.setenv("ZK_ALERT_AFTER", "3")
    record(runtime, "2026-01-01T00:00:00+00:00")
    run(runtime, "UPDATE sync.audit_logs SET actor = 'user:2'")
    executed(verify_audit)
    (waiting,) = left(runtime, "SELECT value -> 'waiting' FROM sync.cursors WHERE connector = 'alerts'")
    assert "Row 1 of the audit trail does not fit" in str(waiting)


def test_requests_go_after_their_days(runtime: Runtime) -> None:
    columns = "INSERT INTO sync.request_log (connector, run_id, method, path, seconds, sent_at) VALUES "
    run(
        runtime,
        columns + "('kimai', 'old', 'GET', '/', 1, '2025-11-30T11:00:00Z')",
        columns + "('kimai', 'new', 'GET', '/', 1, '2025-12-02T11:00:00Z')",
    )
    told = metadata(executed(apply_retention), "prune")
    assert (told["requests"], left(runtime, "SELECT run_id FROM sync.request_log")) == (1, ["new"])


def test_deliveries_go_after_their_days_unless_they_still_wait(runtime: Runtime) -> None:
    columns = "INSERT INTO sync.webhook_deliveries (connector, delivery_id, ticket_id, body, received_at, processed_at)"
    run(
        runtime,
        columns + "VALUES ('zammad', 'old', 1, '', '2026-01-01', '2026-01-02')",
        columns + "VALUES ('zammad', 'waiting', 1, '', '2025-01-01', NULL)",
        columns + "VALUES ('zammad', 'new', 1, '', '2026-02-01', '2026-02-02')",
    )
    told = metadata(executed(apply_retention), "prune")
    ids = left(runtime, "SELECT delivery_id FROM sync.webhook_deliveries ORDER BY id")
    assert (told["webhooks"], ids) == (1, ["waiting", "new"])


def test_sessions_that_ended_and_failed_sign_ins_go_after_their_days(runtime: Runtime) -> None:
    sessions = "INSERT INTO sync.sessions (id, user_id, refresh_hash, expires_at, ended_at) VALUES "
    failures = "INSERT INTO sync.failed_logins (account_hash, address, at) VALUES "
    run(
        runtime,
        "INSERT INTO sync.users (id, email, name, role) VALUES (1, 'a@example.com', 'Anna', 'admin')",
        sessions + "('ended', 1, '', '2026-12-01', '2025-12-01')",
        sessions + "('expired', 1, '', '2025-12-01', NULL)",
        sessions + "('alive', 1, '', '2026-03-02', NULL)",
        failures + "('old', '10.0.0.7', '2025-12-01')",
        failures + "('new', '10.0.0.7', '2026-02-28')",
    )
    told = metadata(executed(apply_retention), "prune")
    assert (told["sessions"], left(runtime, "SELECT id FROM sync.sessions")) == (2, ["alive"])
    assert (told["failed_logins"], left(runtime, "SELECT account_hash FROM sync.failed_logins")) == (1, ["new"])


def test_keys_of_acts_and_runs_go_after_a_day(runtime: Runtime) -> None:
    acts = "INSERT INTO sync.acts (actor, key, route, body_hash, asked_at) VALUES "
    runs = "INSERT INTO sync.launched_runs (run_key, launched_at) VALUES "
    old, new = "'2026-02-28 11:00+00'", "'2026-02-28 13:00+00'"
    run(
        runtime,
        acts + f"('user:1', 'old', 'POST /', '', {old})",
        acts + f"('user:1', 'new', 'POST /', '', {new})",
        runs + f"('old', {old})",
        runs + f"('new', {new})",
    )
    told = metadata(executed(apply_retention), "prune")
    assert (told["acts"], left(runtime, "SELECT key FROM sync.acts")) == (1, ["new"])
    assert (told["launched_runs"], left(runtime, "SELECT run_key FROM sync.launched_runs")) == (1, ["new"])


def test_old_details_go_and_the_chain_still_verifies(runtime: Runtime) -> None:
    record(runtime, "2024-01-01T00:00:00+00:00", "2025-12-01T00:00:00+00:00")
    result = executed(apply_retention)
    assert metadata(result, "prune")["audit_details"] == 1
    assert left(runtime, "SELECT id FROM sync.audit_details ORDER BY id") == [1, 3, 4, 5]
    with runtime.database.transaction() as connection:
        assert audit.verify(connection).broken_at is None


def test_what_went_is_one_event_of_the_trail(runtime: Runtime) -> None:
    run(runtime, "INSERT INTO sync.failed_logins (account_hash, address, at) VALUES ('old', '10.0.0.7', '2025-01-01')")
    result = executed(apply_retention)
    query = "SELECT l.event || ' ' || l.run_id || ' ' || (d.detail ->> 'failed_logins') FROM sync.audit_logs l "
    assert left(runtime, query + "JOIN sync.audit_details d USING (id) WHERE id > 1") == [
        f"retention.applied {result.run_id} 1"
    ]
    executed(apply_retention)
    assert len(left(runtime, "SELECT id FROM sync.audit_logs WHERE id > 1")) == 1


def test_more_than_a_batch_goes_in_several(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    run(
        runtime,
        "INSERT INTO sync.failed_logins (account_hash, address, at) "
        "SELECT 'old', '10.0.0.7', '2025-01-01' FROM generate_series(1, 8)",
    )
    assert metadata(executed(apply_retention), "prune")["failed_logins"] == 8


def test_requests_for_days_go_once_all_that_were_asked_for_together_were_run(runtime: Runtime) -> None:
    columns = "INSERT INTO sync.day_requests (day, reason, requested_at, claimed_by_run, claimed_at) VALUES "
    run(
        runtime,
        columns + "('2026-01-01', 'old', '2026-01-01', 'r', '2026-01-02')",
        columns + "('2026-01-01', 'new', '2026-02-01', 'r', '2026-02-02')",
        columns + "('2026-01-01', 'half', '2025-12-01', 'r', '2025-12-02')",
        columns + "('2026-01-02', 'half', '2025-12-01', NULL, NULL)",
    )
    told = metadata(executed(apply_retention), "prune")
    reasons = left(runtime, "SELECT reason FROM sync.day_requests ORDER BY id")
    assert (told["day_requests"], reasons) == (1, ["new", "half", "half"])
