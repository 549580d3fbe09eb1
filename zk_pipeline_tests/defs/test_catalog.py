"""What Dagster's catalog says of each asset."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from zk_pipeline.store.tables import metadata

MADE_HERE = {
    "agg_daily_by_agent": {"entries"},
    "agg_monthly_by_customer": {"entries"},
    "statement_lines": {"entries"},
    "fct_time_entries": {"built_at"},
    "stg_closed_months": {"closed_month"},
    "stg_day_versions": {"entry_date", "day_version"},
    "sync_health": {"measured_at", "hours_behind"},
}
"""Columns of marts that are made of nothing upstream, or of tables that are no asset."""

NO_TABLE = {"kimai/changes"}
"""Assets that store nothing of their own."""


@pytest.fixture(scope="module")
def specs() -> dict[str, dg.AssetSpec]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZK_TIMEZONE", "Europe/Berlin")
        from zk_pipeline.definitions import defs  # noqa: PLC0415

        return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_each_asset_has_a_description_an_owner_a_group_kinds_and_a_deadline(specs: dict[str, dg.AssetSpec]) -> None:
    assert len(specs) > 20
    for name, spec in specs.items():
        assert spec.description, name
        assert (spec.owners, spec.group_name) == (["team:billing"], name.split("/")[0])
        assert {"postgres"} <= spec.kinds or name == "sync/kimai_pushes", name
        assert spec.freshness_policy is not None, name
        (code,) = spec.metadata["dagster/code_references"].code_references
        line = Path(code.file_path).read_text().splitlines()[code.line_number - 1]
        assert line.startswith("@"), f"The code of {name} is said to begin with: {line}"


def test_each_asset_has_a_version_of_its_code_and_a_tag(specs: dict[str, dg.AssetSpec]) -> None:
    layers = {"zammad": "raw", "kimai": "raw", "sync": "derived", "marts": "mart"}
    for name, spec in specs.items():
        assert spec.code_version, name
        assert spec.tags["layer"] == layers[name.split("/")[0]], name
    versions = {spec.code_version for name, spec in specs.items() if name.startswith("marts/")}
    assert len(versions) == sum(name.startswith("marts/") for name in specs), "each mart has its own SQL"


def test_each_dependency_on_days_or_of_days_says_which(specs: dict[str, dg.AssetSpec]) -> None:
    by_day = {name for name, spec in specs.items() if spec.partitions_def is not None}
    assert len(by_day) == 5
    for name, spec in specs.items():
        for dep in spec.deps:
            upstream = dep.asset_key.to_user_string()
            if name in by_day or upstream in by_day:
                days = {name, upstream} <= by_day
                kind = dg.TimeWindowPartitionMapping if days else dg.AllPartitionMapping
                assert isinstance(dep.partition_mapping, kind), f"{name} on {upstream}"


def test_both_directories_have_the_columns_of_each_of_their_tables(specs: dict[str, dg.AssetSpec]) -> None:
    found = {
        name: {column.name.partition(".")[0] for column in specs[name].metadata["dagster/column_schema"].columns}
        for name in ("zammad/directory", "kimai/directory")
    }
    assert found == {
        "zammad/directory": {"agents", "organizations", "activity_types"},
        "kimai/directory": {"users", "customers", "projects", "activities"},
    }
    columns = {column.name: column for column in specs["kimai/directory"].metadata["dagster/column_schema"].columns}
    assert columns["projects.customer_id"].description == "The customer who pays for it."


def test_each_table_has_its_columns_described(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        if name in NO_TABLE:
            continue
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema), name
        assert schema.columns, name
        assert all(column.description for column in schema.columns), name


def test_the_deadline_is_the_longest_pause_of_the_schedule_and_two_hours(specs: dict[str, dg.AssetSpec]) -> None:
    windows = {}
    for name in ("sync/kimai_pushes", "marts/fct_time_entries"):
        policy = specs[name].freshness_policy
        assert isinstance(policy, TimeWindowFreshnessPolicy)
        windows[name] = policy.fail_window.to_timedelta()
    assert windows["sync/kimai_pushes"] == timedelta(hours=6 + 2)
    assert windows["marts/fct_time_entries"] in {timedelta(hours=24 + 2), timedelta(hours=25 + 2)}, "a clock change"


def origins(specs: dict[str, dg.AssetSpec]) -> Iterator[tuple[str, str, str, str]]:
    """Asset and column, with asset and column upstream."""
    for name, spec in specs.items():
        lineage = spec.metadata.get("dagster/column_lineage", dg.TableColumnLineage({}))
        for column, deps in lineage.deps_by_column.items():
            for dep in deps:
                yield name, column, dep.asset_key.to_user_string(), dep.column_name


def test_each_column_of_a_mart_is_traced_to_columns_upstream(specs: dict[str, dg.AssetSpec]) -> None:
    found = {(name, column) for name, column, *_ in origins(specs)}
    marts = {name: spec for name, spec in specs.items() if name.startswith("marts/")}
    for name, spec in marts.items():
        columns = {column.name for column in spec.metadata["dagster/column_schema"].columns}
        untraced = {column for column in columns if (name, column) not in found}
        assert untraced == MADE_HERE.get(name.removeprefix("marts/"), set()), name


def test_every_column_that_one_is_traced_to_exists_in_an_asset_upstream(specs: dict[str, dg.AssetSpec]) -> None:
    tables = {table.fullname: table for table in metadata.tables.values()}
    for name, column, upstream, origin in origins(specs):
        assert upstream in ancestors(specs, name), f"{name}.{column}"
        other, _, field = origin.rpartition(".")
        if upstream.startswith("marts/"):
            known = {column.name for column in specs[upstream].metadata["dagster/column_schema"].columns}
            assert origin in known, f"{name}.{column}: {upstream}.{origin}"
        else:
            table = f"{upstream.partition('/')[0]}.{other}" if other else upstream.replace("/", ".")
            table = {"sync.kimai_pushes": "sync.pushes", "zammad.sweeps": "sync.sweeps"}.get(table, table)
            assert field in tables[table].columns, f"{name}.{column}: {table}.{field}"


def ancestors(specs: dict[str, dg.AssetSpec], name: str) -> set[str]:
    found, todo = set[str](), [name]
    while todo:
        deps = {dep.asset_key.to_user_string() for dep in specs[todo.pop()].deps}
        todo += deps - found
        found |= deps
    return found


def test_minutes_of_the_statement_come_from_the_units_of_zammad(specs: dict[str, dg.AssetSpec]) -> None:
    traced = list(origins(specs))
    todo, reached = [("marts/statement_lines", "minutes_zammad")], set[tuple[str, str]]()
    while todo:
        here = todo.pop()
        reached.add(here)
        todo += [(row[2], row[3]) for row in traced if row[:2] == here]
    assert ("zammad/time_accountings", "units") in reached
    schema = specs["marts/stg_bookings"].metadata["dagster/column_schema"]
    said = {column.name: column.description for column in schema.columns}
    assert said["minutes_booked"].endswith("From `units` of `zammad/time_accountings`.")


def test_database_and_both_systems_are_resources_with_their_documentation() -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    resources = defs.resources or {}
    assert set(resources) == {"database", "zammad", "kimai", "zk"}
    for name in ("database", "zammad", "kimai"):
        resource = resources[name]
        assert type(resource).__doc__
        assert all(field.description for field in type(resource).model_fields.values() if field.annotation is str)
