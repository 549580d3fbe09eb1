"""What the product says to people, found in its source: one template for each text, with `{}` for each value."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer

import zk_pipeline
from zk_pipeline.cli.app import app

ROOT = Path(zk_pipeline.__file__).parent

NOT_SHOWN = re.compile(
    r"(web/(api|console|dagster_ui|metrics|limits|openapi|sign_in|webhooks)|billing/files/(?!pdf_pages)|defs/(?!(checks|run_history|run_launcher|jobs)\.)|store/(migrations|tables|roles|raw_tables)"
    r"|connectors/conformance|runtime/(dagster_internals|logs|tracing|tracing_export)|privacy/queries|processes/preloaded"
    r"|languages|api\.py)"
)
"""Rooms whose texts nobody reads in a terminal or mail, or that have catalogs of their own."""

_SILENT = re.compile(
    r"(_?log(ger)?|_logger|context\.log)\.|dg\.(job|define_asset_job|ScheduleDefinition)$|(text|sql|Field|Query|Header|Column|column|literal_column|CheckConstraint|TypeVar|getLogger|compile)$"
)
"""Calls whose texts no person reads: logs, SQL, descriptions of the API."""

_INTERNAL = frozenset({"AssertionError", "RuntimeError", "TypeError", "KeyError", "NotImplementedError"})
_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|WHERE|FROM|NULL|CAST|IN|LOCK|GRANT|LISTEN|NOTIFY)\b")
_NAMED = re.compile(r"\{\w*\}")
_WORD = re.compile(r"[A-Za-zÀ-ÿ]{2,}")


_NAMES_A_CHECK = re.compile(r"\b(Finding|DoctorSection|Examination|checks\.(passed|warned|failed))$")


def template_of(node: ast.expr) -> str | None:
    """The text of a string or f-string with `{}` for each value; `None` if it is neither."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _NAMED.sub("{}", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def is_prose(template: str) -> bool:
    """Whether a text is of two words or more, and no SQL."""
    return len(_WORD.findall(template.replace("{}", " "))) > 1 and " " in template.strip() and not _SQL.search(template)


class _Texts(ast.NodeVisitor):
    """Collects the templates of a module; in the command line also headings and single words with values."""

    def __init__(self, *, command_line: bool) -> None:
        self.command_line = command_line
        self.found: list[str] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # A docstring.
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if _SILENT.match(called) or _SILENT.search(called.rpartition(".")[2]) or called in _INTERNAL:
            return
        if called == "show_table" and (title := template_of(node.args[0])):
            self.found.append(title)
        self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        names = [template_of(each) for each in node.elts]
        if self.command_line and len(names) > 1 and all(name is not None for name in names):  # The columns of a table.
            self.found += [name for name in names if name and _WORD.search(name)]
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._take(node)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        self._take(node)

    def _take(self, node: ast.expr) -> None:
        template = template_of(node)
        if template and (is_prose(template) or (self.command_line and "{}" in template and _WORD.search(template))):
            self.found.append(template)


def help_texts(command: Any) -> Iterator[str]:
    """The help of a command and of those within it, by paragraphs."""
    yield from (" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    yield from (text for option in command.params if (text := getattr(option, "help", None)))
    for inner in getattr(command, "commands", {}).values():
        yield from help_texts(inner)


@cache
def sentences() -> Sequence[tuple[str, str]]:
    """Each module that speaks to people, and what it says."""
    return list(_sentences())


def _sentences() -> Iterator[tuple[str, str]]:
    yield from (("help", text) for text in help_texts(typer.main.get_command(app)) if text)
    for file in sorted(ROOT.rglob("*.py")):
        place = file.relative_to(ROOT).as_posix()
        if not NOT_SHOWN.match(place):
            texts = _Texts(command_line=place.startswith("cli/"))
            texts.visit(ast.parse(file.read_text()))
            for template in dict.fromkeys(texts.found):
                yield place, template.strip()


@cache
def check_names() -> set[str]:
    """What the doctor and the tests of a connector call their checks, and the groups of them."""
    found = set[str]()
    for file in (*ROOT.glob("observe/doctor/*.py"), *ROOT.glob("connectors/*/validation.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "subject":
                found.add(template_of(node.value) or "")
            elif isinstance(node, ast.Call) and node.args and _NAMES_A_CHECK.search(ast.unparse(node.func)):
                found.add(template_of(node.args[0]) or "")
    return found - {""}


@cache
def everything() -> set[str]:
    """Every text of the product as a template, prose or not, for people or not."""
    found = set[str]()
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.expr) and (template := template_of(node)):
                found |= {template.strip(), template.replace("_", " ")}  # Names of columns are shown with blanks.
                found |= {" ".join(part.split()) for part in template.split("\n\n")}
    return found
