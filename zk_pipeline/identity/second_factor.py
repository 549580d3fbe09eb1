"""The second factor of people with a password: codes of an app (TOTP), and recovery codes for the day it is lost."""

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
    """What an app is given once, by hand or as a picture of the address, before it makes codes."""

    secret: str = field(repr=False)
    address: str = field(repr=False)

    def print_to(self, terminal: TextIO) -> None:
        """Write the address as a QR code of blocks."""
        segno.make(self.address, error="m", micro=False).terminal(terminal, compact=True)

    @property
    def picture(self) -> str:
        """The address as a QR code: an SVG for pages, dark on light also where the page is dark."""
        return segno.make(self.address, error="m", micro=False).svg_inline(scale=4, border=4, dark="#000", light="#fff")


def is_required(settings: Settings, role: Role) -> bool:
    """Whether people with a password and this role need a second factor."""
    return settings.second_factor is SecondFactor.ALL or (
        settings.second_factor is SecondFactor.ADMINS and role is Role.ADMIN
    )


def is_needed(settings: Settings, user: User) -> bool:
    """Whether a password alone does not let this user in."""
    if settings.second_factor is SecondFactor.OFF:
        return False
    return user.second_factor or is_required(settings, Role(user.role))


def start_enrolment(runtime: Runtime, user: User) -> Enrolment:
    """A new secret for the app of a user, which counts once `activate` was given a code of it.

    Raises `StaleError` where second factors are switched off, the user has one, or has no password.
    """
    if runtime.settings.second_factor is SecondFactor.OFF:
        raise StaleError(
            "Second factors are switched off here. An operator allows them with ZK_SECOND_FACTOR=optional."
        )
    if not user.has_password:
        raise StaleError(
            "You sign in at the identity provider, and have no password here. Set a second factor up there."
        )
    secret = pyotp.random_base32()
    with runtime.database.transaction() as connection:
        if not queries.offer_factor(connection, user.id, runtime.cipher.encrypt(secret)):
            raise StaleError(f"{user.email} has a second factor already. Remove it first.")
    return _enrolment(user, secret)


def pending_enrolment(runtime: Runtime, user: User) -> Enrolment:
    """The secret that was offered before. Raises `StaleError` where there is none."""
    with runtime.database.transaction() as connection:
        factor = queries.factor_of(connection, user.id)
    if factor is None or factor.is_active:
        raise StaleError("No second factor is being set up. Begin again.")
    return _enrolment(user, runtime.cipher.decrypt(factor.secret_encrypted))


def activate(runtime: Runtime, user: User, code: str, caller: Client, actor: Actor | None = None) -> Sequence[str]:
    """Have the offered secret count, of which this is a code; the recovery codes, which are shown this once.

    `actor` is who does it where that is not the user. Raises `StaleError` where nothing was offered, and as `check`.
    """
    pending_enrolment(runtime, user)
    check(runtime, user, code, caller)
    with runtime.database.transaction() as connection:
        if not queries.activate_factor(connection, user.id):
            raise StaleError(f"{user.email} has a second factor already. Remove it first.")
        actor = actor or _acting(user, caller)
        audit.append(connection, [actor.audit_event("user.second_factor_set", f"user:{user.id}", {})])
        return _fresh_codes(connection, user.id)


def check(runtime: Runtime, user: User, code: str, caller: Client) -> None:
    """Accept a code of a user's app, or a recovery code, once.

    Raises `SignInError` for one that is wrong or was used, which is audited, and `ThrottledError`.
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
    raise SignInError("The code is wrong, or was used before. Type the one that the app shows now, or a recovery code.")


def renew_codes(runtime: Runtime, user: User, code: str, caller: Client) -> Sequence[str]:
    """Fresh recovery codes in place of the others, for a code. Raises as `remove`."""
    _require(user)
    check(runtime, user, code, caller)
    with runtime.database.transaction() as connection:
        audit.append(connection, [_acting(user, caller).audit_event("user.recovery_codes_made", f"user:{user.id}", {})])
        return _fresh_codes(connection, user.id)


def remove(runtime: Runtime, user: User, code: str, caller: Client) -> None:
    """Remove one's own second factor, for a code; the caller has seen to the password.

    Raises `StaleError` where there is none, and as `check`.
    """
    _require(user)
    check(runtime, user, code, caller)
    with runtime.database.transaction() as connection:
        _removed(connection, _acting(user, caller), user.id)


def reset(connection: Connection, actor: Actor, user_id: int) -> User:
    """Remove the second factor of somebody who lost it; their sessions end. Raises `UnknownError`, `StaleError`."""
    _require(users.user_by_id(connection, user_id))
    _removed(connection, actor, user_id)
    queries.end_sessions_of(connection, user_id)
    return users.user_by_id(connection, user_id)


def _require(user: User) -> None:
    if not user.second_factor:
        raise StaleError(f"{user.email} has no second factor. There is nothing to change.")


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
    """The half minute that this is the code of: the one that goes on, or the one before or after it."""
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
