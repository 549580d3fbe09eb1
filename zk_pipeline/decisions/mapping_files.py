"""Reading and writing mapping files, and suggestions for unmapped items."""

import codecs
import csv
import re
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from zk_pipeline.domain.mapping_lines import (
    LONGEST_VALUE,
    NOTHING,
    AnyMapping,
    LineProblem,
    MappingError,
    Vocabulary,
    of_column,
)
from zk_pipeline.domain.names import fold, quoted
from zk_pipeline.domain.records import Activity, Customer, TargetUser
from zk_pipeline.domain.spreadsheets import CsvFormat, cell, guarded, joined, unguarded

COLUMNS = ("kind", "zammad", "kimai")
NAMES = ("zammad_name", "kimai_name")
"""Columns for people that an export adds; an import checks them if present."""
SIZE_LIMIT = 5_000_000
"""Bytes."""

_LINE_END = re.compile(r"\r\n?|\n")
_SEPARATOR = re.compile(r"\"?sep=(.)\"?[;,\t]*", re.IGNORECASE | re.DOTALL)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_mappings(content: bytes, vocabulary: Vocabulary) -> list[AnyMapping]:
    """The mappings of a file, without duplicates. Raises `MappingError` with all problems of all lines."""
    return [mapping for _, mapping in numbered_mappings(content, vocabulary)]


def numbered_mappings(content: bytes, vocabulary: Vocabulary) -> list[tuple[int, AnyMapping]]:
    """The same with their line numbers."""
    delimiter, width, lines = _lines(_decoded(content))
    mappings: dict[Hashable, tuple[int, AnyMapping]] = {}
    problems: list[LineProblem] = []
    for number, line in lines:
        try:
            cells = _cells(line, delimiter)
            if not any(cells) or cells[0].startswith("#"):
                continue
            kind, zammad, kimai, *names = _as_wide(cells, width)
            mapping = vocabulary.mapping(kind, zammad, kimai)
            _require_names(names, vocabulary.cells(mapping))
        except MappingError as error:
            problems += [problem.on_line(number) for problem in error.problems]
            continue
        first, same = mappings.setdefault(mapping.key, (number, mapping))
        if same != mapping:
            text = f"Lines {first} and {number} map {quoted(cells[1])} differently: keep one of them."
            problems.append(LineProblem(text, number, "kimai", cells[2][:LONGEST_VALUE]))
    if problems:
        raise MappingError(*problems)
    return list(mappings.values())


def write_mappings(mappings: Iterable[AnyMapping], vocabulary: Vocabulary, dialect: CsvFormat = CsvFormat.PLAIN) -> str:
    """A file that `read_mappings` reads back; mappings of items that no longer exist become comments.

    It has ids, which neither spreadsheets nor renames change, with names for people.
    """
    text = dialect.beginning + joined([(*COLUMNS, *NAMES)], dialect, end="\n")
    for mapping in mappings:
        zammad, kimai, *names = vocabulary.cells(mapping)
        readable = (cell(" ".join(_visible(name).split()), dialect) for name in names)
        row = (mapping.kind, zammad if zammad == NOTHING else guarded(zammad), kimai, *readable)
        text += ("" if vocabulary.line(mapping).known else "# gone: ") + joined([row], dialect, end="\n")
    return text


def _visible(name: str) -> str:
    """A name without control and format characters."""
    return "".join(letter if unicodedata.category(letter)[0] != "C" else " " for letter in name)


def _require_names(given: list[str], cells: tuple[str, str, str, str]) -> None:
    """Check that the names match the ids: in another system the same id is something else."""
    for column, key, name, expected in zip(NAMES, cells[:2], given, cells[2:], strict=False):
        if name.strip() and _loose(name) != _loose(expected):
            sentence = f"{quoted(name)} is not what {key} is called here ({quoted(expected)})"
            remedy = f"correct the column {column.partition('_')[0]}, or leave this one empty"
            raise of_column(column, name, f"{sentence}; {remedy}.")


def _loose(name: str) -> str:
    """A name for comparison, without the apostrophes that exports add and spreadsheets remove."""
    return fold(_visible(name).replace("'", "")).replace("'", "").replace(" ", "")


def _decoded(content: bytes) -> str:
    if len(content) > SIZE_LIMIT:
        raise MappingError(
            LineProblem(f"Choose a CSV file of mappings: this one is larger than {SIZE_LIMIT // 1_000_000} MB.")
        )
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise MappingError(
            LineProblem(f"The file is not UTF-8 in line {number}: save it as CSV in UTF-8.", number)
        ) from None
    if not text.strip():
        raise MappingError(LineProblem(f"The file is empty: begin it with the header {','.join(COLUMNS)}."))
    return text


def _lines(text: str) -> tuple[str, int, list[tuple[int, str]]]:
    """The delimiter, the number of columns, and the numbered lines after the header. Values have no line breaks."""
    lines = [
        (number, line)
        for number, line in enumerate(_LINE_END.split(text), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    header = ",".join(COLUMNS)
    named = _SEPARATOR.fullmatch(lines[0][1].strip(" ")) if lines else None
    lines = lines[1:] if named else lines
    if not lines:
        raise MappingError(LineProblem(f"The file has nothing but comments: begin it with the header {header}."))
    number, line = lines[0]
    delimiter = named[1] if named else next((one for one in ";\t" if one in line), ",")
    heads = [fold(cell) for cell in _cells(line, delimiter)]
    while heads and not heads[-1]:
        heads.pop()
    if heads not in ([*COLUMNS], [*COLUMNS, *NAMES]):
        text = f"Line {number} must be the header {header} but is {quoted(line)}: put it there."
        raise MappingError(LineProblem(text, number, value=line[:LONGEST_VALUE]))
    return delimiter, len(heads), lines[1:]


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        row = next(csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error as error:
        text = f"quotes: {quoted(line)} cannot be read ({error}); close or double them."
        raise MappingError(LineProblem(text, value=line[:LONGEST_VALUE])) from None
    return [unguarded(cell.strip()) for cell in row]


def _as_wide(cells: list[str], width: int) -> list[str]:
    """As many cells as the header has: spreadsheets append empty cells, and the names may be missing."""
    while len(cells) > width and not cells[-1]:
        cells = cells[:-1]
    if len(COLUMNS) <= len(cells) <= width:
        return cells
    remedy = f"write {', '.join(COLUMNS)}, and quote a value that contains the delimiter"
    raise MappingError(LineProblem(f"columns: there are {len(cells)} instead of {len(COLUMNS)}; {remedy}."))


# Suggestions for unmapped items: shown to people, never applied by us.

MOST_SUGGESTIONS = 3
LOWEST_SCORE = 70
"""Of 100; lower scores are noise."""


@dataclass(frozen=True, slots=True)
class NamedCandidate:
    """An item of the target with all its names, the display name first."""

    id: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A similar candidate; `score` is 100 for exactly the same e-mail, user name or name."""

    id: int
    name: str
    score: int


def suggest(names: Sequence[str], candidates: Iterable[NamedCandidate]) -> tuple[Suggestion, ...]:
    """The candidates most similar to any of these names, best first."""
    wanted = [name for name in names if name]
    found = [Suggestion(one.id, one.names[0], _score(wanted, one)) for one in candidates if one.names]
    near = sorted((one for one in found if one.score >= LOWEST_SCORE), key=lambda one: (-one.score, one.name, one.id))
    return tuple(near[:MOST_SUGGESTIONS])


def user_candidates(users: Iterable[TargetUser]) -> list[NamedCandidate]:
    """Enabled users; for a system account nobody else can book."""
    rows = (row for row in users if row.enabled and not row.system_account)
    return [
        NamedCandidate(row.id, tuple(filter(None, (row.name or row.username, row.username, row.email)))) for row in rows
    ]


def activity_candidates(activities: Iterable[Activity]) -> list[NamedCandidate]:
    """Visible activities."""
    return [NamedCandidate(row.id, (row.name,)) for row in activities if row.visible]


def customer_candidates(customers: Iterable[Customer]) -> list[NamedCandidate]:
    """Visible customers."""
    return [NamedCandidate(row.id, (row.name,)) for row in customers if row.visible]


def _score(wanted: Sequence[str], candidate: NamedCandidate) -> int:
    names = {fold(name) for name in candidate.names}
    if any(fold(name) in names for name in wanted):
        return 100
    pairs = ((_without_mail_domain(name), _without_mail_domain(other)) for name in wanted for other in names)
    return min(99, int(max((fuzz.WRatio(one, other) for one, other in pairs), default=0)))


def _without_mail_domain(name: str) -> str:
    """Without the domain of an e-mail, which colleagues share."""
    return fold(name).partition("@")[0]
