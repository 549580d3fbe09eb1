"""The webhook's round trip: a signed delivery to our own web server is found in the database and taken out again."""

import hmac
import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
from sqlalchemy import delete

from zk_pipeline.connectors.base import Finding, Level
from zk_pipeline.doctor.installation import Installation
from zk_pipeline.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.tables import webhook_deliveries

PATH = "/api/v1/webhooks/zammad"
NO_TICKET = 2_147_483_647
"""An id that passes for a ticket's and is none."""

_SUBJECT = "round trip"
_SECONDS = 10.0
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
    yield round_trip(settings, settings.webhook_secret.get_secret_value(), installation.runtime.database)


def address(settings: Settings) -> str:
    """Where this machine reaches its own web server."""
    host = _EVERYWHERE.get(settings.web_host, settings.web_host)
    return f"http://{host}:{settings.web_port}{PATH}"


def signature(secret: str, body: bytes) -> str:
    """The header with which Zammad signs the bytes of a body."""
    return f"sha1={hmac.new(secret.encode(), body, 'sha1').hexdigest()}"


def round_trip(settings: Settings, secret: str, database: Database) -> Finding:
    """Send one delivery and look for it; nothing of it stays, whatever came of it."""
    delivery = str(uuid4())
    body = json.dumps({"ticket": {"id": NO_TICKET}}).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Hub-Signature": signature(secret, body),
        "X-Zammad-Delivery": delivery,
    }
    where = address(settings)
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as http:
            status = http.post(where, content=body, headers=headers).status_code
    except httpx.ConnectError:
        return Finding(
            _SUBJECT, Level.WARN, f"Nothing answers at {where}: the web server does not run.", "Start everything: zk up"
        )
    except httpx.HTTPError as error:
        text = f"{where} did not answer properly ({type(error).__name__})."
        return Finding(_SUBJECT, Level.FAIL, text, "Look at the log of the web server, and start `zk up` anew.")
    finally:
        stored = _take_out(database, delivery)
    return _judged(where, status, stored=stored)


def _judged(where: str, status: int, *, stored: bool) -> Finding:
    if status == 202 and stored:
        return Finding(_SUBJECT, Level.PASS, f"A signed delivery to {where} was stored.")
    if status == 202:
        text = f"{where} accepted a delivery that is not in our database."
        return Finding(_SUBJECT, Level.FAIL, text, "Give the web server and this command the same ZK_DATABASE_URL.")
    if status in {401, 403}:
        text = f"{where} refused our signature ({status})."
        return Finding(_SUBJECT, Level.FAIL, text, "It runs with another ZK_WEBHOOK_SECRET: start `zk up` anew.")
    if status == 503:
        text = f"{where} takes no deliveries (503)."
        return Finding(_SUBJECT, Level.FAIL, text, "It runs without ZK_WEBHOOK_SECRET: start `zk up` anew.")
    if status == 429:
        text = f"{where} takes no more deliveries from this address at present (429)."
        return Finding(_SUBJECT, Level.WARN, text, "Try again in a minute, or raise ZK_WEBHOOK_RATE.")
    text = f"{where} answered {status} to a delivery."
    remedy = "Check that ZK_WEB_HOST and ZK_WEB_PORT name our web server and not another program."
    return Finding(_SUBJECT, Level.FAIL, text, remedy)


def _take_out(database: Database, delivery: str) -> bool:
    statement = delete(webhook_deliveries).where(webhook_deliveries.c.delivery_id == delivery)
    with database.transaction() as connection:
        return connection.execute(statement).rowcount > 0
