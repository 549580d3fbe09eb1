"""Jira's webhooks (docs/jira.md): signed with HMAC-SHA256 on Cloud, and hints of no more than an issue to read.

Data Center signs none: there a secret has to come in a header, where no proxy logs it.
"""

import hashlib
import hmac
from typing import Any

from zk_pipeline.connectors.webhooks import (
    IncomingDelivery,
    NoTicketError,
    UntrustedDeliveryError,
    delivery_id_in,
    has_secret,
    require_secret,
    whole_id_in,
)

_PREFIX = "sha256="


class JiraWebhooks:
    """How Jira announces worklogs that were logged, edited or deleted, and issues that were deleted."""

    def check(self, delivery: IncomingDelivery, secret: str) -> None:
        """Raise `UntrustedDeliveryError` unless `X-Hub-Signature` is the signature of exactly this body.

        Without one, the secret itself may come in `X-ZK-Secret`, or as the password of Basic.
        """
        header = delivery.headers.get("x-hub-signature")
        if header is None and has_secret(delivery):
            require_secret(delivery, secret)
            return
        if header is None:
            raise UntrustedDeliveryError(
                "The header X-Hub-Signature is missing. Only webhooks that an administrator made with a secret are "
                "signed; those of apps and of Jira Data Center are not, and need the header X-ZK-Secret. Without "
                "either, Jira is polled."
            )
        expected = _PREFIX + hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), header.strip().encode("utf-8", "replace")):
            raise UntrustedDeliveryError(
                "X-Hub-Signature does not fit this body. Set the webhook's secret to the value of ZK_WEBHOOK_SECRET, "
                "and let no proxy change the body."
            )

    def delivery_id(self, delivery: IncomingDelivery) -> str:
        """`X-Atlassian-Webhook-Identifier`, the same for all attempts, or a hash of the body where there is none."""
        return delivery_id_in(delivery, "x-atlassian-webhook-identifier")

    def ticket_id(self, payload: Any) -> str:
        """`worklog.issueId`, or `issue.id` of a deleted issue, whose worklogs are not announced."""
        found = whole_id_in(payload, "worklog", "issueId") or whole_id_in(payload, "issue", "id")
        if found is not None:
            return found
        raise NoTicketError(
            "Neither worklog.issueId nor issue.id is a positive whole number. Let the webhook send the events of "
            "worklogs and of deleted issues, with their bodies."
        )
