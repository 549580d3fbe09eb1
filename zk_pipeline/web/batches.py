"""Group commit: deliveries that wait together are stored in one transaction, and answered after its commit."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from zk_pipeline.store import connections, deliveries
from zk_pipeline.store.database import Database
from zk_pipeline.store.deliveries import Delivery
from zk_pipeline.web.outages import OUTAGES, told

MOST_IN_BATCH = 500
MOST_WAITING = 5_000
SECONDS_TO_STORE = 20.0
"""Less than the 30 s that Zammad waits for an answer (docs/webhooks.md)."""

_log = logging.getLogger(__name__)


class NotStoredError(Exception):
    """A delivery could not be stored now, or it is not known whether it was; the sender should try again."""


class UnknownConnectorError(Exception):
    """There is no active source of this name or id."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    delivery: Delivery
    stored: asyncio.Future[None]


class Batches:
    """Stores deliveries one batch at a time. While one is written, the next one gathers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None
        # A thread of its own: whatever else waits for the database does not stand in its way.
        self._thread = ThreadPoolExecutor(1, "deliveries")

    def close(self) -> None:
        """Let a batch that is being written finish."""
        self._thread.shutdown()

    async def store(self, delivery: Delivery) -> None:
        """Return once the delivery is committed. Its connector may be given by name or by id.

        Raises `UnknownConnectorError`, or `NotStoredError` when the database or the queue does not take it.
        """
        if len(self._queue) >= MOST_WAITING:
            raise NotStoredError
        waiting = _Waiting(delivery, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        try:
            async with asyncio.timeout(SECONDS_TO_STORE):
                await waiting.stored
        except TimeoutError as error:
            raise NotStoredError from error

    async def _write_all(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_IN_BATCH))]
            # Whoever waits no longer was told to try again.
            await self._write([waiting for waiting in batch if not waiting.stored.done()])

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        wanted = [waiting.delivery for waiting in batch]
        try:
            known = await loop.run_in_executor(self._thread, self._commit, wanted)
            for waiting in batch:
                if waiting.delivery.connector in known:
                    _answer(waiting, None)
                else:
                    _answer(waiting, UnknownConnectorError())
        except OUTAGES as error:
            _log.warning("%d webhook deliveries were not stored, their senders try again: %s", len(batch), told(error))
        finally:
            for waiting in batch:
                _answer(waiting, NotStoredError())

    def _commit(self, wanted: Sequence[Delivery]) -> dict[str, str]:
        """Store the deliveries of known connectors; returns those by what a sender may call them."""
        with self._database.transaction() as connection:
            known = connections.source_names(connection)
            rows = [replace(row, connector=known[row.connector]) for row in wanted if row.connector in known]
            if rows:
                deliveries.save(connection, rows)
        return known


def _answer(waiting: _Waiting, error: Exception | None) -> None:
    if waiting.stored.done():
        return
    if error is None:
        waiting.stored.set_result(None)
    else:
        waiting.stored.set_exception(error)
