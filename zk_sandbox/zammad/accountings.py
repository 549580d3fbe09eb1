"""The table of time accountings, indexed so that pages of 100,000 rows are read without sorting them."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

from zk_sandbox.zammad.records import Accounting

COLUMNS = (
    "id",
    "ticket_id",
    "ticket_article_id",
    "time_unit",
    "type_id",
    "created_by_id",
    "created_at",
    "updated_at",
)
INDEXED = ("id", "created_at", "updated_at")

Sorting = Sequence[tuple[str, bool]]
"""Columns to sort by, each with True for descending."""


class Accountings:
    """Rows by id, with sorted indexes on id, created_at and updated_at and one by ticket and article."""

    def __init__(self, rows: Iterable[Accounting] = ()) -> None:
        self._rows = {row.id: row for row in rows}
        self._orders: dict[str, list[tuple[Any, int]]] = {
            column: sorted((getattr(row, column), row.id) for row in self._rows.values()) for column in INDEXED
        }
        self._by_ticket: dict[int, set[int]] = {}
        self._by_article: dict[int, int] = {}
        for row in self._rows.values():
            self._link(row)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Accounting]:
        return (self._rows[row_id] for _, row_id in self._orders["id"])

    def get(self, row_id: int) -> Accounting | None:
        """The row of that id."""
        return self._rows.get(row_id)

    def add(self, row: Accounting) -> None:
        """Insert a row."""
        self._rows[row.id] = row
        for column in INDEXED:
            insort(self._orders[column], (getattr(row, column), row.id))
        self._link(row)

    def remove(self, row: Accounting) -> None:
        """Delete a row."""
        for column in INDEXED:
            order = self._orders[column]
            del order[bisect_left(order, (getattr(row, column), row.id))]
        self._by_ticket[row.ticket_id].discard(row.id)
        if row.ticket_article_id is not None:
            self._by_article.pop(row.ticket_article_id, None)
        del self._rows[row.id]

    def change(self, row: Accounting, **values: Any) -> None:
        """Set columns of a row and keep the indexes right."""
        self.remove(row)
        for column, value in values.items():
            setattr(row, column, value)
        self.add(row)

    def of_ticket(self, ticket_id: int) -> list[Accounting]:
        """The rows of a ticket, by id."""
        return [self._rows[row_id] for row_id in sorted(self._by_ticket.get(ticket_id, ()))]

    def of_article(self, article_id: int) -> Accounting | None:
        """The row booked with an article."""
        row_id = self._by_article.get(article_id)
        return None if row_id is None else self._rows[row_id]

    def created_between(self, start: datetime, end: datetime) -> list[Accounting]:
        """The rows created from `start` until before `end`, by creation."""
        order = self._orders["created_at"]
        return [
            self._rows[row_id] for _, row_id in order[bisect_left(order, (start, 0)) : bisect_left(order, (end, 0))]
        ]

    def page(self, sorting: Sorting, offset: int, limit: int) -> list[Accounting]:
        """One page over all rows."""
        order = self._order_for(sorting)
        if order is None:
            return sorted_rows(list(self), (*sorting, ("id", sorting[-1][1])))[offset : offset + limit]
        if sorting[0][1]:
            end = max(len(order) - offset, 0)
            chosen = order[max(end - limit, 0) : end][::-1]
        else:
            chosen = order[offset : offset + limit]
        return [self._rows[row_id] for _, row_id in chosen]

    def _order_for(self, sorting: Sorting) -> list[tuple[Any, int]] | None:
        """The index that answers a sorting: one indexed column, then perhaps the id, in one direction."""
        columns = [column for column, _ in sorting]
        directions = {descending for _, descending in sorting}
        if columns[0] in INDEXED and columns[1:] in ([], ["id"]) and len(directions) == 1:
            return self._orders[columns[0]]
        return None

    def _link(self, row: Accounting) -> None:
        self._by_ticket.setdefault(row.ticket_id, set()).add(row.id)
        if row.ticket_article_id is not None:
            self._by_article[row.ticket_article_id] = row.id


def sorted_rows(rows: list[Any], sorting: Sorting) -> list[Any]:
    """Rows sorted as PostgreSQL sorts them: NaN after every number, NULL after that, both first when descending."""
    for column, descending in reversed(sorting):
        value = attrgetter(column)
        rows = sorted(rows, key=lambda row: _rank(value(row)), reverse=descending)
    return rows


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return (2, 0)
    if isinstance(value, Decimal) and value.is_nan():
        return (1, 0)
    return (0, value)
