"""Webhooks of automation rules: without a signature, with whatever an administrator composed, late or never."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from zk_sandbox.client import NO_CERTIFICATES

SIMPLE = '{"freshdesk_webhook":{"ticket_id":{{ticket.id}}}}'
"""The body of the simple form with the ticket's id alone."""


@dataclass(slots=True)
class Automation:
    """A rule with the action "trigger webhook". Placeholders are put into `body` as they are, so they may break it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: str = SIMPLE
    waiting: deque[str] = field(default_factory=deque[str])
    """Bodies that were put off because the account was over its limit."""

    def composed(self, ticket_id: int, subject: str = "") -> str:
        """The body for a ticket."""
        return self.body.replace("{{ticket.id}}", str(ticket_id)).replace("{{ticket.subject}}", subject)

    def put_off(self, ticket_id: int) -> None:
        """Keep a delivery for later."""
        self.waiting.append(self.composed(ticket_id))

    def send(self, ticket_id: int, subject: str = "") -> int:
        """Deliver one event; returns the status."""
        return self._post(self.composed(ticket_id, subject))

    def send_waiting(self, *, dropped: int = 0) -> list[int]:
        """Deliver in one burst what was put off; the first `dropped` ones were too old. Returns the statuses."""
        bodies = list(self.waiting)[dropped:]
        self.waiting.clear()
        return [self._post(body) for body in bodies]

    def _post(self, body: str) -> int:
        headers = {"Content-Type": "application/json", **self.headers}
        with httpx.Client(verify=NO_CERTIFICATES, trust_env=False, timeout=30) as client:
            return client.post(self.url, content=body.encode(), headers=headers).status_code


def is_json(body: str) -> bool:
    """Whether a composed body is JSON."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
