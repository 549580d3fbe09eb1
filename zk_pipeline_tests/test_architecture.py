"""The layout: arrows only go down, inner packages stay free of frameworks, functions are short enough to read."""

import ast
import re
import sys
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import grimp
import pytest
from importlinter.application.use_cases import lint_imports
from importlinter.configuration import configure

import zk_pipeline

PROJECT = Path(zk_pipeline.__file__).parents[1]
CONTRACTS = PROJECT / ".importlinter"
FOLDERS = ("zk_pipeline", "zk_sandbox", "zk_pipeline_tests", "benchmarks")
MODULES = sorted(path for folder in FOLDERS for path in (PROJECT / folder).rglob("*.py"))
LONGEST_FUNCTION = 50
INTERNALS = "zk_pipeline/runtime/dagster_internals.py"
FROM_INSIDE = re.compile(r"\bdagster\w*\._|^\s*(?:from|import) dagster\w*\.", re.MULTILINE)
TABLES_OF_DAGSTER = re.compile(
    r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+"
    r"(?:event_logs|job_ticks|instigators|bulk_actions|daemon_heartbeats|asset_keys|kvs|run_tags|runs|snapshots)\b"
)
MIGRATIONS = "zk_pipeline/store/migrations/versions/"
"""Lists of tables and columns, which are read from top to bottom and never change."""


def named(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("zk_pipeline", "zk_sandbox", include_external_packages=True, cache_dir=None)


def imported_by(graph: grimp.ImportGraph, package: str) -> set[str]:
    """The top-level names outside the package that its modules import, without those of the standard library."""
    inside = {package, *graph.find_descendants(package)}
    names = {name for module in inside for name in graph.find_modules_directly_imported_by(module)} - inside
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def test_imports_keep_to_the_contracts(capsys: pytest.CaptureFixture[str]):
    configure()
    kept = lint_imports(str(CONTRACTS), cache_dir=None, no_logo=True)
    assert kept, capsys.readouterr().out


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("zk_pipeline.domain", {"rapidfuzz"}),
        ("zk_sandbox", {"starlette", "uvicorn", "httpx"}),
    ],
)
def test_what_stands_at_the_bottom_imports_little(imports: grimp.ImportGraph, package: str, allowed: set[str]):
    assert imported_by(imports, package) <= allowed


def test_no_function_is_too_long_to_read():
    too_long = {
        f"{named(path)}:{node.lineno} {node.name}": lines
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert {name: lines for name, lines in too_long.items() if not name.startswith(MIGRATIONS)} == {}


def test_one_module_alone_knows_dagster_from_inside():
    product = {named(path): path.read_text(encoding="utf-8") for path in MODULES if "_tests" not in named(path)}
    found = {
        f"{name}: {hit.group().strip()}"
        for name, source in product.items()
        for pattern in (FROM_INSIDE, TABLES_OF_DAGSTER)
        for hit in pattern.finditer(source)
        if name != INTERNALS
    }
    assert found == set(), f"Take it from {INTERNALS}, which says what it is used for."
    assert FROM_INSIDE.search(product[INTERNALS])
    assert TABLES_OF_DAGSTER.search(product[INTERNALS])


def test_the_page_on_internals_shows_the_arrows_as_they_are() -> None:
    rules = ConfigParser()
    rules.read(CONTRACTS)
    layers = rules["importlinter:contract:layers"]["layers"].split("\n")
    drawn = "\n".join(re.sub(r"[()]", "", layer).strip() for layer in layers if layer)
    assert f"```text\n{drawn}\n```" in (PROJECT / "docs" / "internals.md").read_text(encoding="utf-8")


def test_the_benchmarks_find_what_they_import() -> None:
    assert import_module("benchmarks.__main__").main
