"""The different values of an indexed column, each with the number of its rows, without reading every row."""

from typing import Any

from sqlalchemy import CTE, ColumnElement, FromClause, Select, func, select, true

COUNTED = 1000
"""Rows of one value that are counted; how many more there are does not help to choose."""


def values_of(column: ColumnElement[Any], name: str) -> CTE:
    """The different values of an indexed column as `value`, in their order, and a null at the end.

    They are read from the index, one after the other: few people and customers have many bookings, and to look at
    every booking would take long.
    """
    seen = select(func.min(column).label("value")).cte(name, recursive=True)
    following = select(func.min(column)).where(column > seen.c.value).correlate(seen).scalar_subquery()
    return seen.union_all(select(following).where(seen.c.value.is_not(None)))


def counted(
    values: FromClause, column: ColumnElement[Any], *conditions: ColumnElement[bool], shown: ColumnElement[Any]
) -> Select[Any]:
    """For each `value` that rows have in this column: what such a row shows, and how many they are, to `COUNTED`."""
    found = select(shown.label("shown")).where(column == values.c.value, *conditions).limit(COUNTED)
    rows = found.correlate(values).lateral("found")
    number = func.count().label("number")
    query = select(func.max(rows.c.shown).label("shown"), number).select_from(values.join(rows, true()))
    return query.group_by(values.c.value)
