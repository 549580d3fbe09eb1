"""The machine of the tests: programs that it may lack, and how busy it is."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test on a machine of somebody's own; in CI, where nobody reads what was skipped, fail it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} In CI nothing is skipped for that.")
    pytest.skip(what)


SLOWEST = 5.0


def slowness() -> float:
    """How many times longer everything takes than on a quiet machine, since there is more to do than processors."""
    return min(max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), SLOWEST)
