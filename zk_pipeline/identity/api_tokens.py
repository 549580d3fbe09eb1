"""API tokens, for scripts."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from zk_pipeline.identity import queries
from zk_pipeline.identity.actors import Actor, DeniedError, OperationError, Role, UnknownError
from zk_pipeline.identity.queries import ApiToken
from zk_pipeline.store import audit

PREFIX = "zk_"
"""Lets secret scanners recognize a token."""

LONGEST_LIFE = timedelta(days=366)
_LONGEST_NAME = 100
_MOST_OWN = 500


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token, which is shown only once."""

    stored: ApiToken
    token: str = field(repr=False)


def issue(connection: Connection, actor: Actor, name: str, role: Role, expires_at: datetime) -> IssuedToken:
    """Create a token for the actor.

    Raises `DeniedError` for a role above the actor's, `OperationError` for another invalid value.
    """
    if actor.user_id is None:
        raise OperationError("Sign in as the user who needs the token: only users have API tokens.")
    if not actor.role.covers(role):
        raise DeniedError(f"Choose a role of at most {actor.role}, your own: {role} is above it.", "role")
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise OperationError(
            f"Give the token a name of 1 to {_LONGEST_NAME} printable characters that says what it is for.",
            "name",
        )
    remaining = expires_at - datetime.now(UTC)
    if not timedelta() < remaining <= LONGEST_LIFE:
        raise OperationError(
            f"Choose an expiry within the next {LONGEST_LIFE.days} days: {expires_at.isoformat()} is not.", "expires_at"
        )
    token = PREFIX + secrets.token_urlsafe(32)
    stored = queries.add_token(
        connection,
        user_id=actor.user_id,
        name=name.strip(),
        role=role,
        token_hash=_hash(token),
        expires_at=expires_at,
    )
    detail = {"owner": stored.user_id, "role": role, "expires_at": expires_at}
    audit.append(connection, [actor.audit_event("token.created", f"token:{stored.id}", detail)])
    return IssuedToken(stored, token)


def actor_of_token(connection: Connection, token: str, address: str) -> Actor | None:
    """The user of this token, with the lower of the user's and the token's role; `None` if it is not valid."""
    bearer = queries.bearer_of_token(connection, _hash(token))
    if bearer is None:
        return None
    user_role, token_role = Role(bearer.user_role), Role(bearer.token_role)
    return Actor(f"user:{bearer.user_id}", token_role if user_role.covers(token_role) else user_role, address)


def list_tokens(connection: Connection, actor: Actor, *, offset: int, limit: int) -> tuple[Sequence[ApiToken], int]:
    """A page of tokens, newest first, and the total: one's own or, for an admin, everybody's."""
    owner = None if actor.role.covers(Role.ADMIN) else actor.user_id
    return queries.list_tokens(connection, owner, offset=offset, limit=limit), queries.count_tokens(connection, owner)


def own_tokens(connection: Connection, actor: Actor) -> Sequence[ApiToken]:
    """The actor's tokens that still count, newest first."""
    now = datetime.now(UTC)
    mine = queries.list_tokens(connection, actor.user_id, offset=0, limit=_MOST_OWN) if actor.user_id else ()
    return [token for token in mine if token.revoked_at is None and token.expires_at > now]


def revoke(connection: Connection, actor: Actor, token_id: int) -> None:
    """Revoke one's own token or, as an admin, any. Raises `UnknownError`."""
    token = queries.token_of_id(connection, token_id)
    if token is None or not (token.user_id == actor.user_id or actor.role.covers(Role.ADMIN)):
        raise UnknownError(f"Token {token_id} is not yours or does not exist. See the list of tokens.")
    if token.revoked_at is not None:
        return
    queries.revoke_token(connection, token_id)
    audit.append(connection, [actor.audit_event("token.revoked", f"token:{token_id}", {"owner": token.user_id})])


def _hash(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()
