"""Freshdesk's webhooks: automation rules send what an administrator composed, without a signature (docs/freshdesk.md).

The secret is in a header that the rule sets, so that no proxy logs it as a part of the address. A delivery is a hint at
most: its ticket is read afterwards, and nothing else of it is used.
"""

import base64
import binascii
import hmac
from datetime import UTC, datetime
from typing import Any

from zk_pipeline.connectors.webhooks import (
    IncomingDelivery,
    NoTicketError,
    UntrustedDeliveryError,
    body_hash,
    whole_id_in,
)

SECRET_HEADER = "x-zk-secret"  # noqa: S105 - the name of a header


class FreshdeskWebhooks:
    """How Freshdesk announces changed tickets."""

    def check(self, delivery: IncomingDelivery, secret: str) -> None:
        """Raise `UntrustedDeliveryError` unless the secret is in `X-ZK-Secret`, or the password of Basic."""
        given = delivery.headers.get(SECRET_HEADER) or _password(delivery.headers.get("authorization", ""))
        if not given:
            raise UntrustedDeliveryError(
                "The secret is missing. Let the automation rule send the header X-ZK-Secret with the value of "
                "ZK_WEBHOOK_SECRET."
            )
        if not hmac.compare_digest(given.encode(), secret.encode()):
            raise UntrustedDeliveryError(
                "The secret is another one. Let the automation rule send the value of ZK_WEBHOOK_SECRET."
            )

    def delivery_id(self, delivery: IncomingDelivery) -> str:
        """A hash of the body with the minute: the same hint within it is taken once."""
        return f"{body_hash(delivery.body)}@{this_minute()}"

    def ticket_id(self, payload: Any) -> str:
        """`ticket_id`, by itself or within `freshdesk_webhook`."""
        found = whole_id_in(payload, "ticket_id") or whole_id_in(payload, "freshdesk_webhook", "ticket_id")
        if found is not None:
            return found
        raise NoTicketError('ticket_id is no positive whole number. The body needs: {"ticket_id": {{ticket.id}}}.')


def this_minute() -> str:
    """The present minute in UTC."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"


def _password(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
