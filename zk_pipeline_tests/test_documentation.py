"""The documentation keeps up with the code: settings, numbered facts, reasons and links."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from zk_pipeline.connectors import contract, errors
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.ledger import PushState
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.runtime.settings import ENV_FILE, OTHER_VARIABLES, Settings

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TEMPLATE = ROOT / ".env.example"
CONFIGURATION = DOCS / "configuration.md"
PAGES = sorted(
    [*DOCS.glob("*.md"), *(page for name in ("README.md", "CHANGELOG.md") if (page := ROOT / name).exists())]
)
SOURCES = sorted(
    path
    for folder in ("zk_pipeline", "zk_pipeline_tests", "benchmarks", "dbt_models")
    for suffix in ("py", "sql", "yml")
    for path in (ROOT / folder).rglob(f"*.{suffix}")
)

VARIABLES = {f"ZK_{name.upper()}" for name in Settings.model_fields}
COMMAND_VARIABLES = {
    name
    for command in (ROOT / "zk_pipeline" / "cli").glob("*.py")
    for name in re.findall(r'envvar="(\w+)"', command.read_text(encoding="utf-8"))
}
NONE = "none"
"""How the table of settings writes an empty default."""

_REFERENCE = re.compile(r"docs/(?P<page>\w+)\.md(?P<sections>(?:,?\s+§\d+(?:-§\d+)?)*)")
_SECTIONS = re.compile(r"§(\d+)(?:-§(\d+))?")
_LINK = re.compile(r"\[[^\]]*\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ZK_")]:
        monkeypatch.delenv(name)


def settings_from(directory: Path, lines: list[str]) -> Settings:
    """The settings that these lines of an environment file give."""
    file = directory / "settings.env"
    file.write_text("\n".join(lines), encoding="utf-8")
    return Settings(_env_file=file)  # pyright: ignore[reportCallIssue]


def template_lines() -> list[str]:
    """The settings of the template with their comment sign taken off."""
    return [line[1:] for line in TEMPLATE.read_text(encoding="utf-8").splitlines() if line.startswith("#ZK_")]


def table_defaults() -> dict[str, str]:
    """Each setting with its cell for the default."""
    lines = CONFIGURATION.read_text(encoding="utf-8").partition("## Variables of single commands")[0].splitlines()
    rows = [line for line in lines if line.startswith("| `ZK_")]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    assert all(len(row) == 5 and all(row) for row in cells), "A setting lacks one of its five cells."
    return {row[0].strip("` "): row[3] for row in cells}


def headings(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that a page offers, as they are made from headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def numbers(page: Path) -> set[int]:
    """The numbers of a page's sections."""
    return {int(found[1]) for heading in headings(page) if (found := re.match(r"(\d+)\. ", heading))}


def references() -> Iterator[tuple[Path, str, set[int]]]:
    """Each mention of a page in the code: where, which page, which sections."""
    for source in SOURCES:
        for found in _REFERENCE.finditer(source.read_text(encoding="utf-8")):
            sections: set[int] = set()
            for first, last in _SECTIONS.findall(found["sections"]):
                sections.update(range(int(first), int(last or first) + 1))
            yield source, found["page"], sections


def test_the_template_has_every_setting_once() -> None:
    names = [line.partition("=")[0] for line in template_lines()]
    assert sorted(names) == sorted(VARIABLES)


def test_the_template_shows_the_defaults(tmp_path: Path) -> None:
    assert settings_from(tmp_path, template_lines()) == settings_from(tmp_path, [])


def test_the_table_has_every_setting_with_its_default(tmp_path: Path) -> None:
    defaults = table_defaults()
    assert set(defaults) == VARIABLES
    lines = [f"{name}={'' if cell == NONE else cell.strip('`')}" for name, cell in defaults.items()]
    assert settings_from(tmp_path, lines) == settings_from(tmp_path, [])


def test_an_empty_default_is_not_shown_where_there_is_one(tmp_path: Path) -> None:
    plain = settings_from(tmp_path, []).model_dump(mode="json")
    empty = {f"ZK_{name.upper()}" for name, value in plain.items() if value in (None, "", [])}
    assert {name for name, cell in table_defaults().items() if cell == NONE} == empty
    assert {line.removesuffix("=") for line in template_lines() if line.endswith("=")} == empty


def test_each_setting_of_the_template_is_explained() -> None:
    blocks = TEMPLATE.read_text(encoding="utf-8").split("\n\n")
    unexplained = [block for block in blocks if "#ZK_" in block and not block.startswith("# ")]
    assert unexplained == []


@pytest.mark.parametrize("page", [TEMPLATE, *PAGES], ids=lambda page: page.name)
def test_no_page_names_a_setting_that_does_not_exist(page: Path) -> None:
    named = set(re.findall(r"\bZK_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
    assert named <= VARIABLES | COMMAND_VARIABLES | {ENV_FILE}


def test_the_variables_of_single_commands_are_explained() -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    assert {name for name in COMMAND_VARIABLES if f"| `{name}` |" not in text} == set()


def test_what_is_no_setting_and_read_all_the_same_is_listed_once() -> None:
    of_workspace = set(re.findall(r"env: (ZK_\w+)", (ROOT / "workspace.yaml").read_text(encoding="utf-8")))
    assert set(OTHER_VARIABLES) == COMMAND_VARIABLES | of_workspace | {ENV_FILE}


def test_every_reference_in_the_code_points_to_a_section() -> None:
    known = {page.stem: numbers(page) for page in DOCS.glob("*.md")}
    dead = [
        f"{source.relative_to(ROOT)}: docs/{page}.md {sorted(sections)}"
        for source, page, sections in references()
        if page not in known or not sections <= known[page]
    ]
    assert dead == []


def test_the_code_refers_to_the_facts_about_both_systems() -> None:
    assert {"kimai", "zammad"} <= {page for _, page, sections in references() if sections}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_points_to_something(page: Path) -> None:
    dead: list[str] = []
    for link in _LINK.finditer(_CODE.sub("", page.read_text(encoding="utf-8"))):
        path, anchor = link["path"], link["anchor"]
        if "://" in path or path.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link[0])
    assert dead == []


@pytest.mark.parametrize("code", [*Reason, *Status, *Action, *PushState], ids=str)
def test_internals_explain_every_code(code: str) -> None:
    assert f"`{code}`" in (DOCS / "internals.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_internals_give_the_meaning_and_next_step_of_each_reason(reason: Reason) -> None:
    rows = (DOCS / "internals.md").read_text(encoding="utf-8").splitlines()
    explained = EXPLANATIONS[reason]
    assert f"| `{reason}` | {explained.meaning} | {explained.next_step} |" in rows


@pytest.mark.parametrize("contract", [contract.SourceConnector, contract.TargetConnector])
def test_the_page_for_connectors_names_every_method_of_the_contract(contract: type[contract.Connector]) -> None:
    text = (DOCS / "connectors.md").read_text(encoding="utf-8")
    assert {name for name in contract.__abstractmethods__ if f"`{name}" not in text} == set()


def test_the_page_for_connectors_names_every_error_type() -> None:
    text = (DOCS / "connectors.md").read_text(encoding="utf-8")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {kind.__name__ for kind in kinds if f"`{kind.__name__}`" not in text} == set()
