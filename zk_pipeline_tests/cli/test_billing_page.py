"""docs/billing.md, command by command: a month from its statement to its invoice, and what is corrected afterwards."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import pytest

from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.cli.conftest import Sandbox, Zk
from zk_pipeline_tests.documented import Step, steps
from zk_sandbox.demo import ZAMMAD_TOKEN, demo_mappings_csv
from zk_sandbox.kimai.server import KimaiServer

PAGE = PROJECT / "docs" / "billing.md"
INVOICED, CORRECTED = "Invoicing", "What changes after closing"
PARTS = (
    "From booking to invoice",
    "Where the minutes of a month went",
    "Closing a month",
    INVOICED,
    CORRECTED,
    "Opening a month again",
)
"""The headings with commands, each with what people do in Zammad or Kimai before them, as the page says."""

BAKERY = 2
BOOKING = "153"
"""Anna's project work for the bakery, 240 minutes on 2025-10-09."""


@pytest.fixture
def ready(zk: Zk, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zk:
    """Runs `zk` where the mappings of the demo are known and the bakery has a rate."""
    monkeypatch.chdir(tmp_path)
    Path("mappings.csv").write_text(demo_mappings_csv(), encoding="utf-8")
    assert zk("mappings", "import", "mappings.csv").exit_code == 0
    in_kimai(sandbox, lambda server: server.add_rate("customers", BAKERY, "92.00"))
    return zk


def in_kimai(sandbox: Sandbox, act: Callable[[KimaiServer], object]) -> None:
    """What a person does in Kimai's own pages, for which it has no API."""
    server = KimaiServer()
    server.restore(sandbox.kimai.state())
    act(server)
    sandbox.kimai.restore(server.snapshot())


def invoice(server: KimaiServer) -> None:
    assert server.invoice(1, BAKERY, date(2025, 10, 1), date(2025, 10, 31))
    server.change_invoice(1, "paid")


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
def test_a_month_goes_from_its_bookings_to_its_invoice_as_the_page_shows(ready: Zk, sandbox: Sandbox) -> None:
    walked = 0
    for heading in PARTS:
        if heading == INVOICED:
            in_kimai(sandbox, invoice)
        if heading == CORRECTED:
            correct(ready)
        for number, step in enumerate(own_steps(heading)):
            if (heading, number) == (INVOICED, 2):
                in_kimai(sandbox, lambda server: server.change_invoice(1, "canceled"))
            step.run(ready)
            walked += 1
    assert walked == len(steps(PAGE)) == 26
    assert Path("statement.pdf").read_bytes().startswith(b"%PDF")
    assert Path("statement.xlsx").stat().st_size > 0


def own_steps(heading: str) -> list[Step]:
    """The steps under a heading; under that of the page, those before the next one."""
    if heading != PARTS[0]:
        return steps(PAGE, heading)
    return steps(PAGE)[: len(steps(PAGE)) - sum(len(steps(PAGE, other)) for other in PARTS[1:])]
