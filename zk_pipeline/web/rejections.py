"""Deliveries that were refused: counted by reason and day, and audited, without their content.

Both are gathered and written now and then, so that whoever sends rubbish causes no writes of their own.
"""

import asyncio
import logging
import time
from collections import Counter
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from zk_pipeline.store import audit, connections, deliveries
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline.web.outages import OUTAGES, told

SECONDS_BETWEEN_WRITES = 2.0
SECONDS_BETWEEN_AUDITS = 60.0
MOST_CALLED = 100
"""So many different connectors may be called between two writes; calls of more are counted under no name."""

_log = logging.getLogger(__name__)


class Reason(StrEnum):
    """Why a delivery was refused."""

    RATE = "too_many"
    SIZE = "too_large"
    INCOMPLETE = "incomplete"
    MEDIA_TYPE = "not_declared_as_json"
    NO_SECRET = "no_secret"  # noqa: S105 - a reason
    SIGNATURE = "bad_signature"
    JSON = "no_json"
    TICKET = "no_ticket"
    CONNECTOR = "unknown_connector"


class Rejections:
    """Counts refused deliveries and writes the counts down."""

    def __init__(self, database: Database, zone: ZoneInfo) -> None:
        self._database = database
        self._zone = zone
        self._counted: Counter[tuple[str, Reason]] = Counter()
        self._unaudited: Counter[Reason] = Counter()
        self._audited_at: dict[Reason, float] = {}

    def count(self, called: str, reason: Reason) -> None:
        """Count one refused delivery to a connector as it was called."""
        self._add(called, reason, 1)
        self._unaudited[reason] += 1

    async def run(self) -> None:
        """Write down what was counted, again and again, and once more when cancelled."""
        try:
            while True:
                await asyncio.sleep(SECONDS_BETWEEN_WRITES)
                await self._write(self._due())
        finally:
            await self._write(list(self._unaudited))

    def _add(self, called: str, reason: Reason, number: int) -> None:
        key = (called, reason)
        has_room = key in self._counted or len(self._counted) < MOST_CALLED
        self._counted[key if has_room else ("", reason)] += number

    def _due(self) -> list[Reason]:
        latest = time.monotonic() - SECONDS_BETWEEN_AUDITS
        return [reason for reason in self._unaudited if self._audited_at.get(reason, latest) <= latest]

    async def _write(self, due: list[Reason]) -> None:
        if not self._counted and not due:
            return
        counted, self._counted = self._counted, Counter()
        audited = Counter({reason: self._unaudited.pop(reason) for reason in due})
        try:
            await asyncio.to_thread(self._commit, counted, audited)
        except OUTAGES as error:
            _log.warning("Refused webhook deliveries could not be counted yet: %s", told(error))
            for (called, reason), number in counted.items():
                self._add(called, reason, number)
            self._unaudited += audited
            return
        self._audited_at |= dict.fromkeys(due, time.monotonic())

    def _commit(self, counted: Counter[tuple[str, Reason]], audited: Counter[Reason]) -> None:
        today = datetime.now(self._zone).date()
        events = [
            AuditEvent("webhook.rejected", "webhook", f"reason:{reason}", {"reason": reason, "number": number})
            for reason, number in audited.items()
        ]
        with self._database.transaction() as connection:
            known = connections.source_names(connection)
            for (called, reason), number in counted.items():
                deliveries.count_rejection(connection, known.get(called, ""), reason, today, number)
            if events:
                audit.append(connection, events)
