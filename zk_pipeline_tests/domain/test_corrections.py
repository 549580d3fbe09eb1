"""Netting of negative bookings."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.corrections import CorrectionGroup, CorrectionPair, NettingInput, NettingResult, net
from zk_pipeline_tests.domain.builders import at

GROUP = CorrectionGroup("50", "1", "3")
START = at("2025-08-01T08:00")


def moved(id_: int, minutes: str, group: CorrectionGroup = GROUP, hours: int | None = None) -> NettingInput:
    return NettingInput(str(id_), group, START + timedelta(hours=id_ if hours is None else hours), Decimal(minutes))


MOVEMENTS = st.lists(
    st.builds(
        lambda group, hours, minutes: (group, hours, minutes),
        st.sampled_from(
            [GROUP, CorrectionGroup("50", "1", None), CorrectionGroup("51", "1", "3"), CorrectionGroup("50", "2", "3")]
        ),
        st.integers(0, 5),
        st.decimals(-500, 500, places=2),
    ),
    max_size=30,
).map(
    lambda rows: [
        NettingInput(str(id_), group, START + timedelta(hours=hours), minutes)
        for id_, (group, hours, minutes) in enumerate(rows, start=1)
    ]
)


def test_a_correction_reduces_the_earlier_booking():
    assert net([moved(1, "120"), moved(2, "-100")]) == {
        "1": NettingResult(Decimal(20), corrected_by=("2",)),
        "2": NettingResult(Decimal(0), corrects=("1",)),
    }


def test_the_newest_earlier_booking_is_reduced_first():
    netted = net([moved(1, "60"), moved(2, "30"), moved(3, "-40")])
    assert (netted["1"].minutes, netted["2"].minutes) == (50, 0)
    assert netted["3"].corrects == ("2", "1")


def test_a_later_booking_is_never_reduced():
    netted = net([moved(1, "-10"), moved(2, "30")])
    assert netted == {"1": NettingResult(Decimal(0), Decimal(10)), "2": NettingResult(Decimal(30))}


def test_the_time_of_booking_decides_what_is_earlier_not_the_id():
    netted = net([moved(9, "60", hours=0), moved(1, "-20", hours=1), moved(2, "60", hours=2)])
    assert (netted["9"].minutes, netted["2"].minutes, netted["1"].open_minutes) == (40, 60, 0)


def test_at_the_same_instant_the_lower_id_is_the_earlier_one():
    netted = net([moved(2, "-10", hours=0), moved(1, "10", hours=0)])
    assert netted["1"].minutes == 0
    assert netted["2"].open_minutes == 0


def test_what_is_left_of_a_correction_stays_open():
    netted = net([moved(1, "10"), moved(2, "-25.5")])
    assert netted["2"] == NettingResult(Decimal(0), Decimal("15.5"), corrects=("1",))


@pytest.mark.parametrize(
    "other",
    [
        CorrectionGroup("51", "1", "3"),
        CorrectionGroup("50", "2", "3"),
        CorrectionGroup("50", "1", "4"),
        CorrectionGroup("50", "1", None),
    ],
)
def test_another_ticket_agent_or_type_is_not_corrected(other: CorrectionGroup):
    netted = net([moved(1, "60", other), moved(2, "-30")])
    assert netted["1"].minutes == 60
    assert netted["2"].open_minutes == 30


def test_a_booking_of_zero_is_neither_reduced_nor_in_the_way():
    netted = net([moved(1, "20"), moved(2, "0"), moved(3, "-20")])
    assert netted["2"] == NettingResult(Decimal(0))
    assert netted["1"].minutes == 0


@given(MOVEMENTS)
def test_left_minus_open_equals_booked_in_every_group(movements: list[NettingInput]):
    netted = net(movements)
    booked: dict[CorrectionGroup, Decimal] = defaultdict(Decimal)
    left: dict[CorrectionGroup, Decimal] = defaultdict(Decimal)
    for movement in movements:
        booked[movement.group] += movement.minutes
        left[movement.group] += netted[movement.id].minutes - netted[movement.id].open_minutes
    assert left == booked


@given(MOVEMENTS)
def test_nothing_left_is_negative_or_more_than_was_booked(movements: list[NettingInput]):
    netted = net(movements)
    assert netted.keys() == {movement.id for movement in movements}
    for movement in movements:
        assert 0 <= netted[movement.id].minutes <= max(movement.minutes, 0)
        assert 0 <= netted[movement.id].open_minutes <= max(-movement.minutes, 0)


@given(MOVEMENTS, st.randoms(use_true_random=False))
def test_the_order_of_the_bookings_does_not_matter(movements: list[NettingInput], random):
    shuffled = list(movements)
    random.shuffle(shuffled)
    assert net(shuffled) == net(movements)


OTHERS = (CorrectionGroup("51", "1", "3"), CorrectionGroup("50", "2", "3"), CorrectionGroup("50", "1", None))


@pytest.mark.parametrize("group", [GROUP, *OTHERS])
@pytest.mark.parametrize("hours", [0, 5])
def test_a_pair_reduces_just_the_named_booking_whosever_wherever_and_whenever_it_is(group: CorrectionGroup, hours: int):
    rows = [moved(1, "60", hours=1), moved(2, "60", group, hours=hours), moved(3, "-25", hours=3)]
    netted = net(rows, [CorrectionPair("3", "2")])
    assert (netted["1"], netted["2"]) == (NettingResult(Decimal(60)), NettingResult(Decimal(35), corrected_by=("3",)))
    assert netted["3"] == NettingResult(Decimal(0), corrects=("2",))


def test_what_a_pair_leaves_of_a_correction_stays_open_and_a_second_pair_takes_it():
    rows = [moved(1, "60"), moved(2, "20", OTHERS[0]), moved(3, "-50")]
    netted = net(rows, [CorrectionPair("3", "2")])
    assert (netted["1"].minutes, netted["2"].minutes, netted["3"].open_minutes) == (60, 0, 30)
    netted = net(rows, [CorrectionPair("3", "2"), CorrectionPair("3", "1")])
    assert (netted["1"].minutes, netted["2"].minutes, netted["3"]) == (
        30,
        0,
        NettingResult(
            Decimal(0),
            corrects=(
                "2",
                "1",
            ),
        ),
    )


def test_a_pair_comes_before_what_is_netted_by_itself():
    rows = [moved(1, "30"), moved(2, "-30"), moved(3, "-30", OTHERS[0])]
    netted = net(rows, [CorrectionPair("3", "1")])
    assert (netted["1"].corrected_by, netted["2"].open_minutes, netted["3"].open_minutes) == (("3",), 30, 0)


@pytest.mark.parametrize(
    "pair", [CorrectionPair("2", "9"), CorrectionPair("9", "1"), CorrectionPair("1", "2"), CorrectionPair("2", "2")]
)
def test_a_pair_of_bookings_that_are_gone_or_no_longer_what_they_were_counts_for_nothing(pair: CorrectionPair):
    rows = [moved(1, "30"), moved(2, "-20")]
    assert net(rows, [pair]) == net(rows)


@given(MOVEMENTS, st.lists(st.builds(CorrectionPair, st.integers(1, 30), st.integers(1, 30)), max_size=8, unique=True))
def test_minutes_are_kept_whatever_people_pair(movements: list[NettingInput], pairs: list[CorrectionPair]):
    netted = net(movements, pairs)
    assert sum(row.minutes - row.open_minutes for row in netted.values()) == sum(row.minutes for row in movements)
    for movement in movements:
        assert 0 <= netted[movement.id].minutes <= max(movement.minutes, 0)
        assert 0 <= netted[movement.id].open_minutes <= max(-movement.minutes, 0)
    valid = {pair for pair in pairs if pair.correction in netted and pair.reduced in netted}
    signs = {row.id: row.minutes < 0 for row in movements}
    valid = {pair for pair in valid if signs[pair.correction] and not signs[pair.reduced]}
    for correction in {pair.correction for pair in valid}:
        assert set(netted[correction].corrects) <= {pair.reduced for pair in valid if pair.correction == correction}


@given(MOVEMENTS)
def test_both_sides_of_a_correction_name_each_other(movements: list[NettingInput]):
    netted = net(movements)
    forth = {(id_, other) for id_, found in netted.items() for other in found.corrects}
    back = {(other, id_) for id_, found in netted.items() for other in found.corrected_by}
    assert forth == back


def test_open_corrections_after_a_long_history_do_not_walk_through_it_again():
    used_up = [*(moved(id_, "1") for id_ in range(1, 50_001)), moved(50_001, "-50000")]
    netted = net([*used_up, *(moved(id_, "-1") for id_ in range(50_002, 100_002))])
    assert sum(found.open_minutes for found in netted.values()) == 50_000
