"""Who a request comes from, by token or cookie, and which role a route needs."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from zk_pipeline.identity import api_tokens, sign_in
from zk_pipeline.identity.actors import Actor, Role, SignInError
from zk_pipeline.identity.sign_in import LIFE_OF_A_DEVICE, Purpose, SessionOverError, SignedIn
from zk_pipeline.identity.throttle import Client, ThrottledError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.web.errors import ProblemError
from zk_pipeline.web.limits import client_address, network_of

# Which role a route needs, declared in its signature: `actor: Operator`. A route without one must be public on purpose.

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Recognition(Protocol):
    """Finds out who a request comes from; the app keeps one as `app.state.recognition`."""

    def actor_of(self, request: Request) -> Actor:
        """The caller.

        Raises `ProblemError`: 401 when nobody is recognized, 403 when another site may have sent the request.
        """
        ...


@dataclass(frozen=True, slots=True)
class Needs:
    """The dependency of a route that needs a role: answers 401 to strangers and 403 to lower roles."""

    role: Role

    def __call__(self, request: Request) -> Actor:
        """The caller, who has the role."""
        actor: Actor | None = getattr(request.state, "actor", None)
        if actor is None:
            recognition: Recognition = request.app.state.recognition
            actor = request.state.actor = recognition.actor_of(request)
        if not actor.role.covers(self.role):
            raise ProblemError(
                403, f"This needs the role {self.role}; you have {actor.role}. Ask an admin to do it or for the role."
            )
        return actor


class GuardedRoute(APIRoute):
    """A route that authenticates the caller before it reads the body; strangers learn nothing about it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with the check of the role before it."""
        handle = super().get_route_handler()
        roles = [needed.call for needed in self.dependant.dependencies if isinstance(needed.call, Needs)]

        async def guarded(request: Request) -> Response:
            if request.method not in SAFE_METHODS:
                for needs in roles:
                    await run_in_threadpool(needs, request)
            return await handle(request)

        return guarded


Viewer = Annotated[Actor, Depends(Needs(Role.VIEWER))]
Operator = Annotated[Actor, Depends(Needs(Role.OPERATOR))]
Admin = Annotated[Actor, Depends(Needs(Role.ADMIN))]

# The cookies of a browser's session, and the proof that a request comes from our own pages.

SESSION, DEVICE, SECOND_STEP = "zk_session", "zk_device", "zk_second_step"


def is_secure(settings: Settings) -> bool:
    """Whether browsers reach us over TLS, so that cookies are sent over nothing else."""
    return settings.public_url.startswith("https://")


def cookie_name(settings: Settings, name: str) -> str:
    """The cookie's name; over TLS with the prefix that keeps other hosts of our domain from setting it."""
    return f"__Host-{name}" if is_secure(settings) else name


def cookie_of(request: HTTPConnection, settings: Settings, name: str) -> str | None:
    """The value of the cookie that the browser sends under this name."""
    return request.cookies.get(cookie_name(settings, name))


def set_session(response: Response, settings: Settings, signed_in: SignedIn) -> None:
    """Give a browser the cookie of its session, which our own pages alone send. The device's outlasts the session."""
    if signed_in.cookie:
        _set(response, settings, SESSION, signed_in.cookie, signed_in.until, strict=True)
    if signed_in.device_token:
        known_until = datetime.now(UTC) + LIFE_OF_A_DEVICE
        _set(response, settings, DEVICE, signed_in.device_token, known_until, strict=True)


def clear_session(response: Response, settings: Settings) -> None:
    """Take the cookie of its session from a browser."""
    clear(response, settings, SESSION)
    response.headers["Clear-Site-Data"] = '"storage"'  # Of Dagster's pages; answers of ours are stored nowhere.


def set_short(response: Response, settings: Settings, name: str, value: str, until: datetime) -> None:
    """Set a cookie that is needed when the browser comes back from another site."""
    _set(response, settings, name, value, until, strict=False)


def clear(response: Response, settings: Settings, name: str) -> None:
    """Remove a cookie from a browser."""
    response.delete_cookie(cookie_name(settings, name), path="/", secure=is_secure(settings), httponly=True)


def require_own_origin(request: HTTPConnection, settings: Settings) -> None:
    """Refuse what another site's page made the browser send. Raises `ProblemError` with 403."""
    if request.headers.get("sec-fetch-site") == "same-origin":
        return
    origin = request.headers.get("origin", "")
    if origin and (origin == _origin(settings.public_url) or urlsplit(origin).netloc == request.headers.get("host")):
        return
    raise ProblemError(
        403, "The request does not come from a page of this host, so its cookies are not believed. Send a bearer token."
    )


def _set(response: Response, settings: Settings, name: str, value: str, until: datetime, *, strict: bool) -> None:
    seconds = int((until - datetime.now(UTC)).total_seconds())
    response.set_cookie(
        cookie_name(settings, name),
        value,
        max_age=max(0, seconds),
        path="/",
        secure=is_secure(settings),
        httponly=True,
        samesite="strict" if strict else "lax",
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


# Who a request comes from: the bearer of an API token or of a session's token, or a browser with its cookies.

CHALLENGE = {"WWW-Authenticate": "Bearer"}
SECRETS_IN_URL = frozenset({"token", "access_token", "refresh_token", "api_token", "api_key"})


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody's session, for what lasts longer than a request, such as a page with its socket.

    `is_due` says whether the cookie is to be exchanged.
    """

    id: str
    runtime: Runtime
    address: str
    is_due: bool = False

    def actor(self) -> Actor:
        """The user with the role they have now. Raises `SessionOverError` once the session ended or was revoked."""
        return sign_in.actor_of_session(self.runtime, self.id, self.address)


class Sessions:
    """Recognizes people from the database, so that revocations and new roles count at once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._settings = runtime.settings

    def actor_of(self, request: HTTPConnection) -> Actor:
        """The caller.

        Raises `ProblemError`: 401 when nobody is recognized, 403 when another site may have sent the request.
        """
        refuse_token_in_url(request)
        token = bearer_of(request)
        if token is not None and token.startswith(api_tokens.PREFIX):
            return self._bearer_of_api_token(token, request)
        with refusals():
            return self._session(request).actor()

    def session_of(self, request: HTTPConnection) -> Session:
        """The session of a request, by bearer or cookie. Raises `SessionOverError` when it has none that goes on.

        A cookie counts for an unsafe method only when the request comes from our own pages: `ProblemError` with 403.
        """
        refuse_token_in_url(request)
        session = self._session(request)
        session.actor()
        return session

    def way_in(self, target: str, *, renews: bool = False) -> str:
        """Where somebody without session is sent, or with one that is due, to come back to the target: it is quoted."""
        return f"/{'renew' if renews else 'sign-in'}?next={quote(target, safe='/%')}"

    def sign_out(self, request: HTTPConnection, refresh_token: str | None = None) -> None:
        """End the sessions that bearer, cookie and refresh token name, where they name one."""
        address, bearer = self.address_of(request), bearer_of(request)
        cookie = cookie_of(request, self._settings, SESSION)
        for purpose, token in ((Purpose.ACCESS, bearer), (Purpose.REFRESH, refresh_token)):
            with suppress(SessionOverError):
                named = sign_in.session_of_token(self._runtime, purpose, token or "")
                sign_in.sign_out(self._runtime, named, address)
        if cookie is not None and bearer is None:
            require_own_origin(request, self._settings)
            with suppress(SessionOverError):
                named = sign_in.session_of_cookie(self._runtime, cookie, address).id
                sign_in.sign_out(self._runtime, named, address)

    def address_of(self, request: HTTPConnection) -> str:
        """The address of the client."""
        return client_address(request, self._settings.trusted_proxies)

    def caller_of(self, request: HTTPConnection) -> Client:
        """The client, as the throttle of sign-ins counts it."""
        address = self.address_of(request)
        return Client(address, network_of(address), cookie_of(request, self._settings, DEVICE) or "")

    def _session(self, request: HTTPConnection) -> Session:
        """The session that a request names, which may be over."""
        token, address = bearer_of(request), self.address_of(request)
        if token is not None:
            return Session(sign_in.session_of_token(self._runtime, Purpose.ACCESS, token), self._runtime, address)
        cookie = cookie_of(request, self._settings, SESSION)
        if cookie is None:
            raise NotSignedInError
        if request.scope.get("method", "GET") not in SAFE_METHODS:
            require_own_origin(request, self._settings)
        found = sign_in.session_of_cookie(self._runtime, cookie, address)
        return Session(found.id, self._runtime, address, found.is_due)

    def _bearer_of_api_token(self, token: str, request: HTTPConnection) -> Actor:
        with self._runtime.database.transaction() as connection:
            actor = api_tokens.actor_of_token(connection, token, self.address_of(request))
        if actor is None:
            raise ProblemError(401, "The token is not valid, or not any more. Get a new one.", CHALLENGE)
        return actor


class NotSignedInError(SessionOverError):
    """The request brings no session at all."""

    def __init__(self) -> None:
        SignInError.__init__(self, "Nobody is signed in. Sign in, or send an API token as bearer.")


def bearer_of(request: HTTPConnection) -> str | None:
    """The bearer token in the header Authorization; other schemes are meant for the proxy."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def refuse_api_token(request: HTTPConnection, act: str) -> None:
    """Refuse an API token where only a person may act; `act` says what. Raises `ProblemError` with 403."""
    if (bearer_of(request) or "").startswith(api_tokens.PREFIX):
        raise ProblemError(403, f"An API token cannot {act}. Sign in with your password and do it then.")


def require_confirmed(request: Request) -> None:
    """Require a session in which the password was given within the last five minutes.

    Raises `ProblemError` with 403 for an API token, and `NotConfirmedError`.
    """
    refuse_api_token(request, "change accounts, or make another one")
    known = sessions_of(request)
    with refusals():
        session = known.session_of(request)
    sign_in.require_confirmed(session.runtime, session.id)


def refuse_token_in_url(request: HTTPConnection) -> None:
    """Refuse a token where logs and histories keep it. Raises `ProblemError` with 400."""
    for name in request.query_params:
        if name.lower() in SECRETS_IN_URL:
            raise ProblemError(
                400,
                f"The address holds a {name}, where logs keep it. Send it in the header Authorization and renew it.",
            )


@contextmanager
def refusals() -> Iterator[None]:
    """Answer a failed sign-in with 401, and one over the limit with 429 and Retry-After."""
    try:
        yield
    except ThrottledError as error:
        raise ProblemError(429, str(error), {"Retry-After": str(error.seconds)}) from error
    except SignInError as error:
        raise ProblemError(401, str(error), CHALLENGE) from error


def sessions_of(request: Request) -> Sessions:
    """The app's recognition of callers."""
    return request.app.state.recognition


Recognizing = Annotated[Sessions, Depends(sessions_of)]
Confirmed = Annotated[None, Depends(require_confirmed)]
"""Declared after the role by a route that asks for the password again."""
