"""The languages of the product, and what it says in each of them.

A sentence is written in English where it arises, and stays so in logs, in the database, in the API and in Dagster.
`translated` translates it where a person reads it, also years later: it finds the template of the sentence in `de.json`
or `fr.json`, translates values that are pieces of sentences themselves, and keeps names, numbers and days. What it
does not find stays English, and so does what it recognises too little of: it may be a name. The console's screens and
documents have catalogs by key instead (`web/console/words`, `billing/files/words.py`), and share those of
`reasons.py`, `actors.py` and `places.py`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files


class Language(StrEnum):
    """The languages, in the order of the catalogs by key."""

    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"

    @property
    def own_name(self) -> str:
        """The language in its own words."""
        return {"en": "English", "de": "Deutsch", "fr": "Français"}[self]


def translated(text: str, language: Language) -> str:
    """A text of the product in this language; what is not known stays as it is."""
    if language is Language.ENGLISH or not text.strip():
        return text
    return _catalog(language).best(text)[1]


SLOT = "{}"
"""Where a value stands in a template; a translation may number them: `{1} … {0}`."""

_END_OF_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n")
_BETWEEN = re.compile(r"([,;]\s+|(?<=\d)\s|\.$)")
_MOST_SENTENCES = 12
"""Of a longer text the rest stays together."""
_KEPT = 2000

_FEW = 8
"""A text of which fewer letters are recognised, as by `{} to {}`, may be a name unless its values are figures."""
_FEW_OF_A_PHRASE = 12
"""The same without punctuation, as by `{} customers`."""
_LITTLE = 1 / 3
"""A text of which less is recognised would come out half translated."""
_PUNCTUATION = re.compile(r"[.:!?…(]")
_FIGURES = re.compile(r"\S*\d\S*(\s+\S*\d\S*|\s+\S{1,3})*")
"""Numbers, perhaps with units, and days."""
_PIECE = re.compile(r"[a-z]+ $|\W")
_OURS = re.compile(r"(['\"`]).*\1|\w+[_:]\w+", re.DOTALL)
"""What names do not have: in quotation marks, a setting, an account."""


@dataclass(frozen=True, slots=True)
class _Template:
    """A sentence with values. A text that lacks `longest`, its longest fixed piece, cannot be of it."""

    letters: int
    longest: str
    pattern: re.Pattern[str]
    translation: str
    few: int
    is_piece: bool
    """It begins as few names do: with a single word in lower case, as `type {}`, or with a comma."""

    def takes(self, values: Sequence[str], recognised: int, *, within: bool) -> bool:
        """Whether a text with these values is ours rather than a name; `within` a sentence that is."""
        if recognised >= self.few or (within and self.is_piece) or any(map(_OURS.fullmatch, values)):
            return True
        given = [value for value in values if value]
        return sum(bool(_FIGURES.fullmatch(value)) for value in given) >= min(2, len(given))


class _Catalog:
    """The texts of one language: those without values by their English, the others as templates, longest first."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._whole = {english: text for english, text in texts.items() if SLOT not in english}
        templates = [_template(english, text) for english, text in texts.items() if SLOT in english]
        self._templates = sorted(templates, key=lambda template: -template.letters)
        self.best = lru_cache(_KEPT)(self._best)

    def _best(self, text: str, *, within: bool = False) -> tuple[int, str]:
        """The translation that recognises most, and how many letters it does."""
        inner = text.strip()
        begin = text.index(inner)
        known, found = self._by_sentences(inner, within=within) if inner else (0, "")
        return known, text[:begin] + found + text[begin + len(inner) :]

    def _by_sentences(self, text: str, *, within: bool) -> tuple[int, str]:
        """The same of a text without blanks around it, its sentences alone or with neighbours."""
        spans = [match.span() for match in _END_OF_SENTENCE.finditer(text)][:_MOST_SENTENCES]
        begins = [0, *(end for _, end in spans)]
        ends = [*(begin for begin, _ in spans), len(text)]
        rest: dict[int, tuple[int, str]] = {}
        for first in reversed(range(len(begins))):
            found = (-1, "")
            for last in range(first, len(begins)):
                part = text[begins[first] : ends[last]]
                # A single word beside others is a name.
                is_name = part.rstrip(":").isalpha() and part != text
                known, said = (0, part) if is_name else self._one(part, within=within)
                if last + 1 < len(begins):
                    more, following = rest[last + 1]
                    known, said = known + more, said + text[ends[last] : begins[last + 1]] + following
                found = max(found, (known, said), key=lambda each: each[0])
            rest[first] = found
        return rest[0]

    def _one(self, text: str, *, within: bool) -> tuple[int, str]:
        """The same of a text that is taken as a whole."""
        if text in self._whole:
            return _letters(text), self._whole[text]
        best = (0, text)
        for template in self._templates:
            if template.longest in text and (match := template.pattern.fullmatch(text)):
                found = self._filled(template, match.groups(), within=within)
                best = max(best, found, key=lambda each: each[0])
        return best if best[0] else self._list(text, within=within)

    def _filled(self, template: _Template, values: Sequence[str], *, within: bool) -> tuple[int, str]:
        """The same of a text of this template with these values."""
        # A single word is a name.
        found = [self.best(value, within=True) if " " in value else (0, value) for value in values]
        known = [letters for letters, _ in found]
        recognised = template.letters + sum(known)
        foreign = sum(
            _letters(value) - letters
            for value, letters in zip(values, known, strict=True)
            if letters or not _is_name(value)
        )
        if recognised < _LITTLE * (recognised + foreign) or not template.takes(values, recognised, within=within):
            return 0, ""
        return recognised, template.translation.format(*(value for _, value in found))

    def _list(self, text: str, *, within: bool) -> tuple[int, str]:
        """The same of a list or of an amount: `3 created, 5 in sync`. What has other words in it is no list of ours."""
        parts = _BETWEEN.split(text)
        if len(parts) == 1:
            return 0, text
        known = 0
        for place in range(0, len(parts), 2):  # Between them stand the commas.
            letters, said = self.best(parts[place], within=within)
            if not letters and parts[place] and not _FIGURES.fullmatch(parts[place]):
                return 0, text
            known, parts[place] = known + letters, said
        return known, "".join(parts)


def _template(english: str, translation: str) -> _Template:
    pieces = english.split(SLOT)
    pattern = re.compile("(.*?)".join(re.escape(piece) for piece in pieces), re.DOTALL)
    fixed = "".join(pieces)
    few = _FEW if _PUNCTUATION.search(fixed) else _FEW_OF_A_PHRASE
    is_piece = bool(_PIECE.match(pieces[0]))
    return _Template(_letters(fixed), max(pieces, key=len), pattern, translation, few, is_piece)


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _is_name(value: str) -> bool:
    """Whether a value looks like a name, a number or a quotation rather than a sentence: most words are capitalised."""
    words = value.split()
    plain = sum(word[0].islower() for word in words)
    return len(words) < 2 or bool(_OURS.fullmatch(value)) or 2 * plain <= len(words)


@lru_cache
def _catalog(language: Language) -> _Catalog:
    return _Catalog(json.loads(files(__name__).joinpath(f"{language}.json").read_text("utf-8")))
