"""Tables in memory, with the indexes the lists need, and their form as JSON."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import fields
from decimal import Decimal
from math import inf
from typing import Any, Generic, Protocol, TypeVar

from zk_sandbox.kimai.model import Timesheet
from zk_sandbox.kimai.search import fold


class Row(Protocol):
    """Anything stored under an id."""

    @property
    def id(self) -> int:
        """The primary key."""
        ...


R = TypeVar("R", bound=Row)


class Table(Generic[R]):
    """Rows by id; ids are given out ascending and never again."""

    def __init__(self, kind: type[R]) -> None:
        self._kind = kind
        self._next_id = 1
        self.rows: dict[int, R] = {}

    def __iter__(self) -> Iterator[R]:
        return iter(self.rows.values())

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, row_id: int | None) -> R | None:
        """The row, or None."""
        return None if row_id is None else self.rows.get(row_id)

    def new_id(self) -> int:
        """An id for a new row; a refused save spends it all the same, as a sequence does."""
        self._next_id += 1
        return self._next_id - 1

    def put(self, row: R) -> R:
        """Insert or replace a row."""
        self.rows[row.id] = row
        self._next_id = max(self._next_id, row.id + 1)
        return row

    def remove(self, row_id: int) -> None:
        """Delete a row that exists."""
        del self.rows[row_id]

    def dump(self) -> dict[str, Any]:
        """The table as JSON."""
        names = [column.name for column in fields(self._kind)]  # pyright: ignore[reportArgumentType]
        rows = [{name: _plain(getattr(row, name)) for name in names} for row in self]
        return {"next_id": self._next_id, "rows": rows}

    def load(self, dumped: dict[str, Any]) -> None:
        """Replace the table by a dump."""
        decimals = {
            column.name
            for column in fields(self._kind)  # pyright: ignore[reportArgumentType]
            if Decimal in getattr(column.type, "__args__", (column.type,))
        }
        self.rows = {}
        self.put_all(self._kind(**_typed(row, decimals)) for row in dumped["rows"])
        self._next_id = dumped["next_id"]

    def put_all(self, rows: Iterable[R]) -> None:
        """Insert many rows."""
        for row in rows:
            self.put(row)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _typed(row: dict[str, Any], decimals: set[str]) -> dict[str, Any]:
    return {
        name: Decimal(value) if name in decimals and value is not None else _tuples(value)
        for name, value in row.items()
    }


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


class TimesheetTable(Table[Timesheet]):
    """Timesheets, ordered by begin for everybody and for each user, descriptions folded once for searching."""

    def __init__(self) -> None:
        super().__init__(Timesheet)
        self._clear()

    def _clear(self) -> None:
        self._by_begin: list[tuple[int, int]] = []
        self._by_user: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._running: defaultdict[int, set[int]] = defaultdict(set)
        self._texts: dict[int, str] = {}

    def put(self, row: Timesheet) -> Timesheet:
        """Insert or replace an entry."""
        if row.id in self.rows:
            self._unlist(self.rows[row.id])
        key = (row.begin, row.id)
        insort(self._by_begin, key)
        insort(self._by_user[row.user], key)
        self._describe(row)
        return super().put(row)

    def put_all(self, rows: Iterable[Timesheet]) -> None:
        """Insert many new entries, sorting once."""
        for row in rows:
            self._by_begin.append((row.begin, row.id))
            self._by_user[row.user].append((row.begin, row.id))
            self._describe(row)
            super().put(row)
        for listed in (self._by_begin, *self._by_user.values()):
            listed.sort()

    def remove(self, row_id: int) -> None:
        """Delete an entry that exists."""
        self._unlist(self.rows[row_id])
        del self._texts[row_id]
        super().remove(row_id)

    def load(self, dumped: dict[str, Any]) -> None:
        """Replace the table by a dump."""
        self._clear()
        super().load(dumped)

    def text(self, row: Timesheet) -> str:
        """The folded description."""
        return self._texts[row.id]

    def running(self, user: int) -> list[Timesheet]:
        """A user's running entries, by id."""
        return [self.rows[row_id] for row_id in sorted(self._running[user])]

    def by_begin(self, users: frozenset[int] | None, begin: int | None = None, end: int | None = None) -> list[int]:
        """Ids of the entries of these users (None = everybody) that begin from `begin` to `end`, in that order."""
        if users is None:
            keys = _between(self._by_begin, begin, end)
        elif len(users) == 1:
            keys = _between(self._by_user[next(iter(users))], begin, end)
        else:
            keys = sorted(key for user in users for key in _between(self._by_user[user], begin, end))
        return [row_id for _, row_id in keys]

    def _describe(self, row: Timesheet) -> None:
        self._texts[row.id] = fold(row.description) if row.description else ""
        if row.end is None:
            self._running[row.user].add(row.id)

    def _unlist(self, row: Timesheet) -> None:
        key = (row.begin, row.id)
        for listed in (self._by_begin, self._by_user[row.user]):
            del listed[bisect_left(listed, key)]
        self._running[row.user].discard(row.id)


def _between(keys: list[tuple[int, int]], begin: int | None, end: int | None) -> list[tuple[int, int]]:
    first = 0 if begin is None else bisect_left(keys, (begin, 0))
    last = len(keys) if end is None else bisect_right(keys, (end, inf))
    return keys[first:last]
