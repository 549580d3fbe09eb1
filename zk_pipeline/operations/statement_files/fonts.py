"""The font of a document: one that has the letters of all names where there is one, and what to draw without it."""

import unicodedata
from collections.abc import Container
from pathlib import Path

from fontTools.ttLib import TTLibError
from fpdf import FPDF
from fpdf.fonts import TTFFont

from zk_pipeline.operations.errors import OperationError

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


def choose(document: FPDF, chosen: Path | None) -> tuple[str, Container[int]]:
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


def shortened(document: FPDF, text: str, width: float) -> str:
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
