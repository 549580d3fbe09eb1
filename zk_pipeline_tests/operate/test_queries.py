"""No list asks the database once for each of its rows, and none reads more rows than its page."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text

from zk_pipeline.audit import trail
from zk_pipeline.decisions import comparison, conflicts, lists, plans
from zk_pipeline.decisions.lists import ConflictFilter, FilterOption, LineFilter, LineSelection
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate import kpi, runs, sync
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
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
        entry(str(number), minutes="15", begin="2025-08-16T12:00", activity_type_id="3" if number % 2 else "99")
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


BOOKED = """
    SELECT max({0}) AS name, count(*) AS number FROM sync.normalized_entries WHERE {0} ILIKE '%' || :part || '%'
    GROUP BY lower({0})
"""


@pytest.mark.parametrize(
    ("ask", "columns", "part"),
    [
        (lists.agent_options, ("user_name",), ""),
        (lists.agent_options, ("user_name",), "ANNA"),
        (lists.customer_options, ("organization_name", "customer_name"), "a"),
        (lists.customer_options, ("organization_name", "customer_name"), "nobody%"),
    ],
)
def test_names_with_a_part_are_offered_with_the_number_of_their_bookings_in_one_query(
    runtime: Runtime, ask: Callable[[Runtime, str], tuple[FilterOption, ...]], columns: tuple[str, ...], part: str
) -> None:
    with counted(runtime.database) as rows:
        offered = ask(runtime, part)
    assert len(rows) == 2, "the connectors, and the names"
    with runtime.database.transaction() as connection:
        found = [
            FilterOption(row.name, row.number)
            for column in columns
            for row in connection.execute(text(BOOKED.format(column)), {"part": part.replace("%", r"\%")})
            if row.name
        ]
    assert list(offered) == sorted(found, key=lambda one: (-one.number, one.name))[: lists.MOST_OPTIONS]
    assert bool(offered) is (part != "nobody%")


def test_the_number_of_bookings_of_a_name_is_counted_to_a_thousand(runtime: Runtime) -> None:
    more = """
        INSERT INTO sync.normalized_entries
        SELECT more.* FROM sync.normalized_entries entry, generate_series(1, 1200) number, jsonb_populate_record(
            entry, jsonb_build_object('source_id', 'more' || number, 'user_name', 'Zoë Many')) more
        WHERE entry.source_id = '100'
    """
    with runtime.database.transaction() as connection:
        connection.execute(text(more))
    assert lists.agent_options(runtime, "zoë") == (FilterOption("Zoë Many", 1000),)


def test_acts_and_actors_are_counted_in_few_queries_and_sign_ins_only_for_operators(runtime: Runtime) -> None:
    actor, viewer = Actor("user:1", Role.OPERATOR), Actor("user:1", Role.VIEWER)
    rows = [
        AuditEvent("user.signed_in", "user:2", "user:2", {}),
        *[AuditEvent("days.left", "user:1", "days:x", {})] * 3,
    ]
    with runtime.database.transaction() as connection:
        audit.append(connection, rows)
    with counted(runtime.database) as asked:
        found = trail.options(runtime, actor)
    assert len(asked) == 3, "the events, the actors, and their names"
    assert (found.events["user.signed_in"], found.events["days.left"]) == (1, 3)
    assert (found.actors["user:2"], found.actors["user:1"]) == (1, 3)
    less = trail.options(runtime, viewer)
    assert ("user.signed_in" in less.events, "user:2" in less.actors) == (False, False)
    assert less.actors["user:1"] == 3


MIXED = """
    UPDATE sync.reconciliation_results line SET
        status = (ARRAY['in_sync', 'missing', 'mismatch', 'excluded'])[1 + place.number % 4],
        carried_out = place.number % 3 = 0,
        taken_back_by = CASE WHEN place.number % 5 = 0 THEN 'a run' END
    FROM (SELECT ctid AS id, row_number() OVER (ORDER BY key)::int AS number FROM sync.reconciliation_results) place
    WHERE line.ctid = place.id
"""


@pytest.mark.parametrize("narrowed", [{}, {"agent": "anna"}, {"first": DAY, "last": DAY}, {"status": "missing"}])
def test_matches_are_counted_as_they_are_listed(runtime: Runtime, narrowed: dict[str, Any]) -> None:
    with runtime.database.transaction() as connection:
        connection.execute(text(MIXED))
    listed, total = comparison.page(runtime, LineFilter(LineSelection.MATCHES, **narrowed), 1000, 0)
    assert len(listed) == total > 0
    assert all((line.status == "in_sync" or line.carried_out) and not line.taken_back_by for line in listed)
