"""Limits for sign-in attempts by account and network, kept in the database."""

import hashlib
import hmac
import math
from dataclasses import dataclass, field
from datetime import timedelta

from zk_pipeline.identity import queries
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.identity.queries import Failures, User
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store.audit import AuditEvent

WINDOW = timedelta(minutes=15)
MOST_OF_ACCOUNT, MOST_OF_ADDRESS, MOST_FROM_EVERYWHERE = 10, 30, 100
"""Failures within the window after which attempts are refused, until the oldest has left it.

The limits are: one account from one network, all accounts from one network, one account from all networks. So ten wrong
passwords from elsewhere do not lock an owner out. A device that signed in to the account before is counted separately,
by the first limit for all networks: failures of strangers do not lock it out.
"""

UNKNOWN_DEVICE = ""
"""The way of a client without a known device."""


ANONYMOUS = "nobody"
"""The actor of a failed sign-in."""

CODE = "code"
"""The way of the second factor, which is only asked for after the password."""


class ThrottledError(OperationError):
    """Too many failed attempts; the next one is possible in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Try again in {seconds} seconds: there were too many failed sign-ins.")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Client:
    """The client of an attempt: `address` is for the audit trail, attempts are counted by `network`.

    `device` is the token of a browser that signed in before.
    """

    address: str
    network: str
    device: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """An attempt, counted as failed until it succeeds."""

    id: int
    account_hash: str
    way: str


def account_hash(runtime: Runtime, email: str) -> str:
    """The keyed hash of an e-mail that was tried."""
    key = runtime.cipher.derived("zk_pipeline failed sign-ins")[0]
    return hmac.new(key, email.encode(), hashlib.sha256).hexdigest()


def begin_attempt(runtime: Runtime, email: str, network: str, way: str = UNKNOWN_DEVICE) -> SignInAttempt:
    """Record an attempt before it is made, so that concurrent attempts count too. Raises `ThrottledError`.

    `way` is the known device, if any.
    """
    everywhere = MOST_FROM_EVERYWHERE if way == UNKNOWN_DEVICE else MOST_OF_ACCOUNT
    account = account_hash(runtime, email)
    with runtime.database.transaction() as connection:
        queries.serialize_sign_ins(connection, account, network)
        of_account = queries.failures_of_account(connection, account, way, WINDOW, MOST_OF_ACCOUNT, network)
        of_address = queries.failures_of_address(connection, network, WINDOW, MOST_OF_ADDRESS)
        in_all = queries.failures_of_account(connection, account, way, WINDOW, everywhere)
        limits = ((of_account, MOST_OF_ACCOUNT), (of_address, MOST_OF_ADDRESS), (in_all, everywhere))
        if wait := max(_wait(failures, most) for failures, most in limits):
            raise ThrottledError(wait)
        return SignInAttempt(queries.add_failure(connection, account, network, way), account, way)


def failure_event(user: User | None, attempt: SignInAttempt, caller: Client) -> AuditEvent:
    """The audit event. An unknown account is hashed, since people sometimes type their password there."""
    subject = f"user:{user.id}" if user else f"account:{attempt.account_hash[:16]}"
    return AuditEvent("user.sign_in_failed", ANONYMOUS, subject, {"address": caller.address} if caller.address else {})


def _wait(failures: Failures, most: int) -> int:
    if failures.number < most:
        return 0
    return max(1, math.ceil(WINDOW.total_seconds() - failures.seconds))
