"""Pages that are run: the commands of their blocks, and what each of them shows below its command.

In a block that begins with three backticks and `console`, a line with `$ ` (or `# `, for root) is a command and the
lines below it are what it prints; `…` stands for anything that was left out. In a block of `sh` every line is a
command, one that readers adapt. A test of a page goes through `steps` and lets each one `check` what its command
printed, so that a page which no longer tells the truth fails.
"""

import re
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from click.testing import Result

from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.cli.conftest import Zk

PAGES = (
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((PROJECT / "docs").glob("*.md")),
)
ANYTHING = "…"
REFUSED = ("Error: ", "fail ")
"""How lines begin that are shown of a command which ends with an error."""
VENV = re.compile(r"(?:\.\./)?\.venv/bin/")
"""How pages call the programs of `make setup`."""
DONE, FAILED = frozenset({0, 3}), frozenset({1, 2})
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", flags=re.DOTALL | re.MULTILINE)
_ZK = re.compile(r"(?:[A-Z_]+=\S+ )*zk ")
_OPERATOR = re.compile(r" [|<>] | && |\$[A-Z(]")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page, without the indentation of the list that it stands in."""

    language: str
    text: str

    def steps(self) -> "list[Step]":
        """The commands of a block of `console` or `sh`, in their order."""
        if self.language == "sh":
            return [Step(line, ()) for line in self.text.splitlines() if line and not line.startswith("#")]
        found = [part for part in re.split(r"^[$#] ", self.text, flags=re.MULTILINE) if part.strip()]
        return [Step(lines[0], tuple(lines[1:])) for lines in (_joined(part).rstrip().splitlines() for part in found)]


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, without its prompt, and the lines that the page shows as its output."""

    command: str
    shown: tuple[str, ...]

    def having(self, values: Mapping[str, str]) -> Self:
        """The command with what exists here in place of each made-up value, which is replaced as a whole word."""
        command = self.command
        for made_up, real in values.items():
            command = re.sub(rf"(?<![\w.-]){re.escape(made_up)}(?![\w-])", lambda _, real=real: real, command)
        return replace(self, command=command)

    def run(self, zk: Zk, *, answer: str = "", fails: bool = False, **variables: str) -> Result:
        """Run the command, which is one of `zk`, and check it; `answer` is what is typed when it asks."""
        words = shlex.split(VENV.sub("", self.command), comments=True)
        at = words.index("zk")
        assigned = dict(word.split("=", 1) for word in words[:at])
        result = zk(*words[at + 1 :], answer=answer, **variables, **assigned)
        self.check(result.output, result.exit_code, fails=fails)
        return result

    @property
    def is_plain(self) -> bool:
        """Whether it is `zk` with its arguments, perhaps after variables, and needs no shell."""
        return bool(_ZK.match(VENV.sub("", self.command))) and not _OPERATOR.search(self.command)

    def check(self, output: str, exit_code: int, *, fails: bool = False) -> None:
        """Raise AssertionError unless this is how the page says that the command ends, and what it prints."""
        expected = FAILED if fails or any(line.startswith(REFUSED) for line in self.shown) else DONE
        assert exit_code in expected, f"{self.command} ended with {exit_code}:\n{output}"
        assert is_shown(output, self.shown), f"{self.command} printed:\n{output}"


def blocks(page: Path, *languages: str, heading: str = "") -> list[Block]:
    """The blocks of a page in these languages, or of its part under one heading, up to the next of its level."""
    text = page.read_text(encoding="utf-8")
    found = _FENCE.finditer(_part(text, heading) if heading else text)
    return [Block(one["language"], textwrap.dedent(one["text"])) for one in found if one["language"] in languages]


def steps(page: Path, heading: str = "") -> list[Step]:
    """The steps of a page that are run, in their order, or of its part under one heading."""
    return [step for block in blocks(page, "console", heading=heading) for step in block.steps()]


def is_shown(output: str, shown: tuple[str, ...]) -> bool:
    """Whether the output has these lines in this order; `…` stands for anything, and widths do not matter."""
    pieces = [" ".join(piece.split()) for line in shown for piece in line.split(ANYTHING)]
    pattern = ".*".join(re.escape(piece) for piece in pieces if piece)
    return re.search(pattern, " ".join(output.split()), flags=re.DOTALL) is not None


def _joined(text: str) -> str:
    """The text with each command that goes on in the next line in one."""
    return re.sub(r" *\\\n *", " ", text)


def _part(text: str, heading: str) -> str:
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, flags=re.MULTILINE)
    assert found is not None, f"There is no heading {heading!r}."
    rest = text[found.end() :]
    after = re.search(rf"^#{{1,{len(found[1])}}} ", rest, flags=re.MULTILINE)
    return rest[: after.start()] if after else rest
