"""Signing in and out: with a password or through an identity provider, sessions, their tokens and their renewal."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import jwt
from sqlalchemy import Connection

from zk_pipeline.identity import queries, second_factor, throttle, users
from zk_pipeline.identity.actors import Actor, DeniedError, OperationError, Role, SignInError
from zk_pipeline.identity.queries import OpenSession, User
from zk_pipeline.identity.throttle import ANONYMOUS, Client
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.encryption import TokenCipher

# The tokens of a session: signed, short-lived, and good for one purpose each.
#
# A token says which session it belongs to and no more: whether that one goes on, and the role, is asked of the
# database.

ISSUER = "zk_pipeline"
_ALGORITHM = "HS256"
_CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "exp")


class Purpose(StrEnum):
    """What a token is good for: its audience."""

    ACCESS = "zk_pipeline:access"
    REFRESH = "zk_pipeline:refresh"
    DEVICE = "zk_pipeline:device"
    SECOND_STEP = "zk_pipeline:second-step"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a valid token says. That of a device has its number for `session_id`, that of a second step a hash."""

    session_id: str
    user_id: int


class SessionTokens:
    """Signs with the newest key, and believes tokens that were signed with an older one."""

    def __init__(self, cipher: TokenCipher) -> None:
        self._keys = cipher.derived("zk_pipeline session tokens")

    def sign(self, purpose: Purpose, claim: Claim, expires_at: datetime) -> str:
        """A token until this instant; no two are the same."""
        content = {
            "iss": ISSUER,
            "aud": purpose,
            "sub": f"user:{claim.user_id}",
            "sid": claim.session_id,
            "jti": secrets.token_urlsafe(16),
            "iat": datetime.now(UTC),
            "exp": expires_at,
        }
        return jwt.encode(content, self._keys[0], _ALGORITHM)

    def read(self, purpose: Purpose, token: str) -> Claim | None:
        """What a token says; `None` for one that was not signed by us for this purpose, or is over."""
        for key in self._keys:
            try:
                content = jwt.decode(
                    token, key, [_ALGORITHM], audience=purpose, issuer=ISSUER, options={"require": list(_CLAIMS)}
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError:
                return None
            return _claim(content)
        return None


def _claim(content: Mapping[str, Any]) -> Claim:
    return Claim(content["sid"], int(content["sub"].removeprefix("user:")))


# Signing in and out: sessions, their renewal, and who a session belongs to.

SECONDS_OF_GRACE = 5.0
"""Two pages of one browser that are loaded at once renew with one token: so soon, the second one is no thief."""


CONFIRMED_FOR = timedelta(minutes=5)
"""How long after a password was given accounts may be changed and API tokens made."""

TIME_FOR_THE_CODE = timedelta(minutes=10)
"""How long after the password the second factor may be shown."""

LIFE_OF_A_DEVICE = timedelta(days=180)
"""How long after its last sign-in a browser is known to have signed in before."""


class NotConfirmedError(DeniedError):
    """What is asked for needs the password again, of whoever holds the session now."""

    def __init__(self) -> None:
        super().__init__(
            "This needs your password again. Send it to /api/v1/auth/confirm, or sign in at /sign-in/oidc?again=true "
            f"where the identity provider has it, and repeat this within {CONFIRMED_FOR.seconds // 60} minutes."
        )


class SecondStepError(SignInError):
    """The password is right, and a second factor is missing: `token` shows the first to whoever brings the second.

    `enrols` says that there is none yet, and that one has to be set up.
    """

    def __init__(self, token: str, *, enrols: bool) -> None:
        super().__init__(
            "A second factor is required here, and you have none yet. Sign in at /sign-in in a browser to set it up."
            if enrols
            else "The second factor is missing. Send the code of your app, or a recovery code, as code along with them."
        )
        self.token, self.enrols = token, enrols


class SessionOverError(SignInError):
    """The session has ended, is over, or was never there; the user may have been deactivated."""

    def __init__(self) -> None:
        super().__init__("The session is over. Sign in again.")


class JustRenewedError(SessionOverError):
    """The token was renewed a moment ago, by another page of the same browser: go on with what that one got."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that was begun or renewed, and its fresh tokens. Instants are in UTC."""

    session_id: str
    user_id: int
    role: Role
    access_token: str = field(repr=False)
    access_until: datetime
    refresh_token: str = field(repr=False)
    until: datetime
    device_token: str = field(default="", repr=False)


def with_password(runtime: Runtime, email: str, password: str, caller: Client, code: str = "") -> SignedIn:
    """Begin a session of the user with this e-mail and password, and this code where a second factor is needed.

    Raises `SignInError`, after the same work for an unknown account as for a wrong password, `ThrottledError`, and
    `SecondStepError` where the password is right and only a second factor is missing.
    """
    user = verify_password(runtime, email, password, caller)
    if second_factor.is_needed(runtime.settings, user):
        if not code or not user.second_factor:
            raise SecondStepError(_second_step(runtime, user), enrols=not user.second_factor)
        second_factor.check(runtime, user, code, caller)
    return _on_device(runtime, user, caller)


def with_code(runtime: Runtime, token: str, code: str, caller: Client) -> tuple[SignedIn, Sequence[str]]:
    """Begin a session of whoever gave the right password a moment ago, which the token shows, and this code now.

    Who has no second factor yet has one from now on, and gets recovery codes. Raises as `with_password`.
    """
    user = in_second_step(runtime, token)
    codes: Sequence[str] = ()
    if user.second_factor:
        second_factor.check(runtime, user, code, caller)
    else:
        codes = second_factor.activate(runtime, user, code, caller)
    return _on_device(runtime, user, caller), codes


def in_second_step(runtime: Runtime, token: str) -> User:
    """Who gave the right password a moment ago, which the token shows. Raises `SessionOverError`."""
    claim = SessionTokens(runtime.cipher).read(Purpose.SECOND_STEP, token)
    if claim is not None:
        with runtime.database.transaction() as connection:
            user = queries.user_of_id(connection, claim.user_id)
            stored = queries.password_hash(connection, claim.user_id)
        if user is not None and user.active and hmac.compare_digest(claim.session_id, _hash(stored or "")):
            return user
    raise SessionOverError


def _second_step(runtime: Runtime, user: User) -> str:
    """What shows for a while that the password was right; it counts no more once there is another password."""
    with runtime.database.transaction() as connection:
        claim = Claim(_hash(queries.password_hash(connection, user.id) or ""), user.id)
    return SessionTokens(runtime.cipher).sign(Purpose.SECOND_STEP, claim, datetime.now(UTC) + TIME_FOR_THE_CODE)


def _on_device(runtime: Runtime, user: User, caller: Client) -> SignedIn:
    with runtime.database.transaction() as connection:
        signed_in = begin(runtime, connection, user, caller.address)
    return replace(signed_in, device_token=_device_token(runtime, user, caller))


def verify_password(runtime: Runtime, email: str, password: str, caller: Client) -> User:
    """The active user whose e-mail and password these are. Raises as `with_password`; a failure is audited."""
    email = email.strip().lower()
    with runtime.database.transaction() as connection:
        # No stored e-mail holds what cannot be printed, and PostgreSQL refuses to look for some of it.
        user = queries.user_of_email(connection, email) if email.isprintable() else None
        stored = None if user is None else queries.password_hash(connection, user.id)
    attempt = throttle.begin_attempt(
        runtime, email, caller.network, _device(runtime, user, caller) or throttle.UNKNOWN_DEVICE
    )
    # Without a connection in the hand: it takes a while, and there are few.
    fits = users.password_matches(password, stored)
    with runtime.database.transaction() as connection:
        if user is None or not fits or not user.active:
            audit.append(connection, [throttle.failure_event(user, attempt, caller)])
        else:
            queries.forget_failure(connection, attempt.account_hash, attempt.way)
            return user
    raise SignInError("E-mail or password is wrong. Try again, or ask an admin for a new password.")


def change_own_password(runtime: Runtime, actor: Actor, current: str, new: str, caller: Client) -> None:
    """Give oneself a new password; all sessions end. Raises as `with_password`, and `OperationError` for a weak one."""
    with runtime.database.transaction() as connection:
        user = users.user_by_id(connection, actor.user_id or 0)
    new_hash = users.hash_password(new, user.email, user.name)
    verify_password(runtime, user.email, current, caller)
    with runtime.database.transaction() as connection:
        users.set_password_hash(connection, actor, user.id, new_hash)


def confirm(runtime: Runtime, session_id: str, actor: Actor, password: str, caller: Client) -> None:
    """Have the password of whoever is in a session count as given just now. Raises as `with_password`."""
    with runtime.database.transaction() as connection:
        user = users.user_by_id(connection, actor.user_id or 0)
    verify_password(runtime, user.email, password, caller)
    with runtime.database.transaction() as connection:
        queries.confirm(connection, session_id)


def require_confirmed(runtime: Runtime, session_id: str) -> None:
    """Raise `NotConfirmedError` unless whoever is in a session proved lately who they are."""
    with runtime.database.transaction() as connection:
        if not queries.is_confirmed(connection, session_id, CONFIRMED_FOR):
            raise NotConfirmedError


def begin(
    runtime: Runtime,
    connection: Connection,
    user: User,
    address: str,
    *,
    by_provider: bool = False,
    confirmed: bool = True,
) -> SignedIn:
    """Begin a session of a user who was recognized; its id is new, whatever the browser had before.

    `confirmed` says whether they gave proof just now; a provider may go by a session of its own.
    """
    session = OpenSession(
        secrets.token_urlsafe(24),
        user.id,
        user.role,
        datetime.now(UTC) + timedelta(hours=runtime.settings.session_hours),
    )
    signed_in = _tokens(runtime, session)
    refresh_hash = _hash(signed_in.refresh_token)
    queries.add_session(connection, session, refresh_hash, by_provider=by_provider, confirmed=confirmed)
    queries.record_sign_in(connection, user.id)
    actor = Actor(f"user:{user.id}", Role(user.role), address)
    audit.append(connection, [actor.audit_event("user.signed_in", actor.name, {})])
    return signed_in


def renew(runtime: Runtime, refresh_token: str, address: str, *, grace: float = 0.0) -> SignedIn:
    """Fresh tokens for a session; the refresh token counts no more.

    Raises `SessionOverError`, also for one that was not renewed for too long. Whoever shows a token that was renewed
    before has stolen it, or was stolen from: the session ends for both. Within `grace` seconds of the renewal it raises
    `JustRenewedError` instead.
    """
    claim = SessionTokens(runtime.cipher).read(Purpose.REFRESH, refresh_token)
    if claim is None:
        raise SessionOverError
    shown = _hash(refresh_token)
    with runtime.database.transaction() as connection:
        renewal = queries.session_to_renew(connection, claim.session_id)
        if renewal is None or _lacks_proof(runtime, renewal.session):
            raise SessionOverError
        if renewal.seconds > runtime.settings.idle_minutes * 60:
            raise SessionOverError
        if hmac.compare_digest(shown, renewal.refresh_hash):
            signed_in = _tokens(runtime, renewal.session)
            queries.renew_session(connection, claim.session_id, _hash(signed_in.refresh_token))
            return signed_in
        if shown == renewal.previous_hash and renewal.seconds < grace:
            raise JustRenewedError
    end_as_stolen(runtime, claim.session_id, address)
    raise SessionOverError


def end_as_stolen(runtime: Runtime, session_id: str, address: str) -> None:
    """End a session of which an earlier refresh token was shown again."""
    with runtime.database.transaction() as connection:
        session = queries.open_session(connection, session_id)
        if session is None:
            return
        queries.end_session(connection, session_id)
        detail = {"address": address} if address else {}
        event = AuditEvent("session.token_reused", ANONYMOUS, f"user:{session.user_id}", detail)
        audit.append(connection, [event])


def actor_of_session(runtime: Runtime, session_id: str, address: str) -> Actor:
    """Who a session belongs to, with the role that they have now. Raises `SessionOverError` once it does not count."""
    with runtime.database.transaction() as connection:
        session = queries.open_session(connection, session_id)
    if session is None or _lacks_proof(runtime, session):
        raise SessionOverError
    return Actor(f"user:{session.user_id}", Role(session.role), address)


def _lacks_proof(runtime: Runtime, session: OpenSession) -> bool:
    """Whether a session needs a second factor meanwhile that its user does not have: by a setting, or by a new role."""
    return not session.has_proof and second_factor.is_required(runtime.settings, Role(session.role))


def session_of_token(runtime: Runtime, purpose: Purpose, token: str) -> str:
    """The session that a token names, whether it goes on or not. Raises `SessionOverError` for no token of ours."""
    claim = SessionTokens(runtime.cipher).read(purpose, token)
    if claim is None:
        raise SessionOverError
    return claim.session_id


def sign_out(runtime: Runtime, session_id: str, address: str) -> None:
    """End a session; one that has ended stays so."""
    with runtime.database.transaction() as connection:
        session = queries.open_session(connection, session_id)
        if session is None or not queries.end_session(connection, session_id):
            return
        actor = Actor(f"user:{session.user_id}", Role(session.role), address)
        audit.append(connection, [actor.audit_event("user.signed_out", actor.name, {})])


def _tokens(runtime: Runtime, session: OpenSession) -> SignedIn:
    tokens, claim = SessionTokens(runtime.cipher), Claim(session.id, session.user_id)
    access_until = datetime.now(UTC) + timedelta(minutes=runtime.settings.access_minutes)
    return SignedIn(
        session_id=session.id,
        user_id=session.user_id,
        role=Role(session.role),
        access_token=tokens.sign(Purpose.ACCESS, claim, access_until),
        access_until=access_until,
        refresh_token=tokens.sign(Purpose.REFRESH, claim, session.expires_at),
        until=session.expires_at,
    )


def _device(runtime: Runtime, user: User | None, caller: Client) -> str | None:
    """The number of the device that the caller shows, if it signed in to the account of this user before."""
    claim = SessionTokens(runtime.cipher).read(Purpose.DEVICE, caller.device)
    return claim.session_id if claim is not None and user is not None and claim.user_id == user.id else None


def _device_token(runtime: Runtime, user: User, caller: Client) -> str:
    """What a browser shows from now on; a device that is known stays the same, with its failures."""
    claim = Claim(_device(runtime, user, caller) or secrets.token_urlsafe(16), user.id)
    return SessionTokens(runtime.cipher).sign(Purpose.DEVICE, claim, datetime.now(UTC) + LIFE_OF_A_DEVICE)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# Signing in through an identity provider: whom it vouches for, and the role that it gives them.

PROVIDER = Actor("identity-provider", Role.ADMIN)
"""Who creates users and sets roles, on behalf of the claims."""


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """Somebody whom the provider vouches for; `roles` is what its role claim holds."""

    issuer: str
    subject: str
    email: str
    email_is_verified: bool
    name: str
    roles: Sequence[str]
    signed_in_at: float | None = None
    """When they last gave proof at the provider, in seconds since 1970, if it says so."""


def with_identity(runtime: Runtime, identity: ProviderIdentity, address: str) -> SignedIn:
    """Begin a session of the user of this identity, with the role of the claim; an unknown one is created.

    Raises `OperationError`: without a role, without a verified e-mail for somebody new, for a deactivated user, and
    where no active admin would be left. A refusal is audited.
    """
    try:
        return _begin_with_identity(runtime, identity, address)
    except OperationError:
        with runtime.database.transaction() as connection:
            detail = {"address": address} if address else {}
            event = AuditEvent("user.sign_in_failed", ANONYMOUS, PROVIDER.name, detail)
            audit.append(connection, [event])
        raise


def _begin_with_identity(runtime: Runtime, identity: ProviderIdentity, address: str) -> SignedIn:
    role = _role(identity, runtime.settings.oidc_role_claim)
    with runtime.database.transaction() as connection:
        user = _known(connection, identity) or _linked(connection, identity) or _created(connection, identity, role)
        if not user.active:
            raise DeniedError(f"{user.email} was deactivated. Ask an admin.")
        user = users.change(connection, PROVIDER, user.id, role=role)
        confirmed = time.time() - (identity.signed_in_at or 0) < CONFIRMED_FOR.total_seconds()
        return begin(runtime, connection, user, address, by_provider=True, confirmed=confirmed)


def _role(identity: ProviderIdentity, claim: str) -> Role:
    """The highest role that the claim holds."""
    given = [role for role in Role if role in identity.roles]
    if not given:
        allowed = ", ".join(Role)
        raise DeniedError(
            f"The identity provider gives you no role here. Its claim {claim} has to be one of {allowed}."
        )
    return given[-1]


def _known(connection: Connection, identity: ProviderIdentity) -> User | None:
    return queries.user_of_oidc_subject(connection, _subject(identity))


def _linked(connection: Connection, identity: ProviderIdentity) -> User | None:
    """The user of this e-mail, who is known by this identity from now on.

    An e-mail that the provider did not verify may be anybody's, and is no reason to let somebody in.
    """
    if not identity.email or not identity.email_is_verified:
        raise DeniedError(
            "The identity provider did not verify your e-mail. Have it verified there, and sign in again."
        )
    user = queries.user_of_email(connection, users.normalized_email(identity.email))
    if user is None:
        return None
    if queries.oidc_subject(connection, user.id) is not None:
        raise DeniedError(f"{user.email} belongs to another account of the identity provider. Ask an admin.")
    queries.change_user(connection, user.id, oidc_subject=_subject(identity))
    audit.append(connection, [PROVIDER.audit_event("user.linked", f"user:{user.id}", {})])
    return user


def _created(connection: Connection, identity: ProviderIdentity, role: Role) -> User:
    user = users.create(connection, PROVIDER, users.NewUser(identity.email, role, identity.name))
    queries.change_user(connection, user.id, oidc_subject=_subject(identity))
    return user


def _subject(identity: ProviderIdentity) -> str:
    return f"{identity.issuer} {identity.subject}"
