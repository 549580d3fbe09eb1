"""Finding people in texts, however they are written, and writing pseudonyms in their place.

Names are compared by one folding (`names.fold_text`), and a text is read as it stands and with its escapes undone:
those of JSON, of URLs and of HTML. Whoever was erased is known by nothing but keyed hashes (`Redactor`); while a person
is being erased or handed out, their names are at hand, and everything is searched for them (`Finder`).
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
"""Fields whose whole value is a person, so that it is replaced also where it is a single word, such as a login."""

_NAMES_OF_A_ROW = frozenset({"login", "username", "name"})
_MAIL_DOMAIN = "erased.invalid"

# Marks that make a letter of another one, and what nobody sees: both belong to the letter before them.
_WITH_IT = (
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
    "\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
)
_QUOTE = "'`\u00b4\u2018\u2019\u201b\u2032\uff07"
_HYPHEN = "\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d-"
_LETTERS = rf"(?:[^\W_][{_WITH_IT}]*)+"
_WORD = re.compile(rf"{_LETTERS}(?:[{_QUOTE}{_HYPHEN}]{_LETTERS})*")
_ENDING = re.compile(rf"[{_QUOTE}][^\W_]?$")
"""What a language hangs on a name with an apostrophe, such as the s of a genitive."""

_BETWEEN = re.compile(r"[\W_]{1,4}")
_LOCAL = rf"\w.+'`!#$%&*/=?^{{|}}~{_WITH_IT}-"
# From the beginning of a run of such letters alone: a long one would else be walked along once for each letter.
_MAIL = re.compile(rf"(?<![{_LOCAL}])[{_LOCAL}]+@[\w{_WITH_IT}-]+(?:\.[\w{_WITH_IT}-]+)*")
# An address may hold these, but where they stand they mostly end something else: term=anna@..., 'anna@...'.
_BEFORE_MAIL = re.compile(r"[!#$%&*/=?^`{|}~]|(?<!\w)'")
_LONGEST_LOCAL, _MOST_LABELS = 64, 10
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\[nrt/\"'\\]")
ESCAPED = re.compile(r"\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}|&#?\w+;")
"""Escapes that may stand for a letter, in a form that PostgreSQL understands too."""

_DEEPEST_ESCAPES = 5
_DEEPEST = 100
"""What is nested deeper is no record of anybody's, and read as plain text."""
_PLAIN_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class PersonIdentifiers:
    """What a person is called: e-mail address, and the names and logins that go with it."""

    email: str
    names: frozenset[str]
    logins: frozenset[str]

    @property
    def full_names(self) -> tuple[tuple[str, ...], ...]:
        """The words of each name that has several, folded, in both orders."""
        spoken = {tuple(_WORD.findall(fold_text(name))) for name in self.names}
        full = {words for words in spoken if len(words) > 1}
        return tuple(sorted(full | {(words[-1], *words[:-1]) for words in full}))

    @property
    def keywords(self) -> frozenset[str]:
        """Folded words, one of which stands in every text, folded and without escapes, that names the person."""
        folded = map(fold_text, (self.email, *self.names, *self.logins))
        return frozenset(max(re.findall(r"[^\W_]+", name), key=len, default="") for name in folded if name)


@dataclass(frozen=True, slots=True)
class Erased:
    """A person who was erased, as hashes by one salt: e-mail address, full names by word, and what else is a name."""

    pseudonym: str
    salt: str
    mail: str
    full_names: tuple[str, ...]
    single_names: tuple[str, ...]
    words: tuple[int, ...]


def erased_person(identity: PersonIdentifiers, salt: str) -> Erased:
    """The hashes of a person, and the pseudonym, which is the same each time for one address and salt."""
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
    """Says whether a value names a person whose names are known: by address or full name, anywhere in it."""

    def __init__(self, identity: PersonIdentifiers) -> None:
        names = "|".join(r"[\W_]{1,4}".join(map(re.escape, words)) for words in identity.full_names)
        mail = re.escape(_comparable(identity.email))
        # What goes on with a letter, a hyphen or a double surname is somebody else.
        alternatives = [rf"(?<![\w.+-])(?<!\w'){mail}(?![\w-]|\.\w)"]
        if names:
            alternatives.append(rf"(?<![^\W_])(?<![^\W_]['-])(?:{names})(?![^\W_]|-[^\W_]|'[^\W_]{{2}})")
        self._pattern = re.compile("|".join(alternatives))
        self._keywords = identity.keywords

    def may_find(self, text: str) -> bool:
        """False where a text, JSON or not, surely names nobody: at first sight, which most texts are done with."""
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
        """Whether a text, bytes, or a JSON value names the person; texts that hold JSON are taken apart."""
        return any(self._pattern.search(_comparable(reading)) for text in _leaves(value) for reading in _readings(text))


class Redactor:
    """Replaces erased people wherever they are named; everybody else stays as they are."""

    def __init__(self, people: Iterable[Erased]) -> None:
        listed = list(people)
        self._salts = sorted({person.salt for person in listed})
        self._mails = {person.mail: f"{person.pseudonym}@{_MAIL_DOMAIN}" for person in listed}
        self._full = {hashed: person.pseudonym for person in listed for hashed in person.full_names}
        self._single = {hashed: person.pseudonym for person in listed for hashed in person.single_names}
        self._words = sorted({number for person in listed for number in person.words}, reverse=True)

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """Rows of a system, redacted; without anybody erased just as they came."""
        return [self._row(row) if self._mails else row for row in rows]

    def value(self, value: Any, field: str = "") -> Any:
        """A text, or a JSON value all the way down. `field` is its name, which may say that it is a person."""
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
        """The text without erased people; where they hide behind escapes or odd letters, as it reads without these."""
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
        """The address without the person, or its beginning where a sentence goes on right behind its last dot."""
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
        """The text without the full names of so many words."""
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
        """The pseudonym of whom these words name, and where the name ends: a genitive's s is none of it."""
        spoken = " ".join(word[0] for word in window)
        known = self._known(self._full, spoken)
        ending = None if known else _ENDING.search(spoken)
        if ending is None:
            return known, window[-1].end()
        return self._known(self._full, spoken[: ending.start()]), window[-1].end() - len(ending[0])

    def _known(self, hashes: Mapping[str, str], name: str) -> str:
        # By the folding, and by letter case alone, as people were hashed who were erased before there was one.
        forms = {fold_text(name), name.casefold()}
        found = (_hash_of(salt, form) for salt in self._salts for form in forms)
        return next((hashes[hashed] for hashed in found if hashed in hashes), "")


def _adjoin(text: str, words: Sequence[re.Match[str]]) -> bool:
    return all(_BETWEEN.fullmatch(text, left.end(), right.start()) for left, right in pairwise(words))


def _comparable(text: str) -> str:
    """Folded; what stands before an address in a URL is parted from it, which folding would take for a hyphen."""
    return fold_text(text.replace("=", " "))


def _leaves(value: Any) -> Iterator[str]:
    """Every text in a value, all the way down, names of fields too."""
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
    """The JSON value that a text holds, unless it is a number or a word; `None` where it is no JSON."""
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
    """The text as it stands, and with its escapes undone where it has any."""
    yield text
    if "\\" in text or "%" in text or "&" in text:
        read = html.unescape(unquote(_ESCAPE.sub(_unescaped, text)))
        # Halves of a pair are one letter; alone they are none.
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
