"""Alerts on their way: what was sent and what waits, and its delivery without secrets."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from urllib.parse import unquote

from pydantic import SecretStr, TypeAdapter
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.vital_figures import VitalSign
from zk_pipeline.observe.alerts import (
    SIGN,
    AlertMessage,
    AlertRules,
    AlertState,
    Failure,
    Incident,
    QueuedMessage,
    failure_message,
)
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import conflicts, sweeps
from zk_pipeline.store.database import DatabaseUnavailableError

# The addresses of people: delivery through apprise, and texts without secrets.

MASK = "***"

_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][\w+.-]*://)")
_WORDS_OF_ADDRESS = re.compile(r"[/:@?&=,\s]+")
_CREDENTIALS = re.compile(r"://[^/\s@]+@")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class AlertAddress:
    """An apprise address; all of it but its scheme is a secret. `position` is its place in the setting, from 1."""

    position: int
    url: SecretStr

    @property
    def scheme(self) -> str:
        """What kind of address it is, such as `mailto`."""
        scheme, found, _ = self.url.get_secret_value().partition("://")
        return scheme if found else "no scheme"

    def __str__(self) -> str:
        return f"address {self.position} ({self.scheme})"


def alert_addresses(settings: Settings) -> list[AlertAddress]:
    """The addresses of ZK_ALERT_URLS. A comma within an address is part of it."""
    text = settings.alert_urls.get_secret_value().strip(" ,\n")
    parts = _BETWEEN.split(text) if text else []
    return [AlertAddress(position, SecretStr(part)) for position, part in enumerate(parts, start=1)]


def send(address: AlertAddress, message: AlertMessage) -> str | None:
    """Send a message; returns `None`, or why it did not arrive. It waits some seconds at most for each answer."""
    # It is slow to import, and most processes send nothing.
    from apprise import Apprise, NotifyType  # noqa: PLC0415

    kind = NotifyType.SUCCESS if message.good_news else NotifyType.FAILURE
    with _captured_warnings() as heard:
        service = Apprise.instantiate(address.url.get_secret_value())
        if service is None:
            return f"It is no address that apprise knows. Correct number {address.position} in ZK_ALERT_URLS."
        if Apprise(service).notify(title=message.title, body=message.body, notify_type=kind):
            return None
    return _mask_address(address, heard[-1]) if heard else "The receiver did not take it."


def redacted(text: str, settings: Settings) -> str:
    """The text without e-mail addresses, credentials in URLs, and every secret of the settings."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return _MAIL.sub(MASK, _CREDENTIALS.sub(f"://{MASK}@", text))


class _WarningCollector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _captured_warnings() -> Iterator[list[str]]:
    """What apprise says meanwhile, kept out of all logs, since it quotes addresses."""
    logger, listener = logging.getLogger("apprise"), _WarningCollector()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield listener.lines
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagates


def _mask_address(address: AlertAddress, text: str) -> str:
    """The text that may quote the address, with each part of the address taken out."""
    _, _, rest = address.url.get_secret_value().partition("://")
    words = {word for part in (rest, unquote(rest)) for word in _WORDS_OF_ADDRESS.split(part)}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET:
            text = text.replace(word, MASK)
    return text


# What was told to people and what is on its way, kept in the database: it survives restarts.

OWNER, SUBJECT = "alerts", "book"
LOCK = "zk:alerts"
DELIVERY_LOCK = "zk:alerts:delivery"
"""Several processes deliver, and a message must not come from each."""

SECONDS_TO_DELIVER = 30.0
"""Within one tick of a sensor, which may take a minute; what is left waits for the next."""

_STATE = TypeAdapter(AlertState)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What a delivery did: how many were sent, how many messages wait, and why, in sentences without secrets."""

    sent: int
    waiting: int
    problems: tuple[str, ...]


def alert_failure(runtime: Runtime, trouble: Failure, failures_in_a_row: int | None = None) -> bool:
    """Note a failure; returns whether people are told. Without a database to remember it in, it is sent at once.

    `None` failures in a row: one is enough, whatever the threshold is.
    """
    settings = runtime.settings
    if not alert_addresses(settings):
        return False
    clean = replace(trouble, sentence=redacted(trouble.sentence, settings))
    rules, now = _rules(settings), datetime.now(UTC)

    def step(book: AlertState) -> tuple[AlertState, list[AlertMessage]]:
        changed, message = book.after_failure(clean, failures_in_a_row, rules, now)
        return changed, [message] if message else []

    try:
        return _change(runtime, step)
    except (DatabaseUnavailableError, SQLAlchemyError):
        return send_directly(settings, failure_message(clean))


def alert_recovery(runtime: Runtime, subject: str, link: str = "") -> bool:
    """Note a success; returns whether people are told, which they are where they were told of a failure."""

    def step(book: AlertState) -> tuple[AlertState, list[AlertMessage]]:
        changed, message = book.after_recovery(subject, link, datetime.now(UTC))
        return changed, [message] if message else []

    return _change(runtime, step)


def alert_signs(runtime: Runtime, signs: Sequence[VitalSign]) -> bool:
    """Note how the vital signs are; returns whether people are told of any that fails, or is good again."""
    settings = runtime.settings
    if not alert_addresses(settings):
        return False
    clean = [replace(sign, detail=redacted(sign.detail, settings)) for sign in signs]
    rules, now = _rules(settings), datetime.now(UTC)
    with runtime.database.transaction() as connection:
        known = _load(connection)
    if known.after_look(clean, rules, settings.dagster_link, now)[0] == known:
        return False  # Nearly always: others must not wait for the lock then.
    return _change(runtime, lambda book: book.after_look(clean, rules, settings.dagster_link, now))


def alert_changed_after_billing(runtime: Runtime) -> bool:
    """Report time that was changed in Kimai after it was billed, each question once; returns whether any is new."""
    with runtime.database.transaction() as connection:
        rows = conflicts.open_of(connection, Reason.CHANGED_AFTER_BILLING)
        known = _load(connection)
    found = {row.id: f"Time sheet {row.kimai_id} of {row.entry_date}: {row.text}" for row in rows}
    if known.after_questions(found)[0] == known:
        return False

    def step(book: AlertState) -> tuple[AlertState, list[AlertMessage]]:
        changed, message = book.after_questions(found)
        return changed, [message] if message else []

    return _change(runtime, step)


def send_message(runtime: Runtime, message: AlertMessage) -> bool:
    """Have a message sent that is neither a failure nor its end; returns whether there is anybody to send it to."""
    if not alert_addresses(runtime.settings):
        return False
    return _change(runtime, lambda book: (book, [message]))


def open_incidents(runtime: Runtime) -> dict[str, Incident]:
    """The jobs and checks that people were told of and that have not recovered."""
    with runtime.database.transaction() as connection:
        incidents = _load(connection).incidents
    return {subject: incident for subject, incident in incidents.items() if not subject.startswith(SIGN)}


def deliver(runtime: Runtime) -> DeliveryResult:
    """Send what waits; what does not arrive waits for the next time. Others who deliver wait meanwhile.

    If the process dies between a delivery and its note, that message comes twice.
    """
    if not waiting(runtime):
        return DeliveryResult(0, 0, ())
    with runtime.database.lock(DELIVERY_LOCK):
        done, failed = _attempt(waiting(runtime), alert_addresses(runtime.settings))
        with _locked_state(runtime) as (connection, book):
            left = book.delivered(done)
            _save(connection, left)
    problems = tuple(f"The alert did not reach {address}: {reason}" for address, reason in failed.items())
    return DeliveryResult(len(done), len(left.waiting), problems)


def send_directly(settings: Settings, message: AlertMessage) -> bool:
    """Send a message past the book; returns whether it reached anybody. What did not arrive is logged and lost."""
    problems = {address: send(address, message) for address in alert_addresses(settings)}
    for address, reason in problems.items():
        if reason:
            _log.warning("The alert did not reach %s: %s", address, reason)
    return not all(problems.values())


def _attempt(
    messages: Iterable[QueuedMessage], addresses: Sequence[AlertAddress]
) -> tuple[list[tuple[int, int]], dict[AlertAddress, str]]:
    """Send in order; returns what is done, and the addresses that failed, which are left alone after the first time.

    What waits for an address that was taken out of the settings is done.
    """
    by_position = {address.position: address for address in addresses}
    done: list[tuple[int, int]] = []
    failed: dict[AlertAddress, str] = {}
    end = monotonic() + SECONDS_TO_DELIVER
    for row in messages:
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


def _change(runtime: Runtime, step: Callable[[AlertState], tuple[AlertState, list[AlertMessage]]]) -> bool:
    with _locked_state(runtime) as (connection, book):
        changed, messages = step(book)
        for message in messages:
            changed = changed.queued(message, len(alert_addresses(runtime.settings)))
        if changed != book:
            _save(connection, changed)
    return bool(messages)


def _rules(settings: Settings) -> AlertRules:
    return AlertRules(settings.alert_after, timedelta(minutes=settings.alert_quiet_minutes))


def waiting(runtime: Runtime) -> tuple[QueuedMessage, ...]:
    """The messages that are still to be sent, in their order."""
    with runtime.database.transaction() as connection:
        return _load(connection).waiting


@contextmanager
def _locked_state(runtime: Runtime) -> Iterator[tuple[Connection, AlertState]]:
    """The book, to be changed by nobody else meanwhile."""
    with runtime.database.lock(LOCK), runtime.database.transaction() as connection:
        yield connection, _load(connection)


def _load(connection: Connection) -> AlertState:
    return _STATE.validate_python(sweeps.load(connection, OWNER, SUBJECT) or {})


def _save(connection: Connection, book: AlertState) -> None:
    sweeps.save(connection, OWNER, SUBJECT, _STATE.dump_python(book, mode="json"))
