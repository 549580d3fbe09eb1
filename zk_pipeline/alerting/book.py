"""What was told to people and what is on its way, kept in the database: it survives restarts."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic

from pydantic import TypeAdapter
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.alerting.addresses import Address, addresses_of, redacted, send
from zk_pipeline.domain.alerts import AlertBook, Incident, Message, Rules, Trouble, Waiting, failure_message
from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import Settings
from zk_pipeline.store import cursors
from zk_pipeline.store.database import DatabaseUnavailableError

OWNER, SUBJECT = "alerts", "book"
LOCK = "zk:alerts"
SECONDS_TO_DELIVER = 30.0
"""Within one tick of a sensor, which may take a minute; what is left waits for the next."""

_BOOK = TypeAdapter(AlertBook)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What a delivery did: how many were sent, how many messages wait, and why, in sentences without secrets."""

    sent: int
    waiting: int
    problems: tuple[str, ...]


def tell_failure(runtime: Runtime, trouble: Trouble, failures_in_a_row: int | None = None) -> bool:
    """Note a failure; returns whether people are told. Without a database to remember it in, it is sent at once.

    `None` failures in a row: one is enough, whatever the threshold is.
    """
    settings = runtime.settings
    if not addresses_of(settings):
        return False
    clean = replace(trouble, sentence=redacted(trouble.sentence, settings))
    rules = Rules(settings.alert_after, timedelta(minutes=settings.alert_quiet_minutes))
    now = datetime.now(UTC)
    try:
        return _change(runtime, lambda book: book.after_failure(clean, failures_in_a_row, rules, now))
    except (DatabaseUnavailableError, SQLAlchemyError):
        return send_at_once(settings, failure_message(clean))


def tell_recovery(runtime: Runtime, subject: str, link: str = "") -> bool:
    """Note a success; returns whether people are told, which they are where they were told of a failure."""
    return _change(runtime, lambda book: book.after_recovery(subject, link, datetime.now(UTC)))


def open_incidents(runtime: Runtime) -> dict[str, Incident]:
    """What people were told of and what has not recovered, by subject."""
    with runtime.database.transaction() as connection:
        return dict(_load(connection).incidents)


def deliver(runtime: Runtime) -> Deliveries:
    """Send what waits; what does not arrive waits for the next time.

    If the process dies between a delivery and its note, that message comes twice.
    """
    with runtime.database.transaction() as connection:
        waiting = _load(connection).waiting
    if not waiting:
        return Deliveries(0, 0, ())
    done, failed = _attempt(waiting, addresses_of(runtime.settings))
    with _book(runtime) as (connection, book):
        left = book.delivered(done)
        _save(connection, left)
    problems = tuple(f"The alert did not reach {address}: {reason}" for address, reason in failed.items())
    return Deliveries(len(done), len(left.waiting), problems)


def send_at_once(settings: Settings, message: Message) -> bool:
    """Send a message past the book; returns whether it reached anybody. What did not arrive is logged and lost."""
    problems = {address: send(address, message) for address in addresses_of(settings)}
    for address, reason in problems.items():
        if reason:
            _log.warning("The alert did not reach %s: %s", address, reason)
    return not all(problems.values())


def _attempt(
    waiting: Iterable[Waiting], addresses: Sequence[Address]
) -> tuple[list[tuple[int, int]], dict[Address, str]]:
    """Send in order; returns what is done, and the addresses that failed, which are left alone after the first time.

    What waits for an address that was taken out of the settings is done.
    """
    by_position = {address.position: address for address in addresses}
    done: list[tuple[int, int]] = []
    failed: dict[Address, str] = {}
    end = monotonic() + SECONDS_TO_DELIVER
    for row in waiting:
        for position in row.positions:
            address = by_position.get(position)
            if address in failed or monotonic() > end:
                continue
            reason = send(address, row.message) if address else None
            if address and reason:
                failed[address] = reason
            else:
                done.append((row.number, position))
    return done, failed


def _change(runtime: Runtime, step: Callable[[AlertBook], tuple[AlertBook, Message | None]]) -> bool:
    with _book(runtime) as (connection, book):
        changed, message = step(book)
        if message is not None:
            changed = changed.queued(message, len(addresses_of(runtime.settings)))
        if changed != book:
            _save(connection, changed)
    return message is not None


@contextmanager
def _book(runtime: Runtime) -> Iterator[tuple[Connection, AlertBook]]:
    """The book, to be changed by nobody else meanwhile."""
    with runtime.database.lock(LOCK), runtime.database.transaction() as connection:
        yield connection, _load(connection)


def _load(connection: Connection) -> AlertBook:
    return _BOOK.validate_python(cursors.load(connection, OWNER, SUBJECT) or {})


def _save(connection: Connection, book: AlertBook) -> None:
    cursors.save(connection, OWNER, SUBJECT, _BOOK.dump_python(book, mode="json"))
