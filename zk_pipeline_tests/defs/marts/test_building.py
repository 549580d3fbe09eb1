"""Building: only what changed, names of today, failures that name the model, and the job in Dagster."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import dagster as dg
import pytest

from zk_pipeline.billing import periods
from zk_pipeline.defs.jobs import deep_check
from zk_pipeline.defs.marts import marts_after_deep_check
from zk_pipeline.stages import marts as building
from zk_pipeline.stages.marts import MartsError, refresh
from zk_pipeline_tests.dbt_in_process import MODELS, with_options
from zk_pipeline_tests.defs.marts.conftest import Marts
from zk_pipeline_tests.defs.world import MONDAY, at

AGGREGATES = ("agg_daily_by_agent", "agg_monthly_by_customer")
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)


@pytest.fixture(scope="module")
def bookings(marts: Marts) -> dict[str, int]:
    """A booking on each of three days, in Kimai and in the marts."""
    desk = marts.world.desk
    found = {
        "monday": desk.book(30, at("09:00", MONDAY)),
        "tuesday": desk.book(30, at("09:00", TUESDAY)),
        "wednesday": desk.book(30, at("09:00", WEDNESDAY), ticket="globex"),
    }
    marts.world.sync(MONDAY, WEDNESDAY)
    marts.build(options=MODELS)
    return found


def customers(marts: Marts) -> dict[str, Decimal]:
    """The minutes of each customer by the statement."""
    query = "SELECT customer, sum(minutes_zammad) AS minutes FROM marts.statement_lines GROUP BY customer"
    return {row["customer"]: row["minutes"] for row in marts.rows(query)}


def test_a_build_after_which_nothing_changed_touches_no_day(marts: Marts, bookings: dict[str, int]) -> None:
    before = marts.built_at()
    marts.build(options=MODELS)
    assert marts.built_at() == before


def test_a_build_by_dbts_own_process_is_the_same(
    marts: Marts, bookings: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "SELECT * FROM marts.fct_time_entries ORDER BY entry_key"
    before = marts.rows(query)
    monkeypatch.setattr(building, "call", building.call)
    assert {row.status for row in marts.build(full=True)} == {"success", "pass"}
    assert [row | {"built_at": None} for row in marts.rows(query)] == [row | {"built_at": None} for row in before]


def views(marts: Marts) -> dict[str, int]:
    """The views by name, each with what tells it from another of the same name."""
    query = "SELECT relname, oid FROM pg_class WHERE relnamespace = 'marts'::regnamespace AND relkind = 'v'"
    return {row["relname"]: row["oid"] for row in marts.rows(query)}


def test_a_build_takes_no_view_from_its_readers(marts: Marts, bookings: dict[str, int]) -> None:
    before = views(marts)
    assert {"int_entries_named", "stg_day_versions", "dim_agent"} <= set(before)
    marts.build(options=MODELS)
    assert views(marts) == before


def test_a_view_with_other_columns_and_a_table_in_its_place_are_replaced(
    marts: Marts, bookings: dict[str, int]
) -> None:
    before = views(marts)
    for statement in (
        "DROP VIEW marts.stg_closed_months CASCADE",
        "CREATE VIEW marts.stg_closed_months AS SELECT 1 AS number",
        "DROP VIEW marts.dim_agent CASCADE",
        "CREATE TABLE marts.dim_agent (agent_id bigint)",
    ):
        marts.world.execute(statement)
    marts.build(options=MODELS)
    assert set(views(marts)) == set(before)
    assert sum(customers(marts).values()) == sum(marts.entry(key)["minutes_zammad"] for key in bookings.values())


def test_a_changed_day_is_built_and_no_other(marts: Marts, bookings: dict[str, int]) -> None:
    before = marts.built_at()
    marts.world.desk.server.edit(bookings["tuesday"], units="45")
    # The run reads Kimai's time sheets of the days around it as well.
    marts.world.sync(TUESDAY)
    marts.build(options=MODELS)
    after = marts.built_at()
    assert {day for day in after if after[day] != before[day]} == {TUESDAY}
    assert marts.parts(bookings["tuesday"]) == {"zammad": 45, "kimai": 45}


def test_a_month_is_not_closed_by_a_statement_that_is_out_of_date(marts: Marts, bookings: dict[str, int]) -> None:
    def stale() -> list[str]:
        return [text for text in periods.closing_state(marts.runtime, "2025-10").objections if "out of date" in text]

    assert stale() == []
    marts.world.desk.server.edit(bookings["monday"], units="20")
    marts.world.sync(MONDAY)
    (told,) = stale()
    assert told.startswith(f"The statement of 2025-10 is out of date: {MONDAY} changed since it was made.")
    marts.world.desk.server.edit(bookings["monday"], units="30")
    marts.world.sync(MONDAY)
    marts.build(options=MODELS)
    assert stale() == []


def test_a_day_of_which_nothing_is_left_leaves_the_marts(marts: Marts, bookings: dict[str, int]) -> None:
    thursday = WEDNESDAY + timedelta(days=1)
    booking = marts.world.desk.book(0, at("09:00", thursday))
    marts.world.sync(thursday)
    marts.build(options=MODELS)
    assert thursday in marts.built_at()
    for table, column in (
        ("zammad.time_accountings", "id::text"),
        ("sync.normalized_entries", "source_id"),
        ("sync.reconciliation_results", "source_id"),
    ):
        marts.world.execute(f"DELETE FROM {table} WHERE {column} = :key", key=str(booking))
    marts.build(options=MODELS)
    assert thursday not in marts.built_at()


def test_a_customer_who_was_renamed_has_the_new_name_in_every_month(marts: Marts, bookings: dict[str, int]) -> None:
    assert customers(marts) == {"Acme": 75, "Globex": 30}
    kimai = marts.world.office.server.kimai.tables["customers"]
    (acme,) = (row for row in kimai.rows.values() if row.name == "Acme")
    kimai.put(replace(acme, name="Acme International"))
    marts.world.sync(WEDNESDAY)
    before = marts.built_at()
    marts.build(options=MODELS)
    assert customers(marts) == {"Acme International": 75, "Globex": 30}
    assert marts.built_at()[MONDAY] == before[MONDAY]
    assert marts.unexplained() == {}


def test_customers_who_were_merged_have_one_line_together(marts: Marts, bookings: dict[str, int]) -> None:
    tables = marts.world.office.server.kimai.tables
    by_name = {row.name: row for row in tables["customers"].rows.values()}
    for row in list(tables["projects"].rows.values()):
        if row.customer == by_name["Globex"].id:
            tables["projects"].put(replace(row, customer=by_name["Acme International"].id))
    marts.world.sync(WEDNESDAY)
    marts.build(options=MODELS)
    assert customers(marts) == {"Acme International": 105}
    assert marts.unexplained() == {}


@pytest.fixture
def broken(marts: Marts, bookings: dict[str, int]) -> Iterator[None]:
    """A table that a model reads is not there."""
    marts.world.execute("ALTER TABLE sync.user_mappings RENAME TO user_mappings_away")
    yield
    marts.world.execute("ALTER TABLE sync.user_mappings_away RENAME TO user_mappings")


@pytest.mark.usefixtures("broken")
def test_a_failure_names_the_model_and_what_the_database_says(marts: Marts) -> None:
    told = r"Model dim_agent failed: .*user_mappings.* see dbt/dbt\.log"
    with with_options(*MODELS), pytest.raises(MartsError, match=told):
        refresh(marts.runtime)


@pytest.mark.usefixtures("broken")
def test_a_failed_model_fails_the_run_and_the_others_are_recorded(marts: Marts) -> None:
    result = marts.run()
    assert not result.success
    recorded = {event.asset_key for event in result.get_asset_materialization_events()}
    assert dg.AssetKey(["marts", "fct_time_entries"]) in recorded
    assert dg.AssetKey(["marts", "dim_agent"]) not in recorded


def test_a_run_records_every_model_and_test_and_check(marts: Marts, bookings: dict[str, int]) -> None:
    result = marts.run()
    assert result.success
    recorded = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    assert {"fct_time_entries", "statement_lines", "sync_health", "agg_daily_by_agent", "dim_customer"} <= recorded
    rows = {
        event.materialization.asset_key.path[-1]: event.materialization.metadata["dagster/row_count"].value
        for event in result.get_asset_materialization_events()
        if "dagster/row_count" in event.materialization.metadata
    }
    assert rows.keys() == {"fct_time_entries", "statement_lines", "sync_health", *AGGREGATES}
    assert (rows["fct_time_entries"], rows["sync_health"]) == (len(bookings), 1)
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {"minutes_are_conserved", "entries_balance", "reads_are_complete", "markers_are_unique"} <= found.keys()
    assert "source_is_fresh" in found
    assert {name for name, check in found.items() if not check.passed} == set()


def test_dbts_source_freshness_is_a_check_of_what_was_read(marts: Marts, bookings: dict[str, int]) -> None:
    def found() -> dict[str, tuple[bool, str]]:
        checks = [row for row in marts.run().get_asset_check_evaluations() if row.check_name == "source_is_fresh"]
        return {check.asset_key.to_user_string(): (check.passed, check.severity.value) for check in checks}

    assert found() == {"marts/stg_bookings": (True, "ERROR"), "marts/stg_timesheets": (True, "ERROR")}
    older = "UPDATE sync.sweeps SET ended_at = ended_at - interval '{hours} hours' WHERE connector = '{connector}'"
    marts.world.execute(older.format(hours=9, connector="zammad"))
    marts.world.execute(older.format(hours=30, connector="kimai"))
    assert found() == {"marts/stg_bookings": (False, "WARN"), "marts/stg_timesheets": (False, "ERROR")}
    for connector, hours in (("zammad", -9), ("kimai", -30)):
        marts.world.execute(older.format(hours=hours, connector=connector))


def test_the_chain_starts_no_dbt(marts: Marts) -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    for job in ("sync", "plan", "deep_check"):
        keys = defs.resolve_job_def(job).asset_layer.executable_asset_keys
        assert {key.path[0] for key in keys} == {"zammad", "kimai", "sync"}


@pytest.mark.parametrize(
    "end", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
)
def test_the_marts_are_asked_for_once_when_the_last_run_of_the_deep_check_ended(
    marts: Marts, end: dg.DagsterRunStatus
) -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    job, repository = defs.resolve_job_def(deep_check.name), defs.get_repository_def()

    def asked(cursor: str | None = None) -> tuple[list[str | None], str | None]:
        with dg.build_sensor_context(instance, cursor, repository_def=repository) as context:
            tick = marts_after_deep_check.evaluate_tick(context)
        return [request.run_key for request in tick.run_requests or ()], tick.cursor

    with dg.DagsterInstance.get() as instance:
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS)
        waiting = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert asked()[0] == []
        instance.delete_run(waiting.run_id)
        last = instance.create_run_for_job(job, status=end)
        keys, cursor = asked()
        assert keys == [last.run_id]
        assert asked(cursor)[0] == []
