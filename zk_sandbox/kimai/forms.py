"""Forms: their fields, how values are read, and the messages of refusals (docs/kimai.md §3)."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.datetimes import parse_html5
from zk_sandbox.kimai.errors import FormError, Violation, bad_request, internal_error
from zk_sandbox.kimai.selection import INVALID_CHOICE

EXTRA_FIELDS = "This form should not contain extra fields."
NOT_VALID = "This value is not valid."
NOT_NULL = "This value should not be null."

_HOURS_AND_MINUTES = re.compile(r"(\d+):([0-5]?\d)(?::([0-5]?\d))?")
_TRIMMED = {"Zs", "Zl", "Zp", "Cc", "Cf"}
_UNITS = re.compile(r"(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.IGNORECASE)

Choice = TypeVar("Choice")


def decoded_body(raw: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a request body, keys in camelCase.

    JSON without a content type is read as well; other types count as an empty body; a JSON scalar is refused with 400.
    """
    kind = content_type.partition(";")[0].strip()
    if not raw:
        return {}
    if kind == "application/x-www-form-urlencoded":
        return {_camel(name): value for name, value in parse_qsl(raw.decode(errors="replace"), keep_blank_values=True)}
    if kind not in {"", "application/json"}:
        return {}
    decoded = json_body(raw)
    if isinstance(decoded, list):
        return {str(index): value for index, value in enumerate(decoded)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if not isinstance(decoded, dict):
        raise bad_request()
    return {_camel(name): value for name, value in decoded.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def json_body(raw: bytes) -> Any:
    """A body as JSON; 400 if it is none, or not in UTF-8."""
    try:
        return json.loads(raw)
    except ValueError as error:
        raise bad_request() from error


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


class Form:
    """The fields that a caller may send, and those sent; collects errors until `finish`."""

    def __init__(self, fields: Sequence[str], data: Mapping[str, Any]) -> None:
        self.fields = tuple(fields)
        self._data = data
        self._violations: list[Violation] = []
        self._unreadable: set[str] = set()
        if any(name not in self.fields for name in data):
            self._violations.append(Violation("", EXTRA_FIELDS))

    def sent(self, field: str) -> bool:
        """Whether the field exists for this caller and was sent."""
        return field in self._data and field in self.fields

    def raw(self, field: str) -> Any:
        """The value as sent."""
        return self._data[field]

    def break_rule(self, field: str, message: str) -> None:
        """Record a broken rule."""
        self._violations.append(Violation(field, message))

    def refuse(self, field: str, message: str) -> None:
        """Record an unreadable value; rules about that field are not reported then."""
        self._unreadable.add(field)
        self.break_rule(field, message)

    def refused(self, field: str) -> bool:
        """Whether the field's value was unreadable."""
        return field in self._unreadable

    def finish(self, rules: Sequence[Violation] = ()) -> None:
        """Answer 400 if a value was unreadable or a rule is broken."""
        rules = [rule for rule in rules if rule.path not in self._unreadable]
        if self._violations or rules:
            raise FormError(self.fields, [*self._violations, *rules])

    def text(self, field: str, present: str | None = None) -> str | None:
        """A trimmed text, empty = None; `present` unless sent."""
        if not self.sent(field):
            return present
        value = self.raw(field)
        if isinstance(value, list | dict):
            self.refuse(field, NOT_VALID)
            return present
        return trimmed(scalar(value)) or None

    def flag(self, field: str, *, present: bool) -> bool:
        """A checkbox: only JSON false is false, even null and "false" are true."""
        return self.raw(field) is not False if self.sent(field) else present

    def choice(self, field: str, present: Choice | None, find: Callable[[int], Choice | None]) -> Choice | None:
        """The row an id stands for; null = None, an unselectable one is an error."""
        if not self.sent(field):
            return present
        value = self.raw(field)
        if isinstance(value, list | dict):
            raise internal_error()
        text = scalar(value)
        if not text:
            return None
        found = find(int(text)) if text.isdecimal() else None
        if found is None:
            self.refuse(field, INVALID_CHOICE)
        return present if found is None else found

    def money(self, field: str, present: Decimal | None) -> Decimal | None:
        """An amount of zero or more; a decimal comma is understood."""
        if not self.sent(field):
            return present
        text = scalar(self.raw(field))
        if not text:
            return None
        try:
            amount = decimal(text)
        except ValueError:
            self.refuse(field, "Please enter a valid money amount.")
            return present
        if amount < 0:
            self.break_rule(field, "This value should be greater than or equal to 0.")
        return amount

    def instant(self, field: str, present: int | None, where: ZoneInfo) -> int | None:
        """An HTML5 date-time, read in `where` unless it carries an offset; null and empty = None."""
        if not self.sent(field):
            return present
        text = scalar(self.raw(field))
        if not text:
            return None
        try:
            return parse_html5(text, where)
        except ValueError:
            self.refuse(field, "Please enter a valid date and time.")
            return present

    def seconds(self, field: str, present: int) -> int:
        """A duration: `0:15`, `15m`, `1h30m`; a bare number means hours."""
        if not self.sent(field):
            return present
        text = scalar(self.raw(field))
        if not text:
            return 0
        try:
            return parse_duration(text)
        except ValueError:
            self.refuse(field, "Please enter a valid duration.")
            return present


def scalar(value: Any) -> str:
    """A JSON scalar as the form sees it: null and false are empty, true is 1."""
    if value is None or value is False:
        return ""
    return "1" if value is True else str(value)


def trimmed(text: str) -> str:
    """Text without separators, control and format characters at both ends."""
    start, end = 0, len(text)
    while start < end and unicodedata.category(text[start]) in _TRIMMED:
        start += 1
    while end > start and unicodedata.category(text[end - 1]) in _TRIMMED:
        end -= 1
    return text[start:end]


def decimal(text: str) -> Decimal:
    """A finite number with a point or a comma; ValueError for anything else."""
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no number.") from error
    if not number.is_finite():
        raise ValueError(f"{text!r} is not finite.")
    return number


def parse_duration(text: str) -> int:
    """Seconds of a duration text; ValueError if it is none."""
    if clock := _HOURS_AND_MINUTES.fullmatch(text):
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3] or 0)
    if units := _UNITS.fullmatch(text):
        return int(units[1] or 0) * 3600 + int(units[2] or 0) * 60 + int(units[3] or 0)
    return int(decimal(text) * 3600)
