"""What spares the tests' many small runs a third of their time, none of which has to do with what a run does.

Dagster asks PostgreSQL more than twenty times in each run whether its tables have the columns of this version, and has
four processes show on the terminal what a run prints. SQLAlchemy writes the SQL of every statement again for each new
engine. A process is told by calling `economize`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from dagster._core.execution import compute_logs
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.runs import SqlRunStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from sqlalchemy import Engine, create_engine

from zk_pipeline.store import database

_QUESTIONS: tuple[tuple[type, str], ...] = (
    (SqlRunStorage, "has_backfill_id_column"),
    (SqlRunStorage, "has_run_stats_index_cols"),
    (SqlEventLogStorage, "_has_asset_key_col_on_connection"),
    (PostgresEventLogStorage, "has_table"),
)


@cache
def economize() -> None:
    """Ask about the tables of Dagster once in this process, leave what runs print in its files, keep engines."""
    for owner, name in _QUESTIONS:
        setattr(owner, name, _asked_once(getattr(owner, name)))
    compute_logs.tail_to_stream = _unseen
    engines: dict[str, Engine] = {}

    def engine_of(url: str, **options: Any) -> Engine:
        """The engine of these options; it outlives those who close its connections."""
        key = f"{url} {options}"
        if key not in engines:
            engines[key] = create_engine(url, **options)
        return engines[key]

    database.create_engine = engine_of


def _asked_once(question: Callable[..., bool]) -> Callable[..., bool]:
    answers: dict[tuple[str, ...], bool] = {}

    def ask(storage: object, *arguments: Any) -> bool:
        names = tuple(argument for argument in arguments if isinstance(argument, str))
        if not answers.get(names):  # The tables may be about to be made.
            answers[names] = question(storage, *arguments)
        return answers[names]

    return ask


@contextmanager
def _unseen(path: str, stream: Any) -> Iterator[tuple[None, None]]:
    yield None, None
