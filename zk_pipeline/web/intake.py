"""The webhook intake: checks a delivery, stores it as it came, and answers. What it means is found out later."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from zk_pipeline.settings import Settings
from zk_pipeline.store.deliveries import Delivery
from zk_pipeline.tracing import spans
from zk_pipeline.web.batches import Batches, NotStoredError, UnknownConnectorError
from zk_pipeline.web.client_address import client_address
from zk_pipeline.web.errors import ProblemError
from zk_pipeline.web.limits import (
    FullError,
    Memory,
    RateLimit,
    Share,
    TooLargeError,
    TooSlowError,
    read_body,
)
from zk_pipeline.web.rejections import Reason, Rejections
from zk_pipeline.web.signature import is_signed

BODY_LIMIT = 1024 * 1024
"""Bytes; a delivery has some ten thousand."""

BODIES_LIMIT = 64 * BODY_LIMIT
SECONDS_TO_ARRIVE = 20.0
RETRY_SECONDS = 5
LARGEST_ID = 2**63 - 1

_USABLE_ID = re.compile(r"[\x21-\x7e]{1,200}")
_DIGITS = re.compile(r"[0-9]{1,19}")
_JSON_TYPE = re.compile(r"application/([\w.+-]+\+)?json", re.IGNORECASE | re.ASCII)


class RefusedError(ProblemError):
    """A delivery that is not taken: why, and the answer."""

    def __init__(self, reason: Reason, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.reason = reason


class Intake:
    """Takes the deliveries of all connectors."""

    def __init__(self, settings: Settings, batches: Batches, rejections: Rejections) -> None:
        self._secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        self._batches = batches
        self._rejections = rejections
        self._rate = RateLimit(settings.webhook_rate)
        self._trusted_proxies = settings.trusted_proxies
        self._memory = Memory(BODIES_LIMIT)
        self.router = APIRouter(prefix="/api/v1/webhooks", tags=["Webhooks"])
        self.router.add_api_route(
            "/{connector}", self.receive, methods=["POST"], status_code=202, summary="Take a signed webhook"
        )

    async def receive(self, request: Request, connector: str) -> JSONResponse:
        """Take one delivery for a connector, named or by its id. 202 means that it is committed."""
        with spans.span("webhook"):
            try:
                with self._memory.share() as share:
                    body = await self._read(request, share)
                    self._check_origin(request, body)
                    await self._store(Delivery(connector, delivery_id(request, body), ticket_id(body), body))
            except RefusedError as refused:
                self._rejections.count(connector, refused.reason)
                spans.note({"http.response.status_code": refused.status, "zk.refused": refused.reason})
                raise
            spans.note({"http.response.status_code": 202, "zk.connector": connector})
        return JSONResponse({"status": "accepted"}, 202)

    async def _read(self, request: Request, share: Share) -> bytes:
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

    def _check_origin(self, request: Request, body: bytes) -> None:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip()
        if not _JSON_TYPE.fullmatch(media_type):
            detail = "The delivery is not declared as JSON. Send it with Content-Type: application/json."
            raise RefusedError(Reason.MEDIA_TYPE, 415, detail)
        if not self._secret:
            detail = "No secret is configured, so no delivery is taken. Set ZK_WEBHOOK_SECRET to the signature token."
            raise RefusedError(Reason.NO_SECRET, 503, detail)
        header = request.headers.get("x-hub-signature")
        if header is None:
            detail = "The header X-Hub-Signature is missing. Set the signature token of the webhook in Zammad."
            raise RefusedError(Reason.SIGNATURE, 401, detail)
        if not is_signed(self._secret, body, header):
            detail = (
                "X-Hub-Signature does not fit this body. Set the webhook's signature token to the value of "
                "ZK_WEBHOOK_SECRET, and let no proxy change the body."
            )
            raise RefusedError(Reason.SIGNATURE, 401, detail)

    async def _store(self, delivery: Delivery) -> None:
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


def delivery_id(request: Request, body: bytes) -> str:
    """What tells a repeated delivery: `X-Zammad-Delivery`, or a hash of the body where that cannot be used."""
    given = request.headers.get("x-zammad-delivery", "")
    return given if _USABLE_ID.fullmatch(given) else f"sha256:{hashlib.sha256(body).hexdigest()}"


def ticket_id(body: bytes) -> int:
    """`ticket.id` of a payload, all that is needed of it; text in custom ones (docs/zammad.md §7).

    Raises `RefusedError`.
    """
    try:
        payload: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(Reason.JSON, 400, "The body is no JSON. Let Zammad send its default payload.") from None
    ticket = payload.get("ticket") if isinstance(payload, dict) else None
    value = ticket.get("id") if isinstance(ticket, dict) else None
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID:
        return value
    detail = 'ticket.id is no positive whole number. A custom payload needs it: {"ticket": {"id": "#{ticket.id}"}}.'
    raise RefusedError(Reason.TICKET, 422, detail)


def _later(cause: str) -> ProblemError:
    return ProblemError(503, f"{cause} Send it again in a few seconds.", {"Retry-After": str(RETRY_SECONDS)})
