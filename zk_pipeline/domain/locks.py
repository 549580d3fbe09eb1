"""The lock rule: before which day nothing may be written, as a date or a rule that moves with the calendar."""

import re
from datetime import date, timedelta

_RULE = re.compile(r"first day of (?P<month>this|last) month|(?P<days>\d{1,4}) days ago")


class LockRuleError(ValueError):
    """The text is neither a date nor a rule."""


def first_open_day(rule: str, today: date) -> date | None:
    """The first day that is not locked; `None` for an empty rule. Raises `LockRuleError` on anything unknown."""
    text = " ".join(rule.lower().split())
    if not text:
        return None
    found = _RULE.fullmatch(text)
    if found is None:
        return _date(rule)
    if found["days"]:
        return today - timedelta(days=int(found["days"]))
    this_month = today.replace(day=1)
    return this_month if found["month"] == "this" else (this_month - timedelta(days=1)).replace(day=1)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise LockRuleError(
            f"{text!r} is neither a date such as 2025-08-01 nor a rule: first day of this month, "
            "first day of last month, or N days ago."
        ) from error
