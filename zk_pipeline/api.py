"""The statement, its time sheets, the plan and the entries as pandas tables, for notebooks and scripts.

    from zk_pipeline import api

    api.statement("2025-10").groupby("customer")["kimai"].sum()

Each call opens the installation of the environment or of `.env`, as a command of `zk` does, and closes it again.
Nothing is written to Zammad or Kimai. Minutes and amounts are exact: all columns have the dtype `object`, and no cell
is a float. A call that cannot be answered raises `OperationError` with one sentence, or the error of settings or
database that a command would show.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import date
from typing import TYPE_CHECKING, Any

from zk_pipeline.billing import statements
from zk_pipeline.billing.files.data import COLUMNS
from zk_pipeline.decisions import plans
from zk_pipeline.decisions.plans import PlanLineView
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.statement import Statement
from zk_pipeline.domain.statement_rows import ItemRow
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.operate.sync import LONGEST_REQUEST, check_days
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.entries import entries_of_days

if TYPE_CHECKING:
    import pandas as pd

_LINE = ("customer", "customer_id", "agent", "agent_email", "activity", "entries", *COLUMNS)
_TIMESHEET = ("customer", "customer_id", *(field.name for field in fields(ItemRow)))
_PLAN = tuple(field.name for field in fields(PlanLineView))
_ENTRY = tuple(field.name for field in fields(Entry))


def statement(month: str, *, customer: str | None = None, refresh: bool = True, closed: bool = False) -> "pd.DataFrame":
    """The statement of a month such as `2025-10`: one row for each customer, agent and activity, in minutes.

    `zammad` is the sum of the parts `kimai` to `adjusted` and of `unexplained`. `customer` is a name, or the number in
    Kimai, which is 0 where a row's customer has none. The marts are built first if the month changed since and
    `refresh` is true. `closed` gives the statement that closing the month kept. `attrs` of the table has `month`,
    `verdict` (`balanced`, `waiting` or `unbalanced`) and `stale_days`.
    """
    with _opened() as runtime:
        found = statements.statement(runtime, month, customer, refresh=refresh, closed=closed)
    rows = [
        (
            line.customer.name,
            line.customer.id,
            line.agent,
            line.agent_email,
            line.activity,
            line.amounts.entries,
            *(getattr(line.amounts, name) for name in COLUMNS),
        )
        for line in found.lines
    ]
    return _of_statement(found, rows, _LINE)


def timesheets(
    month: str, *, customer: str | None = None, refresh: bool = True, closed: bool = False
) -> "pd.DataFrame":
    """The time sheets of a month's statement as customers read them, with minutes, and Kimai's amount without tax.

    Parameters and `attrs` are those of `statement`. `amount` is `None` where our account may not see it.
    """
    with _opened() as runtime:
        found = statements.statement(runtime, month, customer, refresh=refresh, closed=closed)
    rows = [
        (item.customer.name, item.customer.id, *(getattr(item, field.name) for field in fields(ItemRow)))
        for account in found.accounts
        for item in account.items
    ]
    return _of_statement(found, rows, _TIMESHEET)


def plan(first: date | str, last: date | str) -> "pd.DataFrame":
    """What the stored plan of these days, both included, would write: one row for each line, oldest day first.

    `day` is the work day in `ZK_TIMEZONE`; `changes` has for each field what is wanted and what was found.
    """
    with _opened() as runtime:
        begin, end = _days(runtime, first, last)
        lines = plans.stored_plan(runtime, begin, end, None, 0).lines
    return _table(([getattr(line, name) for name in _PLAN] for line in lines), _PLAN)


def entries(first: date | str, last: date | str) -> "pd.DataFrame":
    """The entries of these work days, both included: one row for each booking in the unified format.

    `entry_date` is the work day in `ZK_TIMEZONE`; `begin_at`, `end_at`, `created_at` and `updated_at` are instants
    with their zone. `time_minutes` is what remains of `booked_minutes` after corrections.
    """
    with _opened() as runtime:
        begin, end = _days(runtime, first, last)
        with runtime.database.transaction() as connection:
            found = entries_of_days(connection, active_connectors(connection).source, begin, end)
    return _table(([getattr(entry, name) for name in _ENTRY] for entry in found), _ENTRY)


@contextmanager
def _opened() -> Iterator[Runtime]:
    """The installation. The variables that it sets for child processes go again: they are those of an open one."""
    before = dict(os.environ)
    try:
        with prepare(load_settings(), stores=False) as ready:
            yield ready.runtime
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _days(runtime: Runtime, first: date | str, last: date | str) -> tuple[date, date]:
    """A range of at most a year. Raises `OperationError`."""
    begin, end = _day("first", first), _day("last", last)
    return check_days(runtime.settings, begin, end, longest=LONGEST_REQUEST)


def _day(name: str, given: date | str) -> date:
    if isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise OperationError(f"{name}={given!r} is no day. Write it as 2025-10-31.") from error


def _of_statement(found: Statement, rows: Iterable[Sequence[Any]], names: Sequence[str]) -> "pd.DataFrame":
    table = _table(rows, names)
    table.attrs = {
        "month": month_name(found.month),
        "verdict": found.verdict.value,
        "stale_days": list(found.stale_days),
    }
    return table


def _table(rows: Iterable[Sequence[Any]], names: Sequence[str]) -> "pd.DataFrame":
    # Takes longer to import than most commands run.
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(list(rows), columns=list(names), dtype=object)
