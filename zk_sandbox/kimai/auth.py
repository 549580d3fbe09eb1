"""Authentication: Bearer tokens, and the legacy pair of headers (docs/kimai.md §1)."""

from collections import defaultdict, deque

from starlette.requests import Request

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.errors import ApiError, PasswordError, TokenError, bad_request
from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.model import User

FAILURES_A_MINUTE = 5


class Authenticator:
    """Finds the caller; remembers failed legacy attempts by client address."""

    def __init__(self, kimai: Installation) -> None:
        self._kimai = kimai
        self._failures: defaultdict[str, deque[int]] = defaultdict(deque)

    def caller(self, request: Request) -> Caller:
        """The caller, or 401 and 403 in their several forms. The word Bearer is case-sensitive."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            return self._by_token(token)
        if "x-auth-user" in request.headers and "x-auth-token" in request.headers:
            return self._by_password(request)
        raise ApiError(401)

    def _by_token(self, token: str) -> Caller:
        user = self._kimai.user_with_token(token)
        if user is None:
            raise TokenError
        caller = self._as_caller(user)
        caller.require("api_access")
        return caller

    def _by_password(self, request: Request) -> Caller:
        user = self._kimai.user_named(request.headers["x-auth-user"])
        password = request.headers["x-auth-token"]
        if user is not None and user.enabled and user.api_password == password:
            return self._as_caller(user)
        failures = self._failures[request.client.host if request.client else ""]
        now = self._kimai.now()
        while failures and failures[0] <= now - 60:
            failures.popleft()
        failures.append(now)
        raise bad_request() if len(failures) > FAILURES_A_MINUTE else PasswordError()

    def _as_caller(self, user: User) -> Caller:
        return Caller(self._kimai, user, self._kimai.permissions_of(user))
