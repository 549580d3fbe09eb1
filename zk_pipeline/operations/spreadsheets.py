"""CSV that a spreadsheet shows as text, whatever somebody typed into a ticket title."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal

FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to spreadsheets, which may send what stands beside it to a stranger."""


def cell(value: object) -> str:
    """The value as text; what a spreadsheet would calculate gets an apostrophe in front, but a number is a number."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_BEGINNINGS) else text


def lines(rows: Iterable[Sequence[object]]) -> str:
    """These rows as CSV lines."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue()
