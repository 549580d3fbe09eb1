"""Freshdesk's webhooks: automation rules send what an administrator composed, without a signature (docs/freshdesk.md).

The secret is in a header that the rule sets, so that no proxy logs it as a part of the address. A delivery is a hint at
most: its ticket is read afterwards, and nothing else of it is used.
"""

from datetime import UTC, datetime
from typing import Any

from zk_pipeline.connectors.webhooks import (
    IncomingDelivery,
    NoTicketError,
    body_hash,
    require_secret,
    whole_id_in,
)


class FreshdeskWebhooks:
    """How Freshdesk announces changed tickets."""

    def check(self, delivery: IncomingDelivery, secret: str) -> None:
        """Raise `UntrustedDeliveryError` unless the secret is in `X-ZK-Secret`, or the password of Basic."""
        require_secret(delivery, secret)

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
