"""docs/getting-started.md, command by command: what it shows is what a newcomer sees."""

from pathlib import Path

import pytest

from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.cli.conftest import Zk
from zk_pipeline_tests.documented import steps
from zk_sandbox.demo import demo_mappings_csv

PAGE = PROJECT / "docs" / "getting-started.md"


@pytest.mark.timeout(400)
def test_every_command_prints_what_the_page_shows(zk: Zk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("mappings.csv").write_text(demo_mappings_csv())
    walked = steps(PAGE)
    for step in walked:
        step.run(zk, answer="a-long-enough-password\n" * 2)
    assert len(walked) == 11
