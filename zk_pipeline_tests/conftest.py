"""The order of the tests, slow files first, so that no worker is left alone with one; and dbt within their process."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from zk_pipeline.stages import marts
from zk_pipeline_tests import dbt_in_process

# While tests are collected nearly nothing becomes garbage, and looking for it takes a fifth of the time.
gc.disable()

TESTS = Path(__file__).parent
SLOW = (
    "chaos/test_chaos.py",
    "chaos/test_power_cut.py",
    "cli/test_reacting.py",
    "defs/marts/test_balance.py",
    "defs/test_push_crash.py",
    "web/console/test_journeys.py",
    "deploy/test_survival.py",
    "defs/marts/test_building.py",
    "web/console/test_console.py",
    "cli/test_up.py",
    "defs/marts/test_closed_months.py",
    "web/dagster_ui/test_browser.py",
    "defs/test_undo.py",
    "test_installed.py",
    "web/console/test_clicks.py",
    "web/console/test_todo.py",
    "cli/test_backup.py",
)
"""The slowest first, those that mostly wait between those that compute."""


def pytest_collection_finish() -> None:
    """Let the collector of garbage begin, and leave out what all tests need, as it stays."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {TESTS / name: rank for rank, name in enumerate(SLOW)}
    items.sort(key=lambda item: ranks.get(item.path, len(SLOW)))


@pytest.fixture(scope="session", autouse=True)
def _dbt_within_this_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marts, "call", dbt_in_process.call)
        yield
