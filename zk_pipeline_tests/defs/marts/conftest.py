"""One world for each module, since dbt takes seconds: people booked everything that can happen, and dbt built it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages import marts as building
from zk_pipeline.stages.marts import BuiltModel
from zk_pipeline_tests.dbt_in_process import with_options
from zk_pipeline_tests.defs.conftest import Databases, open_desk, open_office, open_world, set_surroundings
from zk_pipeline_tests.defs.world import World


@dataclass(frozen=True)
class Marts:
    """The world and what is built of it."""

    world: World

    @property
    def runtime(self) -> Runtime:
        return self.world.environment.runtime

    def build(self, *, full: bool = False, options: Sequence[str] = ()) -> list[BuiltModel]:
        """Build what changed, or of that what options of dbt's leave; nothing may fail."""
        with with_options(*options):
            built = building.build(self.runtime, full=full)
        failure = building.failure_of(built)
        assert failure is None, failure
        return built

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        with self.runtime.database.transaction() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def entry(self, key: int | str) -> dict[str, Any]:
        """The one row of a booking, or of a time sheet without booking."""
        (row,) = self.rows("SELECT * FROM marts.fct_time_entries WHERE entry_key = :key", key=str(key))
        return row

    def parts(self, key: int | str) -> dict[str, Decimal]:
        """Into what the minutes of an entry fall, without what is zero."""
        row = self.entry(key)
        return {
            name.removeprefix("minutes_"): value
            for name, value in row.items()
            if name.startswith("minutes_") and value and "bill" not in name
        }

    def unexplained(self) -> dict[str, Decimal]:
        """The entries that do not balance."""
        rows = self.rows("SELECT entry_key, minutes_unexplained FROM marts.fct_time_entries")
        return {row["entry_key"]: row["minutes_unexplained"] for row in rows if row["minutes_unexplained"]}

    def built_at(self) -> dict[date, Any]:
        """When the rows of each day were built."""
        return {
            row["entry_date"]: row["built_at"]
            for row in self.rows("SELECT DISTINCT entry_date, built_at FROM marts.fct_time_entries")
        }

    def run(self) -> dg.ExecuteInProcessResult:
        """Run the job as Dagster does."""
        from zk_pipeline.definitions import defs  # noqa: PLC0415

        with dg.DagsterInstance.get() as instance:
            job = defs.resolve_job_def("marts")
            return job.execute_in_process(instance=instance, raise_on_error=False)


@pytest.fixture(scope="module")
def marts(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Marts]:
    """An empty world; a module fills it once."""
    on_dagster = request.node.get_closest_marker("dagster") is not None
    with databases.fresh() as pair, pytest.MonkeyPatch.context() as patch:
        set_surroundings(pair, tmp_path_factory.mktemp("marts"), patch)
        with (
            open_desk(patch) as desk,
            open_office(patch) as office,
            open_world(desk, office, on_dagster=on_dagster) as world,
        ):
            yield Marts(world)
