"""Pages that are run: the commands of their `console` blocks, and what each of them shows below its command.

In a block that begins with three backticks and `console`, a line with `$ ` is a command and the lines below it are what
it prints; `…` stands for anything that was left out. Commands that a reader adapts belong into a block of `sh`, which
is not run (`test_documented_commands.py` looks whether they exist). A test of a page goes through `steps` and lets
each one `check` what its command printed, so that a page which no longer tells the truth fails.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from click.testing import Result

from zk_pipeline_tests.commands.conftest import Zk

ANYTHING = "…"
REFUSED = "Error: "
"""How the output of a command begins that ends with an error."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, without its prompt, and the lines that the page shows as its output."""

    command: str
    shown: tuple[str, ...]

    def run(self, zk: Zk, *, answer: str = "") -> Result:
        """Run the command, which is one of `zk`, and check it; `answer` is what is typed when it asks."""
        program, *arguments = shlex.split(self.command)
        assert program == "zk", self.command
        result = zk(*arguments, answer=answer)
        self.check(result.output, result.exit_code)
        return result

    def check(self, output: str, exit_code: int) -> None:
        """Raise AssertionError unless this is how the page says that the command ends, and what it prints."""
        expected = {1, 2} if any(line.startswith(REFUSED) for line in self.shown) else {0, 3}
        assert exit_code in expected, f"{self.command} ended with {exit_code}:\n{output}"
        assert is_shown(output, self.shown), f"{self.command} printed:\n{output}"


def steps(page: Path, heading: str = "") -> list[Step]:
    """The steps of a page in their order, or of its part under one heading, up to the next of its level or above."""
    text = _part(page.read_text(encoding="utf-8"), heading) if heading else page.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    found = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part.strip()]
    return [Step(lines[0], tuple(lines[1:])) for lines in (part.rstrip().splitlines() for part in found)]


def is_shown(output: str, shown: tuple[str, ...]) -> bool:
    """Whether the output has these lines in this order; `…` stands for anything, and widths do not matter."""
    pieces = [" ".join(piece.split()) for line in shown for piece in line.split(ANYTHING)]
    pattern = ".*".join(re.escape(piece) for piece in pieces if piece)
    return re.search(pattern, " ".join(output.split()), flags=re.DOTALL) is not None


def _part(text: str, heading: str) -> str:
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, flags=re.MULTILINE)
    assert found is not None, f"There is no heading {heading!r}."
    rest = text[found.end() :]
    after = re.search(rf"^#{{1,{len(found[1])}}} ", rest, flags=re.MULTILINE)
    return rest[: after.start()] if after else rest
