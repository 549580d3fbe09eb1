"""Zammad's webhooks: signed with HMAC-SHA1, with an id of the delivery in a header (docs/zammad.md §7)."""

from typing import Any

from zk_pipeline.connectors.webhooks import (
    IncomingDelivery,
    NoTicketError,
    UntrustedDeliveryError,
    delivery_id_in,
    whole_id_in,
)
from zk_pipeline.connectors.zammad.signature import is_signed


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
        return delivery_id_in(delivery, "x-zammad-delivery")

    def ticket_id(self, payload: Any) -> str:
        """`ticket.id`, all that is needed of a payload; it is a text in custom ones."""
        if (found := whole_id_in(payload, "ticket", "id")) is not None:
            return found
        raise NoTicketError(
            'ticket.id is no positive whole number. A custom payload needs it: {"ticket": {"id": "#{ticket.id}"}}.'
        )
