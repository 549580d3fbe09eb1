"""`zk statement`: two synced days of the demo in every format, and the exit code that a script can act on."""

import csv
import io
import json
import os
import re
import runpy
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from sqlalchemy import text

from zk_pipeline import api
from zk_pipeline.cli import output
from zk_pipeline.domain.periods import in_hours
from zk_pipeline.domain.statement import hours
from zk_pipeline.domain.statement_rows import PARTS
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.cli.conftest import Home, Homes, Start, Zk
from zk_pipeline_tests.documented import blocks
from zk_sandbox.demo import demo_mappings_csv

MONTH = "2025-10"
FORMULA = "-1+1"  # What is called =1+1 in Zammad: Kimai takes no equals sign, and this is a formula as well.
RENAMED = "Hartmann Maschinenbau AG"
CUSTOMER = "Bäckerei Sonnenschein GmbH"
WAITING = 3


@pytest.fixture(scope="module")
def synced(homes: Homes, start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Two days that were synced, with a customer whose name is a formula, and marts of them."""
    zk = Zk(homes.new())
    mappings = tmp_path_factory.mktemp("mappings") / "mappings.csv"
    mappings.write_text(demo_mappings_csv(), encoding="utf-8")
    with start.systems() as systems:
        zammad = json.dumps(start.zammad)
        systems.zammad.restore(json.loads(zammad.replace(json.dumps(RENAMED), json.dumps("=1+1"))))
        for arguments in (
            ("mappings", "import", str(mappings)),
            ("sync", "--from", "2025-10-06", "--to", "2025-10-07"),
            ("statement", MONTH),
        ):
            done = zk(*arguments)
            assert done.exit_code in {0, WAITING}, done.output
        yield zk.home


@pytest.fixture
def zk(synced: Home, monkeypatch: pytest.MonkeyPatch) -> Zk:
    for terminal in (output.out, output.err):
        monkeypatch.setattr(terminal, "_width", 200)
    return Zk(synced)


def told(zk: Zk, *arguments: str) -> dict[str, Any]:
    return json.loads(zk("statement", MONTH, "--format", "json", *arguments).stdout)


def lines_of(zk: Zk, *arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(zk("statement", MONTH, "--format", "csv", *arguments).stdout)))


def column(sheet: Worksheet, name: str) -> list[Decimal]:
    """The cells of a column, the last of which is the total."""
    number = [cell.value for cell in sheet[2]].index(name)
    return [Decimal(str(row[number])) for row in sheet.iter_rows(min_row=3, values_only=True)]


def test_the_table_spells_the_equation_and_the_exit_code_tells_that_minutes_wait(zk: Zk) -> None:
    result = zk("statement", MONTH)
    found = told(zk)["minutes"]
    time = {name: hours(Decimal(amount)) for name, amount in found.items()}
    assert result.exit_code == WAITING
    equation = f"{time['zammad']} booked in Zammad = {time['kimai']} in Kimai + {time['waiting']} waiting"
    assert equation in result.stdout
    waiting = in_hours(Decimal(found["waiting"]))
    assert f"{MONTH} balances to the minute; {waiting} wait." in result.stdout
    assert f"All customers, {MONTH}" in result.stdout


def test_json_has_parts_that_add_up_exactly_for_all_and_for_each_customer(zk: Zk) -> None:
    result = zk("statement", MONTH, "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["verdict"], found["stale_days"]) == (WAITING, "waiting", [])
    for amounts in (found["minutes"], *(account["minutes"] for account in found["customers"])):
        assert Decimal(amounts["zammad"]) == sum(Decimal(amounts[part]) for part in PARTS)
    assert f"{MONTH} balances to the minute" in result.stderr


def test_the_tables_for_notebooks_have_the_exact_minutes_of_the_statement(
    zk: Zk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in zk.home.variables.items():
        monkeypatch.setenv(name, value)
    before, found, path = dict(os.environ), told(zk), tmp_path / "lines.csv"
    runpy.run_path(str(PROJECT / "examples" / "month_in_pandas.py"))["main"](MONTH, path)
    assert capsys.readouterr().out.startswith(f"{MONTH}: waiting\n")
    assert sum(Decimal(row["zammad"]) for row in csv.DictReader(path.open())) == Decimal(found["minutes"]["zammad"])
    (shown,) = blocks(PROJECT / "docs" / "billing.md", "python")
    monkeypatch.chdir(tmp_path)
    exec(shown.text, {})
    assert (tmp_path / "statement.csv").read_text() == path.read_text()
    lines, sheets = api.statement(MONTH), api.timesheets(MONTH, customer=CUSTOMER)
    assert {name: lines[name].sum() for name in PARTS} == {name: Decimal(found["minutes"][name]) for name in PARTS}
    (account,) = [row for row in found["customers"] if row["customer"]["name"] == CUSTOMER]
    assert sheets["minutes"].sum() == Decimal(account["kimai_in_all"])
    planned, entries = api.plan("2025-10-06", "2025-10-07"), api.entries("2025-10-01", date(2025, 10, 31))
    assert entries["booked_minutes"].sum() == Decimal(found["minutes"]["zammad"])
    assert list(planned.columns)[:3] == ["day", "key", "source_id"]
    for table in (lines, sheets, planned, entries):
        assert {str(kind) for kind in table.dtypes} == {"object"}
        assert not table.map(lambda cell: isinstance(cell, float)).any(axis=None)
    with pytest.raises(OperationError, match=r"first='6\.10\.' is no day\. Write it as 2025-10-31\."):
        api.entries("6.10.", "2025-10-07")
    assert dict(os.environ) == before


def test_every_customer_of_the_statement_is_asked_for_alone(zk: Zk) -> None:
    found = told(zk)
    for account in found["customers"]:
        alone = told(zk, "--customer", str(account["customer"]["id"] or account["customer"]["name"]))
        assert alone["customers"] == [account]
        assert alone["minutes"] == account["minutes"]


def test_csv_has_the_minutes_of_the_statement_and_no_formula(zk: Zk) -> None:
    rows = lines_of(zk)
    assert sum(Decimal(row["minutes_zammad"]) for row in rows) == Decimal(told(zk)["minutes"]["zammad"])
    names = {row["customer"] for row in rows}
    assert f"'{FORMULA}" in names
    assert FORMULA not in names


def test_a_customer_whose_name_is_a_formula_is_asked_for_by_it(zk: Zk) -> None:
    assert {row["customer"] for row in lines_of(zk, "--customer", FORMULA)} == {f"'{FORMULA}"}


def test_a_workbook_has_the_sums_of_the_statement_and_no_formula(zk: Zk, tmp_path: Path) -> None:
    path = tmp_path / "statement.xlsx"
    assert zk("statement", MONTH, "--format", "xlsx", "-o", str(path)).exit_code == WAITING
    book = load_workbook(path)
    summary, *sheets = (book["Summary"], *book.worksheets[4:])
    minutes = told(zk)["minutes"]
    for name in ("zammad", "kimai", "waiting"):
        *rows, total = column(summary, name)
        assert total == sum(rows) == Decimal(minutes[name])
        assert sum(column(sheet, name)[-1] for sheet in sheets) == total
    assert not [cell for sheet in book for row in sheet for cell in row if cell.data_type == "f"]


def test_a_pdf_has_at_least_a_page_for_each_customer(zk: Zk, tmp_path: Path) -> None:
    path = tmp_path / "statement.pdf"
    assert zk("statement", MONTH, "--format", "pdf", "--language", "de", "-o", str(path)).exit_code == WAITING
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= len(told(zk)["customers"])


@pytest.mark.parametrize("wanted", ["Baeckerei Sonnenschein", "bäckerei", "sonnen"])
def test_an_unknown_customer_is_answered_with_those_that_may_be_meant(zk: Zk, wanted: str) -> None:
    result = zk("statement", MONTH, "--customer", wanted)
    assert result.exit_code == 1
    meant = re.search(rf"Is one of these meant: ({CUSTOMER} \(\d+\))\?", result.stderr)
    assert meant is not None, result.stderr
    assert zk("statement", MONTH, "--customer", meant[1]).exit_code == WAITING


def test_a_month_without_bookings_balances(zk: Zk) -> None:
    result = zk("statement", "2025-09")
    assert result.exit_code == 0
    assert "Nothing was booked in 2025-09." in result.stdout


def test_a_hidden_minute_is_named_with_its_booking_and_ends_with_1(synced: Home, homes: Homes) -> None:
    zk = Zk(homes.new(like=synced))
    hide = """
        UPDATE marts.fct_time_entries
        SET minutes_kimai = minutes_kimai - 1, minutes_unexplained = minutes_unexplained + 1
        WHERE entry_key = (SELECT min(entry_key) FROM marts.fct_time_entries WHERE minutes_kimai > 1)
        RETURNING entry_key
    """
    with zk.home.database() as database, database.transaction() as connection:
        key = connection.execute(text(hide)).scalar_one()
    result = zk("statement", MONTH, "--as-built", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["verdict"]) == (1, "unbalanced")
    assert [(gap["entry"], gap["minutes"]) for gap in found["gaps"]] == [(key, "1")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("2025-13",), "'2025-13' is not a month"),
        (("August",), "'August' is not a month"),
        ((MONTH, "--format", "xlsx"), "Add --output FILE"),
        ((MONTH, "--format", "pdf"), "Add --output FILE"),
        ((MONTH, "--output", "x.txt"), "Add --format csv, xlsx, pdf, zip or json"),
        ((MONTH, "--format", "csv", "--output", "/nowhere/x.csv"), "/nowhere/x.csv cannot be written"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(zk: Zk, arguments: tuple[str, ...], sentence: str) -> None:
    result = zk("statement", *arguments)
    assert result.exit_code in {1, 2}
    assert sentence in result.stderr
