"""What vanished from a long list is found, wherever it stood, with few requests and over several turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.vanished import BudgetedListing, Differences, Key, differences

PAGE = 10


@dataclass
class Shelf:
    """A list whose rows are their own keys, read in pages of ten."""

    rows: Sequence[Key]

    def row_at(self, position: int) -> Key | None:
        return self.rows[position] if position < len(self.rows) else None

    def rows_from(self, position: int) -> tuple[int, Sequence[Key]]:
        first = position // PAGE * PAGE
        return first, self.rows[first : first + PAGE]

    def key(self, row: Key) -> Key:
        return row


def compared(known: Sequence[Key], rows: Sequence[Key], requests: int = 1_000_000) -> tuple[Differences[Key], int]:
    """The differences, and how many requests they cost."""
    listing = BudgetedListing(Shelf(rows), requests)
    found = differences(known, listing, total=len(rows))
    return found, requests - listing.requests


def keys(numbers: Sequence[int]) -> list[Key]:
    return [(number // 3, number) for number in numbers]


ALL = keys(range(100_000))


@pytest.mark.parametrize("gone", [0, 1, 4_711, 50_000, 99_998, 99_999])
def test_one_that_vanished_among_100_000_is_found_with_few_requests(gone: int) -> None:
    left = [key for key in ALL if key[1] != gone]
    found, requests = compared(ALL, left)
    assert found == Differences(missing=keys([gone]))
    assert requests <= 2 * ceil(log2(len(ALL))) + 4


def test_where_nothing_vanished_the_search_ends_with_the_last_row() -> None:
    found, requests = compared(ALL, ALL)
    assert found == Differences()
    assert requests <= ceil(log2(len(ALL))) + 2


def test_rows_that_we_do_not_know_between_those_that_vanished_are_told_as_well() -> None:
    known = [key for key in ALL if key[1] not in {70_000, 70_001, 70_002}]
    found, _ = compared(known, [key for key in ALL if key[1] not in {30_000, 40_000}])
    assert found == Differences(missing=keys([30_000, 40_000]), unknown=keys([70_000, 70_001, 70_002]))


numbers = st.integers(0, 200)


@given(st.sets(numbers, min_size=1), st.sets(numbers), st.integers(0, 50))
def test_all_that_vanished_are_found_whatever_lies_before_and_behind(
    known: set[int], gone: set[int], around: int
) -> None:
    before, behind = range(-around, 0), range(1000, 1000 + around)
    left = keys([*before, *sorted(known - gone), *behind])
    found, _ = compared(keys(sorted(known)), left)
    assert (found.missing, found.unknown, found.rest) == (keys(sorted(known & gone)), [], None)


@given(st.sets(numbers, min_size=1), st.sets(numbers, min_size=1), st.integers(12, 40))
def test_turns_of_few_requests_find_the_same(known: set[int], gone: set[int], requests: int) -> None:
    stored, left = keys(sorted(known)), keys(sorted(known - gone))
    missing: list[Key] = []
    start = None
    for _ in range(300):
        found = differences(stored, BudgetedListing(Shelf(left), requests), total=len(left), start=start)
        missing += found.missing
        start = found.rest
        if start is None:
            break
    assert missing == keys(sorted(known & gone))
