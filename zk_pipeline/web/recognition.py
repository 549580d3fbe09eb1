"""Who a request comes from: the bearer of an API token or of a session's token, or a browser with its cookies."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from zk_pipeline.operations import api_tokens, sign_in
from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.errors import SignInError
from zk_pipeline.operations.session_tokens import Purpose
from zk_pipeline.operations.sign_in import SessionOverError
from zk_pipeline.operations.throttle import Caller, ThrottledError
from zk_pipeline.runtime import Runtime
from zk_pipeline.web.access import SAFE_METHODS
from zk_pipeline.web.client_address import client_address
from zk_pipeline.web.cookies import ACCESS, DEVICE, REFRESH, cookie_of, require_own_origin
from zk_pipeline.web.errors import ProblemError
from zk_pipeline.web.limits import network_of

CHALLENGE = {"WWW-Authenticate": "Bearer"}
_IN_URL = frozenset({"token", "access_token", "refresh_token", "api_token", "api_key"})


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody's session, for what lasts longer than a request, such as a page with its socket."""

    id: str
    runtime: Runtime
    address: str

    def actor(self) -> Actor:
        """Who it is, with the role they have just now. Raises `SessionOverError` once it ended or was revoked."""
        return sign_in.actor_of_session(self.runtime, self.id, self.address)


class Sessions:
    """Recognizes people; what it knows stands in the database, so that revocations and new roles count at once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._settings = runtime.settings

    def actor_of(self, request: HTTPConnection) -> Actor:
        """Who it is. Raises `ProblemError`: 401 when nobody is recognized, 403 when another site may have sent it."""
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

    def way_in(self, request: HTTPConnection, target: str) -> str:
        """Where somebody without session is sent, to come back to the target, which is quoted."""
        renewable = cookie_of(request, self._settings, REFRESH) is not None
        return f"/{'renew' if renewable else 'sign-in'}?next={quote(target, safe='/%')}"

    def sign_out(self, purpose: Purpose, token: str, request: HTTPConnection) -> None:
        """End the session that a token names, if it names one."""
        try:
            session_id = sign_in.session_of_token(self._runtime, purpose, token)
        except SessionOverError:
            return
        sign_in.sign_out(self._runtime, session_id, self.address_of(request))

    def address_of(self, request: HTTPConnection) -> str:
        """The address of the client."""
        return client_address(request, self._settings.trusted_proxies)

    def caller_of(self, request: HTTPConnection) -> Caller:
        """The client as somebody who tries to sign in."""
        address = self.address_of(request)
        return Caller(address, network_of(address), cookie_of(request, self._settings, DEVICE) or "")

    def _session(self, request: HTTPConnection) -> Session:
        """The session that a request names, which may be over."""
        token = bearer_of(request)
        if token is None:
            token = cookie_of(request, self._settings, ACCESS)
            if token is None:
                raise NotSignedInError
            if request.scope.get("method", "GET") not in SAFE_METHODS:
                require_own_origin(request, self._settings)
        session_id = sign_in.session_of_token(self._runtime, Purpose.ACCESS, token)
        return Session(session_id, self._runtime, self.address_of(request))

    def _bearer_of_api_token(self, token: str, request: HTTPConnection) -> Actor:
        with self._runtime.database.transaction() as connection:
            actor = api_tokens.actor_of(connection, token, self.address_of(request))
        if actor is None:
            raise ProblemError(401, "The token is not valid, or not any more. Get a new one.", CHALLENGE)
        return actor


class NotSignedInError(SessionOverError):
    """The request brings no session at all."""

    def __init__(self) -> None:
        SignInError.__init__(self, "Nobody is signed in. Sign in, or send an API token as bearer.")


def bearer_of(request: HTTPConnection) -> str | None:
    """The token in the header Authorization; what is of another kind there is for the proxy before us."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def refuse_api_token(request: HTTPConnection, act: str) -> None:
    """Refuse an API token where only a person may act; `act` says what. Raises `ProblemError` with 403."""
    if (bearer_of(request) or "").startswith(api_tokens.PREFIX):
        raise ProblemError(403, f"An API token cannot {act}. Sign in with your password and do it then.")


def require_confirmed(request: Request) -> None:
    """Let a request through only in a session in which the password was given lately.

    Raises `ProblemError` with 403 for an API token, which nobody can confirm, and `NotConfirmedError`.
    """
    refuse_api_token(request, "change accounts, or make another one")
    known = sessions_of(request)
    with refusals():
        session = known.session_of(request)
    sign_in.require_confirmed(session.runtime, session.id)


def refuse_token_in_url(request: HTTPConnection) -> None:
    """Refuse a token where logs and histories keep it. Raises `ProblemError` with 400."""
    for name in request.query_params:
        if name.lower() in _IN_URL:
            raise ProblemError(
                400,
                f"The address holds a {name}, where logs keep it. Send it in the header Authorization and renew it.",
            )


@contextmanager
def refusals() -> Iterator[None]:
    """Answer a sign-in that failed with 401, and one too many with 429 and Retry-After."""
    try:
        yield
    except ThrottledError as error:
        raise ProblemError(429, str(error), {"Retry-After": str(error.seconds)}) from error
    except SignInError as error:
        raise ProblemError(401, str(error), CHALLENGE) from error


def sessions_of(request: Request) -> Sessions:
    """The recognition of the app."""
    return request.app.state.recognition


Recognizing = Annotated[Sessions, Depends(sessions_of)]
Confirmed = Annotated[None, Depends(require_confirmed)]
"""Declared after the role by a route that asks for the password again."""
