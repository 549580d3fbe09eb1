"""Whether minutes per unit fit the numbers that agents book, which have no unit (docs/zammad.md §4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from statistics import median

LABELS = {"minute": Decimal(1), "quarter": Decimal(15), "hour": Decimal(60)}
"""Minutes per unit, by Zammad's names for units; the names are only labels."""

FEWEST = 5
"""With fewer bookings there is no judgement."""

SHORTEST, LONGEST = Decimal(3), Decimal(240)
"""The median booking of a service desk lies between these minutes."""

MOST_OF_A_BOOKING = Decimal(365 * 24 * 60)
"""Minutes: the target takes no longer time sheet (docs/kimai.md §3), and no one works longer in one go."""

_QUARTER = Decimal("0.25")
_SMALL, _LARGE = Decimal(4), Decimal(15)
_HOURS_AT_LEAST = Decimal(30)  # Minutes per unit of which people book fractions.
_FEW, _MANY = Decimal("0.1"), Decimal("0.2")  # Shares of the bookings.


class Fit(StrEnum):
    """How well minutes per unit fit the bookings."""

    UNKNOWN = "unknown"
    FITS = "fits"
    DOUBTFUL = "doubtful"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class Spread:
    """The distribution of the booked numbers, in Zammad's unit: corrections by absolute value, without zeros.

    80 % of the bookings lie between `low` and `high`; the shares are between 0 and 1.
    """

    count: int
    low: Decimal
    median: Decimal
    high: Decimal
    fractions: Decimal
    quarters: Decimal
    small_fractions: Decimal
    large: Decimal

    @property
    def hours(self) -> bool:
        """Whether the unit can only be hours: no one books fractions of a few minutes."""
        return self.fractions >= _MANY and self.median < LABELS["quarter"] and not self.mixed

    @property
    def mixed(self) -> bool:
        """Whether some numbers look like hours and others like minutes, as after a change of the unit."""
        return self.small_fractions >= _FEW and self.large >= _FEW


@dataclass(frozen=True, slots=True)
class UnitJudgement:
    """What the bookings say about minutes per unit, in sentences, and a value that fits better."""

    fit: Fit
    text: str
    proposal: Decimal | None = None


def spread(values: Iterable[Decimal]) -> Spread | None:
    """The distribution of the booked numbers; `None` if all are zero."""
    sizes = sorted(abs(value) for value in values if value)
    if not sizes:
        return None
    fractions = [size for size in sizes if size % 1]
    return Spread(
        count=len(sizes),
        low=sizes[len(sizes) // 10],
        median=median(sizes),
        high=sizes[-1 - len(sizes) // 10],
        fractions=_share(fractions, sizes),
        quarters=_share([size for size in sizes if not size % _QUARTER], sizes),
        small_fractions=_share([size for size in fractions if size < _SMALL], sizes),
        large=_share([size for size in sizes if size >= _LARGE], sizes),
    )


def judge_unit(values: Iterable[Decimal], minutes_per_unit: Decimal, label: str | None = None) -> UnitJudgement:
    """Judge minutes per unit by the booked numbers, and by Zammad's label if it is one that we know."""
    seen = spread(values)
    labelled = LABELS.get(label or "")
    if seen is None or seen.count < FEWEST:
        return _by_label(minutes_per_unit, label, labelled)
    proposal = _proposal(seen, minutes_per_unit, labelled)
    fit = _fit(seen, minutes_per_unit, labelled)
    sentences = [_described(seen, minutes_per_unit)]
    if fit is Fit.FITS:
        return UnitJudgement(fit, sentences[0])
    if seen.mixed:
        sentences.append("Some look like hours and others like minutes, as if the unit had been changed.")
        return UnitJudgement(fit, " ".join(sentences))
    if seen.hours:
        sentences.append(f"{_percent(seen.fractions)} are fractions, {_percent(seen.quarters)} multiples of 0.25.")
    if labelled is not None and labelled != minutes_per_unit:
        sentences.append(f"Zammad labels them {label!r}.")
    if proposal is not None:
        minutes = plain(seen.median * proposal)
        sentences.append(f"With ZK_MINUTES_PER_UNIT={plain(proposal)} the median would be {minutes} min.")
    return UnitJudgement(fit, " ".join(sentences), proposal)


def typing_error(minutes: Decimal) -> str:
    """What is wrong with a booking of this length, as a sentence with the remedy; empty for most.

    The source's longest amount is 9,999.99 units: 416 days if a unit is an hour.
    """
    if minutes <= MOST_OF_A_BOOKING:
        return ""
    hours = f"{(minutes / 60).quantize(Decimal('0.01')):,f}".rstrip("0").rstrip(".")
    return f"{hours} hours in one booking are probably a typing error: correct the booking in Zammad."


def plain(number: Decimal) -> str:
    """A number without exponent and trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _by_label(minutes_per_unit: Decimal, label: str | None, labelled: Decimal | None) -> UnitJudgement:
    if labelled is None:
        return UnitJudgement(Fit.UNKNOWN, f"Fewer than {FEWEST} bookings and no label: the unit cannot be checked.")
    if labelled == minutes_per_unit:
        return UnitJudgement(Fit.FITS, f"Zammad labels its numbers {label!r}, as ZK_MINUTES_PER_UNIT says.")
    text = f"Zammad labels its numbers {label!r}, but ZK_MINUTES_PER_UNIT={plain(minutes_per_unit)}."
    return UnitJudgement(Fit.DOUBTFUL, text, labelled)


def _fit(seen: Spread, minutes_per_unit: Decimal, labelled: Decimal | None) -> Fit:
    if seen.mixed:
        return Fit.DOUBTFUL
    if not _is_possible(seen, minutes_per_unit):
        return Fit.DOUBTFUL if labelled == minutes_per_unit else Fit.CONTRADICTED
    # A label that contradicts the numbers does not count against the setting.
    if labelled is not None and labelled != minutes_per_unit and _is_possible(seen, labelled):
        return Fit.DOUBTFUL
    return Fit.FITS


def _is_possible(seen: Spread, minutes_per_unit: Decimal) -> bool:
    if seen.hours and minutes_per_unit < _HOURS_AT_LEAST:
        return False
    return SHORTEST <= seen.median * minutes_per_unit <= LONGEST


def _proposal(seen: Spread, minutes_per_unit: Decimal, labelled: Decimal | None) -> Decimal | None:
    candidates = [unit for unit in (labelled, *LABELS.values()) if unit is not None and unit != minutes_per_unit]
    return next((unit for unit in candidates if _is_possible(seen, unit)), None)


def _described(seen: Spread, minutes_per_unit: Decimal) -> str:
    low, middle, high = (plain(value * minutes_per_unit) for value in (seen.low, seen.median, seen.high))
    return (
        f"Median booking {middle} min, most between {low} and {high} min"
        f" (ZK_MINUTES_PER_UNIT={plain(minutes_per_unit)}, {seen.count} bookings)."
    )


def _share(part: Sequence[Decimal], whole: Sequence[Decimal]) -> Decimal:
    return Decimal(len(part)) / len(whole)


def _percent(share: Decimal) -> str:
    return f"{round(share * 100)} %"
