"""CSV that a spreadsheet shows as text, whatever somebody typed into a ticket title."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum

BOM = "\ufeff"

_CALCULATED = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # Full-width forms count too in some locales.
# What a spreadsheet may skip before a formula: quotes, blanks and invisible characters.
_SKIPPED = r'"\s\x00-\x1f\u00ad\u180e\u200b-\u200f\u2060\ufeff'
_BEGINNING = re.compile(rf"""[{_SKIPPED}]*[{_CALCULATED}]|[\t\r\n]""")
_GUARDED = re.compile(rf"""'+(?:[{_SKIPPED}]*[{_CALCULATED}]|[\t\r\n])""")


class CsvFormat(StrEnum):
    """CSV format: `plain` for programs, `excel` for a spreadsheet with decimal commas, such as a German Excel."""

    PLAIN = "plain"
    EXCEL = "excel"

    @property
    def delimiter(self) -> str:
        """The separator between cells."""
        return ";" if self is CsvFormat.EXCEL else ","

    @property
    def beginning(self) -> str:
        """The start of a file: without a byte order mark, Excel reads a file in the code page of Windows."""
        return BOM if self is CsvFormat.EXCEL else ""


def cell(value: object, dialect: CsvFormat = CsvFormat.PLAIN) -> str:
    """The value as text, with an apostrophe in front of anything that a spreadsheet would calculate, except numbers.

    A spreadsheet with another delimiter makes cells from the inside of a text, so text after any delimiter is guarded
    too.
    """
    if isinstance(value, Decimal):
        number = f"{value:f}"
        return number.replace(".", ",") if dialect is CsvFormat.EXCEL else number
    text = "" if value is None else str(value)
    # Readers of plain CSV split at commas and understand quotes.
    delimiters = ",;|" if dialect is CsvFormat.EXCEL else ";|"
    inside = rf"""(?s)(?<=.)([{delimiters}\t\r\n]['{_SKIPPED}]*)(?=[{_CALCULATED}])"""
    return guarded(re.sub(inside, r"\1'", text))


def guarded(text: str) -> str:
    """The text with an apostrophe in front of anything that a spreadsheet would calculate."""
    return f"'{text}" if _BEGINNING.match(text) or _GUARDED.match(text) else text


def unguarded(text: str) -> str:
    """The original of a guarded text."""
    return text[1:] if _GUARDED.match(text) else text


def lines(rows: Iterable[Sequence[object]], dialect: CsvFormat = CsvFormat.PLAIN) -> str:
    """The rows as CSV lines; write `dialect.beginning` before the first line of a file."""
    return joined(([cell(value, dialect) for value in row] for row in rows), dialect)


def joined(rows: Iterable[Sequence[str]], dialect: CsvFormat = CsvFormat.PLAIN, *, end: str = "\r\n") -> str:
    """CSV lines of cells that need no conversion."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=dialect.delimiter, lineterminator=end).writerows(rows)
    return buffer.getvalue()
