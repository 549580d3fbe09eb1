"""Write protection: on which days, and to which time sheets, nothing may be written any more."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import is_billed, month_name, month_of
from zk_pipeline.domain.records import Timesheet

_RULE = re.compile(r"first day of (?P<month>this|last) month|(?P<days>\d{1,4}) days ago")


class LockRuleError(ValueError):
    """The text is neither a date nor a rule."""


@dataclass(frozen=True, slots=True)
class WriteProtection:
    """Protects days before `locked_before` and those of closed months (by their first days), in the business zone."""

    zone: ZoneInfo
    locked_before: date | None = None
    closed_months: frozenset[date] = frozenset()

    def is_closed(self, day: date) -> bool:
        """Whether time sheets of this day may no longer be written."""
        before = self.locked_before is not None and day < self.locked_before
        return before or month_of(day) in self.closed_months

    def why(self, row: Timesheet) -> str:
        """Why a time sheet may not be written, as a sentence; empty if it may."""
        if row.faults:
            return f"It cannot be read: {', '.join(sorted(row.faults))}."
        if row.exported:
            return "It is exported, and so billed."
        if is_billed(row):
            return f"It is billed: its tags are {', '.join(row.tags)}."
        return self.why_day(local_day(row.begin, self.zone))

    def why_day(self, day: date) -> str:
        """Why a day may not be written, as a sentence; empty if it may."""
        if month_of(day) in self.closed_months:
            return f"{day} is closed: {month_name(day)} was closed for billing."
        return f"{day} is closed: nothing is written before {self.locked_before}." if self.is_closed(day) else ""


def first_open_day(rule: str, today: date) -> date | None:
    """The first unprotected day; `None` for an empty rule. Raises `LockRuleError` for an invalid one."""
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
