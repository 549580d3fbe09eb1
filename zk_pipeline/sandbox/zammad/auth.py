"""Who calls: access tokens, permissions and their refusals (docs/zammad.md §1)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from zk_pipeline.sandbox.zammad.desk import Desk
from zk_pipeline.sandbox.zammad.errors import ApiError
from zk_pipeline.sandbox.zammad.records import Ticket, Token, User

_TOKEN_HEADER = re.compile(r'(?:Token\s+(?:token=)?|Bearer\s+(?:token=)?)"?([^"\s,]+)"?', re.IGNORECASE)


def holds(permissions: Iterable[str], wanted: str) -> bool:
    """Whether a permission or one of its parents (`admin` of `admin.user`) is among those given."""
    given = set(permissions)
    parts = wanted.split(".")
    return any(".".join(parts[:length]) in given for length in range(1, len(parts) + 1))


@dataclass(frozen=True, slots=True)
class Caller:
    """The user a request acts for and the token it came with; both must allow what is done."""

    user: User
    token: Token

    def can(self, permission: str) -> bool:
        """Whether user and token both hold the permission."""
        return holds(self.user.permissions, permission) and holds(self.token.permissions, permission)

    def can_some_admin(self) -> bool:
        """Whether user and token hold any `admin` permission."""
        return all(
            any(permission.split(".")[0] == "admin" for permission in permissions)
            for permissions in (self.user.permissions, self.token.permissions)
        )

    def require(self, *permissions: str) -> None:
        """Refuse with 403 unless one of the permissions is held."""
        if any(self.can(permission) for permission in permissions):
            return
        if not any(holds(self.token.permissions, permission) for permission in permissions):
            raise ApiError(403, "Token authorization failed.")
        raise ApiError(403, "User authorization failed.")

    def may(self, right: str, ticket: Ticket) -> bool:
        """Whether the caller, as an agent, holds a right on the ticket's group."""
        return self.can("ticket.agent") and self.user.may(right, ticket.group_id)

    def sees(self, ticket: Ticket) -> bool:
        """Whether the ticket is in the caller's lists: by group as an agent, or as its customer."""
        return self.may("read", ticket) or (self.can("ticket.customer") and ticket.customer_id == self.user.id)


def authenticate(desk: Desk, header: str) -> Caller:
    """The caller an Authorization header names, or the refusal Zammad gives."""
    if header.lower().startswith("basic "):
        raise ApiError(401, "Invalid BasicAuth credentials")
    match = _TOKEN_HEADER.fullmatch(header.strip())
    if match is None:
        raise ApiError(403, "Authentication required")
    if not desk.settings.token_access:
        raise ApiError(403, "API token access disabled!")
    caller = _caller_of(desk, match.group(1))
    if desk.settings.maintenance_mode and not caller.can("admin.maintenance"):
        raise ApiError(403, "Maintenance mode enabled!")
    return caller


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
