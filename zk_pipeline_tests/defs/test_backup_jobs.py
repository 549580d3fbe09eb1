"""The jobs that back up and rehearse, executed by Dagster on the product's databases."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Barrier

import dagster as dg
import psycopg
import pytest
from sqlalchemy import BigInteger, Numeric, Text, insert, text

from zk_pipeline.defs.housekeeping import backup, build_schedules, verify_backup
from zk_pipeline.defs.resources import resources_of_settings
from zk_pipeline.recovery import backup as safekeeping
from zk_pipeline.recovery import dumps
from zk_pipeline.recovery.databases import scratch_database, verification_database
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.tables import normalized_entries
from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.databases import without_guards
from zk_pipeline_tests.defs.asking import requested

pytestmark = pytest.mark.dagster


@pytest.fixture
def runtime(surroundings: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Runtime]:
    surroundings.setenv("ZK_BACKUP_DIR", str(tmp_path / "backups"))
    with prepare(load_settings()) as environment:
        yield environment.runtime


def executed(job: dg.JobDefinition) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.get() as instance:
        return job.execute_in_process(
            instance=instance, resources=resources_of_settings(), tags=requested(job.name), raise_on_error=False
        )


def failure(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    return told.description or ""


def names_of_databases(runtime: Runtime) -> list[str]:
    with runtime.database.transaction() as connection:
        return list(connection.execute(text("SELECT datname FROM pg_database")).scalars())


def test_a_backup_is_made_and_proven_by_restoring_it(runtime: Runtime):
    with runtime.database.transaction() as connection:
        audit.append(connection, [AuditEvent("test", "cli:root", "something", {"number": 1})])
    assert executed(backup).success
    result = executed(verify_backup)
    assert result.success
    (output,) = [event for event in result.all_events if event.is_successful_output]
    assert output.step_output_data.metadata["sync.audit_logs"].value == 2
    assert not [name for name in names_of_databases(runtime) if name.startswith("zk_rehears")]


def test_a_second_rehearsal_waits_for_the_first(runtime: Runtime):
    made = safekeeping.back_up(runtime, runtime.settings.backups, "cli:root", datetime.now(UTC))
    together = Barrier(2)

    def rehearsed(_: int) -> Path:
        together.wait()
        return safekeeping.verify_restore(runtime, runtime.settings.backups, "cli:root").path

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(rehearsed, range(2))) == [made.path] * 2


def test_installations_on_one_server_rehearse_beside_each_other(runtime: Runtime):
    url = runtime.settings.database_url
    assert url is not None
    with (
        scratch_database(url.get_secret_value(), "zk_of_others") as others,
        verification_database(others) as theirs,
        psycopg.connect(theirs.replace("+psycopg", "")) as connection,
    ):
        with verification_database(url.get_secret_value()) as ours:
            assert ours != theirs
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_rehearsal_without_a_backup_says_how_to_make_one(runtime: Runtime):
    assert "zk backup" in failure(executed(verify_backup))


def test_a_damaged_backup_fails_its_rehearsal(runtime: Runtime):
    executed(backup)
    (path,) = dumps.list_backups(runtime.settings.backups)
    path.write_bytes(path.read_bytes()[:-1])
    assert "cut off" in failure(executed(verify_backup))


def test_a_chain_that_was_broken_before_the_backup_fails_its_rehearsal(runtime: Runtime):
    with runtime.database.transaction() as connection:
        audit.append(connection, [AuditEvent("test", "cli:root", "something", {})])
        without_guards(connection)
        connection.execute(text("UPDATE sync.audit_logs SET actor = 'somebody else'"))
    executed(backup)
    assert "audit" in failure(executed(verify_backup))


@pytest.fixture
def stated(runtime: Runtime) -> Runtime:
    """A booking of 30 minutes, and the statement of its month with as many."""
    zero = {column.name: 0 for column in normalized_entries.c if isinstance(column.type, BigInteger | Numeric)}
    texts = {column.name: "" for column in normalized_entries.c if isinstance(column.type, Text)}
    at = dict.fromkeys(("begin_at", "end_at", "created_at", "updated_at"), datetime(2025, 10, 13, 9, tzinfo=UTC))
    more = {"source": "zammad", "source_id": "6", "entry_date": date(2025, 10, 13), "tags": [], "trace": {}}
    with runtime.database.transaction() as connection:
        connection.execute(insert(normalized_entries).values({**zero, **texts, **at, **more, "ticket_known": True}))
        empty_marts.make(connection)
        lines = "INSERT INTO marts.statement_lines (month, minutes_zammad, minutes_kimai) VALUES ('2025-10-01', 30, 30)"
        connection.execute(text(lines))
    return runtime


def test_a_rehearsal_makes_the_statement_of_the_last_booked_month(stated: Runtime):
    safekeeping.back_up(stated, stated.settings.backups, "cli:root", datetime.now(UTC))
    statement = safekeeping.verify_restore(stated, stated.settings.backups, "cli:root").statement
    assert statement is not None
    assert (statement.month, statement.total.zammad, statement.balanced) == (date(2025, 10, 1), 30, True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("UPDATE marts.statement_lines SET minutes_kimai = 25", "2025-10 does not balance: 5 minutes are unexplained"),
        (
            "ALTER TABLE marts.statement_lines DROP COLUMN activity",
            "of 2025-10 cannot be read from the restored data (co",
        ),
        (
            """
            INSERT INTO sync.periods (month, closed_by, audit_head, statement_hash, minutes_waiting)
            VALUES ('2025-09-01', 'cli:root', '', 'f', 0);
            INSERT INTO sync.closed_statements (id, content, hash) SELECT id, '{}', 'f' FROM sync.periods
            """,
            "of the closed month 2025-09 was changed: its hash is not f",
        ),
    ],
)
def test_a_statement_that_is_not_whole_fails_the_rehearsal(stated: Runtime, change: str, sentence: str):
    with stated.database.transaction() as connection:
        connection.execute(text(change))
    assert executed(backup).success
    assert sentence in failure(executed(verify_backup))


def test_dagsters_database_is_restored_too(runtime: Runtime, monkeypatch: pytest.MonkeyPatch):
    executed(backup)
    loaded: list[Mapping[str, str]] = []
    load = dumps.load

    def watched(path: Path, keys: Sequence[bytes], databases: Mapping[str, str]) -> dumps.BackupManifest:
        manifest = load(path, keys, databases)
        with psycopg.connect(databases["dagster"].replace("+psycopg2", "")) as connection:
            assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        loaded.append(databases)
        return manifest

    monkeypatch.setattr(dumps, "load", watched)
    assert executed(verify_backup).success
    assert [databases.keys() for databases in loaded] == [{"dagster", "zk"}]


def test_a_directory_that_cannot_be_written_fails_the_backup_with_its_name(
    runtime: Runtime, tmp_path: Path, surroundings: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    surroundings.setenv("ZK_BACKUP_DIR", str(tmp_path / "file"))
    assert str(tmp_path / "file") in failure(executed(backup))


def test_old_backups_go_and_the_newest_stays(runtime: Runtime, surroundings: pytest.MonkeyPatch):
    directory = runtime.settings.backups
    directory.mkdir()
    old = directory / "zk-20200101T000000Z.zkbackup"
    somebody_elses = directory / "zk-notes.zkbackup"
    for path in (old, somebody_elses):
        path.write_bytes(b"")
    executed(backup)
    left = dumps.list_backups(directory)
    assert old not in left
    assert somebody_elses in left
    assert len(left) == 2


def test_both_are_scheduled_in_the_business_zone(surroundings: pytest.MonkeyPatch):
    surroundings.setenv("ZK_TIMEZONE", "Europe/Berlin")
    assert {(schedule.name, schedule.execution_timezone) for schedule in build_schedules()} == {
        ("backup", "Europe/Berlin"),
        ("rehearse_backup", "Europe/Berlin"),
    }
