"""docs/billing.md, command by command: a month from its statement to its invoice, and what is corrected afterwards."""

from pathlib import Path

import httpx
import pytest

from zk_pipeline.local import PROJECT
from zk_pipeline.sandbox.demo import ZAMMAD_TOKEN, demo_mappings_csv
from zk_pipeline_tests.commands.conftest import Zk
from zk_pipeline_tests.documented import steps

PAGE = PROJECT / "docs" / "billing.md"
CORRECTED = "What changes after closing"
PARTS = ("Where the minutes of a month went", "Closing a month", CORRECTED, "Opening a month again")
"""The headings with commands; before those of `CORRECTED` a booking is changed in Zammad, as the page says."""

BOOKING = "153"
"""Anna's project work for the bakery, 240 minutes on 2025-10-09."""


@pytest.fixture
def synced(zk: Zk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zk:
    """Runs `zk` where a week of the demo is in Kimai, as far as nobody has to decide first."""
    monkeypatch.chdir(tmp_path)
    Path("mappings.csv").write_text(demo_mappings_csv(), encoding="utf-8")
    assert zk("mappings", "import", "mappings.csv").exit_code == 0
    assert zk("sync", "--from", "2025-10-06", "--to", "2025-10-10").exit_code == 3
    return zk


def correct(zk: Zk) -> None:
    """Change a booking in Zammad, as its web interface would."""
    answer = httpx.put(
        f"{zk.home.variables['ZK_ZAMMAD_URL']}/api/v1/time_accountings/{BOOKING}",
        json={"time_unit": "210"},
        headers={"Authorization": f"Token token={ZAMMAD_TOKEN}"},
        trust_env=False,
    )
    assert answer.is_success, answer.text


@pytest.mark.timeout(400)
def test_a_month_goes_from_its_statement_to_its_invoice_as_the_page_shows(synced: Zk):
    walked = 0
    for heading in PARTS:
        if heading == CORRECTED:
            correct(synced)
        for step in steps(PAGE, heading):
            step.run(synced)
            walked += 1
    assert walked == len(steps(PAGE)) == 20
    assert Path("statement.pdf").read_bytes().startswith(b"%PDF")
    assert Path("statement.xlsx").stat().st_size > 0
