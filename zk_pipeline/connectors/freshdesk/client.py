"""Requests to Freshdesk: paging by `Link`, and a limit that belongs to the whole account (docs/freshdesk.md).

Agents' scripts, other apps and outgoing webhooks spend the same requests; at none left the customer's own tools stop.
So reads are not begun, or pause, while few are left.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from zk_pipeline.connectors.answer import ApiResponse, Call
from zk_pipeline.connectors.contract import SystemState
from zk_pipeline.connectors.errors import RateLimitedError
from zk_pipeline.connectors.http import HttpClient, Params

PREFIX = "/api/v2"
PAGE_SIZE = 100
LAST_PAGE = 300
"""Freshdesk refuses later pages of tickets; no other list should be read so far either."""

KEPT_FOR_OTHERS = 0.2
"""The part of the account's requests that is left to its other tools."""

PAUSE_SECONDS = 60.0
"""After that, a limit by the minute is full again."""

_NEXT = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of the account's requests, by its last answer."""

    total: int
    remaining: int

    @property
    def is_low(self) -> bool:
        """Whether the rest is the others'."""
        return self.remaining < self.total * KEPT_FOR_OTHERS


class FreshdeskClient:
    """Reads from Freshdesk. Thread-safe."""

    def __init__(self, http: HttpClient, base_url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._http = http
        self._host = urlsplit(base_url).hostname
        self._sleep = sleep
        self._lock = threading.Lock()
        self._budget: Budget | None = None
        self._put_off = ""

    @property
    def system_state(self) -> SystemState | None:
        """Whether Freshdesk answers; also that we leave it alone for a while."""
        if self._put_off:
            return SystemState(self._put_off, PAUSE_SECONDS)
        return self._http.system_state

    def get(self, path: str, params: Params | None = None, *, needs: tuple[str, ...] = ()) -> ApiResponse:
        """Read what is below `/api/v2/`."""
        answer = self._http.get(f"{PREFIX}/{path}", params, needs=needs)
        numbers = [answer.headers.get(f"X-RateLimit-{name}", "") for name in ("Total", "Remaining")]
        if all(number.isascii() and number.isdigit() for number in numbers):
            with self._lock:
                self._budget = Budget(*map(int, numbers))
        return answer

    def require_budget(self, path: str) -> None:
        """Raise `RateLimitedError` while few requests are left; the next try comes later."""
        budget = self._budget
        if budget is None or not budget.is_low:
            return
        error = Call(self._http.system, "GET", f"{PREFIX}/{path}").error(
            RateLimitedError,
            f"Only {budget.remaining} of the account's {budget.total} requests are left; they are kept for its other "
            "tools.",
            retry_after=PAUSE_SECONDS,
            remedy="It goes on by itself. If this stays so, look which app of the account sends so many requests.",
        )
        self._put_off = str(error)
        raise error

    def pace(self, path: str) -> None:
        """Pause once while few requests are left, and raise `RateLimitedError` if that was not enough.

        Without it, an account with a small limit could never finish a long read.
        """
        if self._budget is not None and self._budget.is_low:
            self._sleep(PAUSE_SECONDS)
            self.get("agents/me")
            self.require_budget(path)

    def pages(self, path: str, what: str, params: Params | None = None) -> Iterator[ApiResponse]:
        """The pages of a list, up to the last one that Freshdesk gives. Raises `ProtocolError` if they lead astray."""
        for number in range(1, LAST_PAGE + 1):
            answer = self.get(path, {**(params or {}), "per_page": PAGE_SIZE, "page": number})
            answer.items(what)
            yield answer
            if not self.has_next(answer, number):
                return

    def rows(self, path: str, what: str, params: Params | None = None) -> list[Any]:
        """All items of a list."""
        return [item for page in self.pages(path, what, params) for item in page.items(what)]

    def has_next(self, answer: ApiResponse, number: int) -> bool:
        """Whether another page follows the page of this number.

        Raises `ProtocolError` if it is said to be on another host or path, or to be this page again.
        """
        found = _NEXT.search(answer.headers.get("Link", ""))
        if found is None:
            return False
        url = urlsplit(found[1])
        if (url.hostname, url.path) != (self._host, answer.call.path):
            raise answer.fault(f"The next page is said to be at {url.hostname}{url.path}, which is not this list.")
        if parse_qs(url.query).get("page", [""])[0] != str(number + 1):
            raise answer.fault(f"The page after page {number} is not said to be page {number + 1}.")
        return True
