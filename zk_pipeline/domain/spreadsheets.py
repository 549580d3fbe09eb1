"""CSV that a spreadsheet shows as text, whatever somebody typed into a ticket title."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum

BOM = "\ufeff"

_CALCULATED = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # Full-width forms count as well in some countries.
# What a spreadsheet may skip before it calculates: quotes, blanks of every kind, and what nobody sees.
_SKIPPED = r'"\s\x00-\x1f\u00ad\u180e\u200b-\u200f\u2060\ufeff'
_BEGINNING = re.compile(rf"""[{_SKIPPED}]*[{_CALCULATED}]|[\t\r\n]""")
_GUARDED = re.compile(rf"""'+(?:[{_SKIPPED}]*[{_CALCULATED}]|[\t\r\n])""")


class CsvFormat(StrEnum):
    """How CSV is written: `plain` for programs, `excel` for a spreadsheet with a decimal comma, as a German Excel."""

    PLAIN = "plain"
    EXCEL = "excel"

    @property
    def delimiter(self) -> str:
        """What stands between cells."""
        return ";" if self is CsvFormat.EXCEL else ","

    @property
    def beginning(self) -> str:
        """What a file begins with: Excel takes a file without byte order mark for one in the code page of Windows."""
        return BOM if self is CsvFormat.EXCEL else ""


def cell(value: object, dialect: CsvFormat = CsvFormat.PLAIN) -> str:
    """The value as text; what a spreadsheet would calculate gets an apostrophe in front, but a number is a number.

    A spreadsheet that divides the file at another delimiter than ours makes cells out of the inside of a text, so what
    follows one there is guarded too.
    """
    if isinstance(value, Decimal):
        number = f"{value:f}"
        return number.replace(".", ",") if dialect is CsvFormat.EXCEL else number
    text = "" if value is None else str(value)
    # Who reads plain CSV divides it at commas, and knows quotes.
    delimiters = ",;|" if dialect is CsvFormat.EXCEL else ";|"
    inside = rf"""(?s)(?<=.)([{delimiters}\t\r\n]['{_SKIPPED}]*)(?=[{_CALCULATED}])"""
    return guarded(re.sub(inside, r"\1'", text))


def guarded(text: str) -> str:
    """With an apostrophe in front of what a spreadsheet would calculate."""
    return f"'{text}" if _BEGINNING.match(text) or _GUARDED.match(text) else text


def unguarded(text: str) -> str:
    """What `guarded` made this of."""
    return text[1:] if _GUARDED.match(text) else text


def lines(rows: Iterable[Sequence[object]], dialect: CsvFormat = CsvFormat.PLAIN) -> str:
    """These rows as CSV lines; `dialect.beginning` goes before the first one of a file."""
    return joined(([cell(value, dialect) for value in row] for row in rows), dialect)


def joined(rows: Iterable[Sequence[str]], dialect: CsvFormat = CsvFormat.PLAIN, *, end: str = "\r\n") -> str:
    """CSV lines of cells that are as they should be."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=dialect.delimiter, lineterminator=end).writerows(rows)
    return buffer.getvalue()
