"""API tokens: what scripts show instead of a sign-in."""

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
"""By this, scanners for leaked secrets know a token."""

LONGEST_LIFE = timedelta(days=366)
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh token, which is shown this once."""

    stored: ApiToken
    token: str = field(repr=False)


def issue(connection: Connection, actor: Actor, name: str, role: Role, expires_at: datetime) -> IssuedToken:
    """Make a token for whoever asks; `expires_at` is an instant.

    Raises `DeniedError` for a role above the actor's, `OperationError` for another value that cannot be.
    """
    if actor.user_id is None:
        raise OperationError("Only users have API tokens. Sign in as the user who is to have it.")
    if not actor.role.covers(role):
        raise DeniedError(f"A token with the role {role} is above your own role, {actor.role}. Choose a lower one.")
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise OperationError(f"A token needs a name of 1 to {_LONGEST_NAME} printable characters. Say what it is for.")
    remaining = expires_at - datetime.now(UTC)
    if not timedelta() < remaining <= LONGEST_LIFE:
        raise OperationError(
            f"The expiry {expires_at.isoformat()} is not within the next {LONGEST_LIFE.days} days. Choose one that is."
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
    """Who shows this token: its user, with the lower of the user's role and the token's. `None` when it does not count.

    `address` is the client's.
    """
    bearer = queries.bearer_of_token(connection, _hash(token))
    if bearer is None:
        return None
    user_role, token_role = Role(bearer.user_role), Role(bearer.token_role)
    return Actor(f"user:{bearer.user_id}", token_role if user_role.covers(token_role) else user_role, address)


def list_tokens(connection: Connection, actor: Actor, *, offset: int, limit: int) -> tuple[Sequence[ApiToken], int]:
    """Some tokens, the newest first, and how many there are: one's own or, for an admin, everybody's."""
    owner = None if actor.role.covers(Role.ADMIN) else actor.user_id
    return queries.list_tokens(connection, owner, offset=offset, limit=limit), queries.count_tokens(connection, owner)


def revoke(connection: Connection, actor: Actor, token_id: int) -> None:
    """End a token, one's own or, as an admin, anybody's. Raises `UnknownError`."""
    token = queries.token_of_id(connection, token_id)
    if token is None or not (token.user_id == actor.user_id or actor.role.covers(Role.ADMIN)):
        raise UnknownError(f"There is no token {token_id} of yours. The list of tokens names the numbers.")
    if token.revoked_at is not None:
        return
    queries.revoke_token(connection, token_id)
    audit.append(connection, [actor.audit_event("token.revoked", f"token:{token_id}", {"owner": token.user_id})])


def _hash(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()
