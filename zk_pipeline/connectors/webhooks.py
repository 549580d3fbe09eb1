"""How the systems announce changes: each kind's own proof of origin, delivery id, and ticket of the payload.

A webhook is a hint at most: it names a ticket, which is then read. So a scheme takes nothing else from a payload.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

LARGEST_ID = 2**63 - 1
"""Of a ticket that can be stored."""
SECRET_HEADER = "x-zk-secret"  # noqa: S105 - the name of a header
_USABLE_ID = re.compile(r"[\x21-\x7e]{1,200}")
_DIGITS = re.compile(r"[0-9]{1,19}")


class UntrustedDeliveryError(Exception):
    """The delivery does not prove that it is the system's; the sentence says why, and what to do."""


class NoTicketError(Exception):
    """The payload names no ticket; the sentence says what it needs."""


@dataclass(frozen=True, slots=True)
class IncomingDelivery:
    """A delivery as it arrived: the exact bytes, and the headers with names in lower case."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class WebhookScheme(Protocol):
    """How one kind of source announces changes. It has no state, and sends no request."""

    def check(self, delivery: IncomingDelivery, secret: str) -> None:
        """Raise `UntrustedDeliveryError` unless the delivery proves to be from somebody who knows the secret.

        Compare in constant time, and the bytes as they came: JSON that was serialized again does not verify.
        """
        ...

    def delivery_id(self, delivery: IncomingDelivery) -> str:
        """What is the same in all attempts to deliver one event, and nowhere else; up to 200 printable characters."""
        ...

    def ticket_id(self, payload: Any) -> str:
        """The ticket that the parsed payload is about. Raises `NoTicketError`."""
        ...


def body_hash(body: bytes) -> str:
    """An id for deliveries without one of their own."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def delivery_id_in(delivery: IncomingDelivery, header: str) -> str:
    """The id that a header (in lower case) has, or a hash of the body where that cannot be used."""
    given = delivery.headers.get(header, "")
    return given if _USABLE_ID.fullmatch(given) else body_hash(delivery.body)


def whole_id_in(payload: Any, *path: str) -> str | None:
    """The positive whole number at this path of a payload, written as a number or as text; `None` without one."""
    value: Any = payload
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID
    return str(value) if usable else None


def has_secret(delivery: IncomingDelivery) -> bool:
    """Whether any secret came in `X-ZK-Secret`, or as the password of Basic."""
    return bool(_secret_of(delivery))


def require_secret(delivery: IncomingDelivery, secret: str) -> None:
    """Raise `UntrustedDeliveryError` unless the secret is in `X-ZK-Secret`, or the password of Basic.

    It is for systems that sign nothing. No proxy logs a header as a part of the address.
    """
    given = _secret_of(delivery)
    if not given:
        raise UntrustedDeliveryError(
            "The secret is missing. Let the sender set the header X-ZK-Secret to the value of ZK_WEBHOOK_SECRET."
        )
    if not hmac.compare_digest(given.encode(), secret.encode()):
        raise UntrustedDeliveryError("The secret is another one. Let the sender use the value of ZK_WEBHOOK_SECRET.")


def _secret_of(delivery: IncomingDelivery) -> str:
    if given := delivery.headers.get(SECRET_HEADER):
        return given
    scheme, _, credentials = delivery.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
