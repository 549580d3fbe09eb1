"""What Dagster's catalog says of each asset."""

from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

DIRECTORIES = {"zammad/directory", "kimai/directory", "kimai/changes"}
"""Assets of several tables, or of none."""


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
        assert "dagster/code_references" in spec.metadata, name


def test_each_table_has_its_columns_described(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        if name in DIRECTORIES:
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
