"""The order of the tests: files that take minutes begin first, so that no worker is left alone with one at the end."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SLOW = (
    "chaos/test_chaos.py",
    "defs/test_undo.py",
    "defs/marts/test_balance.py",
    "defs/marts/test_building.py",
    "defs/test_push_crash.py",
    "web/console/test_journeys.py",
    "web/console/test_console.py",
    "commands/test_reacting.py",
    "deploy/test_survival.py",
    "defs/marts/test_closed_months.py",
)
"""The slowest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {TESTS / name: rank for rank, name in enumerate(SLOW)}
    items.sort(key=lambda item: ranks.get(item.path, len(SLOW)))
