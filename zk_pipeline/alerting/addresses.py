"""The addresses of people: delivery through apprise, and texts without secrets."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import SecretStr

from zk_pipeline.domain.alerts import Message
from zk_pipeline.settings import Settings

MASK = "***"

_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][\w+.-]*://)")
_WORDS_OF_ADDRESS = re.compile(r"[/:@?&=,\s]+")
_CREDENTIALS = re.compile(r"://[^/\s@]+@")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Address:
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


def addresses_of(settings: Settings) -> list[Address]:
    """The addresses of ZK_ALERT_URLS. A comma within an address is part of it."""
    text = settings.alert_urls.get_secret_value().strip(" ,\n")
    parts = _BETWEEN.split(text) if text else []
    return [Address(position, SecretStr(part)) for position, part in enumerate(parts, start=1)]


def send(address: Address, message: Message) -> str | None:
    """Send a message; returns `None`, or why it did not arrive. It waits some seconds at most for each answer."""
    # It is slow to import, and most processes send nothing.
    from apprise import Apprise, NotifyType  # noqa: PLC0415

    kind = NotifyType.SUCCESS if message.good_news else NotifyType.FAILURE
    with _heard() as heard:
        service = Apprise.instantiate(address.url.get_secret_value())
        if service is None:
            return f"It is no address that apprise knows. Correct number {address.position} in ZK_ALERT_URLS."
        if Apprise(service).notify(title=message.title, body=message.body, notify_type=kind):
            return None
    return _without_words_of(address, heard[-1]) if heard else "The receiver did not take it."


def redacted(text: str, settings: Settings) -> str:
    """The text without e-mail addresses, credentials in URLs, and every secret of the settings."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return _MAIL.sub(MASK, _CREDENTIALS.sub(f"://{MASK}@", text))


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What apprise says meanwhile, kept out of all logs, since it quotes addresses."""
    logger, listener = logging.getLogger("apprise"), _Listener()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield listener.lines
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagates


def _without_words_of(address: Address, text: str) -> str:
    """The text that may quote the address, with each part of the address taken out."""
    _, _, rest = address.url.get_secret_value().partition("://")
    words = {word for part in (rest, unquote(rest)) for word in _WORDS_OF_ADDRESS.split(part)}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET:
            text = text.replace(word, MASK)
    return text
