"""Signing in and out, with a password or through an identity provider; sessions, their tokens and renewal."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

import jwt
from sqlalchemy import Connection

from zk_pipeline.identity import queries, second_factor, throttle, users
from zk_pipeline.identity.actors import Actor, DeniedError, OperationError, Role, SignInError
from zk_pipeline.identity.queries import OpenSession, Renewal, User
from zk_pipeline.identity.throttle import ANONYMOUS, Client
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.encryption import TokenCipher

# Session tokens of scripts: signed, short-lived, each for one purpose. Browsers have a cookie instead. A token only
# identifies its session; whether that is still valid, and the role, are read from the database.

ISSUER = "zk_pipeline"
_ALGORITHM = "HS256"
_CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "exp")


class Purpose(StrEnum):
    """The purpose of a token: its audience."""

    ACCESS = "zk_pipeline:access"
    REFRESH = "zk_pipeline:refresh"
    DEVICE = "zk_pipeline:device"
    SECOND_STEP = "zk_pipeline:second-step"


@dataclass(frozen=True, slots=True)
class Claim:
    """The content of a valid token. `session_id` is the device's number for devices, and a hash for second steps."""

    session_id: str
    user_id: int


class SessionTokens:
    """Signs with the newest key, and also accepts tokens signed with older ones."""

    def __init__(self, cipher: TokenCipher) -> None:
        self._keys = cipher.derived("zk_pipeline session tokens")

    def sign(self, purpose: Purpose, claim: Claim, expires_at: datetime) -> str:
        """A new token that expires at this time."""
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
        """The content of a token; `None` if it is expired, or not signed by us for this purpose."""
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


# Sessions.

SECONDS_OF_GRACE = 60.0
"""The previous cookie stays valid for this long: other requests of the browser were sent with it."""

_COOKIE = re.compile("([A-Za-z0-9_-]{32})[.][A-Za-z0-9_-]{43}")
"""What finds a browser's session, and what proves it and is exchanged."""

CONFIRMED_FOR = timedelta(minutes=5)
"""How long after the password accounts may be changed and API tokens created."""

TIME_FOR_THE_CODE = timedelta(minutes=10)
"""How long after the password the second factor is accepted."""

LIFE_OF_A_DEVICE = timedelta(days=180)
"""How long after its last sign-in a browser is known."""


class NotConfirmedError(DeniedError):
    """The operation needs the password again."""

    def __init__(self) -> None:
        super().__init__(
            "Confirm with your password first: send it to /api/v1/auth/confirm, or sign in again at "
            "/sign-in/oidc?again=true if you use the identity provider. Then repeat this within "
            f"{CONFIRMED_FOR.seconds // 60} minutes."
        )


class SecondStepError(SignInError):
    """The password is right, but the second factor is missing; `token` proves the first step in the second.

    `enrols`: the user has none yet, and must set one up.
    """

    def __init__(self, token: str, *, enrols: bool) -> None:
        super().__init__(
            "Sign in at /sign-in in a browser to set up a second factor: it is required here, and you have none yet."
            if enrols
            else "Send the code of your app, or a recovery code, as `code` too: the second factor is missing."
        )
        self.token, self.enrols = token, enrols


class SessionOverError(SignInError):
    """The session has ended or expired, never existed, or its user was deactivated."""

    def __init__(self) -> None:
        super().__init__("Sign in again: the session is over.")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new or renewed session, with a cookie for a browser and tokens for a script. Times are in UTC.

    Without both, the browser already has the new cookie. From `access_until` on, the cookie is due for an exchange.
    """

    session_id: str
    user_id: int
    role: Role
    access_until: datetime
    until: datetime
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    cookie: str = field(default="", repr=False)
    device_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """The session of a browser's cookie, and whether the cookie is due for an exchange."""

    id: str
    is_due: bool


def with_password(
    runtime: Runtime, email: str, password: str, caller: Client, code: str = "", *, in_browser: bool = True
) -> SignedIn:
    """Begin a session with e-mail, password, and a code if a second factor is needed.

    Raises `SignInError` (after the same work for an unknown account as for a wrong password), `ThrottledError`, and
    `SecondStepError` if only the second factor is missing.
    """
    user = verify_password(runtime, email, password, caller)
    if second_factor.is_needed(runtime.settings, user):
        if not code or not user.second_factor:
            raise SecondStepError(_second_step(runtime, user), enrols=not user.second_factor)
        second_factor.check(runtime, user, code, caller)
    return _on_device(runtime, user, caller, in_browser=in_browser)


def with_code(runtime: Runtime, token: str, code: str, caller: Client) -> tuple[SignedIn, Sequence[str]]:
    """Begin a session with the token of the first step and a code.

    Activates a new second factor if the user had none, and returns recovery codes. Raises as `with_password`.
    """
    user = in_second_step(runtime, token)
    codes: Sequence[str] = ()
    if user.second_factor:
        second_factor.check(runtime, user, code, caller)
    else:
        codes = second_factor.activate(runtime, user, code, caller)
    return _on_device(runtime, user, caller, in_browser=True), codes


def in_second_step(runtime: Runtime, token: str) -> User:
    """The user of a token of the first step. Raises `SessionOverError`."""
    claim = SessionTokens(runtime.cipher).read(Purpose.SECOND_STEP, token)
    if claim is not None:
        with runtime.database.transaction() as connection:
            user = queries.user_of_id(connection, claim.user_id)
            stored = queries.password_hash(connection, claim.user_id)
        if user is not None and user.active and hmac.compare_digest(claim.session_id, _hash(stored or "")):
            return user
    raise SessionOverError


def _second_step(runtime: Runtime, user: User) -> str:
    """A token that proves the right password for a while, until the password changes."""
    with runtime.database.transaction() as connection:
        claim = Claim(_hash(queries.password_hash(connection, user.id) or ""), user.id)
    return SessionTokens(runtime.cipher).sign(Purpose.SECOND_STEP, claim, datetime.now(UTC) + TIME_FOR_THE_CODE)


def _on_device(runtime: Runtime, user: User, caller: Client, *, in_browser: bool) -> SignedIn:
    with runtime.database.transaction() as connection:
        signed_in = begin(runtime, connection, user, caller.address, in_browser=in_browser)
    return replace(signed_in, device_token=_device_token(runtime, user, caller))


def verify_password(runtime: Runtime, email: str, password: str, caller: Client) -> User:
    """The active user with this e-mail and password. Raises as `with_password`; failures are audited."""
    email = email.strip().lower()
    with runtime.database.transaction() as connection:
        # PostgreSQL rejects some unprintable characters, which no stored e-mail has.
        user = queries.user_of_email(connection, email) if email.isprintable() else None
        stored = None if user is None else queries.password_hash(connection, user.id)
    attempt = throttle.begin_attempt(
        runtime, email, caller.network, _device(runtime, user, caller) or throttle.UNKNOWN_DEVICE
    )
    # Without holding a connection: hashing takes a while.
    fits = users.password_matches(password, stored)
    with runtime.database.transaction() as connection:
        if user is None or not fits or not user.active:
            audit.append(connection, [throttle.failure_event(user, attempt, caller)])
        else:
            queries.forget_failure(connection, attempt.account_hash, attempt.way)
            return user
    raise SignInError("E-mail or password is wrong. Try again, or ask an admin for a new password.", "password")


def change_own_password(runtime: Runtime, actor: Actor, current: str, new: str, caller: Client) -> None:
    """Change one's own password; all sessions end. Raises as `with_password`, `OperationError` for a weak one."""
    with runtime.database.transaction() as connection:
        user = users.user_by_id(connection, actor.user_id or 0)
    new_hash = users.hash_password(new, user.email, user.name)
    verify_password(runtime, user.email, current, caller)
    with runtime.database.transaction() as connection:
        users.set_password_hash(connection, actor, user.id, new_hash)


def confirm(runtime: Runtime, session_id: str, actor: Actor, password: str, caller: Client) -> None:
    """Confirm a session with the password of its user. Raises as `with_password`."""
    with runtime.database.transaction() as connection:
        user = users.user_by_id(connection, actor.user_id or 0)
    verify_password(runtime, user.email, password, caller)
    with runtime.database.transaction() as connection:
        queries.confirm(connection, session_id)


def require_confirmed(runtime: Runtime, session_id: str) -> None:
    """Raise `NotConfirmedError` unless the session was confirmed recently."""
    with runtime.database.transaction() as connection:
        if not queries.is_confirmed(connection, session_id, CONFIRMED_FOR):
            raise NotConfirmedError


def begin(
    runtime: Runtime,
    connection: Connection,
    user: User,
    address: str,
    *,
    in_browser: bool = True,
    by_provider: bool = False,
    confirmed: bool = True,
) -> SignedIn:
    """Begin a session, always with a new id.

    `confirmed`: the user has just authenticated; a provider may rely on an existing session.
    """
    name, until = secrets.token_urlsafe(24), datetime.now(UTC) + timedelta(hours=runtime.settings.session_hours)
    session = OpenSession(_hash(name) if in_browser else name, user.id, user.role, until)
    signed_in = _with_cookie(runtime, name, session) if in_browser else _with_tokens(runtime, session)
    queries.add_session(connection, session, _proof_hash(signed_in), by_provider=by_provider, confirmed=confirmed)
    queries.record_sign_in(connection, user.id)
    actor = Actor(f"user:{user.id}", Role(user.role), address)
    audit.append(connection, [actor.audit_event("user.signed_in", actor.name, {})])
    return signed_in


def renew(runtime: Runtime, refresh_token: str, address: str) -> SignedIn:
    """New tokens for a session; the refresh token is no longer valid.

    Raises `SessionOverError`, also if the session was idle for too long. A refresh token that was used before means
    theft, so the session ends.
    """
    claim = SessionTokens(runtime.cipher).read(Purpose.REFRESH, refresh_token)
    if claim is None:
        raise SessionOverError
    return _renewed(runtime, claim.session_id, refresh_token, address, partial(_with_tokens, runtime))


def exchange(runtime: Runtime, cookie: str, address: str) -> SignedIn:
    """A new cookie for a browser's session; the old one stays valid for `SECONDS_OF_GRACE`.

    Raises as `renew`. For the old one there is no new cookie: another request of the browser got it.
    """
    name = _session_name(cookie)
    return _renewed(runtime, _hash(name), cookie, address, partial(_with_cookie, runtime, name), grace=SECONDS_OF_GRACE)


def session_of_cookie(runtime: Runtime, cookie: str, address: str) -> BrowserSession:
    """The browser's session of a cookie. Raises `SessionOverError`; a cookie that was replaced ends the session."""
    session_id, shown = _hash(_session_name(cookie)), _hash(cookie)
    with runtime.database.transaction() as connection:
        renewal = _renewal(runtime, connection, session_id)
    if not _is_current(renewal, shown) and not _is_in_grace(renewal, shown, SECONDS_OF_GRACE):
        end_as_stolen(runtime, session_id, address)
        raise SessionOverError
    return BrowserSession(session_id, renewal.seconds > runtime.settings.access_minutes * 60)


def _renewed(
    runtime: Runtime,
    session_id: str,
    proof: str,
    address: str,
    fresh: Callable[[OpenSession], SignedIn],
    *,
    grace: float = 0.0,
) -> SignedIn:
    shown = _hash(proof)
    with runtime.database.transaction() as connection:
        renewal = _renewal(runtime, connection, session_id, to_renew=True)
        signed_in = fresh(renewal.session)
        if _is_current(renewal, shown):
            queries.renew_session(connection, session_id, _proof_hash(signed_in))
            return signed_in
        if _is_in_grace(renewal, shown, grace):
            return replace(signed_in, cookie="")
    end_as_stolen(runtime, session_id, address)
    raise SessionOverError


def _renewal(runtime: Runtime, connection: Connection, session_id: str, *, to_renew: bool = False) -> Renewal:
    """A valid session, and what its proof is checked against. Raises `SessionOverError`."""
    renewal = queries.renewal_of(connection, session_id, to_renew=to_renew)
    if renewal is None or _lacks_proof(runtime, renewal.session):
        raise SessionOverError
    if renewal.seconds > runtime.settings.idle_minutes * 60:
        raise SessionOverError
    return renewal


def _is_current(renewal: Renewal, shown: str) -> bool:
    return hmac.compare_digest(shown, renewal.refresh_hash)


def _is_in_grace(renewal: Renewal, shown: str, grace: float) -> bool:
    return hmac.compare_digest(shown, renewal.previous_hash) and renewal.seconds < grace


def _session_name(cookie: str) -> str:
    """The part of a cookie that finds the session, whose row has only its hash. Raises `SessionOverError`.

    Only who has, or had, the cookie knows it, so a wrong proof beside it is an older one.
    """
    found = _COOKIE.fullmatch(cookie)
    if found is None:
        raise SessionOverError
    return found[1]


def end_as_stolen(runtime: Runtime, session_id: str, address: str) -> None:
    """End a session whose refresh token or cookie was used after it was replaced."""
    with runtime.database.transaction() as connection:
        session = queries.open_session(connection, session_id)
        if session is None:
            return
        queries.end_session(connection, session_id)
        detail = {"address": address} if address else {}
        event = AuditEvent("session.token_reused", ANONYMOUS, f"user:{session.user_id}", detail)
        audit.append(connection, [event])


def actor_of_session(runtime: Runtime, session_id: str, address: str) -> Actor:
    """The user of a session, with the current role. Raises `SessionOverError` if it is not valid."""
    with runtime.database.transaction() as connection:
        session = queries.open_session(connection, session_id)
    if session is None or _lacks_proof(runtime, session):
        raise SessionOverError
    return Actor(f"user:{session.user_id}", Role(session.role), address)


def _lacks_proof(runtime: Runtime, session: OpenSession) -> bool:
    """Whether the user now needs a second factor, by a setting or a new role, and has none."""
    return not session.has_proof and second_factor.is_required(runtime.settings, Role(session.role))


def session_of_token(runtime: Runtime, purpose: Purpose, token: str) -> str:
    """The session of a token, even if it has ended. Raises `SessionOverError` for an invalid token."""
    claim = SessionTokens(runtime.cipher).read(purpose, token)
    if claim is None:
        raise SessionOverError
    return claim.session_id


def sign_out(runtime: Runtime, session_id: str, address: str) -> None:
    """End a session, if it has not ended."""
    with runtime.database.transaction() as connection:
        session = queries.open_session(connection, session_id)
        if session is None or not queries.end_session(connection, session_id):
            return
        actor = Actor(f"user:{session.user_id}", Role(session.role), address)
        audit.append(connection, [actor.audit_event("user.signed_out", actor.name, {})])


def _with_tokens(runtime: Runtime, session: OpenSession) -> SignedIn:
    tokens, claim = SessionTokens(runtime.cipher), Claim(session.id, session.user_id)
    signed_in = _signed_in(runtime, session)
    return replace(
        signed_in,
        access_token=tokens.sign(Purpose.ACCESS, claim, signed_in.access_until),
        refresh_token=tokens.sign(Purpose.REFRESH, claim, session.expires_at),
    )


def _with_cookie(runtime: Runtime, name: str, session: OpenSession) -> SignedIn:
    return replace(_signed_in(runtime, session), cookie=f"{name}.{secrets.token_urlsafe(32)}")


def _signed_in(runtime: Runtime, session: OpenSession) -> SignedIn:
    access_until = datetime.now(UTC) + timedelta(minutes=runtime.settings.access_minutes)
    return SignedIn(session.id, session.user_id, Role(session.role), access_until, session.expires_at)


def _proof_hash(signed_in: SignedIn) -> str:
    return _hash(signed_in.cookie or signed_in.refresh_token)


def _device(runtime: Runtime, user: User | None, caller: Client) -> str | None:
    """The number of the client's device, if it signed in to this account before."""
    claim = SessionTokens(runtime.cipher).read(Purpose.DEVICE, caller.device)
    return claim.session_id if claim is not None and user is not None and claim.user_id == user.id else None


def _device_token(runtime: Runtime, user: User, caller: Client) -> str:
    """The token for this browser; a known device keeps its number."""
    claim = Claim(_device(runtime, user, caller) or secrets.token_urlsafe(16), user.id)
    return SessionTokens(runtime.cipher).sign(Purpose.DEVICE, claim, datetime.now(UTC) + LIFE_OF_A_DEVICE)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# Signing in through an identity provider.

PROVIDER = Actor("identity-provider", Role.ADMIN)
"""The actor that creates users and sets roles by the claims."""


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """A person authenticated by the provider; `roles` are those of its role claim."""

    issuer: str
    subject: str
    email: str
    email_is_verified: bool
    name: str
    roles: Sequence[str]
    signed_in_at: float | None = None
    """When they last authenticated at the provider, in Unix seconds, if it says so."""


def with_identity(runtime: Runtime, identity: ProviderIdentity, address: str) -> SignedIn:
    """Begin a session for this identity, with the role of the claim; a new user is created.

    Raises `OperationError` without a role, for a new user without verified e-mail, for a deactivated user, and if no
    active admin would be left. Refusals are audited.
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
            raise DeniedError(f"Ask an admin: {user.email} was deactivated.")
        user = users.change(connection, PROVIDER, user.id, role=role)
        confirmed = time.time() - (identity.signed_in_at or 0) < CONFIRMED_FOR.total_seconds()
        return begin(runtime, connection, user, address, by_provider=True, confirmed=confirmed)


def _role(identity: ProviderIdentity, claim: str) -> Role:
    """The highest role in the claim."""
    given = [role for role in Role if role in identity.roles]
    if not given:
        allowed = ", ".join(Role)
        raise DeniedError(f"The identity provider gives you no role here. Its claim {claim} must be one of {allowed}.")
    return given[-1]


def _known(connection: Connection, identity: ProviderIdentity) -> User | None:
    return queries.user_of_oidc_subject(connection, _subject(identity))


def _linked(connection: Connection, identity: ProviderIdentity) -> User | None:
    """Link the user with this e-mail to the identity. An unverified e-mail may be anybody's, so it is refused."""
    if not identity.email or not identity.email_is_verified:
        raise DeniedError("Have your e-mail verified at the identity provider, and sign in again.")
    user = queries.user_of_email(connection, users.normalized_email(identity.email))
    if user is None:
        return None
    if queries.oidc_subject(connection, user.id) is not None:
        raise DeniedError(f"Ask an admin: {user.email} belongs to another account of the identity provider.")
    queries.change_user(connection, user.id, oidc_subject=_subject(identity))
    audit.append(connection, [PROVIDER.audit_event("user.linked", f"user:{user.id}", {})])
    return user


def _created(connection: Connection, identity: ProviderIdentity, role: Role) -> User:
    user = users.create(connection, PROVIDER, users.NewUser(identity.email, role, identity.name))
    queries.change_user(connection, user.id, oidc_subject=_subject(identity))
    return user


def _subject(identity: ProviderIdentity) -> str:
    return f"{identity.issuer} {identity.subject}"
