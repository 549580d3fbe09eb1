"""What an entry is worth: the rate that applies, and the amount it gives (docs/kimai.md §4, §7)."""

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

from zk_pipeline.sandbox.kimai.installation import Installation
from zk_pipeline.sandbox.kimai.model import Rate, Timesheet

_FOUR_PLACES = Decimal("0.0001")
_WEIGHTS = {"activities": 5, "projects": 3, "customers": 1}


def best_rate(kimai: Installation, entry: Timesheet) -> Rate | None:
    """The rate of the activity, else of the project, else of the customer; one for the user goes first."""
    owners = {
        "activities": entry.activity,
        "projects": entry.project,
        "customers": kimai.projects.rows[entry.project].customer,
    }
    fitting = [rate for rate in kimai.rates if owners[rate.kind] == rate.owner and rate.user in {None, entry.user}]
    return max(fitting, key=lambda rate: _WEIGHTS[rate.kind] + (rate.user is not None), default=None)


def with_rates(kimai: Installation, entry: Timesheet) -> Timesheet:
    """The entry with its amounts computed anew; a running one is worth nothing yet."""
    if entry.end is None:
        return replace(entry, rate=Decimal(0), internal_rate=Decimal(0))
    found = best_rate(kimai, entry)
    if found is not None and found.is_fixed and entry.fixed_rate is None and entry.hourly_rate is None:
        entry = replace(entry, fixed_rate=found.rate)
    if entry.fixed_rate is not None:
        return replace(entry, rate=entry.fixed_rate, internal_rate=entry.fixed_rate)
    hourly, internal = _hourly(kimai, entry, found)
    return replace(
        entry,
        hourly_rate=hourly,
        rate=_amount(hourly, entry.duration),
        internal_rate=_amount(internal, entry.duration),
    )


def _hourly(kimai: Installation, entry: Timesheet, found: Rate | None) -> tuple[Decimal, Decimal]:
    if entry.hourly_rate is not None:
        return entry.hourly_rate, entry.hourly_rate
    if found is not None:
        return found.rate, found.rate if found.internal_rate is None else found.internal_rate
    preferences = kimai.users.rows[entry.user].preferences
    hourly = Decimal(preferences.get("hourly_rate") or 0)
    internal = preferences.get("internal_rate")
    return hourly, Decimal(internal) if internal else hourly


def _amount(hourly: Decimal, seconds: int) -> Decimal:
    return (hourly * seconds / 3600).quantize(_FOUR_PLACES, ROUND_HALF_UP)
