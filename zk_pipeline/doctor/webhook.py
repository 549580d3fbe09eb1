"""The webhook's round trip: a signed delivery to our own web server is found in the database and taken out again."""

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
from sqlalchemy import delete

from zk_pipeline.connectors import network
from zk_pipeline.connectors.checks import Finding
from zk_pipeline.doctor.installation import Installation
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.tables import webhook_deliveries
from zk_pipeline.web.signature import signature

PATH = "/api/v1/webhooks"
NO_TICKET = 2_147_483_647
"""An id that passes for a ticket's and is none."""

_SUBJECT = "round trip"
_SECONDS = 10.0
_REFUSALS = {
    202: (
        Level.FAIL,
        "accepted a delivery that is not in our database.",
        "Give the web server and this command the same ZK_DATABASE_URL.",
    ),
    401: (Level.FAIL, "refused our signature.", "It runs with another ZK_WEBHOOK_SECRET: restart `zk up`."),
    429: (
        Level.WARN,
        "takes no more deliveries from this address at present.",
        "Try again in a minute, or raise ZK_WEBHOOK_RATE.",
    ),
    503: (
        Level.FAIL,
        "runs without a secret and takes no deliveries.",
        "Restart `zk up`: ZK_WEBHOOK_SECRET is set.",
    ),
}
_OVERLOADED = (Level.FAIL, "could not store a delivery just now.", "Look at the log of the web server.")
_UNKNOWN = (
    Level.FAIL,
    "answered {status} to a delivery.",
    "Check that ZK_WEB_HOST and ZK_WEB_PORT name our web server and not another program.",
)
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 (recognized, not bound)


def examine(installation: Installation) -> Iterator[Finding]:
    """Send ourselves a delivery as Zammad does (docs/zammad.md §7)."""
    settings = installation.runtime.settings
    if settings.webhook_secret is None:
        yield Finding(
            _SUBJECT,
            Level.WARN,
            "ZK_WEBHOOK_SECRET is not set: every delivery is refused, and new bookings wait for the next poll.",
            "Set it to a long random text, and the same as the signature token of the webhook in Zammad.",
        )
        return
    where = address(settings, installation.source_name)
    yield round_trip(where, settings.webhook_secret.get_secret_value(), installation.runtime.database)


def address(settings: Settings, connector: str) -> str:
    """Where this machine reaches its own web server's intake for a connector."""
    host = _EVERYWHERE.get(settings.web_host, settings.web_host)
    return f"http://{host}:{settings.web_port}{PATH}/{connector}"


def round_trip(where: str, secret: str, database: Database) -> Finding:
    """Send one delivery and look for it; nothing of it stays, whatever came of it."""
    delivery = str(uuid4())
    body = json.dumps({"ticket": {"id": NO_TICKET}}).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Hub-Signature": signature(secret, body),
        "X-Zammad-Delivery": delivery,
    }
    try:
        with network.client(proxies=False, timeout=_SECONDS) as http:
            answer = http.post(where, content=body, headers=headers)
    except httpx.ConnectError:
        return Finding(
            _SUBJECT, Level.WARN, f"Nothing answers at {where}: the web server does not run.", "Start everything: zk up"
        )
    except httpx.HTTPError as error:
        text = f"{where} did not answer properly ({type(error).__name__})."
        return Finding(_SUBJECT, Level.FAIL, text, "Look at the log of the web server, and restart `zk up`.")
    finally:
        stored = _take_out(database, delivery)
    return judge_answer(where, answer, stored=stored)


def judge_answer(where: str, answer: httpx.Response, *, stored: bool) -> Finding:
    """What the web server's answer means; `stored` tells whether the delivery was in our database."""
    status = answer.status_code
    if status == 202 and stored:
        return Finding(_SUBJECT, Level.PASS, f"A signed delivery to {where} was stored.")
    level, text, remedy = _REFUSALS.get(status, _UNKNOWN)
    if status == 503 and "Retry-After" in answer.headers:
        level, text, remedy = _OVERLOADED
    return Finding(_SUBJECT, level, f"{where} {text.format(status=status)}", remedy)


def _take_out(database: Database, delivery: str) -> bool:
    statement = delete(webhook_deliveries).where(webhook_deliveries.c.delivery_id == delivery)
    with database.transaction() as connection:
        return connection.execute(statement).rowcount > 0
