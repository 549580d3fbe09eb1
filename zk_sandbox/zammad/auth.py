"""Who calls: access tokens, permissions and their refusals (docs/zammad.md §1)."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from zk_sandbox.zammad.desk import Desk
from zk_sandbox.zammad.errors import ApiError
from zk_sandbox.zammad.records import Ticket, Token, User

_TOKEN_HEADER = re.compile(r'(?:Token|Bearer)\s+(?:token=)?"?([^"\s,]+)"?')


def holds(permissions: Iterable[str], wanted: str) -> bool:
    """Whether a permission or one of its parents (`admin` of `admin.user`) is among those given."""
    given = set(permissions)
    parts = wanted.split(".")
    return any(".".join(parts[:length]) in given for length in range(1, len(parts) + 1))


@dataclass(frozen=True, slots=True)
class Caller:
    """The user a request acts for and the token it came with, if any; both must allow what is done."""

    user: User
    token: Token | None

    def can(self, permission: str) -> bool:
        """Whether user and token both hold the permission."""
        return all(holds(permissions, permission) for permissions in self._permissions())

    def can_some_admin(self) -> bool:
        """Whether user and token hold any `admin` permission."""
        return all(
            any(permission.split(".")[0] == "admin" for permission in permissions)
            for permissions in self._permissions()
        )

    def require(self, *permissions: str) -> None:
        """Refuse with 403 unless one of the permissions is held; the text does not say who lacks it."""
        if not any(self.can(permission) for permission in permissions):
            raise ApiError(403, f"{'User' if self.token is None else 'Token'} authorization failed.")

    def may(self, right: str, ticket: Ticket) -> bool:
        """Whether the caller, as an agent, holds a right on the ticket's group."""
        return self.can("ticket.agent") and self.user.may(right, ticket.group_id)

    def opens(self, ticket: Ticket) -> bool:
        """Whether the caller may open the ticket: by group as an agent, or as its customer or one of their company."""
        company = ticket.organization_id is not None and ticket.organization_id == self.user.organization_id
        own = company or ticket.customer_id == self.user.id
        return self.may("read", ticket) or (own and self.can("ticket.customer"))

    def finds(self, ticket: Ticket) -> bool:
        """Whether lists and searches hold the ticket: they ask the user alone, never the token (docs/zammad.md §1)."""
        return replace(self, token=None).opens(ticket)

    def _permissions(self) -> list[list[str]]:
        return [self.user.permissions] if self.token is None else [self.user.permissions, self.token.permissions]


def authenticate(desk: Desk, authorization: str, on_behalf_of: str = "") -> Caller:
    """The caller that the headers Authorization and From name, or the refusal that Zammad gives."""
    if authorization.startswith("Basic "):
        caller = Caller(_user_of_password(desk, authorization.removeprefix("Basic ")), None)
    else:
        match = _TOKEN_HEADER.fullmatch(authorization.strip())
        if match is None:
            raise ApiError(403, "Authentication required")
        if not desk.settings.token_access:
            raise ApiError(403, "API token access disabled!")
        caller = _caller_of(desk, match.group(1))
    if desk.settings.maintenance_mode and not caller.can("admin.maintenance"):
        raise ApiError(403, "Maintenance mode enabled!")
    return _on_behalf(desk, caller, on_behalf_of) if on_behalf_of else caller


def _on_behalf(desk: Desk, caller: Caller, name: str) -> Caller:
    """The caller as another user, given by id, login or e-mail; the right to do so is asked of the user alone."""
    if not holds(caller.user.permissions, "admin.user"):
        raise ApiError(403, "Current user has no permission to use 'From'/'X-On-Behalf-Of'!")
    for user in desk.state.users.values():
        if name.lower() in {str(user.id), user.login.lower(), user.email.lower()}:
            return replace(caller, user=user)
    raise ApiError(403, f"No such user '{name}'")


def _user_of_password(desk: Desk, credentials: str) -> User:
    try:
        login, _, password = base64.b64decode(credentials).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        login = password = ""
    for user in desk.state.users.values():
        if user.active and user.password == password and login.lower() in {user.login.lower(), user.email.lower()}:
            return user
    raise ApiError(401, "Invalid BasicAuth credentials")


def _caller_of(desk: Desk, value: str) -> Caller:
    token = desk.state.tokens.get(value)
    if token is None:
        raise ApiError(401, "Can't find User for Token")
    now = desk.settings.clock()
    token.last_used_at = now
    if token.expires_at is not None and token.expires_at <= now:
        raise ApiError(401, "Not authorized (token expired)!")
    user = desk.state.users[token.user_id]
    if not user.active:
        raise ApiError(
            401, "Login failed. Have you double-checked your credentials and completed the email verification step?"
        )
    return Caller(user, token)
