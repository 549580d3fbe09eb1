"""Queueing and sending alerts, without secrets."""

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
from zk_pipeline.languages import Language, translated
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
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import conflicts, sweeps
from zk_pipeline.store.database import DatabaseUnavailableError

# Sending through apprise, and texts without secrets.

MASK = "***"

_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][\w+.-]*://)")
_WORDS_OF_ADDRESS = re.compile(r"[/:@?&=,\s]+")
_CREDENTIALS = re.compile(r"://[^/\s@]+@")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class AlertAddress:
    """An apprise address, secret except for its scheme. `position` is its place in the setting, from 1."""

    position: int
    url: SecretStr

    @property
    def scheme(self) -> str:
        """The kind of address, such as `mailto`."""
        scheme, found, _ = self.url.get_secret_value().partition("://")
        return scheme if found else "no scheme"

    def __str__(self) -> str:
        return f"address {self.position} ({self.scheme})"


def alert_addresses(settings: Settings) -> list[AlertAddress]:
    """The addresses in ZK_ALERT_URLS, which may contain commas."""
    text = settings.alert_urls.get_secret_value().strip(" ,\n")
    parts = _BETWEEN.split(text) if text else []
    return [AlertAddress(position, SecretStr(part)) for position, part in enumerate(parts, start=1)]


def send(address: AlertAddress, message: AlertMessage, language: Language) -> str | None:
    """Send a message in this language; returns `None`, or why it was not delivered."""
    # Slow to import.
    from apprise import Apprise, NotifyType  # noqa: PLC0415

    kind = NotifyType.SUCCESS if message.good_news else NotifyType.FAILURE
    with _captured_warnings() as heard:
        service = Apprise.instantiate(address.url.get_secret_value())
        if service is None:
            return f"Correct address {address.position} in ZK_ALERT_URLS: apprise does not know it."
        title, body = translated(message.title, language), translated(message.body, language)
        if Apprise(service).notify(title=title, body=body, notify_type=kind):
            return None
    return _mask_address(address, heard[-1]) if heard else "The receiver did not accept it."


TEST_MESSAGE = AlertMessage(
    "zk_pipeline: test alert", "Nothing failed. This is how an alert of zk_pipeline reaches you.", good_news=True
)


@dataclass(frozen=True, slots=True)
class AddressTest:
    """What came of a test alert; `problem` is empty if it was accepted. `kind` is that of the address, as `mailto`."""

    position: int
    kind: str
    problem: str


def try_addresses(settings: Settings) -> tuple[AddressTest, ...]:
    """Send a test alert to each address. Raises `SetupError` if there is none."""
    addresses = alert_addresses(settings)
    if not addresses:
        raise SetupError(
            "Set ZK_ALERT_URLS to apprise addresses, separated by commas: it is empty, so no alert is sent."
        )
    return tuple(
        AddressTest(each.position, each.scheme, send(each, TEST_MESSAGE, settings.language) or "") for each in addresses
    )


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
    """Captures the warnings of apprise, which quote addresses, and keeps them out of the logs."""
    logger, listener = logging.getLogger("apprise"), _WarningCollector()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield listener.lines
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagates


def _mask_address(address: AlertAddress, text: str) -> str:
    """The text with all parts of the address masked."""
    _, _, rest = address.url.get_secret_value().partition("://")
    words = {word for part in (rest, unquote(rest)) for word in _WORDS_OF_ADDRESS.split(part)}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET:
            text = text.replace(word, MASK)
    return text


# The state of alerts, stored in the database.

OWNER, SUBJECT = "alerts", "book"
LOCK = "zk:alerts"
DELIVERY_LOCK = "zk:alerts:delivery"
"""Several processes deliver; each message is to be sent once."""

SECONDS_TO_DELIVER = 30.0
"""Within one tick of a sensor, which may take a minute; the rest waits for the next one."""

_STATE = TypeAdapter(AlertState)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The numbers of sent and waiting messages, and problems as sentences without secrets."""

    sent: int
    waiting: int
    problems: tuple[str, ...]


def alert_failure(runtime: Runtime, trouble: Failure, failures_in_a_row: int | None = None) -> bool:
    """Record a failure; returns whether an alert is sent. Without a database it is sent immediately.

    With `failures_in_a_row=None` the threshold does not apply.
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
    """Record a success; returns whether a recovery is reported, as it is after a reported failure."""

    def step(book: AlertState) -> tuple[AlertState, list[AlertMessage]]:
        changed, message = book.after_recovery(subject, link, datetime.now(UTC))
        return changed, [message] if message else []

    return _change(runtime, step)


def alert_signs(runtime: Runtime, signs: Sequence[VitalSign]) -> bool:
    """Record vital signs; returns whether a failure or a recovery is reported."""
    settings = runtime.settings
    if not alert_addresses(settings):
        return False
    clean = [replace(sign, detail=redacted(sign.detail, settings)) for sign in signs]
    rules, now = _rules(settings), datetime.now(UTC)
    with runtime.database.transaction() as connection:
        known = _load(connection)
    if known.after_look(clean, rules, settings.alert_link, now)[0] == known:
        return False  # Nearly always: avoids the lock.
    return _change(runtime, lambda book: book.after_look(clean, rules, settings.alert_link, now))


def alert_changed_after_billing(runtime: Runtime) -> bool:
    """Report time that was changed in Kimai after billing, each conflict once; returns whether any is new."""
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
    """Queue a message that is neither failure nor recovery; returns whether there is an address."""
    if not alert_addresses(runtime.settings):
        return False
    return _change(runtime, lambda book: (book, [message]))


def open_incidents(runtime: Runtime) -> dict[str, Incident]:
    """The reported jobs and checks that have not recovered."""
    with runtime.database.transaction() as connection:
        incidents = _load(connection).incidents
    return {subject: incident for subject, incident in incidents.items() if not subject.startswith(SIGN)}


def deliver(runtime: Runtime) -> DeliveryResult:
    """Send the queued messages; those not delivered stay queued. Only one process delivers at a time.

    If the process dies before a delivery is recorded, that message is sent twice.
    """
    if not waiting(runtime):
        return DeliveryResult(0, 0, ())
    with runtime.database.lock(DELIVERY_LOCK):
        done, failed = _attempt(waiting(runtime), runtime.settings)
        with _locked_state(runtime) as (connection, book):
            left = book.delivered(done)
            _save(connection, left)
    problems = tuple(f"The alert did not reach {address}: {reason}" for address, reason in failed.items())
    return DeliveryResult(len(done), len(left.waiting), problems)


def send_directly(settings: Settings, message: AlertMessage) -> bool:
    """Send a message without queueing; returns whether it was delivered to anybody. Failures are only logged."""
    problems = {address: send(address, message, settings.language) for address in alert_addresses(settings)}
    for address, reason in problems.items():
        if reason:
            _log.warning("The alert did not reach %s: %s", address, reason)
    return not all(problems.values())


def _attempt(
    messages: Iterable[QueuedMessage], settings: Settings
) -> tuple[list[tuple[int, int]], dict[AlertAddress, str]]:
    """Send in order; returns what is done, and the addresses that failed, which are not tried again.

    Messages to addresses that are no longer set count as done.
    """
    by_position = {address.position: address for address in alert_addresses(settings)}
    done: list[tuple[int, int]] = []
    failed: dict[AlertAddress, str] = {}
    end = monotonic() + SECONDS_TO_DELIVER
    for row in messages:
        for position in row.positions:
            address = by_position.get(position)
            if address in failed or monotonic() > end:
                continue
            reason = send(address, row.message, settings.language) if address else None
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
    """The queued messages, in order."""
    with runtime.database.transaction() as connection:
        return _load(connection).waiting


@contextmanager
def _locked_state(runtime: Runtime) -> Iterator[tuple[Connection, AlertState]]:
    """The state, under a lock."""
    with runtime.database.lock(LOCK), runtime.database.transaction() as connection:
        yield connection, _load(connection)


def _load(connection: Connection) -> AlertState:
    return _STATE.validate_python(sweeps.load(connection, OWNER, SUBJECT) or {})


def _save(connection: Connection, book: AlertState) -> None:
    sweeps.save(connection, OWNER, SUBJECT, _STATE.dump_python(book, mode="json"))
