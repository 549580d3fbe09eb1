"""A call, its successful response, and strict reading of the JSON in it: unexpected content is a protocol error."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar

from zk_pipeline.connectors.errors import ConnectorError, ProtocolError
from zk_pipeline.domain.records import Unreadable
from zk_pipeline.domain.source_ids import is_whole_number

Error = TypeVar("Error", bound=ConnectorError)
Value = TypeVar("Value")
Key = TypeVar("Key")

READERS = 4
"""Concurrent requests, if each reads one row."""

_IDENTIFIER = re.compile(r"[^\s\x00]{1,128}")

LARGEST_NUMBER = 2**63 - 1
"""PostgreSQL stores no larger integer, and no system counts that far."""

LARGEST_AMOUNT = Decimal(10) ** 8
"""The first amount that no longer fits into its column."""

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Instants outside are not plausible, and could leave the calendar in some zones."""

MISSING = "it is missing"
"""The problem of a missing field."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that PostgreSQL accepts neither in text nor in JSON."""

_MAY_HOLD_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])|\x00")


def storable(text: str) -> str:
    """The text as PostgreSQL can store it: U+0000 and lone surrogates become U+FFFD."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def parsed(content: bytes) -> Any:
    """The JSON in a response body, in a form that can be stored. Raises `ValueError` if it is not JSON.

    Invalid UTF-8, U+0000 and lone surrogates are replaced, and `NaN` and infinities become null, so that one bad text
    does not cost all other rows of the response.
    """
    text = content.decode("utf-8-sig", errors="replace")
    try:
        data = json.loads(text, strict=False, parse_constant=lambda _: None, parse_float=_finite)
        return _cleaned(data) if _MAY_HOLD_UNSTORABLE.search(text) else data
    except RecursionError as error:
        raise ValueError("The JSON is nested too deeply.") from error


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(name): _cleaned(item) for name, item in value.items()}
        case list():
            return [_cleaned(item) for item in value]
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as errors name it. `needs` are the permissions it requires, `fields` the names that its body sends."""

    system: str
    method: str
    path: str
    writes: bool = False
    needs: tuple[str, ...] = ()
    fields: frozenset[str] = frozenset()

    def error(self, kind: Callable[..., Error], problem: str, **details: Any) -> Error:
        """An error of the given kind that names this call."""
        return kind(problem, system=self.system, method=self.method, path=self.path, **details)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A 2xx response: its JSON (`None` if the body was empty) and its headers."""

    call: Call
    status: int
    data: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    def fault(self, problem: str, remedy: str = "") -> ProtocolError:
        """The error for a response that breaks the contract; after a write, the outcome is unknown."""
        return self.call.error(
            ProtocolError, problem, status=self.status, remedy=remedy, outcome_unknown=self.call.writes
        )

    def row(self, what: str) -> "RowReader":
        """The response as one object. Raises `ProtocolError` otherwise."""
        return RowReader(self, self.data, what)

    def rows(self, what: str) -> list["RowReader"]:
        """The response as a list of objects. Raises `ProtocolError` otherwise."""
        return [RowReader(self, item, what) for item in self.items(what)]

    def items(self, what: str) -> list[Any]:
        """The response as a list of anything. Raises `ProtocolError` if it is not a list."""
        if not isinstance(self.data, list):
            raise self.fault(f"A list of {what} rows was expected, but {_kind(self.data)} was received.")
        return self.data

    def readable(
        self, what: str, read: Callable[["RowReader"], Value], items: list[Any] | None = None
    ) -> tuple[list[Value], tuple[Unreadable, ...]]:
        """The readable and the unreadable rows of a list, so that one bad row does not cost the others.

        Raises `ProtocolError` if it is not a list, if not a single row has an id, and if all rows lack the same field,
        because then the response is not the promised one.
        """
        good: list[Value] = []
        bad: list[Unreadable] = []
        first: ProtocolError | None = None
        for item in self.items(what) if items is None else items:
            try:
                good.append(read(RowReader(self, item, what)))
            except ProtocolError as error:
                first = first or error
                bad.append(Unreadable(what, identified(item), error.problem))
        if first is not None and not good and all(row.id is None for row in bad):
            raise first
        lacking = [{name for name, why in getattr(row, "faults", {}).items() if why == MISSING} for row in good]
        if lacking and not bad and (everywhere := set.intersection(*lacking)):
            named = next(name for name in getattr(good[0], "faults", {}) if name in everywhere)
            raise self.fault(f"A {what} without the field {named!r} came.")
        return good, tuple(bad)

    def header_number(self, name: str) -> int:
        """A header with an integer. Raises `ProtocolError` if it is missing or not a number."""
        text = self.headers.get(name, "")
        if not text.isascii() or not text.isdigit():
            raise self.fault(
                f"The header {name} is {text!r}, not a number.",
                "Let every proxy in front of the system pass this header on.",
            )
        return int(text)


class RowReader:
    """Reads one JSON object field by field; errors name a field that is missing or of the wrong type."""

    __slots__ = ("_answer", "_what", "raw")

    def __init__(self, answer: ApiResponse, data: Any, what: str) -> None:
        if not isinstance(data, dict):
            raise answer.fault(f"A {what} was expected as an object, but {_kind(data)} was received.")
        self._answer = answer
        self._what = what
        self.raw: dict[str, Any] = data

    def spare(self, faults: MutableMapping[str, str], name: str, read: Callable[[str], Value], instead: Value) -> Value:
        """The field as `read` reads it; if it is unreadable, `instead`, with the problem in `faults`."""
        try:
            return read(name)
        except FieldError as error:
            faults[name] = error.why
            return instead

    def has(self, name: str) -> bool:
        """Whether the field exists and is not null."""
        return self.raw.get(name) is not None

    def integer(self, name: str) -> int:
        """A whole number."""
        return self._typed(name, int)

    def optional_integer(self, name: str) -> int | None:
        """A whole number or null; the field itself must exist."""
        return None if self._value(name) is None else self.integer(name)

    def identifier(self, name: str) -> str:
        """An id as text, sent as a whole number or as a text without spaces."""
        value = self._value(name)
        if not isinstance(value, str):
            return str(self.integer(name))
        if not _IDENTIFIER.fullmatch(value):
            raise self._fault(name, f"{value!r} is no id")
        return value

    def optional_identifier(self, name: str) -> str | None:
        """An id as text, or null; the field itself must exist."""
        return None if self._value(name) is None else self.identifier(name)

    def number_as_id(self, name: str) -> str:
        """An id as text, of a system whose ids are whole numbers."""
        return str(self.integer(name))

    def optional_number_as_id(self, name: str) -> str | None:
        """The same, or null; the field itself must exist."""
        return None if self._value(name) is None else self.number_as_id(name)

    def text(self, name: str) -> str:
        """A text."""
        return self._typed(name, str)

    def optional_text(self, name: str) -> str | None:
        """A text or null; the field itself must exist."""
        return None if self._value(name) is None else self.text(name)

    def boolean(self, name: str) -> bool:
        """True or false."""
        return self._typed(name, bool)

    def decimal(self, name: str) -> Decimal:
        """An exact number sent as text, such as "0.25"."""
        text = self.text(name)
        try:
            number = Decimal(text)
        except InvalidOperation as error:
            raise self._fault(name, f"{text!r} is not a decimal number") from error
        if not number.is_finite():
            raise self._fault(name, f"{text!r} is not a finite number")
        if abs(number) >= LARGEST_AMOUNT:
            raise self._fault(name, f"{text!r} is more than can be stored")
        return number

    def optional_amount(self, name: str) -> Decimal | None:
        """An amount of money sent as a JSON number; `None` if null or missing.

        The shortest text of the float is exactly what was sent: no amount that can be stored has more digits than it
        keeps.
        """
        if not self.has(name):
            return None
        value = self.raw[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._fault(name, f"{_kind(value)} came instead of an amount")
        amount = Decimal(str(value))
        if abs(amount) >= LARGEST_AMOUNT:
            raise self._fault(name, f"{value} is more than can be stored")
        return amount

    def amount(self, name: str) -> Decimal:
        """An amount of money sent as a JSON number."""
        found = self.optional_amount(name)
        if found is None:
            raise self._fault(name, MISSING if name not in self.raw else "nothing came instead of an amount")
        return found

    def moment(self, name: str) -> datetime:
        """A point in time with the offset it was sent with."""
        text = self.text(name)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise self._fault(name, f"{text!r} is not a point in time") from error
        if moment.tzinfo is None:
            raise self._fault(name, f"{text!r} has no offset from UTC")
        if not EARLIEST <= moment < LATEST:
            raise self._fault(name, f"{text!r} is not a possible point in time")
        return moment

    def instant(self, name: str) -> datetime:
        """A point in time, in UTC."""
        return self.moment(name).astimezone(UTC)

    def optional_instant(self, name: str) -> datetime | None:
        """A point in time in UTC, or null; the field itself must exist."""
        return None if self._value(name) is None else self.instant(name)

    def optional_date(self, name: str) -> date | None:
        """A calendar date; null or missing is `None`."""
        if not self.has(name):
            return None
        text = self.text(name)
        try:
            return date.fromisoformat(text[:10])
        except ValueError as error:
            raise self._fault(name, f"{text!r} is not a date") from error

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        items = self._typed(name, list)
        if not all(isinstance(item, str) for item in items):
            raise self._fault(name, "it has items that are not texts")
        return tuple(items)

    def row(self, name: str, what: str) -> "RowReader":
        """An object within this one."""
        return RowReader(self._answer, self._value(name), what)

    def integers(self, name: str) -> list[int]:
        """A list of whole numbers."""
        values = self._value(name)
        if not isinstance(values, list) or not all(isinstance(value, int) for value in values):
            raise self._fault(name, "it is not a list of whole numbers")
        return values

    def _value(self, name: str) -> Any:
        if name not in self.raw:
            raise self._fault(name, MISSING)
        return self.raw[name]

    def _typed(self, name: str, kind: type[Value]) -> Value:
        value = self._value(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._fault(name, f"{_kind(value)} came instead of {_NAMES[kind]}")
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise self._fault(name, f"{value} is larger than any number that can be stored")
        return value

    def _fault(self, name: str, problem: str) -> "FieldError":
        call = self._answer.call
        named = f" {number}" if (number := identified(self.raw)) is not None else ""
        absent = f"A {self._what} without the field {name!r} came."
        return call.error(
            FieldError,
            absent
            if problem == MISSING
            else f"In a {self._what}{named} the field {name!r} is not as promised: {problem}.",
            why=problem,
            status=self._answer.status,
            outcome_unknown=call.writes,
        )


class FieldError(ProtocolError):
    """One field of a row is not as promised; `why` says how."""

    def __init__(self, problem: str, *, why: str, **where: Any) -> None:
        self.why = why
        super().__init__(problem, **where)


def identified(item: Any) -> str | None:
    """The id of an otherwise unchecked row, as text; `None` if even that is no whole number."""
    found = item.get("id") if isinstance(item, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found) if 0 < found <= LARGEST_NUMBER else None
    if not isinstance(found, str) or not _IDENTIFIER.fullmatch(found) or not is_whole_number(found):
        return None
    return found if 0 < int(found) <= LARGEST_NUMBER else None


_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a fraction",
    type(None): "nothing",
}


def _kind(value: Any) -> str:
    return _NAMES.get(type(value), type(value).__name__)


class ApiDialect(Protocol):
    """The differences between the systems that one client talks to."""

    product: str

    def authorization(self, token: str) -> str:
        """The value of the Authorization header."""
        ...

    def refusal(self, call: Call, status: int, data: Any, headers: Mapping[str, str]) -> ConnectorError:
        """The error for a 4xx response; `data` is its JSON, or `None` without JSON.

        A 422 returned as an `UnavailableError` is temporary and retried like a server error.
        """
        ...

    def distrust(self, headers: Mapping[str, str]) -> str | None:
        """Why an answer of any status, also a successful one, is not the answer to our account; `None` if it is.

        Some systems serve a dead token as an anonymous visitor: then an empty list means nothing. The sentence becomes
        an `AuthenticationError`.
        """
        ...


def in_chunks(items: list[Value], size: int) -> Iterator[list[Value]]:
    """The items in lists of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def run_concurrently(read: Callable[[Key], Value], keys: Iterable[Key]) -> list[Value]:
    """The result of `read` for each key, in order. The requests count for the caller's run and span."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as pool:
        return [under_way.result() for under_way in [pool.submit(copy_context().run, read, key) for key in keys]]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header, as a number or date; `None` if missing or unreadable."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    moment = http_date(text)
    return None if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())


def http_date(text: str) -> datetime | None:
    """The instant of a header such as Date, in UTC; `None` if missing or unreadable."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
