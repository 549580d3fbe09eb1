"""The pages of the PDF: letterhead, draft mark, page numbers, footer, paragraphs, and tables of any length."""

import unicodedata
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTLibError
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.errors import FPDFException
from fpdf.fonts import TTFFont

from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.identity.actors import OperationError

INK, SOFT, RULE, ACCENT = (28, 36, 43), (96, 108, 118), (214, 220, 225), (24, 100, 140)
SHADE = (236, 241, 244)

_SIZE, _LINE, _PADDING, _GAP = 8.5, 4.2, 0.9, 2.4
_MOST_LETTERS = 300
"""Of a cell."""
_CUT = "..."
_BASELINE = 0.74
_FOOT_LINE = 3.6
_LOGO = (52, 18)
"""The room for the logo, in millimetres."""


class StatementPages(FPDF):
    """A4 pages with letterhead, page numbers of each customer's own, and the month and customer in the footer."""

    def __init__(self, style: DocumentStyle, month: str) -> None:
        super().__init__(format="A4")
        self.style, self._month, self._customer, self._draft = style, month, "", False
        self._first, self._finished = 1, False
        self._family, self._letters = choose_font(self, style.font)
        self.set_margins(18, 16, 18)
        self.c_margin = 0
        self._foot = [self.drawable(line) for line in style.footer.splitlines()]
        self.set_auto_page_break(auto=True, margin=20 + _FOOT_LINE * len(self._foot))
        self.set_title(self.drawable(f"{style.word('title')} {month}"))
        self.set_lang(style.language)

    def begin(self, customer: str, *, draft: bool) -> None:
        """Start a page for this customer; following pages belong to it too. Drafts are marked on each page."""
        self._draft = draft
        self.add_page()  # It first writes the footer of the previous page, of another customer.
        self._number_pages(self.page)
        self._customer, self._first = customer, self.page

    def finish(self) -> None:
        """End the last customer's pages; nothing may be drawn afterwards."""
        self.set_auto_page_break(auto=False)
        self.footer()
        self._finished = True
        self._number_pages(self.page + 1)

    def drawable(self, text: str) -> str:
        """The text in letters of the font."""
        return drawable(text, self._letters)

    def pen(self, size: float, *, bold: bool = False, colour: tuple[int, int, int] = INK) -> None:
        """Set font and colour for the following text."""
        self.set_font(self._family, "B" if bold else "", size)
        self.set_text_color(*colour)

    def line_of(self, text: str, size: float = 10, *, bold: bool = False, colour: tuple[int, int, int] = INK) -> None:
        """Write a paragraph."""
        self.pen(size, bold=bold, colour=colour)
        self.multi_cell(0, size * 0.52, self.drawable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def header(self) -> None:
        """The letterhead on the right, logo and draft mark on the left."""
        top = left_bottom = self.get_y()
        if self.style.logo is not None:
            left_bottom += self._draw_logo(self.style.logo, top)
        for line in self.style.letterhead.splitlines():
            self.pen(8.5, colour=SOFT)
            self.cell(0, 4.2, self.drawable(line), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        bottom = self.get_y()
        if self._draft:
            self.pen(11, bold=True, colour=ACCENT)
            self.text(self.l_margin, left_bottom + 3.6, self.drawable(self.style.word("draft_mark")))
            left_bottom += 5
        self.set_y(max(bottom + 4, left_bottom + 4, 24))

    def footer(self) -> None:
        """The footer of the house, the page number, month and customer."""
        if self._finished:
            return
        self.set_y(-14 - _FOOT_LINE * len(self._foot))
        self.pen(8, colour=SOFT)
        for line in self._foot:
            self.cell(0, _FOOT_LINE, shorten(self, line, self.epw), align="C", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        # On the left, since the width of the number of pages is not known yet.
        self.cell(40, 5, self.style.word("page", page=self.page_no() - self._first + 1, pages="{nb}"))
        about = " \N{MIDDLE DOT} ".join(filter(None, (self._month, self.drawable(self._customer))))
        self.cell(0, 5, shorten(self, about, self.epw - 40), align="R")

    def _number_pages(self, after: int) -> None:
        """Write how many pages the customer has who came last, in place of what fpdf would fill in for all."""
        pages = str(after - self._first)
        for number in range(self._first, after):
            page = self.pages[number]
            for place in page.get_text_substitutions():
                filled_in = place.render_text_substitution(pages).encode("latin-1")
                placeholder = place.get_placeholder_string().encode("latin-1")
                # Until the document is put out, fpdf keeps bytes here.
                page.contents = page.contents.replace(placeholder, filled_in)  # pyright: ignore[reportAttributeAccessIssue]

    def _draw_logo(self, path: Path, top: float) -> float:
        """Draw the logo as large as there is room for it; returns its height. Raises `OperationError`."""
        try:
            drawn = self.image(path, self.l_margin, top, *_LOGO, keep_aspect_ratio=True)
        except (OSError, ValueError, FPDFException) as error:
            raise OperationError(
                f"ZK_STATEMENT_LOGO={str(path)!r} is not a picture. Set a .png, .jpg or .svg file, or unset it."
            ) from error
        return drawn.rendered_height


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: `width` in millimetres, `lines` before a text is cut off."""

    title: str
    width: float
    right: bool = False
    lines: int = 1


@dataclass(frozen=True, slots=True)
class TableRow:
    """The cells of a row. `note` is written below the text of the table's column `noted`.

    `kept`: on the same page as the row before it, such as a total. `again`: the first cell repeats the one above.
    """

    cells: Sequence[str]
    note: str = ""
    bold: bool = False
    shaded: bool = False
    kept: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class _LaidOutRow:
    """A row for drawing: the lines of its cells and note, and its height."""

    row: TableRow
    lines: Sequence[Sequence[str]]
    note: Sequence[str]
    height: float


class PagedTable:
    """A table with its header on each page. fpdf's own takes half a minute for 3,000 rows."""

    def __init__(self, paper: StatementPages, columns: Sequence[TableColumn], *, noted: int = 0) -> None:
        self._paper, self._columns, self._noted = paper, columns, noted
        self._widths: dict[tuple[bool, str], float] = {}
        self._head = self._set(TableRow([column.title for column in columns], bold=True, shaded=True), most=2)

    def draw(self, rows: Sequence[TableRow], title: str = "", about: str = "") -> None:
        """Draw the rows below a title and a text, which stay on the page of the first rows."""
        paper, begun = self._paper, False
        for group in self._groups(rows):
            height = sum(each.height for each in group)
            above = 0 if begun else self._head.height + (8 if title else 0) + (5 if about else 0)
            if paper.will_page_break(above + height):
                paper.add_page()
                if begun:
                    self._draw(self._head)
            if not begun:
                if title:
                    paper.line_of(title, bold=True)
                if about:
                    paper.line_of(about, 8.5, colour=SOFT)
                paper.ln(1.5)
                self._draw(self._head)
                begun = True
            for each in group:
                self._draw(each)
        paper.ln(5)

    def _groups(self, rows: Sequence[TableRow]) -> Iterator[list[_LaidOutRow]]:
        """The rows in groups that stay on one page."""
        group: list[_LaidOutRow] = []
        for row in rows:
            if group and not row.kept:
                yield group
                group = []
            group.append(self._set(row))
        if group:
            yield group

    def _set(self, row: TableRow, most: int = 0) -> _LaidOutRow:
        lines = [
            self._divided(text, self._room(row, number) - _GAP, most or column.lines, bold=row.bold)
            for number, (text, column) in enumerate(zip(row.cells, self._columns, strict=True))
        ]
        note = self._divided(row.note, self._columns[self._noted].width - _GAP, 2, bold=False) if row.note else []
        number = max(*map(len, lines), len(lines[self._noted]) + len(note))
        return _LaidOutRow(row, lines, note, number * _LINE + 2 * _PADDING)

    def _room(self, row: TableRow, number: int) -> float:
        """The width of a cell, including empty cells to its right."""
        width, after = self._columns[number].width, number + 1
        while not self._columns[number].right and after < len(row.cells) and not row.cells[after]:
            width, after = width + self._columns[after].width, after + 1
        return width

    def _draw(self, each: _LaidOutRow) -> None:
        paper, row = self._paper, each.row
        left, top = paper.l_margin, paper.get_y()
        if row.shaded:
            with paper.local_context(fill_color=SHADE):
                paper.rect(left, top, sum(column.width for column in self._columns), each.height, style="F")
        for number, (column, lines) in enumerate(zip(self._columns, each.lines, strict=True)):
            paper.pen(_SIZE, bold=row.bold, colour=SOFT if row.again and number == 0 else INK)
            self._write(column, left, top, lines, bold=row.bold)
            if number == self._noted and each.note:
                paper.pen(_SIZE, colour=SOFT)
                self._write(column, left, top + len(lines) * _LINE, each.note, bold=False)
            left += column.width
        paper.set_draw_color(*RULE)
        paper.line(paper.l_margin, top + each.height, left, top + each.height)
        paper.set_y(top + each.height)

    def _write(self, column: TableColumn, left: float, top: float, lines: Sequence[str], *, bold: bool) -> None:
        for number, line in enumerate(lines):
            free = column.width - _GAP - self._width(line, bold=bold) if column.right else 0
            baseline = top + _PADDING + (number + _BASELINE) * _LINE
            if line:
                self._paper.text(left + _GAP / 2 + free, baseline, line)

    def _divided(self, text: str, width: float, most: int, *, bold: bool) -> list[str]:
        """The text in lines of this width; the last one ends in dots if it is cut off."""
        rest, lines = self._paper.drawable(text[:_MOST_LETTERS]), list[str]()
        while rest and len(lines) < most:
            end = self._fitting(rest, width, bold=bold)
            if end < len(rest) and len(lines) == most - 1:
                end = self._fitting(rest, width - self._width(_CUT, bold=bold), bold=bold)
                return [*lines, rest[:end].rstrip() + _CUT]
            if end < len(rest):
                end = rest.rfind(" ", 1, end + 1) if " " in rest[1 : end + 1] else end
            lines.append(rest[:end].rstrip())
            rest = rest[end:].lstrip()
        return lines or [""]

    def _fitting(self, text: str, width: float, *, bold: bool) -> int:
        """How many letters fit into the width, at least one."""
        used = 0.0
        for number, letter in enumerate(text):
            used += self._letter(letter, bold=bold)
            if used > width:
                return max(number, 1)
        return len(text)

    def _width(self, text: str, *, bold: bool) -> float:
        return sum(self._letter(letter, bold=bold) for letter in text)

    def _letter(self, letter: str, *, bold: bool) -> float:
        """The width of a letter, cached."""
        known = self._widths.get((bold, letter))
        if known is None:
            self._paper.pen(_SIZE, bold=bold)
            known = self._widths[bold, letter] = self._paper.get_string_width(letter)
        return known


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
