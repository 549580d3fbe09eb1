"""docs/getting-started.md, command by command: what it shows is what a newcomer sees."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from zk_pipeline.local import PROJECT
from zk_pipeline.sandbox.demo import demo_mappings_csv
from zk_pipeline_tests.commands.conftest import Zk

PAGE = PROJECT / "docs" / "getting-started.md"
ANYTHING = "…"


@dataclass(frozen=True)
class Step:
    """A command of the page and the output that it shows."""

    command: str
    shown: tuple[str, ...]


def steps() -> list[Step]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part.strip()]
    return [Step(lines[0], tuple(lines[1:])) for lines in (part.rstrip().splitlines() for part in found)]


def is_shown(output: str, shown: tuple[str, ...]) -> bool:
    """Whether the output has these lines in this order; `…` stands for anything, and widths do not matter."""
    pieces = [" ".join(piece.split()) for line in shown for piece in line.split(ANYTHING)]
    pattern = ".*".join(re.escape(piece) for piece in pieces if piece)
    return re.search(pattern, " ".join(output.split()), flags=re.DOTALL) is not None


@pytest.mark.timeout(400)
def test_every_command_prints_what_the_page_shows(zk: Zk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("mappings.csv").write_text(demo_mappings_csv())
    walked = 0
    for step in steps():
        program, *arguments = shlex.split(step.command)
        assert program == "zk"
        result = zk(*arguments, answer="a-long-enough-password\n" * 2)
        assert result.exit_code in {0, 3}, f"{step.command}: {result.output}"
        assert is_shown(result.output, step.shown), f"{step.command} printed:\n{result.output}"
        walked += 1
    assert walked == 11
