"""What people typed stays text in a spreadsheet."""

import csv
import io
from decimal import Decimal

import pytest

from zk_pipeline.domain import spreadsheets
from zk_pipeline.domain.spreadsheets import CsvFormat


@pytest.mark.parametrize(
    "typed",
    [
        "=1+1",
        "+49 30 1234",
        "-5",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\u00a0=1",
        "\u200b=1",
        "\ufeff=1",
        "\u3000\uff1d1",
        "\uff20A1",
        "\x00=1",
    ],
)
def test_what_would_be_calculated_begins_with_an_apostrophe(typed: str) -> None:
    assert spreadsheets.cell(typed) == f"'{typed}"


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (17, "17"), ("a=b", "a=b"), ("", "")])
def test_everything_else_is_as_it_was(value: object, shown: str) -> None:
    assert spreadsheets.cell(value) == shown


def calculated(text: str, delimiter: str) -> list[str]:
    """The cells of a CSV file that a spreadsheet would calculate which divides at this delimiter."""
    cells = [cell for row in csv.reader(io.StringIO(text), delimiter=delimiter) for cell in row]
    return [
        cell for cell in cells if cell.lstrip(' "\n\u200b\u00a0\u3000')[:1] in {*"=-@\uff1d\uff0b"} and cell[:1] != "'"
    ]


@pytest.mark.parametrize("dialect", CsvFormat)
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize(
    "typed",
    [
        "x;=1+1+cmd|' /C calc'!A0",
        'x,"=1',
        "x\t -1",
        "x\n@a",
        ' "=1',
        "\uff1d1",
        "x; '=1",
        "a, b; c, -d",
        "x|=1",
        "x;\u200b=1",
        "x;\n=1",
        "x;\u00a0\uff0b1",
    ],
)
def test_no_part_of_a_text_is_calculated_whatever_a_spreadsheet_divides_at(
    typed: str, delimiter: str, dialect: CsvFormat
) -> None:
    text = dialect.beginning + spreadsheets.lines([["month", typed, "end"]], dialect)
    if delimiter == dialect.delimiter:
        assert len(next(csv.reader(io.StringIO(text), delimiter=delimiter))) == 3
    assert calculated(text, delimiter) == []


def test_a_german_spreadsheet_gets_its_mark_its_delimiter_and_its_decimal_comma() -> None:
    text = spreadsheets.lines([["M\u00fcller; S\u00f6hne", Decimal("12.5"), 3]], CsvFormat.EXCEL)
    assert (CsvFormat.EXCEL.beginning, text) == ("\ufeff", '"M\u00fcller; S\u00f6hne";12,5;3\r\n')
    assert spreadsheets.lines([["a", Decimal("12.5")]]) == "a,12.5\r\n"


def test_separators_and_line_breaks_stay_within_their_cell() -> None:
    rows = [["a,b", 'say "no"', "two\nlines"], ["=x", None, 3]]
    read = list(csv.reader(io.StringIO(spreadsheets.lines(rows))))
    assert read == [["a,b", 'say "no"', "two\nlines"], ["'=x", "", "3"]]
