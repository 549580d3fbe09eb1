"""Minutes per unit against what agents book: hours, quarters, minutes, and mixtures of them."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.plausibility import FEWEST, Fit, judge_unit, spread, typing_error
from zk_pipeline.domain.reasons import Reason
from zk_pipeline_tests.domain.builders import entry, inputs, ledger_row, ours, reconciler

HOURS = ("0.25", "0.5", "0.25", "1", "0.75", "0.5", "2", "0.25", "1.5", "0.5")
QUARTERS = ("1", "2", "1", "3", "2", "4", "1", "2", "8", "2")
MINUTES = ("15", "30", "10", "45", "20", "90", "30", "5", "60", "25")
DECIMAL_HOURS = ("0.33", "0.1", "0.5", "1", "0.17", "0.66", "2", "0.25", "1.2", "0.5")


def numbers(texts: Sequence[str]) -> list[Decimal]:
    return [Decimal(text) for text in texts]


@pytest.mark.parametrize(
    ("booked", "setting", "fit", "proposal"),
    [
        (MINUTES, 1, Fit.FITS, None),
        (HOURS, 60, Fit.FITS, None),
        (DECIMAL_HOURS, 60, Fit.FITS, None),
        (QUARTERS, 15, Fit.FITS, None),
        (HOURS, 1, Fit.CONTRADICTED, 60),
        (DECIMAL_HOURS, 1, Fit.CONTRADICTED, 60),
        (HOURS, 15, Fit.CONTRADICTED, 60),
        (QUARTERS, 1, Fit.CONTRADICTED, 15),
        (MINUTES, 60, Fit.CONTRADICTED, 1),
        (MINUTES, 15, Fit.CONTRADICTED, 1),
    ],
)
def test_the_numbers_alone_tell_their_unit(booked: Sequence[str], setting: int, fit: Fit, proposal: int | None):
    judgement = judge_unit(numbers(booked), Decimal(setting))
    assert (judgement.fit, judgement.proposal) == (fit, proposal)


@pytest.mark.parametrize(
    ("booked", "setting", "label", "fit", "proposal"),
    [
        (QUARTERS, 60, "quarter", Fit.DOUBTFUL, 15),
        (QUARTERS, 15, "hour", Fit.DOUBTFUL, 60),
        (HOURS, 1, "hour", Fit.CONTRADICTED, 60),
        # The label agrees with the setting and the numbers do not: somebody has to look.
        (HOURS, 1, "minute", Fit.DOUBTFUL, 60),
        # The numbers disprove the label, which then says nothing against the setting.
        (MINUTES, 1, "hour", Fit.FITS, None),
        (MINUTES, 1, "custom", Fit.FITS, None),
        ((), 1, "hour", Fit.DOUBTFUL, 60),
        ((), 60, "hour", Fit.FITS, None),
        ((), 1, None, Fit.UNKNOWN, None),
        (HOURS[: FEWEST - 1], 1, "", Fit.UNKNOWN, None),
    ],
)
def test_zammads_label_decides_where_the_numbers_leave_it_open(
    booked: Sequence[str], setting: int, label: str | None, fit: Fit, proposal: int | None
):
    judgement = judge_unit(numbers(booked), Decimal(setting), label)
    assert (judgement.fit, judgement.proposal) == (fit, proposal)


def test_the_effect_of_the_proposal_is_spelled_out():
    judgement = judge_unit(numbers(HOURS), Decimal(1))
    assert judgement.text == (
        "Median booking 0.5 min, most between 0.25 and 1.5 min (ZK_MINUTES_PER_UNIT=1, 10 bookings)."
        " 80 % are fractions, 100 % multiples of 0.25."
        " With ZK_MINUTES_PER_UNIT=60 the median would be 30 min."
    )


def test_a_change_of_the_unit_shows_as_a_mixture_and_proposes_nothing():
    judgement = judge_unit(numbers((*HOURS, *MINUTES)), Decimal(1), "minute")
    assert (judgement.fit, judgement.proposal) == (Fit.DOUBTFUL, None)
    assert "as if the unit had been changed" in judgement.text


def test_corrections_count_by_their_size_and_zeros_not_at_all():
    seen = spread(numbers(("-30", "30", "0", "0", "0", "-30", "30")))
    assert seen is not None
    assert (seen.count, seen.low, seen.median, seen.high) == (4, 30, 30, 30)


def test_nothing_but_zeros_has_no_spread():
    assert spread(numbers(("0", "0.00"))) is None


UNITS = st.decimals(min_value=-9999, max_value=9999, places=2)


@given(st.lists(UNITS), st.sampled_from([Decimal(1), Decimal(6), Decimal(15), Decimal(60)]))
def test_a_proposal_always_fits_the_numbers_better(values: list[Decimal], setting: Decimal):
    judgement = judge_unit(values, setting)
    if judgement.proposal is not None:
        assert judgement.proposal != setting
        assert judge_unit(values, judgement.proposal).fit is Fit.FITS


@given(st.lists(UNITS, min_size=1), st.randoms())
def test_the_order_of_the_bookings_does_not_matter(values: list[Decimal], random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert spread(shuffled) == spread(values)


@pytest.mark.parametrize(
    ("minutes", "told"),
    [
        ("599999.4", "9,999.99 hours in one booking are probably a typing error: correct the booking in Zammad."),
        ("525601", "8,760.02 hours in one booking are probably a typing error: correct the booking in Zammad."),
        ("525600", ""),
        ("9999.99", ""),
    ],
)
def test_more_than_a_year_in_one_booking_is_probably_a_typing_error(minutes: str, told: str):
    assert typing_error(Decimal(minutes)) == told


def test_a_booking_of_more_than_a_year_waits_and_is_not_sent():
    mistyped = {"time_minutes": Decimal("599999.4"), "booked_minutes": Decimal("599999.4")}
    sheets = {"timesheets": (ours(),), "ledger": (ledger_row(),)}
    for facts in (inputs(entry(**mistyped)), inputs(entry(**mistyped), **sheets)):
        [line] = reconciler().day(facts)
        assert (line.action, line.reason, line.draft) == (Action.REVIEW, Reason.REFUSED_BY_KIMAI, None)
        assert line.text == typing_error(Decimal("599999.4"))
