"""Names, numbers and texts as the target accepts them and as people may read them there (docs/kimai.md §3, §7)."""

import string
import unicodedata

NAME_LENGTHS = (2, 150)
PROJECT_NUMBER_LENGTH = 10
_REPLACED = str.maketrans({"<": "(", ">": ")", '"': "'", "=": "-"})
_JOINER = "\u200d"
_TURNS_OTHERS = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
"""Embeddings, overrides and isolates: what they begin goes on behind the text, on an invoice as well."""

_DIGITS = string.digits + string.ascii_uppercase


def clean_name(name: str, fallback: str) -> str:
    """A name without forbidden and control characters, cut at a word where too long; `fallback` where too short."""
    printable = "".join(letter if _is_printable(letter) else " " for letter in name)
    cleaned = " ".join(printable.translate(_REPLACED).split())
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
    """A text as people may read it in the target: no control characters, and none that turns the direction of others.

    Lines become one. Emoji with their joiners, right-to-left letters and their marks stay.
    """
    readable = "".join(_readable(letter) for letter in text)
    return " ".join(readable.split()) if readable != text else text


def project_number(prefix: str, source_id: int) -> str:
    """A project number of at most ten characters, for example `ZO7`; ids that do not fit are written in base 36."""
    number = f"{prefix}{source_id}"
    if len(number) <= PROJECT_NUMBER_LENGTH:
        return number
    return f"{prefix}X{_base36(source_id)}"


def _readable(letter: str) -> str:
    if letter in _TURNS_OTHERS:
        return ""
    return " " if unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} else letter


def _is_printable(letter: str) -> bool:
    """Control and format characters are not, but the joiner inside composed emoji is."""
    return letter == _JOINER or not unicodedata.category(letter).startswith("C")


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
