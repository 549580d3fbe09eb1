"""Listeners to the requests of a block of code, and what they may see of them: never a secret."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from zk_pipeline.connectors.answer import storable
from zk_pipeline.domain.requests import RequestRecord

MASK = "***"
LONGEST_JSON = 16 * 1024
"""Bytes of JSON that are kept of a request or response."""
DEEPEST_JSON = 40

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|api.?key|private.?key|authori[sz]ation|credential|cookie|bearer", re.IGNORECASE
)
_SECRET_TEXTS = (
    re.compile(r"(?<=\bbearer )(?=\S*\d)[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(?<=\bbasic )(?=\S*\d)[\w+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(?<=\btoken token=)\S+", re.IGNORECASE),
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),
)
"""Secrets in headers, and in URLs before the host. Secrets in other free text cannot be recognized."""


def secrets_of(token: str, authorization: str) -> tuple[str, ...]:
    """What must not be shown: the token, its part after the name in `name:token`, and what Basic makes of it."""
    scheme, _, credentials = authorization.partition(" ")
    found = {token, token.partition(":")[2], credentials if scheme == "Basic" else ""} - {""}
    return tuple(sorted(found, key=len, reverse=True))  # The longest first, since it may contain others.


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """The text with each of these secrets masked."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


@dataclass(slots=True)
class RequestListener:
    """Gets each attempt of a write, and reads only while it is unknown whether a write took effect."""

    receive: Callable[[RequestRecord], None]
    in_doubt: bool

    def wants(self, *, writes: bool) -> bool:
        """Whether the listener gets attempts of this kind."""
        return writes or self.in_doubt

    def pass_on(self, record: RequestRecord, *, in_doubt: bool) -> None:
        """Pass on a finished attempt; `in_doubt` if it is unknown whether it took effect."""
        self.in_doubt |= in_doubt
        self.receive(record)


_listener: ContextVar[RequestListener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(receive: Callable[[RequestRecord], None], *, in_doubt: bool = False) -> Iterator[None]:
    """Pass each write that this thread sends within the block to `receive`, as soon as its attempt has ended.

    Reads are passed on after a write without a good answer, or from the start if `in_doubt` says that an earlier one
    had none. In nested blocks only the inner one listens. Connectors that do not use `HttpClient` pass on nothing.
    """
    before = _listener.set(RequestListener(receive, in_doubt))
    try:
        yield
    finally:
        _listener.reset(before)


def listener() -> RequestListener | None:
    """The current listener of this thread."""
    return _listener.get()


@dataclass(frozen=True, slots=True)
class RequestAttempt:
    """A finished attempt of a request, without its content.

    `path` has no query. `status` is `None` if no answer came. `sent_at` is in UTC.
    """

    system: str
    method: str
    path: str
    status: int | None
    failed: bool
    sent_at: datetime
    seconds: float


Watcher = Callable[[RequestAttempt], None]
_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Pass each attempt of this process, including reads, to `watcher` from now on; any thread may call it."""
    _watchers.append(watcher)


def watchers() -> Sequence[Watcher]:
    """The watchers of this process."""
    return _watchers


def presentable(record: RequestRecord, secrets: Sequence[str]) -> RequestRecord:
    """The record without the secrets and anything named like one, and with long JSON cut off."""
    return replace(
        record,
        path=_masked_text(record.path, secrets),
        asked=_bounded(masked(record.asked, secrets)),
        answered=_bounded(masked(record.answered, secrets)),
        error=_masked_text(record.error, secrets),
    )


def with_query(path: str, params: Mapping[str, str | int], secrets: Sequence[str]) -> str:
    """The path with its query. Secrets are masked before encoding, because nothing would find them afterwards."""
    query = urlencode(masked(params, secrets), safe=f"{MASK}[]")
    return f"{path}?{query}" if query else path


def masked(value: Any, secrets: Sequence[str], depth: int = 0) -> Any:
    """JSON with masked secrets, in a form that PostgreSQL can store."""
    if depth > DEEPEST_JSON:
        return "…"
    match value:
        case str():
            return _masked_text(value, secrets)
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return _masked_fields(value, secrets, depth)
        case list() | tuple():
            return [masked(item, secrets, depth + 1) for item in value]
        case _:
            return value


def _masked_fields(fields: Mapping[str, Any], secrets: Sequence[str], depth: int) -> dict[str, Any]:
    # Lists of named values, as Kimai's meta fields are: {"name": "api_key", "value": "…"}.
    named = {"value"} if _SECRET_NAME.search(str(fields.get("name", ""))) else set[str]()
    return {
        _masked_text(name, secrets): MASK
        if value is not None and (name in named or _SECRET_NAME.search(name))
        else masked(value, secrets, depth + 1)
        for name, value in fields.items()
    }


def _masked_text(text: str, secrets: Sequence[str]) -> str:
    text = without_secrets(storable(text), secrets)
    for secret in _SECRET_TEXTS:
        text = secret.sub(MASK, text)
    return text


def _bounded(value: Any) -> Any:
    """The value, or the start of its JSON and its length."""
    text = json.dumps(value, ensure_ascii=False)
    size = len(text.encode())
    if size <= LONGEST_JSON:
        return value
    beginning = text.encode()[:LONGEST_JSON].decode(errors="ignore")
    return {"cut_off": f"The first {LONGEST_JSON} of {size} bytes.", "beginning": beginning}
