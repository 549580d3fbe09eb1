"""Names and texts: whether people would call two the same, and what the target accepts (docs/kimai.md §3, §7)."""

import re
import string
import unicodedata
from functools import lru_cache

NAME_LENGTHS = (2, 150)
PROJECT_NUMBER_LENGTH = 10
_REPLACED = str.maketrans({"<": "(", ">": ")", '"': "'", "=": "-"})
_JOINER = "\u200d"
_TURNS_OTHERS = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
"""Embeddings, overrides and isolates: what they begin goes on behind the text, on an invoice as well."""

_HYPHENS = "\u2212\u2043"  # The minus and the hyphen bullet; all others are of one category.
_QUOTES = "`\u00b4\u2032\u2033\u201a\u201e"  # The category of quotes lacks these.
# Fillers and selectors that nobody sees, though they count as letters or marks.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_DIGITS = string.digits + string.ascii_uppercase


def fold_text(text: str) -> str:
    """`fold` for texts of any length in which names are looked for; nothing of them is remembered."""
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    plain = seen.translate(_UNIFIED).translate(_REPLACED)
    # Turkish has an i with and one without a dot, in both cases: folding alone keeps them apart.
    folded = plain.casefold().replace("\u0131", "i").replace("i\u0307", "i")
    return " ".join(unicodedata.normalize("NFKC", folded).split())


@lru_cache(maxsize=65_536)
def fold(name: str) -> str:
    """The form in which names are compared, everywhere: equal for names that a person would call the same.

    Compatible forms of letters (NFKC), letter case of any language, blanks, hyphens and quotes of every kind, what is
    invisible, and what `clean_name` replaces make no difference; accents do.
    """
    return fold_text(name)


def name_keys(name: str) -> frozenset[str]:
    """Two names are the same if they share one of these: a long one is also known by what is left of it when cut.

    We cut at a word (`clean_name`), others at the last letter that the target takes.
    """
    cleaned = _cleaned(name)
    keys = {fold(name), fold(clean_name(name, ""))}
    if len(cleaned) > NAME_LENGTHS[1]:
        keys.add(fold(cleaned[: NAME_LENGTHS[1]]))
    return frozenset(keys - {""})


def clean_name(name: str, fallback: str) -> str:
    """A name without forbidden and control characters, cut at a word where too long; `fallback` where too short."""
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


def _cleaned(name: str) -> str:
    """Composed, and without what nobody sees but the joiner inside composed emoji; control characters become blanks."""
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
    """The letters that were met, each with what stands for it: looking a letter up again costs next to nothing."""

    def __missing__(self, code: int) -> str:
        self[code] = _unified(chr(code))
        return self[code]


_UNIFIED = _Unified()


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
