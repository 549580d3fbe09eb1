"""A call, its good answer, and the strict reading of the JSON in it: what is not as promised is a protocol error."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from zk_pipeline.connectors.errors import ConnectorError, ProtocolError

Error = TypeVar("Error", bound=ConnectorError)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Call:
    """One call as errors name it. `needs` are the permissions it takes, `fields` the names that its body sends."""

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
class Answer:
    """A 2xx answer: its JSON (`None` when the body was empty) and its headers."""

    call: Call
    status: int
    data: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    def fault(self, problem: str, remedy: str = "") -> ProtocolError:
        """The error for an answer that breaks the contract; after a write the outcome is unknown."""
        return self.call.error(
            ProtocolError, problem, status=self.status, remedy=remedy, outcome_unknown=self.call.writes
        )

    def row(self, what: str) -> "Row":
        """The answer as one object. Raises `ProtocolError` when it is anything else."""
        return Row(self, self.data, what)

    def rows(self, what: str) -> list["Row"]:
        """The answer as a list of objects. Raises `ProtocolError` when it is anything else."""
        if not isinstance(self.data, list):
            raise self.fault(f"A list of {what} rows was expected, but {_kind(self.data)} came.")
        return [Row(self, item, what) for item in self.data]

    def header_number(self, name: str) -> int:
        """A header that holds a whole number. Raises `ProtocolError` when it is missing or no number."""
        text = self.headers.get(name, "")
        if not text.isascii() or not text.isdigit():
            raise self.fault(
                f"The header {name} is {text!r}, not a number.",
                "Let every proxy in front of the system pass this header on.",
            )
        return int(text)


class Row:
    """One JSON object, read field by field; a field that is missing or of another type is named in the error."""

    __slots__ = ("_answer", "_what", "raw")

    def __init__(self, answer: Answer, data: Any, what: str) -> None:
        if not isinstance(data, dict):
            raise answer.fault(f"A {what} was expected as an object, but {_kind(data)} came.")
        self._answer = answer
        self._what = what
        self.raw: dict[str, Any] = data

    def has(self, name: str) -> bool:
        """True when the field is there and not null."""
        return self.raw.get(name) is not None

    def integer(self, name: str) -> int:
        """A whole number."""
        return self._typed(name, int)

    def optional_integer(self, name: str) -> int | None:
        """A whole number or null; the field itself must be there."""
        return None if self._value(name) is None else self.integer(name)

    def text(self, name: str) -> str:
        """A text."""
        return self._typed(name, str)

    def optional_text(self, name: str) -> str | None:
        """A text or null; the field itself must be there."""
        return None if self._value(name) is None else self.text(name)

    def boolean(self, name: str) -> bool:
        """True or false."""
        return self._typed(name, bool)

    def decimal(self, name: str) -> Decimal:
        """An exact number that is sent as a text, such as "0.25"."""
        text = self.text(name)
        try:
            number = Decimal(text)
        except InvalidOperation as error:
            raise self._fault(name, f"{text!r} is no decimal number") from error
        if not number.is_finite():
            raise self._fault(name, f"{text!r} is no finite number")
        return number

    def moment(self, name: str) -> datetime:
        """A point in time with the offset in which it was sent."""
        text = self.text(name)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise self._fault(name, f"{text!r} is no point in time") from error
        if moment.tzinfo is None:
            raise self._fault(name, f"{text!r} has no offset from UTC")
        return moment

    def instant(self, name: str) -> datetime:
        """A point in time, in UTC."""
        return self.moment(name).astimezone(UTC)

    def optional_instant(self, name: str) -> datetime | None:
        """A point in time in UTC, or null; the field itself must be there."""
        return None if self._value(name) is None else self.instant(name)

    def optional_date(self, name: str) -> date | None:
        """A calendar date, or null or absent."""
        if not self.has(name):
            return None
        text = self.text(name)
        try:
            return date.fromisoformat(text[:10])
        except ValueError as error:
            raise self._fault(name, f"{text!r} is no date") from error

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        items = self._typed(name, list)
        if not all(isinstance(item, str) for item in items):
            raise self._fault(name, "it does not hold texts alone")
        return tuple(items)

    def row(self, name: str, what: str) -> "Row":
        """An object within this one."""
        return Row(self._answer, self._value(name), what)

    def integers(self, name: str) -> list[int]:
        """A list of whole numbers."""
        values = self._value(name)
        if not isinstance(values, list) or not all(isinstance(value, int) for value in values):
            raise self._answer.fault(f"The field {name!r} of a {self._what} is no list of whole numbers.")
        return values

    def _value(self, name: str) -> Any:
        if name not in self.raw:
            raise self._answer.fault(f"A {self._what} without the field {name!r} came.")
        return self.raw[name]

    def _typed(self, name: str, kind: type[Value]) -> Value:
        value = self._value(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._fault(name, f"{_kind(value)} came instead of {_NAMES[kind]}")
        return value

    def _fault(self, name: str, problem: str) -> ProtocolError:
        return self._answer.fault(f"In a {self._what} the field {name!r} is not as promised: {problem}.")


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


def in_chunks(items: list[Value], size: int) -> Iterator[list[Value]]:
    """The items in lists of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; `None` when it is absent or unreadable."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
