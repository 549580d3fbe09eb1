"""Finding people in texts in any spelling, and replacing them by pseudonyms.

Names are compared by one folding (`names.fold_text`), and a text is searched as it is and with the escapes of JSON,
URLs and HTML decoded. Of erased people only keyed hashes are known (`Redactor`); while a person is being erased or
exported, the names are known and everything is searched for them (`Finder`).
"""

import hashlib
import hmac
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, TypeVar, cast
from urllib.parse import unquote

from zk_pipeline.domain.names import fold_text

PERSON_FIELDS = frozenset(
    {"agent", "customer", "customer_name", "owner", "created_by", "updated_by", "login", "username", "user_name"}
)
"""Fields whose whole value is a person, replaced even if it is a single word such as a login."""

_NAMES_OF_A_ROW = frozenset({"login", "username", "name"})
_MAIL_DOMAIN = "erased.invalid"

# Combining marks and invisible characters: both belong to the letter before them.
_WITH_IT = (
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
    "\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
)
_QUOTE = "'`\u00b4\u2018\u2019\u201b\u2032\uff07"
_HYPHEN = "\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d-"
_LETTERS = rf"(?:[^\W_][{_WITH_IT}]*)+"
_WORD = re.compile(rf"{_LETTERS}(?:[{_QUOTE}{_HYPHEN}]{_LETTERS})*")
_ENDING = re.compile(rf"[{_QUOTE}][^\W_]?$")
"""What a language appends to a name with an apostrophe, such as the genitive s."""

_BETWEEN = re.compile(r"[\W_]{1,4}")
_LOCAL = rf"\w.+'`!#$%&*/=?^{{|}}~{_WITH_IT}-"
# Only from the start of a run of such letters: a long run would otherwise be scanned once per letter.
_MAIL = re.compile(rf"(?<![{_LOCAL}])[{_LOCAL}]+@[\w{_WITH_IT}-]+(?:\.[\w{_WITH_IT}-]+)*")
# An address may contain these, but here they usually end something else: term=anna@..., 'anna@...'.
_BEFORE_MAIL = re.compile(r"[!#$%&*/=?^`{|}~]|(?<!\w)'")
_LONGEST_LOCAL, _MOST_LABELS = 64, 10
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\[nrt/\"'\\]")
ESCAPED = re.compile(r"\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}|&#?\w+;")
"""Escapes that may stand for a letter, in a syntax that PostgreSQL understands too."""

_DEEPEST_ESCAPES = 5
_DEEPEST = 100
"""Deeper nesting is no record of ours, and is read as plain text."""
_PLAIN_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class PersonIdentifiers:
    """The identifiers of a person: e-mail address, names and logins."""

    email: str
    names: frozenset[str]
    logins: frozenset[str]

    @property
    def full_names(self) -> tuple[tuple[str, ...], ...]:
        """The folded words of each name with several words, in both orders."""
        spoken = {tuple(_WORD.findall(fold_text(name))) for name in self.names}
        full = {words for words in spoken if len(words) > 1}
        return tuple(sorted(full | {(words[-1], *words[:-1]) for words in full}))

    @property
    def keywords(self) -> frozenset[str]:
        """Folded words, one of which is in every text (folded and unescaped) that names the person."""
        folded = map(fold_text, (self.email, *self.names, *self.logins))
        return frozenset(max(re.findall(r"[^\W_]+", name), key=len, default="") for name in folded if name)


@dataclass(frozen=True, slots=True)
class Erased:
    """An erased person as hashes with one salt: e-mail address, full names by word, and other names."""

    pseudonym: str
    salt: str
    mail: str
    full_names: tuple[str, ...]
    single_names: tuple[str, ...]
    words: tuple[int, ...]


def erased_person(identity: PersonIdentifiers, salt: str) -> Erased:
    """The hashes of a person, and the pseudonym, which is always the same for one address and salt."""
    mail = _hash(salt, identity.email)
    spoken = identity.full_names
    single = [*identity.logins, *identity.names]
    return Erased(
        pseudonym=f"person-{mail[:12]}",
        salt=salt,
        mail=mail,
        full_names=tuple(sorted({_hash(salt, " ".join(words)) for words in spoken})),
        single_names=tuple(sorted({_hash(salt, name) for name in single})),
        words=tuple(sorted({len(words) for words in spoken})),
    )


class Finder:
    """Finds a person whose names are known, by address or full name, anywhere in a value."""

    def __init__(self, identity: PersonIdentifiers) -> None:
        names = "|".join(r"[\W_]{1,4}".join(map(re.escape, words)) for words in identity.full_names)
        mail = re.escape(_comparable(identity.email))
        # Followed by a letter, hyphen or second surname, it is somebody else.
        alternatives = [rf"(?<![\w.+-])(?<!\w'){mail}(?![\w-]|\.\w)"]
        if names:
            alternatives.append(rf"(?<![^\W_])(?<![^\W_]['-])(?:{names})(?![^\W_]|-[^\W_]|'[^\W_]{{2}})")
        self._pattern = re.compile("|".join(alternatives))
        self._keywords = identity.keywords

    def may_find(self, text: str) -> bool:
        """A quick check, false if a text, JSON or not, certainly does not name the person."""
        if text.isascii() and not ESCAPED.search(text):
            plain = text.lower()
        else:
            for _ in range(_DEEPEST_ESCAPES):
                *_, read = _readings(text)
                if read == text:
                    break
                text = read
            plain = fold_text(text)
        return any(keyword in plain for keyword in self._keywords)

    def finds(self, value: Any) -> bool:
        """Whether a text, bytes or JSON value names the person; JSON inside texts is parsed."""
        return any(self._pattern.search(_comparable(reading)) for text in _leaves(value) for reading in _readings(text))


class Redactor:
    """Replaces erased people wherever they are named."""

    def __init__(self, people: Iterable[Erased]) -> None:
        listed = list(people)
        self._salts = sorted({person.salt for person in listed})
        self._mails = {person.mail: f"{person.pseudonym}@{_MAIL_DOMAIN}" for person in listed}
        self._full = {hashed: person.pseudonym for person in listed for hashed in person.full_names}
        self._single = {hashed: person.pseudonym for person in listed for hashed in person.single_names}
        self._words = sorted({number for person in listed for number in person.words}, reverse=True)

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """A system's rows, redacted; unchanged if nobody was erased."""
        return [self._row(row) if self._mails else row for row in rows]

    def value(self, value: Any, field: str = "") -> Any:
        """A text or JSON value, redacted at all levels. `field` is its name, which may say that it is a person."""
        if not self._mails:
            return value
        match value:
            case str():
                return self._named(value, field)
            case Mapping():
                members = cast("Mapping[str, Any]", value)
                return {self._text(key): self.value(item, key) for key, item in members.items()}
            case list():
                return [self.value(item, field) for item in cast("list[Any]", value)]
            case tuple():
                return tuple(self.value(item, field) for item in cast("tuple[Any, ...]", value))
            case _:
                return value

    def _row(self, row: Any) -> Any:
        changed = {field.name: self.value(getattr(row, field.name), field.name) for field in fields(row)}
        mail = changed.get("email")
        if isinstance(mail, str) and mail in self._mails.values():
            for name in _NAMES_OF_A_ROW & changed.keys():
                changed[name] = changed[name] if changed[name] == mail else mail.partition("@")[0]
        return replace(row, **changed)

    def _named(self, value: str, field: str) -> str:
        if field in PERSON_FIELDS:
            whole = self._known(self._single, value.strip())
            if whole:
                return self._known(self._mails, value.strip()) or whole
        return self._text(value)

    def _text(self, value: str) -> str:
        """The text without erased people. If escapes or odd letters hide them, the result is the plain form."""
        record = _parsed(value)
        if record is not None:
            without = self.value(record)
            return value if without == record else json.dumps(without, ensure_ascii=value.isascii())
        plain = self._plain(value)
        *_, read = _readings(plain)
        for reading in (read, fold_text(read)):
            found = self._plain(reading) if reading != plain else reading
            if found != reading:
                return found
        return plain

    def _plain(self, value: str) -> str:
        without_mails = _MAIL.sub(lambda match: self._mail(match[0]), value) if "@" in value else value
        for number in self._words:
            without_mails = self._without_names(without_mails, number)
        return without_mails

    def _mail(self, found: str) -> str:
        """The address without the person; only its beginning if a sentence continues right after its last dot."""
        local, _, domain = found.partition("@")
        nearest = len(local) - _LONGEST_LOCAL
        begins = [0, *(mark.end() for mark in _BEFORE_MAIL.finditer(local, max(0, nearest)))]
        starts, rest = [start for start in begins if start >= nearest], ""
        for _ in range(_MOST_LABELS):
            for start in starts:
                if known := self._known(self._mails, f"{local[start:]}@{domain}"):
                    return local[:start] + known + rest
            address, dot, label = domain.rpartition(".")
            if "." not in address or not label[:1].isupper():
                break
            domain, rest = address, dot + label + rest
        return found

    def _without_names(self, text: str, number: int) -> str:
        """The text without full names of this many words."""
        words = list(_WORD.finditer(text))
        pieces: list[str] = []
        copied, at = 0, 0
        while at + number <= len(words):
            window = words[at : at + number]
            pseudonym, end = self._called(window) if _adjoin(text, window) else ("", 0)
            if pseudonym:
                pieces += (text[copied : window[0].start()], pseudonym)
                copied = end
            at += number if pseudonym else 1
        return "".join((*pieces, text[copied:])) if pieces else text

    def _called(self, window: Sequence[re.Match[str]]) -> tuple[str, int]:
        """The pseudonym for the person named by these words, and where the name ends, without a genitive s."""
        spoken = " ".join(word[0] for word in window)
        known = self._known(self._full, spoken)
        ending = None if known else _ENDING.search(spoken)
        if ending is None:
            return known, window[-1].end()
        return self._known(self._full, spoken[: ending.start()]), window[-1].end() - len(ending[0])

    def _known(self, hashes: Mapping[str, str], name: str) -> str:
        # Also by letter case alone: people erased before the folding existed were hashed that way.
        forms = {fold_text(name), name.casefold()}
        found = (_hash_of(salt, form) for salt in self._salts for form in forms)
        return next((hashes[hashed] for hashed in found if hashed in hashes), "")


def _adjoin(text: str, words: Sequence[re.Match[str]]) -> bool:
    return all(_BETWEEN.fullmatch(text, left.end(), right.start()) for left, right in pairwise(words))


def _comparable(text: str) -> str:
    """Folded; "=" before an address in a URL becomes a space, because folding would make it a hyphen."""
    return fold_text(text.replace("=", " "))


def _leaves(value: Any) -> Iterator[str]:
    """Every text in a value at all levels, including the names of fields."""
    match value:
        case str():
            record = _parsed(value)
            yield from (value,) if record is None else _leaves(record)
        case bytes():
            yield from _leaves(value.decode(errors="replace"))
        case Mapping():
            for key, item in cast("Mapping[str, Any]", value).items():
                yield key
                yield from _leaves(item)
        case list() | tuple():
            for item in cast("Sequence[Any]", value):
                yield from _leaves(item)
        case _:
            return


def _parsed(text: str) -> Any:
    """The JSON value in a text, unless it is a number or a word; `None` if it is not JSON."""
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if _is_shallow(record) else None


def _is_shallow(record: Any) -> bool:
    level = [record]
    for _ in range(_DEEPEST):
        level = [item for value in level for item in _members(value)]
        if not level:
            return True
    return False


def _members(value: Any) -> Iterable[Any]:
    match value:
        case Mapping():
            return cast("Mapping[str, Any]", value).values()
        case list():
            return cast("list[Any]", value)
        case _:
            return ()


def _readings(text: str) -> Iterator[str]:
    """The text as it is, and with its escapes decoded if it has any."""
    yield text
    if "\\" in text or "%" in text or "&" in text:
        read = html.unescape(unquote(_ESCAPE.sub(_unescaped, text)))
        # The halves of a surrogate pair are one letter; alone they are none.
        yield read.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(match: re.Match[str]) -> str:
    escape = match[0]
    if escape[1] == "u":
        return "".join(chr(int(code, 16)) for code in escape.split("\\u")[1:])
    return _PLAIN_ESCAPES.get(escape[1], escape[1])


def _hash(salt: str, name: str) -> str:
    return _hash_of(salt, fold_text(name))


def _hash_of(salt: str, form: str) -> str:
    return hmac.new(salt.encode(), form.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
