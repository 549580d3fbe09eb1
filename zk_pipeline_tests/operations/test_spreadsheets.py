"""What people typed stays text in a spreadsheet."""

import csv
import io

import pytest

from zk_pipeline.operations import spreadsheets


@pytest.mark.parametrize("typed", ["=1+1", "+49 30 1234", "-5", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_would_be_calculated_begins_with_an_apostrophe(typed: str) -> None:
    assert spreadsheets.cell(typed) == f"'{typed}"


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (17, "17"), ("a=b", "a=b"), ("", "")])
def test_everything_else_is_as_it_was(value: object, shown: str) -> None:
    assert spreadsheets.cell(value) == shown


def test_separators_and_line_breaks_stay_within_their_cell() -> None:
    rows = [["a,b", 'say "no"', "two\nlines"], ["=x", None, 3]]
    read = list(csv.reader(io.StringIO(spreadsheets.lines(rows))))
    assert read == [["a,b", 'say "no"', "two\nlines"], ["'=x", "", "3"]]
