"""No list asks the database once for each of its rows, and none reads more rows than its page."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from zk_pipeline.decisions import comparison, conflicts, plans
from zk_pipeline.decisions.lists import ConflictFilter, LineFilter, LineSelection
from zk_pipeline.operate import kpi, runs, sync
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.domain.builders import DAY, entry
from zk_pipeline_tests.web.api.planned import planned_day, store_plan
from zk_pipeline_tests.web.conftest import database, endpoint, migrated

__all__ = ["database", "endpoint", "migrated"]
MOST_QUERIES = 8
NOBODY: dict[str, Any] = {"_env_file": None, "dagster_address": "http://127.0.0.1:9"}


@pytest.fixture
def runtime(database: Database) -> Runtime:
    """A day with forty bookings, half of which wait for a person."""
    day = planned_day()
    more = (
        entry(str(number), minutes="15", begin="2025-08-16T12:00", activity_type_id=3 if number % 2 else 99)
        for number in range(100, 140)
    )
    store_plan(database, replace(day, entries=(*day.entries, *more)))
    return Runtime(Settings(**NOBODY), database, TokenCipher(generate_key()))


@contextmanager
def counted(database: Database) -> Iterator[list[int]]:
    """How many rows each statement gave or touched."""
    rows: list[int] = []

    def note(_connection: object, cursor: object, *_: object) -> None:
        rows.append(getattr(cursor, "rowcount", 0))

    event.listen(database.engine, "after_cursor_execute", note)
    yield rows
    event.remove(database.engine, "after_cursor_execute", note)


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize(
    "ask",
    [
        lambda runtime, size: conflicts.list_conflicts(runtime, ConflictFilter(), size),
        lambda runtime, size: conflicts.list_conflicts(runtime, ConflictFilter(search="Printer"), size),
        lambda runtime, size: comparison.page(runtime, LineFilter(), size, 0),
        lambda runtime, size: comparison.page(
            runtime, LineFilter(LineSelection.CONFLICTS, agent="anna agent"), size, 0
        ),
        lambda runtime, size: plans.stored_plan(runtime, DAY, DAY, size, 0),
        lambda runtime, size: runs.page(runtime, size, 0),
        lambda runtime, _size: sync.status(runtime),
        lambda runtime, _size: kpi.figures(runtime, DAY, DAY),
    ],
)
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    runtime: Runtime, ask: Callable[[Runtime, int], object], size: int
) -> None:
    with counted(runtime.database) as rows:
        ask(runtime, size)
    assert len(rows) <= MOST_QUERIES
    assert max(rows) <= max(size, 4)
