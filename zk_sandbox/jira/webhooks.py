"""Deliveries of a simulated Jira's webhooks: as they are sent, and sent again."""

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from zk_sandbox.jira.access import Caller
from zk_sandbox.jira.records import Webhook, milliseconds
from zk_sandbox.jira.site import Site
from zk_sandbox.jira.views import issue_json, worklog_json

WORKLOG_EVENTS = ("worklog_created", "worklog_updated", "worklog_deleted")
ISSUE_DELETED = "jira:issue_deleted"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver an event: where to, with which headers, and the exact body."""

    url: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


def announced(site: Site, event: str, row_id: int, *, attempt: int = 0, identifier: str = "") -> list[Delivery]:
    """The deliveries of an event to the webhooks that want it; take them before the row is deleted.

    `row_id` is that of a worklog or, for `jira:issue_deleted`, of an issue. Repeated attempts have the same
    `identifier`. Nothing tells which project or key a worklog belongs to.
    """
    body: dict[str, Any] = {"timestamp": milliseconds(site.settings.clock()), "webhookEvent": event}
    if event == ISSUE_DELETED:
        issue = site.state.issues[row_id]
        body["issue"] = issue_json(site, Caller(site, None), issue, ("summary", "project"))
    else:
        body["worklog"] = worklog_json(site, site.state.worklogs[row_id])
    content = json.dumps(body).encode()
    listed = [hook for hook in site.state.webhooks.values() if event in hook.events]
    return [Delivery(hook.url, _headers(site, hook, content, attempt, identifier), content) for hook in listed]


def signature(secret: str, body: bytes) -> str:
    """The value of X-Hub-Signature."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _headers(site: Site, hook: Webhook, body: bytes, attempt: int, identifier: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json; charset=UTF-8", "User-Agent": "Atlassian HTTP Client"}
    if not site.settings.is_cloud:
        return headers
    headers |= {
        "X-Atlassian-Webhook-Identifier": identifier or str(uuid.uuid4()),
        "X-Atlassian-Webhook-Flow": "Primary",
        "X-Atlassian-Webhook-Trace": uuid.uuid4().hex,
    }
    if attempt:
        headers["X-Atlassian-Webhook-Retry"] = str(attempt)
    return headers | ({"X-Hub-Signature": signature(hook.secret, body)} if hook.secret else {})
