"""What a command does not import before it needs it, since each takes longer than most commands."""

import subprocess
import sys


def test_neither_runs_nor_the_web_app_import_pandas():
    code = (
        "import sys, zk_pipeline.definitions, zk_pipeline.web.server, zk_pipeline.api; print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_no_command_imports_the_engines_before_it_needs_them():
    heavy = {"dagster", "dbt", "pandas", "fastapi", "nicegui"}
    code = f"import sys, zk_pipeline.cli.app; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
