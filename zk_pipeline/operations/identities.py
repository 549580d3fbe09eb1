"""Signing in through an identity provider: whom it vouches for, and the role that it gives them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from zk_pipeline.operations import accounts as users
from zk_pipeline.operations import sign_in
from zk_pipeline.operations.actors import Actor, Role
from zk_pipeline.operations.errors import DeniedError, OperationError
from zk_pipeline.operations.sign_in import SignedIn
from zk_pipeline.operations.throttle import NOBODY
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import accounts, audit
from zk_pipeline.store.accounts import User
from zk_pipeline.store.audit import AuditEvent

PROVIDER = Actor("identity-provider", Role.ADMIN)
"""Who creates users and sets roles, on behalf of the claims."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the provider vouches for; `roles` is what its role claim holds."""

    issuer: str
    subject: str
    email: str
    email_is_verified: bool
    name: str
    roles: Sequence[str]
    signed_in_at: float | None = None
    """When they last gave proof at the provider, in seconds since 1970, if it says so."""


def with_identity(runtime: Runtime, identity: Identity, address: str) -> SignedIn:
    """Begin a session of the user of this identity, with the role of the claim; an unknown one is created.

    Raises `OperationError`: without a role, without a verified e-mail for somebody new, for a deactivated user, and
    where no active admin would be left. A refusal is audited.
    """
    try:
        return _begun(runtime, identity, address)
    except OperationError:
        with runtime.database.transaction() as connection:
            detail = {"address": address} if address else {}
            event = AuditEvent("user.sign_in_failed", NOBODY, PROVIDER.name, detail)
            audit.append(connection, [event])
        raise


def _begun(runtime: Runtime, identity: Identity, address: str) -> SignedIn:
    role = _role(identity, runtime.settings.oidc_role_claim)
    with runtime.database.transaction() as connection:
        user = _known(connection, identity) or _linked(connection, identity) or _created(connection, identity, role)
        if not user.active:
            raise DeniedError(f"{user.email} was deactivated. Ask an admin.")
        user = users.change(connection, PROVIDER, user.id, role=role)
        confirmed = time.time() - (identity.signed_in_at or 0) < sign_in.CONFIRMED_FOR.total_seconds()
        return sign_in.begin(runtime, connection, user, address, by_provider=True, confirmed=confirmed)


def _role(identity: Identity, claim: str) -> Role:
    """The highest role that the claim holds."""
    given = [role for role in Role if role in identity.roles]
    if not given:
        allowed = ", ".join(Role)
        raise DeniedError(
            f"The identity provider gives you no role here. Its claim {claim} has to be one of {allowed}."
        )
    return given[-1]


def _known(connection: Connection, identity: Identity) -> User | None:
    return accounts.of_oidc_subject(connection, _subject(identity))


def _linked(connection: Connection, identity: Identity) -> User | None:
    """The user of this e-mail, who is known by this identity from now on.

    An e-mail that the provider did not verify may be anybody's, and is no reason to let somebody in.
    """
    if not identity.email or not identity.email_is_verified:
        raise DeniedError(
            "The identity provider did not verify your e-mail. Have it verified there, and sign in again."
        )
    user = accounts.of_email(connection, users.checked_email(identity.email))
    if user is None:
        return None
    if accounts.oidc_subject(connection, user.id) is not None:
        raise DeniedError(f"{user.email} belongs to another account of the identity provider. Ask an admin.")
    accounts.change(connection, user.id, oidc_subject=_subject(identity))
    audit.append(connection, [PROVIDER.did("user.linked", f"user:{user.id}", {})])
    return user


def _created(connection: Connection, identity: Identity, role: Role) -> User:
    user = users.create(connection, PROVIDER, users.NewUser(identity.email, role, identity.name))
    accounts.change(connection, user.id, oidc_subject=_subject(identity))
    return user


def _subject(identity: Identity) -> str:
    return f"{identity.issuer} {identity.subject}"
