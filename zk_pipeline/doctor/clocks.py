"""Clocks: ours against those of the database, Zammad and Kimai."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy import text

from zk_pipeline.connectors import network
from zk_pipeline.connectors.addresses import checked_base_url
from zk_pipeline.connectors.answer import http_date
from zk_pipeline.connectors.base import Endpoint
from zk_pipeline.connectors.checks import Finding
from zk_pipeline.doctor.installation import SYSTEMS, Installation
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.store.database import Database

WARN_AFTER = timedelta(seconds=5)
FAIL_AFTER = timedelta(seconds=60)

_HALF_SECOND = timedelta(milliseconds=500)  # The header has whole seconds: on average that much was cut off.
_SECONDS = 10.0


def examine_database(installation: Installation) -> Iterator[Finding]:
    """Our clock against PostgreSQL's."""
    yield judge("PostgreSQL", _database_skew(installation.runtime.database))


def examine_source(installation: Installation) -> Iterator[Finding]:
    """Our clock against Zammad's web server's."""
    with installation.reached_source() as connector:
        yield judge(SYSTEMS["source"], server_skew(connector.endpoint))


def examine_target(installation: Installation) -> Iterator[Finding]:
    """Our clock against Kimai's web server's."""
    with installation.reached_target() as connector:
        yield judge(SYSTEMS["target"], server_skew(connector.endpoint))


def server_skew(endpoint: Endpoint) -> timedelta | None:
    """How far a web server's clock is ahead of ours; any answer tells it, so none is asked for that needs a token.

    `None` where no answer came: the examination of the system itself says why.
    """
    base_url = checked_base_url(endpoint)
    with network.client(ca_bundle=endpoint.ca_bundle, timeout=_SECONDS) as http:
        sent = datetime.now(UTC)
        try:
            answer = http.head(base_url)
        except httpx.HTTPError:
            return None
    return header_skew(answer.headers.get("Date", ""), sent, datetime.now(UTC))


def header_skew(date_header: str, sent: datetime, received: datetime) -> timedelta | None:
    """How far the clock behind a Date header is ahead of ours; `None` for a header that cannot be read."""
    theirs = http_date(date_header)
    return None if theirs is None else theirs + _HALF_SECOND - _between(sent, received)


def judge(system: str, skew: timedelta | None) -> Finding:
    """What a skew means."""
    if skew is None:
        return Finding(system, Level.PASS, f"{system} does not tell its time.")
    seconds = round(abs(skew).total_seconds())
    direction = "ahead of" if skew > timedelta(0) else "behind"
    if abs(skew) <= WARN_AFTER:
        return Finding(system, Level.PASS, f"The clocks agree ({seconds} s apart).")
    return Finding(
        system,
        Level.FAIL if abs(skew) > FAIL_AFTER else Level.WARN,
        f"The clock of {system} is {seconds} s {direction} ours: changes may be overlooked or counted for another day.",
        "Let both machines set their clocks by NTP (timedatectl set-ntp true).",
    )


def _database_skew(database: Database) -> timedelta:
    with database.transaction() as connection:
        sent = datetime.now(UTC)
        theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return theirs - _between(sent, datetime.now(UTC))


def _between(sent: datetime, received: datetime) -> datetime:
    return sent + (received - sent) / 2
