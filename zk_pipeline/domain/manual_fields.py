"""What people set on a time sheet in the target: billable flag and rates, which a move by us would reset there.

The target does not say who set them. A value that differs from the answer to our last write was set by hand, as long as
the time sheet was not moved since: a move by people resets it too (docs/kimai.md §4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from zk_pipeline.domain.records import Timesheet, TimesheetChange

RESETTING = ("user", "project", "activity")
"""A change of any of these fields makes the target recalculate billable flag and rates."""

_EXACT = Decimal("0.0001")
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class ManualFields:
    """What somebody set; `None` means that the target decides."""

    billable: bool | None = None
    hourly_rate: Decimal | None = None
    fixed_rate: Decimal | None = None

    @property
    def has_rate(self) -> bool:
        """Whether a rate was set."""
        return self.hourly_rate is not None or self.fixed_rate is not None

    def __bool__(self) -> bool:
        return self != ManualFields()

    def to_json(self) -> dict[str, Any]:
        """As JSON for the ledger; amounts are exact texts."""
        amounts = {"hourly_rate": self.hourly_rate, "fixed_rate": self.fixed_rate}
        values: dict[str, Any] = {} if self.billable is None else {"billable": self.billable}
        return values | {name: str(amount) for name, amount in amounts.items() if amount is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> "ManualFields":
        """From the ledger's JSON."""
        values = value or {}
        amounts = {name: Decimal(values[name]) for name in ("hourly_rate", "fixed_rate") if name in values}
        return cls(values.get("billable"), **amounts)

    def on(self, change: TimesheetChange) -> TimesheetChange:
        """The change, with these values sent back."""
        return replace(change, billable=self.billable, hourly_rate=self.hourly_rate, fixed_rate=self.fixed_rate)


NOTHING = ManualFields()


def set_by_hand(row: Timesheet, base: Timesheet | None) -> ManualFields:
    """What somebody set on a time sheet since it was as `base` says."""
    if base is None or _place(row) != _place(base):
        return ManualFields()
    billable = row.billable if row.billable != base.billable else None
    return (
        ManualFields(billable) if _as_reckoned(row, base) else ManualFields(billable, row.hourly_rate, row.fixed_rate)
    )


def as_base(row: Timesheet, former: Timesheet | None, sent: ManualFields) -> Timesheet:
    """The new base of a row, in which people's values are still recognized as theirs.

    `sent` are values that our own move sent back. Otherwise those set since the `former` base count.
    """
    if former is None:
        return row
    theirs = set_by_hand(row, former) or sent
    changes: dict[str, Any] = {} if theirs.billable is None else {"billable": not theirs.billable}
    untold = row.hourly_rate is None and row.fixed_rate is None and _place(row) == _place(former)
    if theirs.has_rate or untold:
        changes |= {"hourly_rate": hourly(former) if theirs.has_rate else former.hourly_rate}
        changes |= {"fixed_rate": former.fixed_rate}
    return replace(row, **changes)


def hourly(row: Timesheet) -> Decimal | None:
    """The price of an hour of a time sheet: its hourly rate, or its amount divided by its length."""
    if row.hourly_rate is not None or row.rate is None or row.duration_seconds <= 0:
        return row.hourly_rate
    return (row.rate * _HOUR / row.duration_seconds).quantize(_EXACT)


def unkept_fields_text(theirs: ManualFields, seconds: int, usual: Decimal | None, currency: str) -> str:
    """Why a move waits for a person, with both amounts: what was set by hand cannot be kept.

    `usual` is the price of an hour where the time sheet would be moved, if another time sheet there shows it; `seconds`
    is its new length.
    """
    parts: list[str] = []
    if theirs.billable is not None:
        now, then = ("billable", "not billable") if theirs.billable else ("not billable", "billable")
        parts.append(f"Somebody made it {now} in Kimai. Moved, it may become {then}.")
    if theirs.has_rate:
        kept = (
            theirs.fixed_rate if theirs.fixed_rate is not None else _amount(theirs.hourly_rate or Decimal(0), seconds)
        )
        would = "Kimai's own rate there, which no time sheet shows yet"
        if usual is not None:
            would = f"{money(_amount(usual, seconds), currency)} at Kimai's own rate there"
        parts.append(
            f"Somebody set its rate in Kimai: it costs {money(kept, currency)} with that. Moved, it would cost {would}."
        )
    return " ".join(parts)


def money(amount: Decimal, currency: str) -> str:
    """An amount with its currency."""
    return f"{amount:.2f} {currency}".strip()


def _amount(an_hour: Decimal, seconds: int) -> Decimal:
    return an_hour * seconds / _HOUR


def _place(row: Timesheet) -> tuple[int, int, int]:
    return row.user_id, row.project_id, row.activity_id


def _as_reckoned(row: Timesheet, base: Timesheet) -> bool:
    """Whether the rates are those of the base, or the target does not say.

    A time sheet that cost nothing had no rate yet: the target sets it with the next save, whoever saves it.
    """
    if (row.hourly_rate, row.fixed_rate) in {(None, None), (base.hourly_rate, base.fixed_rate)}:
        return True
    if base.fixed_rate is not None or base.hourly_rate is not None:
        return base.fixed_rate is None and not base.hourly_rate
    if not base.rate or row.fixed_rate is not None:
        return not base.rate or row.fixed_rate == base.rate
    # A list only has the amount, which is rounded.
    return abs(_amount(row.hourly_rate or Decimal(0), base.duration_seconds) - base.rate) < _EXACT
