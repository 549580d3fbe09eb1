"""Lets our own clock be wrong, for all modules of the product but the simulated systems."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest


class _OnlyNow(type(datetime)):
    """Takes every datetime for one of the class below."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, datetime)


@contextmanager
def own_clock_off_by(shift: timedelta) -> Iterator[None]:
    """Within the block `datetime.now` of the product is so much ahead of the truth, or behind it if negative."""

    class Wrong(datetime, metaclass=_OnlyNow):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
            return datetime.now(tz) + shift

    ours = [module for name, module in sys.modules.items() if name.startswith("zk_pipeline.")]
    with pytest.MonkeyPatch.context() as patch:
        for module in ours:
            if ".sandbox" not in module.__name__ and getattr(module, "datetime", None) is datetime:
                patch.setattr(module, "datetime", Wrong)
        yield
