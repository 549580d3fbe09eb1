"""The `term` parameter: words, wildcards, negation and custom fields (docs/kimai.md §2)."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Row = TypeVar("Row")


def fold(text: str) -> str:
    """Text as the database collation compares it: without case and accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


@dataclass(frozen=True, slots=True)
class Word:
    """A word looked for in texts by `LIKE '%word%'`; `%`, `_` and backslash keep their meaning in SQL."""

    text: str
    negated: bool

    def test(self) -> Callable[[str], bool]:
        """Whether a folded text contains the word, regardless of negation; an empty text is NULL and never does."""
        folded = fold(self.text)
        if not set(folded) & set("%_\\"):
            return lambda text: folded in text
        pattern = _like(f"%{folded}%")
        return lambda text: text != "" and pattern.fullmatch(text) is not None


def _like(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters, "\\")))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


@dataclass(frozen=True, slots=True)
class FieldTest:
    """A custom-field test `name:value`; `*` is set, `~` is no such field, `""` is empty or missing."""

    name: str
    value: str
    negated: bool

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Whether an entity with these custom fields passes."""
        return self._matches(fields.get(self.name)) != self.negated

    def _matches(self, found: str | None) -> bool:
        if self.value == "*":
            return bool(found)
        if self.value == "~":
            return found is None
        if self.value == '""':
            return not found
        return found is not None and fold(self.value) in fold(found)


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """A parsed term; everything in it must hold."""

    words: tuple[Word, ...]
    field_tests: tuple[FieldTest, ...]

    def keep(
        self, rows: Sequence[Row], texts: Callable[[Row], str], fields: Callable[[Row], Mapping[str, str]]
    ) -> list[Row]:
        """The rows that match; `texts` gives the folded text that is searched, columns on lines of their own."""
        kept = list(rows)
        for word in self.words:
            contains = word.test()
            kept = [row for row in kept if contains(texts(row)) != word.negated]
        for test in self.field_tests:
            kept = [row for row in kept if test.holds(fields(row))]
        return kept


def parse_term(term: str) -> SearchTerm:
    """Split at white space; there are no phrases, and quotes are ordinary characters."""
    words: list[Word] = []
    tests: list[FieldTest] = []
    for part in term.split():
        negated = part.startswith("!") and len(part) > 1
        text = part[1:] if negated else part
        name, _, value = text.partition(":")
        if name and value:
            tests.append(FieldTest(name, value, negated))
        else:
            words.append(Word(text, negated))
    return SearchTerm(tuple(words), tuple(tests))
