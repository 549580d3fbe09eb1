"""Finds the differences between a system's long list and what we know of it, without reading the list.

The list is sorted, and so is what we know. Without changes, our n-th row is the n-th of the list. So one row in the
middle shows on which side a difference lies, and each difference costs about `log2(n)` requests for one row and one for
a page, wherever it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

Key = tuple[int, int]
"""The sort key of the list, unique for each row; the second number is the row's id."""

Row = TypeVar("Row")


class SortedListing(Protocol[Row]):
    """A sorted list that can be read at any position; positions count from 0."""

    def row_at(self, position: int) -> Row | None:
        """The row at a position, or `None` past the end. One request."""
        ...

    def rows_from(self, position: int) -> tuple[int, Sequence[Row]]:
        """A page that contains the row at this position, and the position of its first row. One request."""
        ...

    def key(self, row: Row) -> Key:
        """The sort key of a row."""
        ...


@dataclass(frozen=True, slots=True)
class ListPosition:
    """Where a search continues: everything up to the row with this key is compared, and the next is at `position`."""

    after: Key
    position: int


@dataclass(slots=True)
class Differences(Generic[Row]):
    """`missing` are keys that we know and the list lacks, `unknown` the rows that we do not know.

    `rest` is where to continue once the allowed requests are used up; `None` if everything was compared.
    """

    missing: list[Key] = field(default_factory=list[Key])
    unknown: list[Row] = field(default_factory=list)  # pyright: ignore[reportUnknownVariableType]
    rest: ListPosition | None = None


class RequestBudgetSpent(Exception):  # noqa: N818 - it ends a turn, and is no error.
    """This turn may send no more requests."""


class BudgetedListing(Generic[Row]):
    """A list with a limited number of requests. Raises `RequestBudgetSpent` after that."""

    def __init__(self, listing: SortedListing[Row], requests: int) -> None:
        self._listing = listing
        self.requests = requests

    def row_at(self, position: int) -> Row | None:
        """As the list."""
        self._spend()
        return self._listing.row_at(position)

    def rows_from(self, position: int) -> tuple[int, Sequence[Row]]:
        """As the list."""
        self._spend()
        return self._listing.rows_from(position)

    def key(self, row: Row) -> Key:
        """As the list."""
        return self._listing.key(row)

    def _spend(self) -> None:
        if self.requests <= 0:
            raise RequestBudgetSpent
        self.requests -= 1


def differences(
    known: Sequence[Key], listing: BudgetedListing[Row], *, total: int, start: ListPosition | None = None
) -> Differences[Row]:
    """Compare our sorted keys with the part of the list from its first to its last row.

    `total` is the length of the list. Rows that appear or disappear meanwhile can look like differences, so check each
    one before concluding anything. Equally many new and deleted rows between two compared rows hide each other.
    """
    found: Differences[Row] = Differences()
    index = sum(key <= start.after for key in known) if start else 0
    position = start.position if start else -1
    try:
        if known and not start:
            position = _first_place(known[0], listing, total)
        while index < len(known):
            if _stands_at(known[-1], position + len(known) - 1 - index, listing):
                break
            good = _last_good(known, index, position, listing)
            index, position = _compare_page(known, good + 1, position + good + 1 - index, listing, found)
    except RequestBudgetSpent:
        if position >= 0:
            found.rest = ListPosition(known[index - 1] if index else (-1, -1), position)
        else:
            found.rest = start
    return found


def _first_place(key: Key, listing: BudgetedListing[Row], total: int) -> int:
    """How many rows of the list come before this key."""
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        row = listing.row_at(middle)
        if row is not None and listing.key(row) < key:
            low = middle + 1
        else:
            high = middle
    return low


def _stands_at(key: Key, position: int, listing: BudgetedListing[Row]) -> bool:
    row = listing.row_at(position)
    return row is not None and listing.key(row) == key


def _last_good(known: Sequence[Key], index: int, position: int, listing: BudgetedListing[Row]) -> int:
    """The index of the last known row at its expected position, given that `index` would be at `position`.

    The last row is known to be wrong. `index - 1` if the first is wrong already.
    """
    good, bad = index - 1, len(known) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if _stands_at(known[middle], position + middle - index, listing):
            good = middle
        else:
            bad = middle
    return good


def _compare_page(
    known: Sequence[Key], index: int, position: int, listing: BudgetedListing[Row], found: Differences[Row]
) -> tuple[int, int]:
    """Compare one page row by row; returns what to compare next and its expected position."""
    first, page = listing.rows_from(position)
    rows = page[position - first :]
    if not rows:  # The list ends here.
        found.missing += known[index:]
        return len(known), position
    for number, row in enumerate(rows):
        key = listing.key(row)
        while index < len(known) and known[index] < key:
            found.missing.append(known[index])
            index += 1
        if index == len(known):
            return index, position + number
        if known[index] == key:
            index += 1
        else:
            found.unknown.append(row)
    return index, position + len(rows)
