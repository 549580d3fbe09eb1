"""Names and texts: when two names count as the same, and which texts the target accepts (docs/kimai.md §3, §7)."""

import re
import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from rapidfuzz import fuzz, process

NAME_LENGTHS = (2, 150)
_REPLACED = str.maketrans({"<": "(", ">": ")", '"': "'", "=": "-"})
_JOINER = "\u200d"
_TURNS_OTHERS = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
"""Embeddings, overrides and isolates: their effect continues behind the text, even on an invoice."""

_HYPHENS = "\u2212\u2043"  # The minus and the hyphen bullet; all others are of one category.
_QUOTES = "`\u00b4\u2032\u2033\u201a\u201e"  # The category of quotes lacks these.
# Invisible fillers and selectors that count as letters or marks.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def fold_text(text: str) -> str:
    """`fold` for texts of any length in which names are searched; not cached."""
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    plain = seen.translate(_UNIFIED).translate(_REPLACED)
    # Turkish has a dotted and a dotless i, each in both cases: case folding alone keeps them apart.
    folded = plain.casefold().replace("\u0131", "i").replace("i\u0307", "i")
    return " ".join(unicodedata.normalize("NFKC", folded).split())


@lru_cache(maxsize=65_536)
def fold(name: str) -> str:
    """The form in which names are compared: equal for names that a person would call the same.

    Ignores compatibility forms (NFKC), letter case, differences between blanks, hyphens and quotes, invisible
    characters, and the characters that `clean_name` replaces. Accents count.
    """
    return fold_text(name)


def name_keys(name: str) -> frozenset[str]:
    """Two names are the same if they share one of these keys: a long name also has the key of its cut form.

    We cut at a word (`clean_name`); others cut at the last letter that the target accepts.
    """
    cleaned = _cleaned(name)
    keys = {fold(name), fold(clean_name(name, ""))}
    if len(cleaned) > NAME_LENGTHS[1]:
        keys.add(fold(cleaned[: NAME_LENGTHS[1]]))
    return frozenset(keys - {""})


def clean_name(name: str, fallback: str) -> str:
    """The name without forbidden and control characters, cut at a word if too long; `fallback` if too short."""
    cleaned = _cleaned(name)
    shortest, longest = NAME_LENGTHS
    if len(cleaned) < shortest:
        return fallback
    if len(cleaned) <= longest:
        return cleaned
    cut = cleaned[: longest - 1]
    at_word = cut.rsplit(" ", 1)[0] if " " in cut[shortest:] else cut
    ended = at_word.rstrip(f" ,;:-{_JOINER}") + "…"
    return ended if len(ended) >= shortest else fallback


def plain_text(text: str) -> str:
    """A text that is safe to show in the target: no control characters, and none that reverses other text.

    Line breaks become spaces. Emoji with joiners, right-to-left letters and their marks stay.
    """
    readable = "".join(_readable(letter) for letter in text)
    return " ".join(readable.split()) if readable != text else text


def _readable(letter: str) -> str:
    if letter in _TURNS_OTHERS:
        return ""
    return " " if unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} else letter


def _cleaned(name: str) -> str:
    """NFC, without invisible characters except the joiner inside composed emoji; control characters become spaces."""
    printable = unicodedata.normalize("NFC", "".join(_printable(letter) for letter in name))
    return " ".join(printable.translate(_REPLACED).split())


def _printable(letter: str) -> str:
    category = unicodedata.category(letter)
    if letter == _JOINER or not category.startswith("C"):
        return letter
    return "" if category == "Cf" else " "


def _unified(letter: str) -> str:
    category = unicodedata.category(letter)
    if category == "Pd" or letter in _HYPHENS:
        return "-"
    if category in {"Pi", "Pf"} or letter in _QUOTES:
        return "'"
    if category == "Cf":
        return ""
    return " " if category[0] in "CZ" else letter


class _Unified(dict[int, str]):
    """Each character met so far and its replacement: a lookup table that fills itself."""

    def __missing__(self, code: int) -> str:
        self[code] = _unified(chr(code))
        return self[code]


_UNIFIED = _Unified()


# Lookup: finding items by name or id, and naming them so that they are found again.

_LISTED = 5
_NEAREST = 3
_SHOWN_LETTERS = 80
# Spreadsheets drop leading zeros, and add zeros behind a decimal comma.
_NUMBER = re.compile(r"0*(\d+?)(?:[.,]0+)?", re.ASCII)
_FRACTION = re.compile(r"[.,]0+$")

Key = TypeVar("Key", bound=Hashable)
Key_co = TypeVar("Key_co", bound=Hashable, covariant=True)


class AmbiguousNameError(Exception):
    """A value fits no item, or several. The message is a sentence with the remedy, without a capital letter."""


@dataclass(frozen=True, slots=True)
class NamedItem(Generic[Key_co]):
    """An item that a value can mean, with its names; `note` distinguishes it from others of the same name."""

    key: Key_co
    names: tuple[str, ...]
    note: str = ""

    @property
    def label(self) -> str:
        """The item for people."""
        return f"{self.names[0] if self.names else '(no name)'} (id {self.key}{self.note})"


class NameIndex(Generic[Key]):
    """The items of one kind in one system, by name.

    Names are compared by `names.fold`. `id:7` is always the item with that id; `words` are values with a meaning of
    their own, even if an item has that name. A bare number means an item only if it can mean no other: by id, by name,
    or by a number whose leading zeros a spreadsheet dropped.
    """

    def __init__(
        self, noun: str, system: str, things: Iterable[NamedItem[Key]], words: Mapping[str, Key] | None = None
    ) -> None:
        self._noun, self._system = noun, system
        self._things = {thing.key: thing for thing in things}
        self._names = {fold(name): name for thing in self._things.values() for name in thing.names}
        self._meanings: dict[str, list[NamedItem[Key]]] = {}
        self._numbers: dict[str, list[NamedItem[Key]]] = {}
        for thing in self._things.values():
            texts = {*map(fold, thing.names), str(thing.key)}
            for text in texts:
                self._meanings.setdefault(text, []).append(thing)
            for number in {found[1] for text in texts if (found := _NUMBER.fullmatch(text))}:
                self._numbers.setdefault(number, []).append(thing)
        by_id: dict[str, list[NamedItem[Key]]] = {}
        for key, thing in self._things.items():
            by_id.setdefault(fold(f"id:{key}"), []).append(thing)
        self._meanings |= by_id
        own = [NamedItem(key, (word,)) for word, key in (words or {}).items()]
        self._meanings |= {thing.names[0]: [thing] for thing in own}
        self._things |= {thing.key: thing for thing in own}

    def __contains__(self, key: Key) -> bool:
        return key in self._things

    def fitting(self, value: str) -> Sequence[NamedItem[Key]]:
        """All items that the value can mean."""
        text = fold(value)
        exact = self._meanings.get(text, [])
        number = _NUMBER.fullmatch(text)
        if number is None or (exact and text != number[1]):
            return exact
        return [*exact, *(thing for thing in self._numbers.get(number[1], ()) if thing not in exact)]

    def find(self, value: str) -> Key:
        """The one item that the value means. Raises `AmbiguousNameError` for none or several."""
        things = self.fitting(value)
        if not things:
            raise self.nothing(value)
        if len(things) > 1:
            raise ambiguous_name(value, [thing.label for thing in things])
        text = fold(value)
        if not any(things[0] in self._meanings.get(exact, ()) for exact in (text, _FRACTION.sub("", text))):
            remedy = f"but not to the letter; write id:{things[0].key} if you mean that"
            raise AmbiguousNameError(f"{quoted(value)} may be {things[0].label}, {remedy}.")
        return things[0].key

    def texts(self, key: Key) -> list[str]:
        """Values that mean only this item, the most readable first; of an item that is gone, its id.

        None is a bare number, because a spreadsheet may change it.
        """
        thing = self._things.get(key)
        if thing is None:
            return [f"id:{key}"]
        names = (" ".join(name.split()) for name in thing.names)
        texts = (*(name for name in names if not _NUMBER.fullmatch(fold(name))), f"id:{key}")
        return [text for text in texts if text and list(self.fitting(text)) == [thing]]

    def name(self, key: Key) -> str:
        """The item's name for reading; empty if it is gone."""
        thing = self._things.get(key)
        return thing.names[0] if thing is not None and thing.names else ""

    def label(self, key: Key) -> str:
        """The item for people, with its id."""
        thing = self._things.get(key)
        return thing.label if thing is not None else f"id:{key}"

    def nothing(self, value: str) -> AmbiguousNameError:
        """The error that nothing fits the value, with the nearest names."""
        names = ", ".join(self._names[name] for name in nearest_names(value, self._names, limit=_NEAREST))
        remedy = f"the nearest: {names}" if names else "no other is known"
        return AmbiguousNameError(f"no {self._noun} in {self._system} fits {quoted(value)}; {remedy}.")


def ambiguous_name(value: str, labels: Sequence[str]) -> AmbiguousNameError:
    """The error that several items fit the value, and how to name one of them."""
    more = f" and {len(labels) - _LISTED} more" if len(labels) > _LISTED else ""
    fits = f"fits {len(labels)} things: {', '.join(labels[:_LISTED])}{more}"
    return AmbiguousNameError(f"{quoted(value)} {fits}; write ids instead of names, as in id:7.")


def nearest_names(value: str, folded: Iterable[str], *, limit: int, least: int = 0) -> list[str]:
    """The folded names nearest to a value, best first, with a similarity of at least `least` out of 100."""
    found = process.extract(fold(value), list(folded), scorer=fuzz.WRatio, limit=limit, score_cutoff=least)
    return [name for name, *_ in found]


def quoted(value: str) -> str:
    """The value in quotes, shortened, for messages."""
    return repr(value if len(value) <= _SHOWN_LETTERS else f"{value[:_SHOWN_LETTERS]}…")
