"""The contract with a new Dagster: which part that it does not promise to keep is gone, and what it was used for."""

import inspect
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickData, TickStatus
from dagster._core.storage.dagster_run import RunOpConcurrency
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._daemon.monitoring import run_monitoring
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.processes.preloaded import OF_ALL
from zk_pipeline.runtime import dagster_internals as internals
from zk_pipeline.runtime import dagster_storage
from zk_pipeline.runtime.dagster_internals import DagsterChangedError
from zk_pipeline.runtime.dagster_storage import Storage
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline_tests.defs.causing import ORIGIN

pytestmark = pytest.mark.dagster

TABLES = {
    table.name
    for metadata in (RunStorageSqlMetadata, SqlEventLogStorageMetadata, ScheduleStorageSqlMetadata)
    for table in metadata.sorted_tables
}


@pytest.fixture
def instance(surroundings: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    with prepare(load_settings()), dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def tables(instance: dg.DagsterInstance) -> Iterator[Connection]:
    """Dagster's tables as the installed version makes them."""
    with internals.opened(os.environ["ZK_DAGSTER_URL"]) as database, database.transaction() as connection:
        yield connection


def sets(owner: type, attribute: str) -> bool:
    """Whether the class or one that it is derived from sets an attribute of its instances."""
    return any(f"self.{attribute} = " in inspect.getsource(part) for part in owner.__mro__ if part is not object)


@pytest.mark.parametrize("name", internals.PARTS)
def test_a_name_is_there_with_what_is_used_of_it(name: str) -> None:
    part = internals.PARTS[name]
    found = getattr(internals, name)  # Raises the sentence that says what is gone, and what it is used for.
    lost = [member for member in part.members if not hasattr(found, member) and not sets(found, member)]
    assert lost == [], f"Dagster's {name} lost {', '.join(lost)}, used for {part.used_for}."


@pytest.mark.parametrize(("place", "used_for"), internals.REPLACED.items())
def test_what_is_replaced_is_there(place: tuple[str, str], used_for: str) -> None:
    assert hasattr(import_module(place[0]), place[1]), f"Nothing is replaced by {'.'.join(place)}, for {used_for}."


@pytest.mark.parametrize(("method", "used_for"), internals.METHODS.items())
def test_the_instance_has_the_method(method: str, used_for: str) -> None:
    assert hasattr(dg.DagsterInstance, method), f"DagsterInstance lost {method}, used for {used_for}."


@pytest.mark.parametrize("command", ["dagster", "dagster-daemon"])
def test_the_command_is_installed(command: str) -> None:
    assert callable(internals.command(command))


def test_words_and_modules_are_as_dagster_has_them() -> None:
    assert internals.TIMED_OUT in inspect.getsource(run_monitoring)
    assert internals.WILL_RETRY_TAG == WILL_RETRY_TAG
    assert all(map(import_module, (*OF_ALL, *internals.PRELOADED)))


def test_what_dagsters_pages_ask_has_a_limit_and_survives_a_restart_of_the_database(
    instance: dg.DagsterInstance, tables: Connection
) -> None:
    internals.limit_statements(instance, 12_345)
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    for _ in range(2):
        engine = instance.run_storage._engine  # pyright: ignore[reportAttributeAccessIssue]
        with engine.connect() as connection:
            assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "12345ms"
        assert instance.get_runs_count() == 0
        assert tables.execute(text(f"SELECT count(pg_terminate_backend(pid)) {others}")).scalar_one() >= 1
    assert instance.get_runs_count() == 0


def test_the_daemon_asks_a_connection_only_now_and_then_and_uses_none_that_ended(
    instance: dg.DagsterInstance, tables: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings: list[object] = []
    ping = PGDialect_psycopg2.do_ping
    monkeypatch.setattr(PGDialect_psycopg2, "do_ping", lambda dialect, one: pings.append(one) or ping(dialect, one))
    monkeypatch.setattr(internals, "_FEWER_PINGS", threading.Event())
    internals.ping_less()
    url, no_process = instance.run_storage.postgres_url, 0  # pyright: ignore[reportAttributeAccessIssue]
    engine, pid = internals._kept_engine(url, no_process), text("SELECT pg_backend_pid()")  # pyright: ignore[reportPrivateUsage]
    for _ in range(3):
        pings.clear()
        used: set[int] = set()
        for _ in range(10):
            with engine.connect() as connection:
                used.add(connection.execute(pid).scalar_one())
        (ours,) = used
        assert len(pings) <= 1
        assert tables.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": ours}).scalar_one()
        with engine.connect() as connection:
            assert connection.execute(pid).scalar_one() != ours
    engine.dispose()


def test_the_tables_answer(tables: Connection) -> None:
    broken: list[str] = []
    for read, (statement, used_for) in internals.STATEMENTS.items():
        try:
            with tables.begin_nested():
                tables.execute(statement, {"pool": "kimai"} if ":pool" in str(statement) else {})
        except SQLAlchemyError as error:
            broken.append(f"Dagster's tables ({read}) changed. They are read for {used_for}. {error}")
    assert broken == []


INTERRUPTED = {
    "between two tables": ["DROP TABLE run_tags", "DROP TABLE kvs", "DROP TABLE alembic_version"],
    "between the tables and their version": ["TRUNCATE alembic_version, secondary_indexes"],
    "by Dagster itself, which stores the version thrice": ["DROP TABLE run_tags", "TRUNCATE secondary_indexes"],
    "before the first": [f"DROP TABLE {', '.join(sorted(TABLES))}, alembic_version"],
}


@pytest.mark.parametrize("left", INTERRUPTED.values(), ids=INTERRUPTED.keys())
def test_the_next_start_makes_what_an_interrupted_one_left_out(
    surroundings: pytest.MonkeyPatch, instance: dg.DagsterInstance, left: list[str]
) -> None:
    assert instance.get_runs_count() == 0
    before = state_of_tables()
    change_tables(*left)
    surroundings.setattr(dagster_storage, "_COMPLETE", set())
    surroundings.setattr(internals, "_IS_THERE", set())
    with ThreadPoolExecutor(3) as starting:  # As the processes of a start do, all at once.
        list(starting.map(lambda _: Storage.from_config_value(None, {}), range(3)))
    assert state_of_tables() == before
    with dg.DagsterInstance.get() as next_one:
        assert next_one.get_runs_count(dg.RunsFilter(tags={"zk/reason": "change"})) == 0


def test_the_tables_of_another_version_are_left_to_its_migrations(
    surroundings: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    assert instance.get_runs_count() == 0
    change_tables("UPDATE alembic_version SET version_num = '7cba9eeaaf1d'", "DROP TABLE kvs")
    surroundings.setattr(dagster_storage, "_COMPLETE", set())
    Storage.from_config_value(None, {})
    assert "kvs" not in state_of_tables()[0]


def change_tables(*statements: str) -> None:
    with internals.opened(os.environ["ZK_DAGSTER_URL"]) as database, database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def state_of_tables() -> tuple[set[str], list[str], set[str]]:
    """The names of Dagster's tables, their version, and the indexes that are built."""
    with internals.opened(os.environ["ZK_DAGSTER_URL"]) as database, database.transaction() as connection:
        return _state_of(connection)


def _state_of(tables: Connection) -> tuple[set[str], list[str], set[str]]:
    names = tables.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
    version = tables.execute(text("SELECT version_num FROM alembic_version")).scalars()
    built = tables.execute(text("SELECT name FROM secondary_indexes WHERE migration_completed IS NOT NULL")).scalars()
    return set(names), list(version), set(built)


def test_ticks_and_pools_are_stored_where_the_queries_look(tables: Connection, instance: dg.DagsterInstance) -> None:
    origin = ORIGIN.get_instigator_origin("demand")
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, None))
    a_minute_ago = datetime.now(UTC).timestamp() - 60
    started = TickData(
        origin.get_id(),
        "demand",
        InstigatorType.SENSOR,
        TickStatus.STARTED,
        a_minute_ago,
        selector_id=origin.get_selector().get_id(),
    )
    error = SerializableErrorInfo("", [], "KeyError")
    instance.update_tick(instance.create_tick(started).with_status(TickStatus.FAILURE, error=error))
    pool = RunOpConcurrency(root_key_counts={}, has_unconstrained_root_nodes=True, all_pools={"kimai"})
    for number, pooled in enumerate((pool, None)):
        instance.add_run(
            dg.DagsterRun(
                "sync",
                run_id=f"00000000-0000-0000-0000-00000000000{number}",
                status=dg.DagsterRunStatus.QUEUED,
                run_op_concurrency=pooled,
                remote_job_origin=ORIGIN.get_job_origin("sync"),
            )
        )
    found = internals.orchestration(tables, "kimai")
    (automation,) = found.automations
    assert (automation.name, automation.failures, automation.error) == ("demand", 1, "KeyError")
    assert [run.lane for run in found.runs] == ["kimai", ""]
    (ticks,) = internals.figures(tables).ticks
    assert (ticks.name, ticks.status, ticks.longest) == ("demand", "FAILURE", pytest.approx(60, abs=30))


def test_old_lines_of_the_log_are_deleted_and_nothing_else(tables: Connection, instance: dg.DagsterInstance) -> None:
    run = instance.add_run(dg.DagsterRun("sync", run_id="00000000-0000-0000-0000-000000000000"))
    instance.report_engine_event("A line.", run)
    instance.report_run_failed(run)
    assert internals.prune_events(tables, datetime.now(UTC) + timedelta(days=1), 10) == 1
    left = tables.execute(text("SELECT dagster_event_type FROM event_logs")).scalars().all()
    assert left == [dg.DagsterEventType.RUN_FAILURE.value]


def test_a_part_that_is_gone_is_named_with_what_it_is_used_for(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {**internals.PARTS, "Gone": internals.Part("dagster._core.launcher", "a test")}
    monkeypatch.setattr(internals, "PARTS", parts)
    with pytest.raises(DagsterChangedError, match=r"has no dagster\._core\.launcher\.Gone\. .* needs it for a test\."):
        internals.Gone  # noqa: B018
