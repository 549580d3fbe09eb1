"""Further values of a parameter that only the long run of the tests tries: `make test-long`."""

from collections.abc import Iterable
from typing import Any

import pytest


def then_long(values: Iterable[Any], always: int = 1) -> list[Any]:
    """The first `always` values for every run, the others for the long one. A tuple is the values of one test."""
    return [
        value if number < always else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=LONG)
        for number, value in enumerate(values)
    ]


LONG = pytest.mark.long
