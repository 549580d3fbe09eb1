"""What an entry is worth: the rate that applies, and the amount it gives (docs/kimai.md §4, §7)."""

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.model import Rate, Timesheet

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
    """The entry with its amounts as calculated on saving; a running one has none yet.

    Rates set on the entry override every rule, except an hourly rate of zero, which was saved before there was any. A
    rule with a fixed rate overrides an hourly rate, even one set on the entry.
    """
    if entry.end is None:
        return replace(entry, rate=Decimal(0), internal_rate=Decimal(0))
    found = best_rate(kimai, entry)
    preferences = kimai.users.rows[entry.user].preferences
    fixed, hourly = entry.fixed_rate, entry.hourly_rate or None
    inside: Decimal | None = None
    if found is not None and found.is_fixed:
        fixed = found.rate if fixed is None else fixed
    elif found is not None:
        hourly = found.rate if hourly is None else hourly
    if found is not None and found.is_fixed == (fixed is not None):
        inside = found.rate if found.internal_rate is None else found.internal_rate
    elif preferences.get("internal_rate"):
        inside = Decimal(preferences["internal_rate"] or 0)
    if fixed is not None:
        return replace(entry, fixed_rate=fixed, rate=fixed, internal_rate=fixed if inside is None else inside)
    if hourly is None:
        hourly = Decimal(preferences.get("hourly_rate") or 0)
    inside = hourly if inside is None else inside
    return replace(
        entry,
        hourly_rate=hourly,
        rate=_amount(hourly, entry.duration),
        internal_rate=_amount(inside, entry.duration),
    )


def _amount(hourly: Decimal, seconds: int) -> Decimal:
    return (hourly * seconds / 3600).quantize(_FOUR_PLACES, ROUND_HALF_UP)
