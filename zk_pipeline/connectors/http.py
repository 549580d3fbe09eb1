"""The HTTP client of the connectors: time limits, bounded retry, typed errors, and no write sent twice."""

import logging
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from zk_pipeline.connectors import network, ssrf_guard
from zk_pipeline.connectors.answer import ApiDialect, ApiResponse, Call, parsed, retry_after
from zk_pipeline.connectors.contract import Connector, Endpoint, RequestCounts, SystemState
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolError,
    RateLimitedError,
    UnavailableError,
)
from zk_pipeline.connectors.request_records import (
    RequestAttempt,
    listener,
    presentable,
    secrets_of,
    watchers,
    with_query,
    without_secrets,
)
from zk_pipeline.connectors.ssrf_guard import checked_base_url, checked_token
from zk_pipeline.domain.requests import NOTHING, UNANSWERED, RequestRecord, Tally, Traffic, tally_of

# What each status means is defined by an `ApiDialect`, one per system.

CONNECT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 60.0
"""Longest wait inside a call. If the system asks for more, the call fails at once, and the next one waits."""

FIRST_WAIT_SECONDS = 0.5
_PASSWORD_SCHEMES = frozenset({"basic", "digest", "negotiate", "ntlm"})

IDLE_SECONDS = 4.0
"""Servers usually close an idle connection after five seconds; close it earlier, or a write on it is lost."""

Params = Mapping[str, str | int]

_log = logging.getLogger(__name__)

# httpx logs every request with its query string at INFO; search terms and names must not be logged.
logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed attempt: whether to retry, whether it certainly had no effect, and the requested wait."""

    error: ConnectorError
    again: bool = False
    unsent: bool = False
    wait: float | None = None


class HttpClient:
    """Sends the calls of one connector. Thread-safe.

    Raises `ValueError` for an unusable base URL, token, proxy or certificate file. Redirects are never followed,
    because they would forward the token.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: ApiDialect,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._dialect = dialect
        self._attempts = endpoint.attempts
        token = checked_token(endpoint)
        authorization = dialect.authorization(token)
        self._secrets = secrets_of(token, authorization)
        self._sleep = sleep
        self._lock = threading.Lock()
        self._reads = self._writes = 0
        self._traffic: dict[tuple[str, str], Tally] = {}
        self._standing: SystemState | None = None
        self.system = (
            dialect.product if endpoint.name == dialect.product.lower() else f"{dialect.product} ({endpoint.name})"
        )
        self._base_url = checked_base_url(endpoint)
        network.proxy_for(self._base_url)  # Fail now rather than at the first request.
        self._http = network.client(
            ca_bundle=endpoint.ca_bundle,
            base_url=self._base_url,
            headers={
                "Authorization": authorization,
                "Accept": "application/json",
                "User-Agent": "zk_pipeline",
            },
            timeout=httpx.Timeout(endpoint.timeout_seconds, connect=CONNECT_SECONDS),
            limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
            follow_redirects=False,
            event_hooks={"request": [ssrf_guard.guarded]},
        )

    @property
    def requests(self) -> RequestCounts:
        """Requests sent so far, including retries."""
        with self._lock:
            return RequestCounts(self._reads, self._writes)

    @property
    def traffic(self) -> Traffic:
        """The finished attempts by kind and status, and their duration."""
        with self._lock:
            return dict(self._traffic)

    @property
    def system_state(self) -> SystemState | None:
        """Whether the system answers, by the last request; `None` before the first."""
        return self._standing

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def get(self, path: str, params: Params | None = None, *, needs: tuple[str, ...] = ()) -> ApiResponse:
        """Read. Retried after temporary failures."""
        return self._send(Call(self.system, "GET", path, needs=needs), params, None, repeatable=True)

    def search(self, path: str, body: Mapping[str, Any], *, needs: tuple[str, ...] = ()) -> ApiResponse:
        """Read by POST, for routes where it has no effect; treated like any read."""
        call = Call(self.system, "POST", path, needs=needs, fields=frozenset(body))
        return self._send(call, None, body, repeatable=True)

    def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        repeatable: bool = False,
        needs: tuple[str, ...] = (),
    ) -> ApiResponse:
        """Write. Unless `repeatable`, it is only retried if it certainly had no effect."""
        call = Call(self.system, method, path, writes=True, needs=needs, fields=frozenset(body or ()))
        return self._send(call, None, body, repeatable=repeatable)

    def _send(
        self, call: Call, params: Params | None, body: Mapping[str, Any] | None, *, repeatable: bool
    ) -> ApiResponse:
        attempt = 1
        in_doubt = False
        while isinstance(outcome := self._attempt(call, params, body), _Failure):
            error = outcome.error
            # The possible effect of an earlier attempt stays unknown, whatever this attempt met.
            in_doubt = error.outcome_unknown = error.outcome_unknown or in_doubt
            may_repeat = outcome.again and (repeatable or outcome.unsent)
            too_long = outcome.wait is not None and outcome.wait > LONGEST_WAIT_SECONDS
            if not may_repeat or too_long or attempt >= self._attempts:
                raise error
            wait = _waiting_time(attempt, outcome.wait)
            _log.warning("%s Attempt %d of %d; the next in %.1f s.", error, attempt, self._attempts, wait)
            self._sleep(wait)
            attempt += 1
        return outcome

    def _attempt(self, call: Call, params: Params | None, body: Mapping[str, Any] | None) -> ApiResponse | _Failure:
        with self._lock:
            if call.writes:
                self._writes += 1
            else:
                self._reads += 1
        sent_at, started = datetime.now(UTC), time.monotonic()
        response, outcome = self._request(call, params, body)
        seconds = time.monotonic() - started
        self._measure(call, response, seconds)
        self._standing = _standing(call, outcome) or self._standing
        for watcher in watchers():
            status = response.status_code if response is not None else None
            failed = isinstance(outcome, _Failure)
            watcher(RequestAttempt(self.system, call.method, call.path, status, failed, sent_at, seconds))
        active_listener = listener()
        if active_listener is not None and active_listener.wants(writes=call.writes):
            error = outcome.error if isinstance(outcome, _Failure) else None
            record = RequestRecord(
                method=call.method,
                path=with_query(call.path, params or {}, self._secrets),
                asked=body,
                status=response.status_code if response is not None else None,
                answered=self._json(response, outcome),
                error=str(error or ""),
                seconds=seconds,
                sent_at=sent_at,
            )
            active_listener.pass_on(
                presentable(record, self._secrets), in_doubt=error is not None and error.outcome_unknown
            )
        return outcome

    def _measure(self, call: Call, response: httpx.Response | None, seconds: float) -> None:
        kind = "write" if call.writes else "read"
        status = UNANSWERED if response is None else str(response.status_code)
        with self._lock:
            self._traffic[kind, status] = self._traffic.get((kind, status), NOTHING) + tally_of(seconds)

    def _request(
        self, call: Call, params: Params | None, body: Mapping[str, Any] | None
    ) -> tuple[httpx.Response | None, ApiResponse | _Failure]:
        """Classify the response."""
        try:
            response = self._http.request(call.method, call.path, params=params, json=body)
        except httpx.RequestError as error:
            return None, self._by_way_of_proxy(_transport_failure(call, error))
        return response, self._judge(call, response)

    def _json(self, response: httpx.Response | None, outcome: ApiResponse | _Failure) -> Any:
        if isinstance(outcome, ApiResponse):
            return outcome.data
        return self._without_secrets(response)[0] if response is not None else None

    def _judge(self, call: Call, response: httpx.Response) -> ApiResponse | _Failure:
        return self._by_way_of_proxy(self._meaning(call, response))

    def _by_way_of_proxy(self, outcome: ApiResponse | _Failure) -> ApiResponse | _Failure:
        """The failure, with the proxy of the request if the proxy may be the cause."""
        if isinstance(outcome, _Failure) and isinstance(outcome.error, ProtocolError | UnavailableError):
            variable, proxy = network.variable_for(self._base_url), network.proxy_for(self._base_url)
            if proxy:
                outcome.error.problem += f" The request went to the proxy {proxy}, which {variable} names."
                outcome.error.remedy += " Check the proxy, or exclude this host in NO_PROXY."
        return outcome

    def _meaning(self, call: Call, response: httpx.Response) -> ApiResponse | _Failure:
        status = response.status_code
        if (problem := self._dialect.distrust(response.headers)) is not None:
            doubtful = call.writes and response.is_success
            remedy = f"Make a new token in {self._dialect.product} and store it for this connector."
            return _Failure(
                call.error(AuthenticationError, problem, status=status, remedy=remedy, outcome_unknown=doubtful)
            )
        if response.is_success:
            return _answer(call, response)
        if response.is_redirect or status < 400:
            return _Failure(_redirected(call, response))
        if status == 429:
            return _rate_limited(call, response)
        if status >= 500 or status == 408:
            return _server_failure(call, response)
        refusal = self._dialect.refusal(call, status, *self._without_secrets(response))
        again = status == 422 and isinstance(refusal, UnavailableError)
        return _Failure(_asked_for_password(call, response, self._dialect.product) or refusal, again=again)

    def _without_secrets(self, response: httpx.Response) -> tuple[Any, Mapping[str, str]]:
        """JSON and headers of a refusal without the secrets, in case the server quotes them in what errors repeat."""
        headers = {name: without_secrets(value, self._secrets) for name, value in response.headers.items()}
        if "json" not in headers.get("content-type", "").lower():
            return None, headers
        try:
            return parsed(without_secrets(response.content.decode("latin-1"), self._secrets).encode("latin-1")), headers
        except ValueError:
            return None, headers


def _standing(call: Call, outcome: ApiResponse | _Failure) -> SystemState | None:
    """What an attempt says about the system. A refusal is an answer; a failed write may have failed on its own."""
    if isinstance(outcome, ApiResponse):
        return SystemState()
    error = outcome.error
    refused = isinstance(error, AuthenticationError)
    is_away = refused or isinstance(error, UnavailableError | RateLimitedError | ProtocolError)
    if refused or outcome.unsent or outcome.wait is not None or (is_away and not call.writes):
        return SystemState(str(error), outcome.wait, refused)
    return None if is_away else SystemState()


def _waiting_time(attempt: int, requested: float | None) -> float:
    if requested is not None:
        return requested
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 (spreads retries, guards nothing)
    return min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * jitter, LONGEST_WAIT_SECONDS)


def _answer(call: Call, response: httpx.Response) -> ApiResponse | _Failure:
    answer = ApiResponse(call, response.status_code, None, response.headers)
    if not response.content:
        return answer
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip() or "no content type"
    if "json" not in kind.lower():
        return _Failure(
            answer.fault(
                f"JSON was expected, but {kind} was received.",
                "Check that the base URL is the system itself and not a login page or proxy.",
            )
        )
    try:
        data = parsed(response.content)
    except ValueError:
        return _Failure(
            answer.fault("The JSON of the answer is cut off or broken.", "Try again; check the proxy's limits.")
        )
    return ApiResponse(call, response.status_code, data, response.headers)


def _redirected(call: Call, response: httpx.Response) -> ProtocolError:
    target = urlsplit(response.headers.get("Location", ""))
    where = f" to {target.scheme}://{target.hostname}" if target.hostname else ""
    return call.error(
        ProtocolError,
        f"The call was redirected{where}; redirects are not followed, because they would forward the token.",
        status=response.status_code,
        remedy="Correct the base URL: http or https, the host and the path prefix.",
        outcome_unknown=call.writes,
    )


def _asked_for_password(call: Call, response: httpx.Response, product: str) -> ProtocolError | None:
    """The error if a web server or proxy in front of the system asks for a name and password.

    Kimai and Zammad never do: they use tokens, and their refusals are JSON.
    """
    asked = response.headers.get("Proxy-Authenticate" if response.status_code == 407 else "WWW-Authenticate", "")
    scheme = asked.partition(" ")[0]
    from_system = "json" in response.headers.get("Content-Type", "").lower()
    if response.status_code not in {401, 407} or scheme.lower() not in _PASSWORD_SCHEMES or from_system:
        return None
    realm = re.search(r'realm="([^"]{1,60})"', asked)
    named = f" for {realm[1]!r}" if realm else ""
    return call.error(
        ProtocolError,
        f"A web server or proxy in front of {product} asks for a name and password ({scheme}){named}; the token did "
        f"not reach {product}.",
        status=response.status_code,
        remedy=f"Let requests of this machine to /api pass there without a password, or give the address of {product} "
        "behind it.",
    )


def _rate_limited(call: Call, response: httpx.Response) -> _Failure:
    seconds = retry_after(response.headers)
    error = call.error(
        RateLimitedError,
        "Too many requests.",
        status=429,
        retry_after=seconds,
        remedy="Try again later, or lower the number of requests in flight.",
    )
    return _Failure(error, again=True, unsent=True, wait=seconds)


def _server_failure(call: Call, response: httpx.Response) -> _Failure:
    error = call.error(
        UnavailableError,
        "The server failed.",
        status=response.status_code,
        remedy="Check the server's log, then try again.",
        outcome_unknown=call.writes,
    )
    return _Failure(error, again=True, wait=retry_after(response.headers))


def _transport_failure(call: Call, error: httpx.RequestError) -> _Failure:
    if isinstance(error, httpx.DecodingError | httpx.UnsupportedProtocol):
        problem = "The body of the answer cannot be decoded."
        return _Failure(call.error(ProtocolError, problem, outcome_unknown=call.writes))
    if isinstance(error, httpx.ProxyError):
        reason = str(error).strip().rstrip(".") or "no answer"
        remedy = "Correct the proxy's address, name and password there."
        return _Failure(call.error(UnavailableError, f"The proxy refused ({reason}).", remedy=remedy), unsent=True)
    if isinstance(error, ssrf_guard.ForbiddenAddressError):
        problem = "The base URL leads to an address that is forbidden; nothing was sent to it."
        return _Failure(call.error(UnavailableError, problem, remedy=ssrf_guard.REMEDY), unsent=True)
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return _Failure(
            call.error(
                UnavailableError,
                "No secure connection: the certificate or the TLS settings of the server are not accepted.",
                remedy="Install a valid certificate there, or name the file of its authority in ZK_CA_BUNDLE.",
            ),
            unsent=isinstance(error, httpx.ConnectError),
        )
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)
    problem, remedy = _describe(error, unsent=unsent)
    lost = call.error(UnavailableError, problem, remedy=remedy, outcome_unknown=call.writes and not unsent)
    return _Failure(lost, again=True, unsent=unsent)


def _describe(error: httpx.RequestError, *, unsent: bool) -> tuple[str, str]:
    if unsent:
        return "No connection to the server.", "Check the base URL, the network and that the server runs."
    if isinstance(error, httpx.TimeoutException):
        return "No answer within the time limit.", "Try again; raise the time limit if the server is slow."
    return "The connection broke before the answer was complete.", "Try again; check the server's log."


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


class HttpConnector(Connector):
    """A connector whose requests all go through one client, in its system's dialect."""

    def __init__(self, endpoint: Endpoint, dialect: ApiDialect, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(endpoint)
        self._http = HttpClient(endpoint, dialect, sleep=sleep)

    @property
    def requests(self) -> RequestCounts:
        """Requests sent since the connector was created."""
        return self._http.requests

    @property
    def traffic(self) -> Traffic:
        """The requests by status, and their duration."""
        return self._http.traffic

    @property
    def system_state(self) -> SystemState | None:
        """Whether the system answers, by the last request."""
        return self._http.system_state

    def close(self) -> None:
        """Release the connections."""
        self._http.close()
