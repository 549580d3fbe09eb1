"""The layout: arrows only go down, inner packages stay free of frameworks, modules are short and say their job."""

import ast
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.application.use_cases import lint_imports
from importlinter.configuration import configure

import zk_pipeline

PACKAGE = Path(zk_pipeline.__file__).parent
CONTRACTS = PACKAGE.parent / ".importlinter"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_MODULE = 400


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("zk_pipeline", include_external_packages=True, cache_dir=None)


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
        ("zk_pipeline.sandbox", {"starlette", "uvicorn", "httpx"}),
    ],
)
def test_what_stands_at_the_bottom_imports_little(imports: grimp.ImportGraph, package: str, allowed: set[str]):
    assert imported_by(imports, package) <= allowed


def test_every_module_opens_by_saying_its_job():
    assert [named(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))] == []


def test_no_module_is_too_long_to_read():
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    too_long = {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE}
    assert {name: lines for name, lines in too_long.items() if not name.startswith("store/migrations/")} == {}
