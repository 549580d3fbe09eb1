"""The second factor of users with a password: codes of an app (TOTP), and recovery codes."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

import pyotp
import segno
from pyotp.totp import TOTP
from sqlalchemy import Connection

from zk_pipeline.identity import queries, throttle, users
from zk_pipeline.identity.actors import Actor, Role, SignInError, StaleError
from zk_pipeline.identity.queries import User
from zk_pipeline.identity.throttle import Client
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import SecondFactor, Settings
from zk_pipeline.store import audit

ISSUER = "zk_pipeline"
SECONDS_OF_A_CODE = 30
NUMBER_OF_CODES = 10
_BYTES_OF_A_CODE, _LETTERS_TOGETHER = 15, 4


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The secret for an app, to be entered by hand or scanned as a QR code of `address`."""

    secret: str = field(repr=False)
    address: str = field(repr=False)

    def print_to(self, terminal: TextIO) -> None:
        """Print the address as a QR code."""
        segno.make(self.address, error="m", micro=False).terminal(terminal, compact=True)

    @property
    def picture(self) -> str:
        """The address as a QR code in SVG, dark on light even on dark pages."""
        return segno.make(self.address, error="m", micro=False).svg_inline(scale=4, border=4, dark="#000", light="#fff")


def is_required(settings: Settings, role: Role) -> bool:
    """Whether users with a password and this role need a second factor."""
    return settings.second_factor is SecondFactor.ALL or (
        settings.second_factor is SecondFactor.ADMINS and role is Role.ADMIN
    )


def is_needed(settings: Settings, user: User) -> bool:
    """Whether this user needs a second factor to sign in."""
    if settings.second_factor is SecondFactor.OFF:
        return False
    return user.second_factor or is_required(settings, Role(user.role))


def start_enrolment(runtime: Runtime, user: User) -> Enrolment:
    """Create a secret for the app of a user, to be confirmed with `activate`.

    Raises `StaleError` if second factors are disabled, or the user has one already or has no password.
    """
    if runtime.settings.second_factor is SecondFactor.OFF:
        raise StaleError("Set ZK_SECOND_FACTOR=optional first: second factors are disabled here.")
    if not user.has_password:
        raise StaleError(
            "Set up a second factor at the identity provider: you sign in there, and have no password here."
        )
    secret = pyotp.random_base32()
    with runtime.database.transaction() as connection:
        if not queries.offer_factor(connection, user.id, runtime.cipher.encrypt(secret)):
            raise StaleError(f"Remove the second factor of {user.email} first: there is one already.")
    return _enrolment(user, secret)


def pending_enrolment(runtime: Runtime, user: User) -> Enrolment:
    """The secret that waits for confirmation. Raises `StaleError` if there is none."""
    with runtime.database.transaction() as connection:
        factor = queries.factor_of(connection, user.id)
    if factor is None or factor.is_active:
        raise StaleError("Start again: no second factor is being set up.")
    return _enrolment(user, runtime.cipher.decrypt(factor.secret_encrypted))


def activate(runtime: Runtime, user: User, code: str, caller: Client, actor: Actor | None = None) -> Sequence[str]:
    """Activate the pending secret with a first code; returns the recovery codes, which are shown only once.

    `actor` is who does it, if not the user. Raises `StaleError` without a pending secret, and as `check`.
    """
    pending_enrolment(runtime, user)
    check(runtime, user, code, caller)
    with runtime.database.transaction() as connection:
        if not queries.activate_factor(connection, user.id):
            raise StaleError(f"Remove the second factor of {user.email} first: there is one already.")
        actor = actor or _acting(user, caller)
        audit.append(connection, [actor.audit_event("user.second_factor_set", f"user:{user.id}", {})])
        return _fresh_codes(connection, user.id)


def check(runtime: Runtime, user: User, code: str, caller: Client) -> None:
    """Accept a code of a user's app, or a recovery code, once.

    Raises `SignInError` for a wrong or used code, which is audited, and `ThrottledError`.
    """
    attempt = throttle.begin_attempt(runtime, user.email, caller.network, throttle.CODE)
    typed = "".join(code.split()).replace("-", "").lower()
    with runtime.database.transaction() as connection:
        factor = queries.factor_of(connection, user.id)
        if factor is not None and typed.isdecimal():
            step = _step(runtime.cipher.decrypt(factor.secret_encrypted), typed)
            fits = step is not None and queries.accept_step(connection, user.id, step)
        else:
            fits = queries.use_code(connection, user.id, _hash(typed))
            if fits:
                event = _acting(user, caller).audit_event("user.recovery_code_used", f"user:{user.id}", {})
                audit.append(connection, [event])
        if fits:
            queries.forget_failure(connection, attempt.account_hash, attempt.way)
            return
        audit.append(connection, [throttle.failure_event(user, attempt, caller)])
    raise SignInError(
        "The code is wrong, or was used before. Enter the one that the app shows now, or a recovery code.",
        "code",
    )


def renew_codes(runtime: Runtime, user: User, code: str, caller: Client) -> Sequence[str]:
    """Replace the recovery codes; needs a code. Raises as `remove`."""
    _require(user)
    check(runtime, user, code, caller)
    with runtime.database.transaction() as connection:
        audit.append(connection, [_acting(user, caller).audit_event("user.recovery_codes_made", f"user:{user.id}", {})])
        return _fresh_codes(connection, user.id)


def remove(runtime: Runtime, user: User, code: str, caller: Client) -> None:
    """Remove one's own second factor; needs a code, and the caller has checked the password.

    Raises `StaleError` if there is none, and as `check`.
    """
    _require(user)
    check(runtime, user, code, caller)
    with runtime.database.transaction() as connection:
        _removed(connection, _acting(user, caller), user.id)


def reset(connection: Connection, actor: Actor, user_id: int) -> User:
    """Remove the second factor of a user who lost it, and end their sessions. Raises `UnknownError`, `StaleError`."""
    _require(users.user_by_id(connection, user_id))
    _removed(connection, actor, user_id)
    queries.end_sessions_of(connection, user_id)
    return users.user_by_id(connection, user_id)


def _require(user: User) -> None:
    if not user.second_factor:
        raise StaleError(f"{user.email} has no second factor to change.")


def _removed(connection: Connection, actor: Actor, user_id: int) -> None:
    queries.remove_factor(connection, user_id)
    audit.append(connection, [actor.audit_event("user.second_factor_removed", f"user:{user_id}", {})])


def _fresh_codes(connection: Connection, user_id: int) -> Sequence[str]:
    codes = [_recovery_code() for _ in range(NUMBER_OF_CODES)]
    queries.set_codes(connection, user_id, [_hash(code.replace("-", "")) for code in codes])
    return codes


def _recovery_code() -> str:
    letters = base64.b32encode(secrets.token_bytes(_BYTES_OF_A_CODE)).decode().lower()
    return "-".join(letters[at : at + _LETTERS_TOGETHER] for at in range(0, len(letters), _LETTERS_TOGETHER))


def _step(secret: str, typed: str) -> int | None:
    """The 30-second step of this code: the current one, or the one before or after it."""
    codes, now = TOTP(secret), int(time.time()) // SECONDS_OF_A_CODE
    steps = (now - 1, now, now + 1)
    return next(
        (step for step in steps if hmac.compare_digest(codes.generate_otp(step).encode(), typed.encode())), None
    )


def _enrolment(user: User, secret: str) -> Enrolment:
    return Enrolment(secret, TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER))


def _acting(user: User, caller: Client) -> Actor:
    return Actor(f"user:{user.id}", Role(user.role), caller.address)


def _hash(code: str) -> str:
    # 120 random bits need no slow hash.
    return hashlib.sha256(code.encode()).hexdigest()
