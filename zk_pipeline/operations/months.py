"""Months as people write them."""

from datetime import date

from zk_pipeline.domain.closing import MonthError, month_named
from zk_pipeline.operations.errors import OperationError


def month_given(name: str) -> date:
    """The first day of a month that somebody wrote as `2025-08`. Raises `OperationError`."""
    try:
        return month_named(name)
    except MonthError as error:
        raise OperationError(str(error)) from error
