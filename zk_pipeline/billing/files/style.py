"""The style of documents: language, letterhead, font, and whether they are internal."""

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


class DocumentLanguage(StrEnum):
    """The languages of documents, in the order of `WORDS`."""

    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class DocumentStyle:
    """`internal` adds what customers are not shown. Without `font`, a system font is used. `csv` is for CSV."""

    zone: ZoneInfo
    letterhead: str = ""
    font: Path | None = None
    language: DocumentLanguage = DocumentLanguage.ENGLISH
    internal: bool = False
    csv: CsvFormat = CsvFormat.PLAIN

    def word(self, key: str, **values: object) -> str:
        """A text in the document's language."""
        return WORDS[key][tuple(DocumentLanguage).index(self.language)].format(**values)

    def day(self, day: date) -> str:
        """A day in the language's format."""
        return {
            DocumentLanguage.ENGLISH: day.isoformat(),
            DocumentLanguage.GERMAN: f"{day:%d.%m.%Y}",
            DocumentLanguage.FRENCH: f"{day:%d/%m/%Y}",
        }[self.language]

    def number(self, digits: str) -> str:
        """A number with the language's decimal mark."""
        return digits if self.language is DocumentLanguage.ENGLISH else digits.replace(".", ",")

    def amount(self, amount: Decimal | None) -> str:
        """An amount with cents, or more digits if the target has them; a dash if it is unknown."""
        if amount is None:
            return "\N{EN DASH}"
        return self.number(f"{amount:.2f}" if amount == round(amount, 2) else plain(amount))

    @classmethod
    def plain(cls) -> "DocumentStyle":
        """English and UTC, for programs."""
        return cls(ZoneInfo("UTC"))

    def instant(self, instant: datetime) -> str:
        """A day and time in the zone."""
        local = instant.astimezone(self.zone)
        return f"{self.day(local.date())} {local:%H:%M}"

    def credits_sentence(self, minutes: Decimal) -> str:
        """The sentence about open credits; empty without any."""
        return self.word("credits_open", minutes=self.minutes(minutes)) if minutes else ""

    def questions_sentence(self, accounts: Sequence[CustomerStatement]) -> str:
        """The sentences about open conflicts and corrections; empty without any."""
        questions = questions_of(accounts)
        listed = ", ".join(
            f"{number} {reason} ({self.word('min', minutes=self.minutes(minutes))})"
            for reason, (number, minutes) in questions.items()
        )
        corrections = sum((abs(line.amounts.corrections_open) for row in accounts for line in row.lines), ZERO)
        sentences = [self.word("conflicts_open", listed=listed)] if listed else []
        if corrections:
            sentences.append(self.word("corrections_left", minutes=self.minutes(corrections)))
        return " ".join(sentences)

    def other_time_sentence(self, accounts: Sequence[CustomerStatement]) -> str:
        """The sentences about other time in Kimai and Kimai's own sum; empty without any."""
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
        """The note of a time sheet; empty for ordinary bookings."""
        notes = [
            self.word("item.adjusts", day=self.day(item.adjusts)) if item.adjusts else "",
            self.word(f"item.{item.origin}") if item.origin else "",
            "" if item.billable else self.word("item.not_billable"),
        ]
        return "; ".join(filter(None, notes))

    def adjustment_note(self, row: AdjustmentLine) -> str:
        """The note of an adjustment: its other day, and its state."""
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
        """Minutes in the language's format."""
        return self.number(plain(minutes))

    def closing_sentence(self, closing: Closing, *, named: bool = True) -> str:
        """When the month was closed (`named`: by whom), and whether this is the closed statement."""
        by = self.word("by", by=closing.by) if named else ""
        sentences = [self.word(closing.kind, day=self._day_of(closing.at), by=by)]
        if closing.reopened_at is not None:
            sentences.append(self.word("reopened", day=self._day_of(closing.reopened_at)))
        if closing.shown and closing.pseudonymized:
            sentences.append(self.word("pseudonymized"))
        return " ".join(sentences)

    def hash_sentence(self, closing: Closing) -> str:
        """The hash of the closed statement."""
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
    """The style by the settings."""
    return DocumentStyle(settings.zone, settings.statement_letterhead, settings.statement_font, language, internal, csv)


# Fonts, and replacements for letters that a font lacks.

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
"""Unicode categories that are left out: marks, control characters, and symbols such as emoji."""


def choose_font(document: FPDF, chosen: Path | None) -> tuple[str, Container[int]]:
    """The font family and its code points: the chosen font, a system font, or Helvetica.

    Raises `OperationError` if the chosen font cannot be used.
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
            f"ZK_STATEMENT_FONT={str(chosen)!r} is not a TrueType font. Set a .ttf file, or unset it."
        ) from error
    faces = [face.cmap for face in document.fonts.values() if isinstance(face, TTFFont)]
    return FAMILY, frozenset(faces[0]).intersection(*faces)


def shorten(document: FPDF, text: str, width: float) -> str:
    """The text, shortened to a width in the document's unit."""
    if document.get_string_width(text) <= width:
        return text
    while text and document.get_string_width(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def drawable(text: str, letters: Container[int]) -> str:
    """The text in letters of the font.

    Missing letters lose their accents or are transliterated; symbols are left out, and other letters become `?`.
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
