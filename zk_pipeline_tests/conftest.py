"""The order of the tests, slow files first, so that no worker is left alone with one; and dbt within their process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from zk_pipeline.stages import marts
from zk_pipeline_tests import dbt_in_process

TESTS = Path(__file__).parent
SLOW = (
    "chaos/test_chaos.py",
    "defs/test_undo.py",
    "defs/marts/test_balance.py",
    "defs/marts/test_building.py",
    "defs/test_push_crash.py",
    "web/console/test_journeys.py",
    "web/console/test_console.py",
    "cli/test_reacting.py",
    "deploy/test_survival.py",
    "defs/marts/test_closed_months.py",
)
"""The slowest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {TESTS / name: rank for rank, name in enumerate(SLOW)}
    items.sort(key=lambda item: ranks.get(item.path, len(SLOW)))


@pytest.fixture(scope="session", autouse=True)
def _dbt_within_this_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marts, "call", dbt_in_process.call)
        yield
