"""A local index of a source's bookings, for sources that only tell what changed and cannot be asked for a window.

It knows which bookings there are, when they count and which were deleted, but not what is in them: their content is
read from the source whenever it is needed. So the index holds nothing about people.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from zk_pipeline.domain.records import MirroredBooking, Window


class Mirror(Protocol):
    """The index of one source. Each call is complete in itself; threads and processes may share it."""

    def state(self) -> dict[str, Any]:
        """What the source noted of its own reading, as JSON; empty at first."""
        ...

    def save(
        self, rows: Iterable[MirroredBooking], gone: Mapping[str, datetime], state: Mapping[str, Any] | None = None
    ) -> None:
        """Store bookings, deletions with their instants, and the state, all or nothing."""
        ...

    def within(self, window: Window) -> list[MirroredBooking]:
        """The bookings that count within the window and were not deleted, oldest first."""
        ...

    def known(self, ids: Collection[str]) -> dict[str, MirroredBooking]:
        """Those of these bookings that are in the index and were not deleted."""
        ...

    def gone(self, ids: Collection[str]) -> set[str]:
        """Those of these bookings whose deletion was announced."""
        ...

    def count(self) -> int:
        """The bookings that were not deleted."""
        ...


class MirroredSource(ABC):
    """A source that needs a mirror. Without `keep_in`, it has one of its own that lasts as long as the connector."""

    @abstractmethod
    def keep_in(self, mirror: Mirror) -> None:
        """Use this mirror; called before anything is read."""


class MemoryMirror:
    """A mirror that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, MirroredBooking] = {}
        self._gone: dict[str, datetime] = {}
        self._state: dict[str, Any] = {}

    def state(self) -> dict[str, Any]:
        """As `Mirror`."""
        with self._lock:
            return dict(self._state)

    def save(
        self, rows: Iterable[MirroredBooking], gone: Mapping[str, datetime], state: Mapping[str, Any] | None = None
    ) -> None:
        """As `Mirror`."""
        with self._lock:
            self._rows |= {row.id: row for row in rows}
            self._gone |= gone
            self._state = self._state if state is None else dict(state)

    def within(self, window: Window) -> list[MirroredBooking]:
        """As `Mirror`."""
        with self._lock:
            found = [row for row in self._there() if window.start <= row.counts_at < window.end]
        return sorted(found, key=lambda row: (row.counts_at, row.id))

    def known(self, ids: Collection[str]) -> dict[str, MirroredBooking]:
        """As `Mirror`."""
        with self._lock:
            return {id_: self._rows[id_] for id_ in ids if id_ in self._rows and id_ not in self._gone}

    def gone(self, ids: Collection[str]) -> set[str]:
        """As `Mirror`."""
        with self._lock:
            return set(ids) & self._gone.keys()

    def count(self) -> int:
        """As `Mirror`."""
        with self._lock:
            return len(self._there())

    def _there(self) -> list[MirroredBooking]:
        return [row for id_, row in self._rows.items() if id_ not in self._gone]
