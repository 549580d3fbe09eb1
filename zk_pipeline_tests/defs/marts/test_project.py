"""The dbt project: its own unit tests, its documentation, and what it tells Dagster."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from zk_pipeline.defs.marts import spec_of
from zk_pipeline.domain.numbers import FIRST_SPACE, customer_number
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.stages import marts as project
from zk_pipeline.store.tables import metadata
from zk_pipeline_tests.dbt_in_process import MODELS
from zk_pipeline_tests.defs.marts.conftest import Marts

ORGANIZATION = """
    INSERT INTO zammad.organizations (connector, id, name, active) VALUES ('zammad', :id, 'X', true)
    ON CONFLICT DO NOTHING
"""
CUSTOMER = "INSERT INTO kimai.customers (connector, id, name, number, visible) VALUES ('kimai', 0, 'X', :number, true)"


@pytest.fixture(scope="module")
def manifest() -> project.DbtManifest:
    return project.load_manifest()


def test_dbts_own_unit_tests_pass(marts: Marts, tmp_path: Path) -> None:
    marts.world.desk.book(30)
    marts.world.sync()
    marts.build()
    environment = project._environment(marts.runtime)
    done = project.call("test", ["--select", "test_type:unit"], tmp_path, environment)
    assert done.returncode == 0, done.stdout
    results = json.loads((tmp_path / "run_results.json").read_text(encoding="utf-8"))["results"]
    assert len(results) >= 10
    assert {row["status"] for row in results} == {"pass"}


@pytest.mark.parametrize(
    "organization",
    ["0", "7", "07", "1" * 21, "1" * 22, "project-7", "org-7", "B-1", "x37", "557058:0a", "\u00e9" * 6, "-"],
)
def test_the_marts_know_customers_by_the_numbers_that_the_pipeline_makes(marts: Marts, organization: str) -> None:
    marts.build()
    number = customer_number(FIRST_SPACE, organization)
    with marts.runtime.database.transaction() as connection:
        for statement in (ORGANIZATION, CUSTOMER):
            connection.execute(text(statement), {"id": organization, "number": number})
        found = text("SELECT customer_id FROM marts.stg_organization_customers WHERE organization_id = :id")
        assert connection.scalar(found, {"id": organization}) == 0
        connection.rollback()


def test_every_model_is_described_and_has_a_tested_key(manifest: project.DbtManifest) -> None:
    assert [model.name for model in manifest.models if not model.description] == []
    nodes = [node for node in manifest.content["nodes"].values() if node["resource_type"] == "model"]
    undescribed = [
        f"{node['name']}.{name}"
        for node in nodes
        for name, column in node["columns"].items()
        if not column["description"]
    ]
    assert undescribed == []
    tested = set(manifest.tests.values())
    assert [model.name for model in manifest.models if model.name not in tested] == []


def test_dagster_dbt_would_make_the_same_lineage_and_columns(manifest: project.DbtManifest) -> None:
    # Two seconds, in each process that collects tests.
    from dagster_dbt import (  # noqa: PLC0415
        DagsterDbtTranslator,
        DagsterDbtTranslatorSettings,
        build_dbt_asset_specs,
    )

    settings = DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)
    theirs = build_dbt_asset_specs(
        manifest=manifest.content, dagster_dbt_translator=DagsterDbtTranslator(settings), project=None
    )
    lineage = {spec.key: {dep.asset_key for dep in spec.deps} for spec in theirs}
    ours = {spec.key: {dep.asset_key for dep in spec.deps} for spec in map(spec_of, manifest.models)}
    assert ours.keys() == lineage.keys()
    # dagster_dbt adds tables that no asset of ours makes.
    assert {key: deps - lineage[key] for key, deps in ours.items() if deps - lineage[key]} == {}
    columns = {spec.key: columns_of(spec) for spec in theirs}
    # Ours say in addition where each comes from.
    said = {spec.key: columns_of(spec) for spec in map(spec_of, manifest.models)}
    without = {key: {name: text.partition(" From `")[0] for name, text in row.items()} for key, row in said.items()}
    assert without == columns


def columns_of(spec: dg.AssetSpec) -> dict[str, str]:
    """The descriptions of its columns; nobody states their types in the project."""
    return {column.name: column.description or "" for column in spec.metadata["dagster/column_schema"].columns}


def test_each_column_that_a_view_reads_is_described_as_its_table_describes_it(
    manifest: project.DbtManifest, marts: Marts
) -> None:
    marts.build(options=MODELS)
    sources = {f"{row['schema']}.{row['name']}": row["columns"] for row in manifest.content["sources"].values()}
    tables = {table.fullname: table for table in metadata.tables.values()}
    for name, columns in sources.items():
        for column, given in columns.items():
            assert given["description"], f"{name}.{column}"
            assert tables[name].columns[column].doc in {None, given["description"]}, f"{name}.{column}"
    read = marts.rows(
        """
        SELECT DISTINCT table_schema || '.' || table_name AS name, column_name FROM information_schema.view_column_usage
        WHERE view_schema = 'marts' AND table_schema <> 'marts'
        """
    )
    # A view of `select *` reads columns, too, that no model names.
    named = {name for path in project.FOLDER.glob("models/**/*.sql") for name in re.findall(r"\w+", path.read_text())}
    undescribed = [
        tuple(row.values())
        for row in read
        if row["column_name"] in named and row["column_name"] not in sources[row["name"]]
    ]
    assert undescribed == []


def test_what_people_use_is_exposed_with_the_marts_that_the_code_reads(manifest: project.DbtManifest) -> None:
    exposures = {row["name"]: row["depends_on"]["nodes"] for row in manifest.content["exposures"].values()}
    assert set(exposures) == {"statement", "console"}
    code = (PROJECT / "zk_pipeline" / "store" / "statements.py").read_text(encoding="utf-8")
    read = set(re.findall(r"(?:FROM|JOIN) marts\.(\w+)", code))
    assert {name.rpartition(".")[2] for name in exposures["statement"]} == read


def test_dbts_documentation_is_made_with_the_variables_of_the_embedded_database(marts: Marts, tmp_path: Path) -> None:
    marts.build(options=MODELS)
    every = project._environment(marts.runtime)
    of_docs = {name: every[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE")}
    done = project.call("docs", ["generate"], tmp_path, of_docs)
    assert done.returncode == 0, done.stdout
    nodes = json.loads((tmp_path / "catalog.json").read_text(encoding="utf-8"))["nodes"]
    assert "minutes_kimai" in nodes["model.zk_marts.fct_time_entries"]["columns"]


def test_the_manifest_needs_no_database(tmp_path: Path) -> None:
    done = project.call("parse", (), tmp_path, {"PGHOST": "nowhere.invalid"})
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "manifest.json").exists()


def test_a_missing_manifest_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "dbt_models"
    shutil.copytree(project.FOLDER, folder, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(project, "FOLDER", folder)
    assert "fct_time_entries" in {model.name for model in project.load_manifest().models}
    assert [path.name for path in (folder / "target").iterdir()] == [project.MANIFEST]


def test_the_definitions_import_neither_dbt_nor_dagster_dbt() -> None:
    code = "import sys, zk_pipeline.definitions; print({'dbt', 'dagster_dbt'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip() == "set()"


def test_dbt_reports_to_nobody(manifest: project.DbtManifest) -> None:
    flags = (project.FOLDER / "dbt_project.yml").read_text(encoding="utf-8")
    assert "send_anonymous_usage_stats: false" in flags
    assert manifest.content["metadata"]["send_anonymous_usage_stats"] is False
