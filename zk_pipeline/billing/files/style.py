"""How a document looks: its language, letterhead and font, and whether it is for the house alone."""

import unicodedata
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from fontTools.ttLib import TTLibError
from fpdf import FPDF
from fpdf.fonts import TTFFont

from zk_pipeline.billing.files.words import WORDS
from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import Closing
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.domain.statement import ZERO, CustomerStatement, other_time_by_origin, plain, questions_of
from zk_pipeline.domain.statement_rows import AdjustmentLine, StatementItem
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.runtime.settings import Settings

# How a document looks: its language and words, its letterhead, its font, and whether it is for the house alone.


class DocumentLanguage(StrEnum):
    """The languages of a document, in the order of its words."""

    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class DocumentStyle:
    """`internal` adds what a customer is not shown. Without `font` one of the machine's is taken. `csv` is for CSV."""

    zone: ZoneInfo
    letterhead: str = ""
    font: Path | None = None
    language: DocumentLanguage = DocumentLanguage.ENGLISH
    internal: bool = False
    csv: CsvFormat = CsvFormat.PLAIN

    def word(self, key: str, **values: object) -> str:
        """A text in the language, with the values in it."""
        return WORDS[key][tuple(DocumentLanguage).index(self.language)].format(**values)

    def day(self, day: date) -> str:
        """A day as the language writes it."""
        return {
            DocumentLanguage.ENGLISH: day.isoformat(),
            DocumentLanguage.GERMAN: f"{day:%d.%m.%Y}",
            DocumentLanguage.FRENCH: f"{day:%d/%m/%Y}",
        }[self.language]

    def number(self, digits: str) -> str:
        """A number's digits with the language's decimal mark."""
        return digits if self.language is DocumentLanguage.ENGLISH else digits.replace(".", ",")

    def amount(self, amount: Decimal | None) -> str:
        """An amount with its cents, and what the target reckons beyond them; a dash where it is not known."""
        if amount is None:
            return "\N{EN DASH}"
        return self.number(f"{amount:.2f}" if amount == round(amount, 2) else plain(amount))

    @classmethod
    def plain(cls) -> "DocumentStyle":
        """That of programs: English, and UTC."""
        return cls(ZoneInfo("UTC"))

    def instant(self, instant: datetime) -> str:
        """A day and time of day in the zone."""
        local = instant.astimezone(self.zone)
        return f"{self.day(local.date())} {local:%H:%M}"

    def credits_sentence(self, minutes: Decimal) -> str:
        """The sentence on open credits; empty without any."""
        return self.word("credits_open", minutes=self.minutes(minutes)) if minutes else ""

    def questions_sentence(self, accounts: Sequence[CustomerStatement]) -> str:
        """The sentences on open conflicts and open corrections; empty without any."""
        questions = questions_of(accounts)
        listed = ", ".join(
            f"{number} {reason} ({self.word('min', minutes=self.minutes(minutes))})"
            for reason, (number, minutes) in questions.items()
        )
        corrections = sum((abs(line.amounts.corrections_open) for row in accounts for line in row.lines), ZERO)
        told = [self.word("conflicts_open", listed=listed)] if listed else []
        if corrections:
            told.append(self.word("corrections_left", minutes=self.minutes(corrections)))
        return " ".join(told)

    def other_time_sentence(self, accounts: Sequence[CustomerStatement]) -> str:
        """The sentence on time in Kimai beside the month's bookings, and on Kimai's own sum; empty without any."""
        beside = other_time_by_origin(accounts)
        if not beside:
            return ""
        listed = "; ".join(
            self.word("timesheets.one" if number == 1 else "timesheets.many", number=number)
            + f", {self.word('min', minutes=self.minutes(minutes))}, {self.word(origin)}"
            for origin, (number, minutes) in beside.items()
        )
        whole = self.minutes(sum((account.kimai_in_all for account in accounts), ZERO))
        about = "beside" if len(accounts) == 1 else "beside_all"
        return f"{self.word(about, listed=listed)} {self.word('kimai_in_all', minutes=whole)}"

    def item_note(self, item: StatementItem) -> str:
        """What there is to say about a time sheet beside its ticket; empty for a booking as most are."""
        notes = [
            self.word("item.adjusts", day=self.day(item.adjusts)) if item.adjusts else "",
            self.word(f"item.{item.origin}") if item.origin else "",
            "" if item.billable else self.word("item.not_billable"),
        ]
        return "; ".join(filter(None, notes))

    def adjustment_note(self, row: AdjustmentLine) -> str:
        """Of which day it is where it is booked, or when it was booked where its booking is; and what became of it."""
        if row.elsewhere:
            key, day = ("adjustment.credited" if row.is_credit else "adjustment.booked"), row.booked_on
        else:
            key, day = "adjustment.credit", row.day
        state = {
            AdjustmentState.OPEN: self.word("adjustment.open"),
            AdjustmentState.SETTLED: self.word("adjustment.settled", note=row.note),
        }.get(row.state, "")
        return "; ".join(filter(None, (self.word(key, day=self.day(day)), state)))

    def minutes(self, minutes: Decimal) -> str:
        """Minutes as the language writes them."""
        return self.number(plain(minutes))

    def closing_sentence(self, closing: Closing, *, named: bool = True) -> str:
        """When the statement's month was closed, and whether this is what was closed; `named` tells by whom."""
        by = self.word("by", by=closing.by) if named else ""
        told = [self.word(closing.kind, day=self._day_of(closing.at), by=by)]
        if closing.reopened_at is not None:
            told.append(self.word("reopened", day=self._day_of(closing.reopened_at)))
        if closing.shown and closing.pseudonymized:
            told.append(self.word("pseudonymized"))
        return " ".join(told)

    def hash_sentence(self, closing: Closing) -> str:
        """The hash of the statement that was closed."""
        return self.word("hash", hash=closing.hash)

    def _day_of(self, instant: datetime) -> str:
        return self.day(local_day(instant, self.zone))


def document_style(
    settings: Settings,
    language: DocumentLanguage = DocumentLanguage.ENGLISH,
    *,
    internal: bool = False,
    csv: CsvFormat = CsvFormat.PLAIN,
) -> DocumentStyle:
    """The look that the settings give."""
    return DocumentStyle(settings.zone, settings.statement_letterhead, settings.statement_font, language, internal, csv)


# The font of a document: one that has the letters of all names where there is one, and what to draw without it.

FAMILY = "statement"
CORE = "helvetica"
MACHINE_FONTS = (
    (
        Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
        Path("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"),
    ),
    (Path("/usr/share/fonts/dejavu/DejaVuSans.ttf"), Path("/usr/share/fonts/dejavu/DejaVuSans-Bold.ttf")),
    (
        Path("/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf"),
        Path("/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf"),
    ),
)
"""Regular and bold."""

UNKNOWN = "?"

_CORE_LETTERS = frozenset(range(0x20, 0x7F)) | frozenset(range(0xA0, 0x100))
_WRITTEN_AS = {
    **dict.fromkeys(
        "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{SINGLE LOW-9 QUOTATION MARK}", "'"
    ),
    **dict.fromkeys(
        "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}", '"'
    ),
    **dict.fromkeys("\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}", "-"),
    "\N{EURO SIGN}": "EUR",
    "\N{LATIN SMALL LETTER L WITH STROKE}": "l",
    "\N{LATIN CAPITAL LETTER L WITH STROKE}": "L",
    "\N{LATIN SMALL LETTER D WITH STROKE}": "d",
    "\N{LATIN CAPITAL LETTER D WITH STROKE}": "D",
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "\N{LATIN SMALL LIGATURE OE}": "oe",
    "\N{LATIN CAPITAL LIGATURE OE}": "OE",
    "\N{LATIN CAPITAL LETTER SHARP S}": "SS",
}
_LEFT_OUT = {"Cf", "Mn", "Me", "Cc", "Cs", "Co", "Cn", "So", "Sk"}
"""Categories of what carries no name: marks, what is not seen, and pictures such as emoji."""


def choose_font(document: FPDF, chosen: Path | None) -> tuple[str, Container[int]]:
    """The family to write with, and the code points that it has: the chosen font, one of the machine's, or Helvetica.

    Raises `OperationError` when the chosen one cannot be used.
    """
    if chosen is None:
        found = next(((regular, bold) for regular, bold in MACHINE_FONTS if regular.exists() and bold.exists()), None)
    else:
        found = (chosen, chosen)
    if found is None:
        return CORE, _CORE_LETTERS
    try:
        for style, path in zip(("", "B"), found, strict=True):
            document.add_font(FAMILY, style, path)
    except (OSError, ValueError, TTLibError) as error:
        raise OperationError(
            f"ZK_STATEMENT_FONT={str(chosen)!r} is no TrueType font. Name a .ttf file, or unset it."
        ) from error
    faces = [face.cmap for face in document.fonts.values() if isinstance(face, TTFFont)]
    return FAMILY, frozenset(faces[0]).intersection(*faces)


def shorten(document: FPDF, text: str, width: float) -> str:
    """The text, without as much of its end as must go so that it is no wider, in the document's unit."""
    if document.get_string_width(text) <= width:
        return text
    while text and document.get_string_width(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def drawable(text: str, letters: Container[int]) -> str:
    """The text with letters of the font alone.

    What the font lacks loses its accents or is written out; pictures are left out, and any other letter becomes `?`.
    """
    drawn = "".join(_drawn(character, letters) for character in unicodedata.normalize("NFC", text))
    return " ".join(drawn.split())


def _drawn(character: str, letters: Container[int]) -> str:
    if character.isspace():
        return " "
    if ord(character) in letters:
        return character
    if unicodedata.category(character) in _LEFT_OUT:
        return ""
    simpler = _WRITTEN_AS.get(character) or "".join(
        part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)
    )
    return simpler if simpler and all(ord(part) in letters for part in simpler) else UNKNOWN
