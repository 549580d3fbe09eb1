"""The languages of the product, and what it says in each of them.

A sentence is written in English where it arises, and stays so in logs, in the database, in the API and in Dagster.
`translated` translates it where a person reads it, also years later: it finds the template of the sentence in `de.json`
or `fr.json`, translates values that are pieces of sentences themselves, and keeps names, numbers and days. What it
does not find stays English. The console's screens and documents have catalogs by key instead (`web/console/words`,
`billing/files/words.py`).
"""

import json
import re
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


@dataclass(frozen=True, slots=True)
class _Template:
    """A sentence with values. A text that lacks `longest`, its longest fixed piece, cannot be of it."""

    fixed: int
    longest: str
    pattern: re.Pattern[str]
    translation: str


class _Catalog:
    """The texts of one language: those without values by their English, the others as templates, longest first."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._whole = {english: text for english, text in texts.items() if SLOT not in english}
        templates = [_template(english, text) for english, text in texts.items() if SLOT in english]
        self._templates = sorted(templates, key=lambda template: -template.fixed)
        self.best = lru_cache(_KEPT)(self._best)

    def _best(self, text: str) -> tuple[int, str]:
        """The translation that recognises most, and how many letters it does."""
        inner = text.strip()
        begin = text.index(inner)
        known, found = self._by_sentences(inner) if inner else (0, "")
        return known, text[:begin] + found + text[begin + len(inner) :]

    def _by_sentences(self, text: str) -> tuple[int, str]:
        """The same of a text without blanks around it, its sentences alone or with neighbours."""
        spans = [match.span() for match in _END_OF_SENTENCE.finditer(text)][:_MOST_SENTENCES]
        begins = [0, *(end for _, end in spans)]
        ends = [*(begin for begin, _ in spans), len(text)]
        rest: dict[int, tuple[int, str]] = {}
        for first in reversed(range(len(begins))):
            found = (-1, "")
            for last in range(first, len(begins)):
                known, said = self._one(text[begins[first] : ends[last]])
                if last + 1 < len(begins):
                    more, following = rest[last + 1]
                    known, said = known + more, said + text[ends[last] : begins[last + 1]] + following
                found = max(found, (known, said), key=lambda each: each[0])
            rest[first] = found
        return rest[0]

    def _one(self, text: str) -> tuple[int, str]:
        """The same of a text that is taken as a whole."""
        if text in self._whole:
            return len(text), self._whole[text]
        best = (0, text)
        for template in self._templates:
            if template.longest in text and (match := template.pattern.fullmatch(text)):
                # A single word is a name.
                values = [self.best(value) if " " in value else (0, value) for value in match.groups()]
                known = template.fixed + sum(letters for letters, _ in values)
                if known > best[0]:
                    best = known, template.translation.format(*(value for _, value in values))
        return best if best[0] else self._list(text)

    def _list(self, text: str) -> tuple[int, str]:
        """The same of a list or of an amount: `3 created, 5 in sync`."""
        parts = _BETWEEN.split(text)
        if len(parts) == 1:
            return 0, text
        known = 0
        for place in range(0, len(parts), 2):  # Between them stand the commas.
            letters, parts[place] = self.best(parts[place])
            known += letters
        return known, "".join(parts)


def _template(english: str, translation: str) -> _Template:
    pieces = english.split(SLOT)
    pattern = re.compile("(.*?)".join(re.escape(piece) for piece in pieces), re.DOTALL)
    return _Template(sum(map(len, pieces)), max(pieces, key=len), pattern, translation)


@lru_cache
def _catalog(language: Language) -> _Catalog:
    return _Catalog(json.loads(files(__name__).joinpath(f"{language}.json").read_text("utf-8")))
