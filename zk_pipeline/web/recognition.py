"""Who a request comes from: the bearer of an API token."""

from fastapi import Request

from zk_pipeline.operations import api_tokens
from zk_pipeline.operations.actors import Actor
from zk_pipeline.runtime import Runtime
from zk_pipeline.web.client_address import client_address
from zk_pipeline.web.errors import ProblemError

_CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Sessions:
    """Recognizes people; what it knows stands in the database, so that a revocation counts at once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def actor_of(self, request: Request) -> Actor:
        """Who it is. Raises `ProblemError` with 401 when nobody is recognized."""
        address = client_address(request, self._runtime.settings.trusted_proxies)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ProblemError(401, "Nobody is signed in. Sign in, or send an API token as bearer.", _CHALLENGE)
        with self._runtime.database.transaction() as connection:
            actor = api_tokens.actor_of(connection, token.strip(), address)
        if actor is None:
            raise ProblemError(401, "The token is not valid, or not any more. Get a new one.", _CHALLENGE)
        return actor
