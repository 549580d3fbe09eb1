"""The webhook intake: checks a delivery, stores it in a batch, and answers; refused ones are counted."""

import asyncio
import json
import logging
import math
import re
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from zk_pipeline.connectors.plugins import source_kinds
from zk_pipeline.connectors.webhooks import (
    IncomingDelivery,
    NoTicketError,
    UntrustedDeliveryError,
    WebhookScheme,
)
from zk_pipeline.runtime import tracing
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import audit, connectors, deliveries
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline.store.deliveries import WebhookDelivery
from zk_pipeline.web.errors import OUTAGES, ProblemError, outage_line
from zk_pipeline.web.limits import (
    BodyBudget,
    BodyReservation,
    FullError,
    RateLimit,
    TooLargeError,
    TooSlowError,
    client_address,
    read_body,
)

# Group commit: deliveries that wait together are stored in one transaction and answered after its commit.

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
    delivery: WebhookDelivery
    stored: asyncio.Future[None]


class Batches:
    """Stores deliveries one batch at a time. While one is written, the next one gathers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None
        # A thread of its own, so that nothing else that waits for the database delays it.
        self._thread = ThreadPoolExecutor(1, "deliveries")

    def close(self) -> None:
        """Let a batch that is being written finish."""
        self._thread.shutdown()

    async def store(self, delivery: WebhookDelivery) -> None:
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
            # Deliveries whose sender was told to try again are left out.
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
            _log.warning(
                "%d webhook deliveries were not stored, their senders try again: %s", len(batch), outage_line(error)
            )
        finally:
            for waiting in batch:
                _answer(waiting, NotStoredError())

    def _commit(self, wanted: Sequence[WebhookDelivery]) -> dict[str, str]:
        """Store the deliveries of known connectors; returns the connectors by name and by id."""
        with self._database.transaction() as connection:
            known = connectors.source_names(connection)
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


# Deliveries that were refused: counted by reason and day, and audited, without their content.
#
# Both are gathered and written now and then, so that invalid deliveries cause no writes of their own.

SECONDS_BETWEEN_WRITES = 2.0
SECONDS_BETWEEN_AUDITS = 60.0
MOST_CALLED = 100
"""How many different connectors are counted between two writes; more are counted under no name."""


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
        """Count one refused delivery, under the connector's name as the sender wrote it."""
        self._add(called, reason, 1)
        self._unaudited[reason] += 1

    async def run(self) -> None:
        """Write the counts now and then, and once more when cancelled."""
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
            _log.warning("Refused webhook deliveries could not be counted yet: %s", outage_line(error))
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
            known = connectors.source_names(connection)
            for (called, reason), number in counted.items():
                deliveries.count_rejection(connection, known.get(called, ""), reason, today, number)
            if events:
                audit.append(connection, events)


# The webhook intake: checks a delivery, stores it as it came, and answers. A sensor looks into it later.

BODY_LIMIT = 1024 * 1024
"""Bytes; a delivery has some ten thousand."""

BODIES_LIMIT = 64 * BODY_LIMIT
SECONDS_TO_ARRIVE = 20.0
RETRY_SECONDS = 5
USUAL_KIND = "zammad"
"""Whose scheme checks what is sent to an unknown name: only who knows the secret learns that the name is unknown."""

_JSON_TYPE = re.compile(r"application/([\w.+-]+\+)?json", re.IGNORECASE | re.ASCII)


class RefusedError(ProblemError):
    """A refused delivery: the reason, and the answer."""

    def __init__(self, reason: Reason, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.reason = reason


class SourceSchemes:
    """Which scheme checks the deliveries of which connector, by the kinds that are stored."""

    SECONDS = 2.0
    """How long the kinds are believed; each look is a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kinds: dict[str, str] = {}
        self._read_at = -math.inf
        self._reading = asyncio.Lock()

    async def of(self, called: str) -> WebhookScheme | None:
        """The scheme of the connector of this name or id; `None` if its kind sends no webhooks.

        While the database is away, the kinds that were read last are used; without any, raises its `OUTAGES`.
        """
        async with self._reading:
            if time.monotonic() - self._read_at > self.SECONDS:
                await self._look()
        kind = source_kinds().get(self._kinds.get(called, USUAL_KIND))
        return None if kind is None else kind.webhooks

    async def _look(self) -> None:
        try:
            self._kinds = await asyncio.to_thread(self._read)
        except OUTAGES:
            if not self._kinds:
                raise
        self._read_at = time.monotonic()

    def _read(self) -> dict[str, str]:
        with self._database.transaction() as connection:
            return connectors.source_kinds(connection)


class Intake:
    """Takes the deliveries of all connectors."""

    def __init__(self, settings: Settings, batches: Batches, rejections: Rejections, schemes: SourceSchemes) -> None:
        self._schemes = schemes
        self._secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        self._batches = batches
        self._rejections = rejections
        self._rate = RateLimit(settings.webhook_rate)
        self._trusted_proxies = settings.trusted_proxies
        self._memory = BodyBudget(BODIES_LIMIT)
        self.router = APIRouter(prefix="/api/v1/webhooks", tags=["Webhooks"])
        self.router.add_api_route(
            "/{connector}",
            self.receive,
            methods=["POST"],
            status_code=202,
            summary="Take a webhook",
            responses={status: {} for status in (400, 401, 408, 413, 415, 429)},
        )

    async def receive(self, request: Request, connector: str) -> JSONResponse:
        """Take one delivery for a connector, named or by its id. 202 means that it is committed."""
        with tracing.span("webhook"):
            try:
                with self._memory.share() as share:
                    body = await self._read(request, share)
                    await self._store(await self._checked(request, connector, body))
            except RefusedError as refused:
                self._rejections.count(connector, refused.reason)
                tracing.note({"http.response.status_code": refused.status, "zk.refused": refused.reason})
                raise
            tracing.note({"http.response.status_code": 202, "zk.connector": connector})
        return JSONResponse({"status": "accepted"}, 202)

    async def _read(self, request: Request, share: BodyReservation) -> bytes:
        wait = self._rate.take(client_address(request, self._trusted_proxies))
        if wait:
            detail = "Too many deliveries from this address. Send fewer, or raise ZK_WEBHOOK_RATE."
            raise RefusedError(Reason.RATE, 429, detail, {"Retry-After": str(wait)})
        try:
            return await read_body(request, share, limit=BODY_LIMIT, seconds=SECONDS_TO_ARRIVE)
        except TooLargeError:
            detail = f"The body is longer than {BODY_LIMIT} bytes. Send a smaller payload; ticket.id is enough."
            raise RefusedError(Reason.SIZE, 413, detail) from None
        except TooSlowError:
            detail = f"The body did not arrive within {SECONDS_TO_ARRIVE:.0f} s. Send it again."
            raise RefusedError(Reason.INCOMPLETE, 408, detail) from None
        except FullError:
            raise _later("Too many deliveries are on their way at once.") from None

    async def _checked(self, request: Request, connector: str, body: bytes) -> WebhookDelivery:
        self._check_declared(request)
        try:
            scheme = await self._schemes.of(connector)
        except OUTAGES as error:
            _log.warning("A webhook could not be checked, its sender tries again: %s", outage_line(error))
            raise _later("The delivery could not be checked just now.") from None
        if scheme is None:
            raise RefusedError(Reason.CONNECTOR, 404, "This kind of source sends no webhooks; it is polled.")
        delivery = IncomingDelivery(dict(request.headers), body)
        try:
            scheme.check(delivery, self._secret)
            return WebhookDelivery(connector, scheme.delivery_id(delivery), scheme.ticket_id(_payload(body)), body)
        except UntrustedDeliveryError as untrusted:
            raise RefusedError(Reason.SIGNATURE, 401, str(untrusted)) from None
        except NoTicketError as missing:
            raise RefusedError(Reason.TICKET, 422, str(missing)) from None

    def _check_declared(self, request: Request) -> None:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip()
        if not _JSON_TYPE.fullmatch(media_type):
            detail = "The delivery is not declared as JSON. Send it with Content-Type: application/json."
            raise RefusedError(Reason.MEDIA_TYPE, 415, detail)
        if not self._secret:
            detail = "No secret is configured, so no delivery is taken. Set ZK_WEBHOOK_SECRET to the signature token."
            raise RefusedError(Reason.NO_SECRET, 503, detail)

    async def _store(self, delivery: WebhookDelivery) -> None:
        try:
            await self._batches.store(delivery)
        except UnknownConnectorError:
            detail = (
                "There is no active source connector of this name or id. `zk connectors list` shows them; the usual "
                "address is /api/v1/webhooks/zammad."
            )
            raise RefusedError(Reason.CONNECTOR, 404, detail) from None
        except NotStoredError:
            raise _later("The delivery could not be stored just now.") from None


def _payload(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(Reason.JSON, 400, "The body is no JSON. Send the payload that the manual names.") from None


def _later(cause: str) -> ProblemError:
    return ProblemError(503, f"{cause} Send it again in a few seconds.", {"Retry-After": str(RETRY_SECONDS)})
