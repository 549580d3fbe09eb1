"""Every command that a page names exists, with its options: `zk …` and `make …` in blocks and in running text."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from zk_pipeline.cli.app import app
from zk_pipeline.runtime.environment import PROJECT

PAGES = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    (PROJECT / "docs").glob("*.md")
)
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE))
ROOT: Any = typer.main.get_command(app)


def named(page: Path, program: str) -> Iterator[str]:
    """The commands of this program on a page, each without its prompt, comment and what follows a pipe."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:console|sh|bash)\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest)]
    for line in (*lines, *spans):
        command = re.split(r"\s[#|>]\s|\s&&\s", line.removeprefix("$ ").strip())[0]
        command = re.sub(rf"^(?:\S+=\S+ )*(?:\S*/)?{program} ", f"{program} ", command)
        if command.startswith(f"{program} "):
            yield command


def words_of(command: str) -> list[str]:
    try:
        return shlex.split(command)[1:]
    except ValueError:  # An apostrophe of running text.
        return command.split()[1:]


def problem(words: list[str]) -> str:
    """What is wrong with the words after `zk`, or nothing."""
    command = ROOT
    while (commands := getattr(command, "commands", None)) and words:
        name = words[0]
        if name.startswith(("-", "…")) or name == "COMMAND":
            break
        options = name.split("|")
        unknown = [option for option in options if option not in commands]
        if unknown:
            return f"there is no command {unknown[0]!r}"
        command, words = commands[options[0]], words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h"}
    wrong = [word for word in words if word.startswith("--") and word.partition("=")[0].rstrip("]") not in known]
    return f"there is no option {wrong[0]}" if wrong else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_zk_command_of_a_page_exists_with_its_options(page: Path):
    wrong = {command: told for command in named(page, "zk") if (told := problem(words_of(command)))}
    assert wrong == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_of_a_page_exists(page: Path):
    named_targets = {
        word for command in named(page, "make") for word in words_of(command) if re.fullmatch(r"[a-z-]+", word)
    }
    assert named_targets <= TARGETS


def test_the_page_of_commands_names_every_one():
    text = (PROJECT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert [name for name in ROOT.commands if f"`zk {name}`" not in text] == []
