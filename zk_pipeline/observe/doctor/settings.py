"""Checks of our own side: settings, secrets, alert addresses, and a test delivery to the webhook."""

import json
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import httpx
from sqlalchemy import delete, make_url, select

from zk_pipeline.connectors import network
from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.plugins import OURS, broken_plugins, installed_kinds
from zk_pipeline.connectors.zammad.signature import signature
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.domain.write_protection import first_open_day
from zk_pipeline.observe.doctor.report import Installation
from zk_pipeline.runtime.installation import needing_restart
from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline.runtime.settings import Settings, readable_env_file
from zk_pipeline.store import connectors as connections
from zk_pipeline.store import roles
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import KEY_FILE, UndecryptableError
from zk_pipeline.store.schema import OLDEST_SERVER, server_version
from zk_pipeline.store.tables import connectors, webhook_deliveries

# Settings: secrets, tokens, alerts, and the effect of the lock rule.

SHORTEST_SECRET = 16
DEFAULTS = frozenset(
    {"admin", "change-me", "changeme", "default", "example", "password", "postgres", "secret", "test", "zammad", "zk"}
)


def examine_settings(installation: Installation) -> Iterator[Finding]:
    """Check settings whose errors nothing else shows in time."""
    settings = installation.runtime.settings
    yield from _secrets(settings)
    yield from _tokens(installation)
    yield from _key_file(installation)
    yield from _env_file()
    yield from _database_role(installation)
    yield from _waiting(installation)
    yield from _plugins(installation)
    yield _decided(installation)
    yield _alerts(settings)
    yield _lock(installation)


def judge_secret(name: str, secret: str, shortest: int) -> Finding | None:
    """The finding for a well-known or short secret; `None` for a good one."""
    remedy = (
        f'Replace it with a long random text: python -c "import secrets; print(secrets.token_urlsafe(32))" ({name}).'
    )
    if secret.casefold() in DEFAULTS:
        return Finding("secrets", Level.FAIL, f"{name} is a well-known default.", remedy)
    if len(secret) < shortest:
        return Finding("secrets", Level.WARN, f"{name} is shorter than {shortest} characters.", remedy)
    return None


def _decided(installation: Installation) -> Finding:
    """Whether the settings that decide stored facts have changed."""
    try:
        installation.runtime.require_decided()
    except SetupError as error:
        return Finding("recorded settings", Level.FAIL, str(error), "See what would change: zk rederive --plan")
    return Finding(
        "recorded settings", Level.PASS, "The settings that decide days, times and projects have not changed."
    )


def _secrets(settings: Settings) -> Iterator[Finding]:
    found: list[Finding | None] = []
    if settings.webhook_secret is not None:
        found.append(judge_secret("ZK_WEBHOOK_SECRET", settings.webhook_secret.get_secret_value(), SHORTEST_SECRET))
    for name, url in (("ZK_DATABASE_URL", settings.database_url), ("ZK_DAGSTER_URL", settings.dagster_url)):
        password = make_url(url.get_secret_value()).password if url else None
        if password:  # Its length is up to the operator of that server.
            found.append(judge_secret(f"The password in {name}", password, 0))
    bad = [finding for finding in found if finding]
    yield from bad or [Finding("secrets", Level.PASS, "No secret is short or a default.")]


def _tokens(installation: Installation) -> Iterator[Finding]:
    """Whether every stored token can be decrypted."""
    query = select(connectors.c.name, connectors.c.token_encrypted).where(connectors.c.active)
    with installation.runtime.database.transaction() as connection:
        rows = connection.execute(query.order_by(connectors.c.id)).all()
    given = {each.name for each in installation.runtime.tried}
    broken: list[str] = []
    for row in rows:
        if row.name in given:
            continue  # The next start stores it again.
        try:
            installation.runtime.cipher.decrypt(row.token_encrypted)
        except UndecryptableError:
            broken.append(row.name)
    if not broken:
        yield Finding("encryption", Level.PASS, f"{len(rows)} stored tokens can be decrypted.")
        return
    yield Finding(
        "encryption",
        Level.FAIL,
        f"The tokens of {', '.join(broken)} cannot be decrypted with ZK_ENCRYPTION_KEY.",
        "Add their key to it after a comma, or enter the tokens again: zk connectors set",
    )


def _key_file(installation: Installation) -> Iterator[Finding]:
    path = installation.home / KEY_FILE
    if path.exists() and path.stat().st_mode & 0o077:
        text = f"Other accounts of this machine can read {path}."
        yield Finding("encryption", Level.FAIL, text, f"chmod 600 {path}")


def _env_file() -> Iterator[Finding]:
    path = readable_env_file()
    if path is not None:
        text = f"Every account of this machine can read {path} and the secrets in it."
        yield Finding("secrets", Level.WARN, text, f"chmod 600 {path}")


def _database_role(installation: Installation) -> Iterator[Finding]:
    """The server's version, and whether the application's database role could change the audit trail.

    Neither is asked of the embedded server.
    """
    url = installation.runtime.settings.database_url
    host = make_url(url.get_secret_value()).host if url else None
    if not host or host.startswith("/"):  # The embedded server.
        return
    with installation.runtime.database.transaction() as connection:
        can_change, version = roles.may_change_trail(connection), server_version(connection)
    yield Finding("PostgreSQL", Level.PASS, f"The server is version {version}; {OLDEST_SERVER} or newer is needed.")
    if can_change:
        text = "The database user of ZK_DATABASE_URL could change the audit trail: it owns it or is a superuser."
        remedy = "Give the application a role of its own with deploy/database/roles.sql (docs/security.md)."
        yield Finding("database role", Level.WARN, text, remedy)
    else:
        yield Finding("database role", Level.PASS, "The application can append to the audit trail, but not change it.")


def _waiting(installation: Installation) -> Iterator[Finding]:
    """Connectors of the environment that differ from the stored ones; they are stored at start."""
    runtime = installation.runtime
    differing: list[str] = []
    for given in runtime.tried:
        with runtime.database.transaction() as connection, suppress(UndecryptableError):
            if connections.active(connection, given.role, runtime.cipher) == given:
                continue
        differing.append(given.name)
    if differing:
        text = f"The {' and the '.join(differing)} of the environment was checked; a different one is stored."
        yield Finding("connectors", Level.WARN, text, "To store it: zk up, zk sync or zk migrate")


def _plugins(installation: Installation) -> Iterator[Finding]:
    """The connectors of other packages: which there are, which cannot be used, and which wait for a restart."""
    for late in needing_restart(installation.runtime):
        yield Finding("plug-ins", Level.WARN, late.text, late.remedy)
    yield from (Finding("plug-ins", Level.WARN, str(broken)) for broken in broken_plugins())
    kinds = installed_kinds()
    good = [f"{kind.kind} ({kind.package})" for kind in kinds if not kind.problem and kind.package.split()[0] != OURS]
    if good:
        yield Finding("plug-ins", Level.PASS, f"Installed connectors of other packages: {', '.join(good)}.")


def _alerts(settings: Settings) -> Finding:
    if settings.alert_urls.get_secret_value().strip():
        return Finding("alerts", Level.PASS, "Alerts are sent when runs fail.")
    text = "No alert is sent when runs fail."
    return Finding("alerts", Level.WARN, text, "Set ZK_ALERT_URLS, and test it: zk alerts test")


def _lock(installation: Installation) -> Finding:
    rule = installation.runtime.settings.locked_before
    day = first_open_day(rule, installation.today)
    if day is None:
        text = "ZK_LOCKED_BEFORE is not set: only what is exported in Kimai is locked."
    else:
        text = f"Nothing before {day} is written (ZK_LOCKED_BEFORE={rule})."
    return Finding("lock", Level.PASS, text)


# A signed test delivery to our web server, which is found in the database and removed.

PATH = "/api/v1/webhooks"
NO_TICKET = 2_147_483_647
"""A valid id that no ticket has."""

_SUBJECT = "round trip"
_SECONDS = 10.0
_REFUSALS = {
    202: (
        Level.FAIL,
        "accepted a delivery that is not in our database.",
        "Give the web server and this command the same ZK_DATABASE_URL.",
    ),
    401: (Level.FAIL, "refused our signature.", "Restart `zk up`: it runs with another ZK_WEBHOOK_SECRET."),
    429: (
        Level.WARN,
        "is limiting deliveries from this address.",
        "Try again in a minute, or raise ZK_WEBHOOK_RATE.",
    ),
    503: (
        Level.FAIL,
        "runs without a secret and accepts no deliveries.",
        "Restart `zk up`: ZK_WEBHOOK_SECRET is set.",
    ),
}
_OVERLOADED = (Level.FAIL, "could not store a delivery.", "Look at the log of the web server.")
_UNKNOWN = (
    Level.FAIL,
    "answered {status} to a delivery.",
    "Check that ZK_WEB_HOST and ZK_WEB_PORT are those of our web server.",
)
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 (recognized, not bound)


def examine_webhook(installation: Installation) -> Iterator[Finding]:
    """Send our web server a delivery as Zammad does."""
    settings = installation.runtime.settings
    if settings.webhook_secret is None:
        yield Finding(
            _SUBJECT,
            Level.WARN,
            "ZK_WEBHOOK_SECRET is not set: deliveries are refused, and new bookings wait for the next poll.",
            "Set it to a long random text, and use the same as signature token of the webhook in Zammad.",
        )
        return
    where = address(settings, installation.source_name)
    yield round_trip(where, settings.webhook_secret.get_secret_value(), installation.runtime.database)


def address(settings: Settings, connector: str) -> str:
    """The webhook URL of our web server for a connector, from this machine."""
    host = _EVERYWHERE.get(settings.web_host, settings.web_host)
    return f"http://{host}:{settings.web_port}{PATH}/{connector}"


def round_trip(where: str, secret: str, database: Database) -> Finding:
    """Send a test delivery and look for it in the database; it is removed in any case."""
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
            _SUBJECT,
            Level.WARN,
            f"Nothing answers at {where}: the web server is not running.",
            "Start everything: zk up",
        )
    except httpx.HTTPError as error:
        text = f"{where} did not answer properly ({type(error).__name__})."
        return Finding(_SUBJECT, Level.FAIL, text, "Look at the log of the web server, and restart `zk up`.")
    finally:
        stored = _take_out(database, delivery)
    return judge_answer(where, answer, stored=stored)


def judge_answer(where: str, answer: httpx.Response, *, stored: bool) -> Finding:
    """The finding for the web server's answer; `stored`: the delivery was in our database."""
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
