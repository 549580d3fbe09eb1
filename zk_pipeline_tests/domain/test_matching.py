"""Which time sheet belongs to which entry."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.matching import Candidate, Match, Matches, MatchRequest, OwnershipIndex, Tier, assign, match
from zk_pipeline.domain.records import Timesheet
from zk_pipeline_tests.domain.builders import ANNA, BEN, DAY, ZONE_UTC, at, ours, timesheet

TEXT = "Ticket #50 Printer on fire"
MIDNIGHT = at("2025-08-16T00:00")


def wanted(
    source_id: str = "6", *, minutes: int = 15, user_id: int | None = ANNA.id, day: date = DAY, number: str = "#50"
) -> MatchRequest:
    return MatchRequest(source_id, user_id, number, day, minutes * 60, f"{number} Printer on fire")


def by_hand(id_: int = 100, **changes: Any) -> Timesheet:
    return timesheet(id_, **{"description": TEXT, **changes})


def matched(entries: list[MatchRequest], rows: list[Timesheet], ledger: dict[str, int] | None = None) -> Matches:
    return match(entries, rows, OwnershipIndex("zammad", ledger or {}), ZONE_UTC)


def pair(
    entries: list[MatchRequest], rows: list[Timesheet], ledger: dict[str, int] | None = None
) -> dict[str, tuple[int | None, Tier | None]]:
    found = matched(entries, rows, ledger).by_source
    return {id_: (one.timesheet.id if one.timesheet else None, one.tier) for id_, one in found.items()}


NOTHING = (None, None)


def test_the_ledger_decides_whatever_the_time_sheet_says():
    moved = timesheet(100, begin="2024-01-01T00:00", user_id=BEN.id, minutes=480)
    assert pair([wanted()], [moved, ours(101)], {"6": 100}) == {"6": (100, Tier.OURS)}


def test_the_marker_decides_without_a_ledger():
    assert pair([wanted()], [by_hand(99), ours(100)]) == {"6": (100, Tier.OURS)}


def test_an_entry_without_person_is_found_by_its_marker_alone():
    assert pair([wanted(user_id=None)], [ours(100)]) == {"6": (100, Tier.OURS)}
    assert pair([wanted(user_id=None)], [by_hand(100)]) == {"6": NOTHING}


def test_a_time_sheet_typed_by_hand_that_says_the_same_is_the_second_tier():
    assert pair([wanted()], [by_hand()]) == {"6": (100, Tier.SAME)}


@pytest.mark.parametrize(
    ("seconds", "tier"), [(960, Tier.SAME), (961, Tier.FUZZY), (840, Tier.SAME), (839, Tier.FUZZY)]
)
def test_a_minute_is_the_border_of_the_same_duration(seconds: int, tier: Tier):
    assert pair([wanted()], [by_hand(duration_seconds=seconds)]) == {"6": (100, tier)}


@pytest.mark.parametrize(("minutes", "found"), [(20, 100), (21, None), (10, 100), (9, None)])
def test_short_entries_are_similar_within_five_minutes(minutes: int, found: int | None):
    assert pair([wanted()], [by_hand(minutes=minutes)])["6"][0] == found


@pytest.mark.parametrize(("minutes", "found"), [(132, 100), (133, None), (108, 100), (107, None)])
def test_long_entries_are_similar_within_a_tenth(minutes: int, found: int | None):
    assert pair([wanted(minutes=120)], [by_hand(minutes=minutes)])["6"][0] == found


@pytest.mark.parametrize(
    ("begin", "tier"),
    [
        ("2025-08-16T23:59", Tier.SAME),
        ("2025-08-15T00:00", Tier.FUZZY),
        ("2025-08-17T23:59", Tier.FUZZY),
        ("2025-08-14T23:59", None),
        ("2025-08-18T00:00", None),
    ],
)
def test_a_day_apart_is_similar_and_two_days_are_not(begin: str, tier: Tier | None):
    assert pair([wanted()], [by_hand(begin=begin)])["6"][1] is tier


@pytest.mark.parametrize(
    "foreign",
    [
        by_hand(user_id=BEN.id),
        by_hand(description=""),
        by_hand(description="Printer on fire, 50 minutes"),
        by_hand(description="Ticket #500"),
        by_hand(description="Ticket #50 [zk-other-9]"),
        by_hand(end=None, duration_seconds=900),
    ],
    ids=["another person", "no text", "no reference", "another ticket", "another connector's", "running"],
)
def test_foreign_and_running_time_sheets_are_no_candidates(foreign: Timesheet):
    found = matched([wanted()], [foreign])
    assert found.by_source == {"6": Match()}
    assert found.strays == ()


def test_a_time_sheet_bound_to_an_entry_of_another_day_is_no_candidate():
    assert pair([wanted()], [by_hand()], {"3": 100}) == {"6": NOTHING}


def test_the_same_outweighs_the_similar_and_leaves_it_to_the_other():
    entries = [wanted("6", minutes=15), wanted("7", minutes=18)]
    assert pair(entries, [by_hand(100, minutes=18), by_hand(101, minutes=15)]) == {
        "6": (101, Tier.SAME),
        "7": (100, Tier.SAME),
    }


def test_the_likest_text_wins_among_similar_time_sheets():
    unlike = by_hand(100, minutes=18, description="#50 travel to the customer in the rain")
    assert pair([wanted()], [unlike, by_hand(101, minutes=18)]) == {"6": (101, Tier.FUZZY)}


def test_two_equal_time_sheets_for_one_entry_are_ambiguous():
    found = matched([wanted()], [by_hand(100), by_hand(101)]).by_source["6"]
    assert (found.timesheet, found.ambiguous) == (None, True)
    assert [candidate.timesheet_id for candidate in found.candidates] == [100, 101]


def test_two_equal_entries_for_one_time_sheet_are_both_ambiguous():
    found = matched([wanted("6"), wanted("7")], [by_hand()]).by_source
    assert [found[id_].ambiguous for id_ in ("6", "7")] == [True, True]
    assert [found[id_].timesheet for id_ in ("6", "7")] == [None, None]


def test_a_time_sheet_of_a_tie_is_not_given_to_the_next_best():
    entries = [wanted("6"), wanted("7"), wanted("8", minutes=18)]
    assert pair(entries, [by_hand()])["8"] == NOTHING


def test_whose_candidate_went_to_a_better_entry_is_free_to_be_created():
    found = matched([wanted("6"), wanted("7", minutes=18)], [by_hand()]).by_source
    assert found["6"].tier is Tier.SAME
    assert (found["7"].timesheet, found["7"].ambiguous) == (None, False)


def test_copies_of_our_time_sheet_are_clones_of_the_oldest():
    found = matched([wanted()], [ours(102), ours(100), ours(101)])
    assert found.by_source["6"].timesheet == ours(100)
    assert found.by_source["6"].clones == (ours(101), ours(102))
    assert found.strays == ()


def test_a_running_copy_is_never_taken_for_the_original():
    running = ours(99, end=None, duration_seconds=0)
    found = matched([wanted()], [running, ours(100)]).by_source["6"]
    assert found.timesheet == ours(100)
    assert found.clones == (running,)


def test_the_time_sheet_of_another_entry_cannot_be_claimed_by_a_marker():
    stolen = ours(100, "7")
    found = matched([wanted("6"), wanted("7")], [stolen], {"6": 100})
    assert found.by_source["6"].timesheet == stolen
    assert found.by_source["7"] == Match()
    assert found.strays == ()


def test_a_time_sheet_with_two_markers_is_used_by_one_entry_only():
    both = ours(100, description="#50 [zk-zammad-10] [zk-zammad-9]")
    found = matched([wanted("10"), wanted("9")], [both])
    assert found.by_source["9"].timesheet == both
    assert found.by_source["10"] == Match()
    assert found.strays == ()


def test_a_copy_with_two_markers_is_the_clone_of_one_entry_only():
    copy = ours(102, description="#50 [zk-zammad-6] [zk-zammad-7] [zk-zammad-999]")
    found = matched([wanted("6"), wanted("7")], [ours(100, "6"), ours(101, "7"), copy], {"6": 100, "7": 101})
    assert [found.by_source[id_].clones for id_ in ("6", "7")] == [(copy,), ()]
    assert found.strays == ()


@pytest.mark.parametrize("order", [1, -1])
def test_a_time_sheet_that_the_ledger_names_twice_belongs_to_the_oldest_booking(order: int):
    ledger = dict([("9", 100), ("10", 100)][::order])
    assert pair([wanted("10"), wanted("9")], [timesheet(100)], ledger) == {"9": (100, Tier.OURS), "10": NOTHING}


def test_our_time_sheets_without_entry_are_strays():
    assert matched([], [ours(100, "8"), by_hand(101)]).strays == (("8", ours(100, "8")),)


def test_a_time_sheet_that_lost_its_marker_is_a_stray_by_the_ledger():
    assert matched([], [timesheet(100)], {"8": 100}).strays == (("8", timesheet(100)),)


ENTRIES = st.lists(
    st.tuples(st.sampled_from([ANNA.id, BEN.id, None]), st.sampled_from(["#50", "#51"]), st.integers(1, 40)), max_size=8
).map(
    lambda rows: [
        wanted(str(id_), user_id=user, number=number, minutes=minutes)
        for id_, (user, number, minutes) in enumerate(rows, start=8)
    ]
)
DESCRIPTIONS = st.sampled_from(
    [
        "",
        "#50",
        "#51 call",
        "Ticket #50 Printer on fire",
        "[zk-zammad-8]",
        "#50 [zk-zammad-9] [zk-zammad-10]",
        "[zk-zammad-77]",
    ]
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from([ANNA.id, BEN.id]), st.integers(-30, 54), st.integers(0, 40), DESCRIPTIONS, st.booleans()
    ),
    max_size=10,
).map(
    lambda rows: [
        timesheet(
            id_, user_id=user, begin=(MIDNIGHT + timedelta(hours=hours)).isoformat(), minutes=minutes, description=text
        )
        if stopped
        else timesheet(id_, user_id=user, end=None, duration_seconds=0, description=text)
        for id_, (user, hours, minutes, text, stopped) in enumerate(rows, start=100)
    ]
)
LEDGERS = st.dictionaries(st.integers(1, 16).map(str), st.integers(100, 110), max_size=6)


@given(ENTRIES, ROWS, LEDGERS)
def test_no_entry_is_lost_and_no_time_sheet_is_used_twice(
    entries: list[MatchRequest], rows: list[Timesheet], ledger: dict[str, int]
):
    found = matched(entries, rows, ledger)
    assert found.by_source.keys() == {entry.source_id for entry in entries}
    used = [one.timesheet.id for one in found.by_source.values() if one.timesheet]
    used += [clone.id for one in found.by_source.values() for clone in one.clones]
    used += {row.id for _, row in found.strays}
    assert len(used) == len(set(used))


@given(ENTRIES, ROWS, LEDGERS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    entries: list[MatchRequest], rows: list[Timesheet], ledger: dict[str, int], random
):
    before = matched(entries, rows, ledger)
    for mixed in (entries, rows):
        random.shuffle(mixed)
    after = matched(entries, rows, dict(reversed(ledger.items())))
    assert after.by_source == before.by_source
    assert sorted((id_, row.id) for id_, row in after.strays) == sorted((id_, row.id) for id_, row in before.strays)


@given(ENTRIES, ROWS)
def test_time_sheets_of_other_people_or_without_reference_are_never_matched(
    entries: list[MatchRequest], rows: list[Timesheet]
):
    users = {entry.source_id: entry.user_id for entry in entries}
    for source_id, one in matched(entries, rows).by_source.items():
        if one.timesheet is not None and one.tier is not Tier.OURS:
            assert one.timesheet.user_id == users[source_id]
            assert one.timesheet.end is not None
            assert "#5" in one.timesheet.description
            assert "[zk-" not in one.timesheet.description


@given(
    st.lists(
        st.builds(Candidate, st.sampled_from("abcde"), st.integers(1, 5), st.just(Tier.FUZZY), st.integers(1, 4)),
        max_size=15,
        unique_by=lambda one: (one.source_id, one.timesheet_id),
    )
)
def test_an_assignment_is_one_to_one_and_an_equal_is_passed_over_only_for_a_better_pair(candidates: list[Candidate]):
    pairs, tied = assign(candidates)
    assert len({one.timesheet_id for one in pairs.values()}) == len(pairs)
    assert not tied & pairs.keys()
    for one in pairs.values():
        equals = {
            other.timesheet_id for other in candidates if other.source_id == one.source_id and other.score == one.score
        }
        better = {other.timesheet_id for other in candidates if other.score > one.score}
        assert equals - better <= {one.timesheet_id}


def test_a_crowded_day_is_matched_in_a_moment():
    entries = [
        wanted(str(id_), number=f"#{id_ % 100}", user_id=id_ % 50, minutes=15 + id_ % 30) for id_ in range(2_000)
    ]
    rows = [
        by_hand(id_, user_id=id_ % 50, description=f"Ticket #{id_ % 100} call", minutes=15 + id_ % 45)
        for id_ in range(20_000)
    ]
    assert len(matched(entries, rows).by_source) == 2_000
