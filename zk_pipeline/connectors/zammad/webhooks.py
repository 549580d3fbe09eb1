"""Zammad's webhooks: signed with HMAC-SHA1, with an id of the delivery in a header (docs/zammad.md §7)."""

import re
from typing import Any

from zk_pipeline.connectors.webhooks import (
    LARGEST_ID,
    IncomingDelivery,
    NoTicketError,
    UntrustedDeliveryError,
    body_hash,
)
from zk_pipeline.connectors.zammad.signature import is_signed

_USABLE_ID = re.compile(r"[\x21-\x7e]{1,200}")
_DIGITS = re.compile(r"[0-9]{1,19}")


class ZammadWebhooks:
    """How Zammad announces changed tickets."""

    def check(self, delivery: IncomingDelivery, secret: str) -> None:
        """Raise `UntrustedDeliveryError` unless `X-Hub-Signature` is the signature of exactly this body."""
        header = delivery.headers.get("x-hub-signature")
        if header is None:
            raise UntrustedDeliveryError(
                "The header X-Hub-Signature is missing. Set the signature token of the webhook in Zammad."
            )
        if not is_signed(secret, delivery.body, header):
            raise UntrustedDeliveryError(
                "X-Hub-Signature does not fit this body. Set the webhook's signature token to the value of "
                "ZK_WEBHOOK_SECRET, and let no proxy change the body."
            )

    def delivery_id(self, delivery: IncomingDelivery) -> str:
        """`X-Zammad-Delivery`, or a hash of the body where that cannot be used."""
        given = delivery.headers.get("x-zammad-delivery", "")
        return given if _USABLE_ID.fullmatch(given) else body_hash(delivery.body)

    def ticket_id(self, payload: Any) -> str:
        """`ticket.id`, all that is needed of a payload; it is a text in custom ones."""
        ticket = payload.get("ticket") if isinstance(payload, dict) else None
        value = ticket.get("id") if isinstance(ticket, dict) else None
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID:
            return str(value)
        raise NoTicketError(
            'ticket.id is no positive whole number. A custom payload needs it: {"ticket": {"id": "#{ticket.id}"}}.'
        )
