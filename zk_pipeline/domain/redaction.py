"""Finding people in texts by nothing but keyed hashes of their names, and writing pseudonyms in their place."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, TypeVar, cast

PERSON_FIELDS = frozenset(
    {"agent", "customer", "customer_name", "owner", "created_by", "updated_by", "login", "username", "user_name"}
)
"""Fields whose whole value is a person, so that it is replaced also where it is a single word, such as a login."""

_NAMES_OF_A_ROW = frozenset({"login", "username", "name"})
_MAIL_DOMAIN = "erased.invalid"
_MAIL = re.compile(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)*")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_BETWEEN = re.compile(r"[\s,.]{1,3}")

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a person is called: e-mail address, and the names and logins that go with it."""

    email: str
    names: frozenset[str]
    logins: frozenset[str]

    @property
    def terms(self) -> tuple[str, ...]:
        """All of it in small letters, longest first, with full names in both orders."""
        turned = {", ".join((words[-1], " ".join(words[:-1]))) for words in map(str.split, self.names) if words[1:]}
        found = {self.email, *self.names, *self.logins, *turned}
        return tuple(sorted((term.casefold() for term in found if term.strip()), key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class Erased:
    """A person who was erased, as hashes by one salt: e-mail address, full names by word, and what else is a name."""

    pseudonym: str
    salt: str
    mail: str
    full_names: tuple[str, ...]
    single_names: tuple[str, ...]
    words: tuple[int, ...]


def erased(identity: Identity, salt: str) -> Erased:
    """The hashes of a person, and the pseudonym, which is the same each time for one address and salt."""
    mail = _hash(salt, identity.email)
    spoken = [_WORD.findall(name) for name in identity.names]
    full = [words for words in spoken if len(words) > 1]
    orders = [" ".join(order) for words in full for order in (words, [words[-1], *words[:-1]])]
    single = [*identity.logins, *identity.names]
    return Erased(
        pseudonym=f"person-{mail[:12]}",
        salt=salt,
        mail=mail,
        full_names=tuple(sorted({_hash(salt, name) for name in orders})),
        single_names=tuple(sorted({_hash(salt, name) for name in single})),
        words=tuple(sorted({len(words) for words in full})),
    )


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
        without_mails = _MAIL.sub(lambda match: self._mail(match[0]), value) if "@" in value else value
        for number in self._words:
            without_mails = self._without_names(without_mails, number)
        return without_mails

    def _mail(self, found: str) -> str:
        """The address, or its beginning where a sentence goes on right behind its last dot."""
        known = self._known(self._mails, found)
        address, dot, label = found.rpartition(".")
        if known or not label[:1].isupper() or "." not in address.partition("@")[2]:
            return known or found
        return self._mail(address) + dot + label

    def _without_names(self, text: str, number: int) -> str:
        """The text without the full names of so many words."""
        words = list(_WORD.finditer(text))
        pieces: list[str] = []
        copied, at = 0, 0
        while at + number <= len(words):
            window = words[at : at + number]
            pseudonym = self._known(self._full, " ".join(word[0] for word in window)) if _adjoin(text, window) else ""
            if pseudonym:
                pieces += (text[copied : window[0].start()], pseudonym)
                copied = window[-1].end()
            at += number if pseudonym else 1
        return "".join((*pieces, text[copied:])) if pieces else text

    def _known(self, hashes: Mapping[str, str], name: str) -> str:
        return next((hashes[found] for salt in self._salts if (found := _hash(salt, name)) in hashes), "")


def _adjoin(text: str, words: Sequence[re.Match[str]]) -> bool:
    return all(_BETWEEN.fullmatch(text, left.end(), right.start()) for left, right in pairwise(words))


def _hash(salt: str, name: str) -> str:
    return hmac.new(salt.encode(), name.casefold().encode(), hashlib.sha256).hexdigest()
