"""Lookup: finding things by what people call them, name or id, and naming them so that they are found again."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rapidfuzz import fuzz, process

from zk_pipeline.domain.names import fold

_LISTED = 5
_NEAREST = 3
_SHOWN_LETTERS = 80
# Spreadsheets drop zeros in front, and put some behind a decimal comma.
_NUMBER = re.compile(r"0*(\d+?)(?:[.,]0+)?", re.ASCII)
_FRACTION = re.compile(r"[.,]0+$")

Key = TypeVar("Key", bound=Hashable)
Key_co = TypeVar("Key_co", bound=Hashable, covariant=True)


class NoSingleFitError(Exception):
    """A value fits nothing, or several things; the message is a sentence with the remedy, without capital."""


@dataclass(frozen=True, slots=True)
class Thing(Generic[Key_co]):
    """Something that a value can mean, with the names it answers to; `note` tells it from its namesakes."""

    key: Key_co
    names: tuple[str, ...]
    note: str = ""

    @property
    def label(self) -> str:
        """The thing for people."""
        return f"{self.names[0] if self.names else '(no name)'} (id {self.key}{self.note})"


class Register(Generic[Key]):
    """The things of one kind in one system.

    Names compare as `names.fold` says. `id:7` is always the thing with that id; `words` are values with a meaning of
    their own, whatever else is called so. A bare number means a thing only if it can mean no other: an id, a name, or a
    number whose leading zeros a spreadsheet dropped.
    """

    def __init__(
        self, noun: str, system: str, things: Iterable[Thing[Key]], words: Mapping[str, Key] | None = None
    ) -> None:
        self._noun, self._system = noun, system
        self._things = {thing.key: thing for thing in things}
        self._names = {fold(name): name for thing in self._things.values() for name in thing.names}
        self._meanings: dict[str, list[Thing[Key]]] = {}
        self._numbers: dict[str, list[Thing[Key]]] = {}
        for thing in self._things.values():
            texts = {*map(fold, thing.names), str(thing.key)}
            for text in texts:
                self._meanings.setdefault(text, []).append(thing)
            for number in {found[1] for text in texts if (found := _NUMBER.fullmatch(text))}:
                self._numbers.setdefault(number, []).append(thing)
        self._meanings |= {f"id:{key}": [thing] for key, thing in self._things.items() if isinstance(key, int)}
        own = [Thing(key, (word,)) for word, key in (words or {}).items()]
        self._meanings |= {thing.names[0]: [thing] for thing in own}
        self._things |= {thing.key: thing for thing in own}

    def __contains__(self, key: Key) -> bool:
        return key in self._things

    def fitting(self, value: str) -> Sequence[Thing[Key]]:
        """Everything that the value can mean."""
        text = fold(value)
        exact = self._meanings.get(text, [])
        number = _NUMBER.fullmatch(text)
        if number is None or (exact and text != number[1]):
            return exact
        return [*exact, *(thing for thing in self._numbers.get(number[1], ()) if thing not in exact)]

    def find(self, value: str) -> Key:
        """The one thing that the value means. Raises `NoSingleFitError` for none and for several."""
        things = self.fitting(value)
        if not things:
            raise self.nothing(value)
        if len(things) > 1:
            raise several(value, [thing.label for thing in things])
        text = fold(value)
        if not any(things[0] in self._meanings.get(exact, ()) for exact in (text, _FRACTION.sub("", text))):
            remedy = f"but not to the letter; write id:{things[0].key} if you mean that"
            raise NoSingleFitError(f"{shown(value)} may be {things[0].label}, {remedy}.")
        return things[0].key

    def texts(self, key: Key) -> list[str]:
        """Values that mean this thing and nothing else, the most readable first; of a thing that is gone, its id.

        None is a bare number, which a spreadsheet may change.
        """
        thing = self._things.get(key)
        if thing is None:
            return [key if isinstance(key, str) else f"id:{key}"]
        names = (" ".join(name.split()) for name in thing.names)
        texts = (*(name for name in names if not _NUMBER.fullmatch(fold(name))), f"id:{key}")
        return [text for text in texts if text and list(self.fitting(text)) == [thing]]

    def name(self, key: Key) -> str:
        """What the thing is called, for reading; nothing for one that is gone."""
        thing = self._things.get(key)
        return thing.names[0] if thing is not None and thing.names else ""

    def label(self, key: Key) -> str:
        """The thing for people, with its id."""
        thing = self._things.get(key)
        return thing.label if thing is not None else f"id:{key}"

    def nothing(self, value: str) -> NoSingleFitError:
        """That nothing fits the value, with the names that come nearest."""
        names = ", ".join(self._names[name] for name in nearest(value, self._names, limit=_NEAREST))
        remedy = f"the nearest: {names}" if names else "no other is known"
        return NoSingleFitError(f"no {self._noun} in {self._system} fits {shown(value)}; {remedy}.")


def several(value: str, labels: Sequence[str]) -> NoSingleFitError:
    """That several things fit the value, and how to name one of them."""
    more = f" and {len(labels) - _LISTED} more" if len(labels) > _LISTED else ""
    fits = f"fits {len(labels)} things: {', '.join(labels[:_LISTED])}{more}"
    return NoSingleFitError(f"{shown(value)} {fits}; write ids instead of names, as in id:7.")


def nearest(value: str, folded: Iterable[str], *, limit: int, least: int = 0) -> list[str]:
    """Those of these folded names that come nearest to a value, best first, and are at least so like it, of 100."""
    found = process.extract(fold(value), list(folded), scorer=fuzz.WRatio, limit=limit, score_cutoff=least)
    return [name for name, *_ in found]


def shown(value: str) -> str:
    """A value as messages show it."""
    return repr(value if len(value) <= _SHOWN_LETTERS else f"{value[:_SHOWN_LETTERS]}…")
