"""Closing: months of the business zone, what prevents closing one, and what marks a time sheet as billed."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from zk_pipeline.domain.records import Timesheet

BILLED_TAG = "billed:"
"""Prefix of the tag on the time sheets of a closed month; Kimai allows a colon in a tag (docs/kimai.md §9)."""

_BILLED = re.compile(r"billed:\d{4}-\d{2}", re.IGNORECASE)
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_YEARS = range(1970, 9999)
_FURTHEST = 3660


class MonthError(ValueError):
    """A text is not a month. The message says how to write one."""


@dataclass(frozen=True, slots=True)
class Closing:
    """When and by whom a month was closed, and `reopened_at`, both in UTC.

    `kept` says that the closed statement is stored, `shown` that it is the statement shown. `differs` says that today's
    statement is another one; `stale_days` changed since today's was made, so it is not up to date. `pseudonymized`
    says that people were erased from the closed one; `hash` is still that of the original.
    """

    at: datetime
    by: str
    hash: str
    reopened_at: datetime | None = None
    kept: bool = True
    shown: bool = False
    differs: bool = False
    stale_days: int = 0
    pseudonymized: bool = False

    @property
    def kind(self) -> str:
        """How this statement relates to the closed one, in one word."""
        if self.shown:
            return "as_closed"
        if not self.kept:
            return "not_kept"
        if self.differs:
            return "differs"
        return "outdated" if self.stale_days else "unchanged"


@dataclass(frozen=True, slots=True)
class StatementTotals:
    """What decides whether a month may be closed.

    `lines` is `None` if no statement was ever made; `entries` are those of the month. `asked_days` are its days with a
    requested run, `stale_days` those that changed since the statement was made.

    Minutes are exact. `minutes_waiting` is a sum, in which too many and too few minutes cancel out, so `waiting` has
    the number of entries; `questions` is the number of open conflicts, about `minutes_in_question`; `corrections_open`
    are the minutes of corrections that found nothing to reduce. `minutes_unexplained` and `lost_in_netting` add up
    absolute values. `not_read_since` is the day on which a part of the month was last read, if its source would not
    tell of edits since then.
    """

    lines: int | None
    entries: int
    minutes_waiting: Decimal
    minutes_unexplained: Decimal
    lost_in_netting: Decimal = Decimal(0)
    waiting: int = 0
    questions: int = 0
    minutes_in_question: Decimal = Decimal(0)
    corrections_open: Decimal = Decimal(0)
    asked_days: Sequence[date] = ()
    stale_days: Sequence[date] = ()
    not_read_since: date | None = None

    @property
    def in_question(self) -> bool:
        """Whether anything of the month waits or is undecided."""
        return bool(self.waiting or self.questions or self.corrections_open)

    @property
    def in_question_text(self) -> str:
        """The number of open conflicts and corrections, with their hours."""
        about = f" ({in_hours(self.minutes_in_question)})" if self.minutes_in_question else ""
        corrections = self.corrections_open
        rest = f", open corrections: {in_hours(corrections)}" if corrections else ""
        return f"open conflicts: {self.questions}{about}{rest}"


def fingerprint(content: Mapping[str, Any]) -> str:
    """SHA-256 of the lasting parts of a statement (docs/billing.md, Closing a month)."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def parse_month(text: str) -> date:
    """The first day of a month written as `2025-08`. Raises `MonthError`."""
    found = _MONTH.fullmatch(text.strip())
    if found is None or int(found[1]) not in _YEARS:
        raise MonthError(f"{text!r} is not a month. Write year and month, such as 2025-08.")
    return date(int(found[1]), int(found[2]), 1)


def month_of(day: date) -> date:
    """The first day of a day's month."""
    return day.replace(day=1)


def month_name(month: date) -> str:
    """A month as text: `2025-08`."""
    return month.isoformat()[:7]


def last_day(month: date) -> date:
    """The last day of a month."""
    return next_month(month) - timedelta(days=1)


def next_month(month: date) -> date:
    """The month after a month."""
    return month_of(month_of(month) + timedelta(days=31))


def billed_tag(month: date) -> str:
    """The tag for time sheets billed with a month."""
    return f"{BILLED_TAG}{month_name(month)}"


def is_billed(row: Timesheet) -> bool:
    """Whether a time sheet is billed: exported (by an invoice or export), or tagged as billed."""
    return row.exported or any(_BILLED.fullmatch(tag) for tag in row.tags)


def booking_day(today: date, is_closed: Callable[[date], bool]) -> date:
    """The day on which an adjustment is booked: today, or the first open day after it.

    Raises `MonthError` if the next ten years are closed.
    """
    for days in range(_FURTHEST):
        day = today + timedelta(days=days)
        if not is_closed(day):
            return day
    raise MonthError("No day is open to book an adjustment on. Correct ZK_LOCKED_BEFORE.")


def closing_obstacles(month: date, totals: StatementTotals, today: date, *, with_waiting: bool = False) -> list[str]:
    """Why a month may not be closed, as sentences with the remedy; empty if it may.

    `with_waiting` allows waiting bookings; their later result is booked in an open period.
    """
    name = month_name(month)
    objections: list[str] = []
    if last_day(month) >= today:
        objections.append(f"{name} is not over. Close it from {next_month(month)} on.")
    objections += _unstated(name, totals)
    if totals.minutes_unexplained:
        objections.append(
            f"{in_hours(totals.minutes_unexplained)} of {name} are unexplained, so its statement does not "
            f"balance. Look at its statement, and sync the days again."
        )
    if totals.lost_in_netting:
        objections.append(
            f"Corrections of {name} and what they correct differ by {in_hours(totals.lost_in_netting)}. Sync its "
            f"days again."
        )
    if totals.in_question and not with_waiting:
        objections.append(
            f"{in_hours(totals.minutes_waiting)} of {name} wait for people (entries: {totals.waiting}, "
            f"{totals.in_question_text}). Decide about them, or close with what waits."
        )
    if totals.asked_days:
        days = ", ".join(str(day) for day in totals.asked_days)
        objections.append(f"Runs of {days} are requested. Wait for them, or sync these days.")
    if totals.not_read_since:
        objections.append(
            f"{name} was last read on {totals.not_read_since}, and its source does not tell of later edits. Sync its "
            "days again."
        )
    return objections


def _unstated(name: str, totals: StatementTotals) -> list[str]:
    """What is missing in the statement."""
    if totals.lines is None:
        return ["There is no statement yet. Make it first."]
    if totals.entries and not totals.lines:
        return [f"The statement has no line of {name}. Make it again."]
    if totals.stale_days:
        days = ", ".join(str(day) for day in totals.stale_days)
        return [f"The statement of {name} is out of date: {days} changed since it was made. Make it again."]
    return []


def in_hours(minutes: Decimal) -> str:
    """An amount of time in a sentence: `28 h 43`, to the minute; below an hour `7.5 min`, exactly."""
    if abs(minutes) < 60:
        return f"{minutes.normalize():f} min"
    whole = int(abs(minutes).to_integral_value(ROUND_HALF_UP))
    return f"{'-' if minutes < 0 else ''}{whole // 60} h {whole % 60:02}"
