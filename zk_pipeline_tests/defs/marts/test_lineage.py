"""The lineage of columns is kept by hand: what PostgreSQL says the models read must bear it out."""

import json

from zk_pipeline.defs.lineage import origins
from zk_pipeline_tests.defs.marts.conftest import Marts

READ = """
    SELECT view_name, table_schema || '.' || table_name AS name, column_name
    FROM information_schema.view_column_usage WHERE view_schema IN ('marts', 'proof')
"""
COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'marts'"


def test_each_model_reads_the_columns_that_its_own_are_traced_to(marts: Marts) -> None:
    marts.build()
    # PostgreSQL knows what a view reads; each table that is made by a model becomes one, too.
    results = marts.runtime.settings.home / "dbt" / "run_results.json"
    models = [
        (row["unique_id"].rpartition(".")[2], row["compiled_code"])
        for row in json.loads(results.read_text(encoding="utf-8"))["results"]
        if row["unique_id"].startswith("model.")
    ]
    marts.world.execute("CREATE SCHEMA proof")
    for name, code in models:
        marts.world.execute(f"CREATE VIEW proof.{name} AS {code.replace(':', chr(92) + ':')}")
    read = {tuple(row.values()) for row in marts.rows(READ)}
    traced = [
        (model, table_of(asset, origin), origin.rpartition(".")[2])
        for model, column in (tuple(row.values()) for row in marts.rows(COLUMNS))
        for asset, origin in origins(f"marts/{model}", column)
    ]
    assert len(traced) > 150
    assert [row for row in traced if row not in read] == []


def table_of(asset: str, origin: str) -> str:
    """The table that has the column."""
    schema, _, name = asset.partition("/")
    table = origin.rpartition(".")[0] or name
    if table == "sweeps":
        return "sync.sweeps"
    return f"{schema}.{'pushes' if table == 'kimai_pushes' else table}"
