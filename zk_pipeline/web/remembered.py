"""Answers that are asked for in the background, so that whoever wants to know never waits."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """The last answer to a question that is asked at most every so many seconds, while anybody wants to know.

    `ask` must not raise. It runs in a thread of its own that does not keep the process from ending.
    """

    def __init__(self, ask: Callable[[], Value], unknown: Value, seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._value = unknown
        self._asked_at: float | None = None
        self._asking = threading.Lock()

    def value(self) -> Value:
        """What is known; when that is old, it is asked for anew."""
        is_old = self._asked_at is None or time.monotonic() - self._asked_at >= self._seconds
        if is_old and self._asking.acquire(blocking=False):
            threading.Thread(target=self._refresh, name="remembered", daemon=True).start()
        return self._value

    def _refresh(self) -> None:
        try:
            self._value = self._ask()
        finally:
            self._asked_at = time.monotonic()
            self._asking.release()
