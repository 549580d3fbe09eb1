"""How often somebody may try to sign in: limits for accounts and networks, kept in the database."""

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
"""Failures within the window, after which nothing is tried any more until the oldest of them has left it.

On one account from one network, from one network on all accounts, and on one account from all networks: so whoever
knows an address from elsewhere does not lock its owner out with ten wrong passwords. A device that signed in to the
account before is counted apart, with the first limit in all networks together: no stranger's failures lock it out.
"""

UNKNOWN_DEVICE = ""
"""The way of whoever shows no device that is known."""


ANONYMOUS = "nobody"
"""The actor of a sign-in that failed."""

CODE = "code"
"""The way of the second factor, which only those are asked for who know the password: few, wherever they come from."""


class ThrottledError(OperationError):
    """There were too many attempts; `seconds` later there may be another one."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"There were too many failed sign-ins. Try again in {seconds} seconds.")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Client:
    """Where an attempt comes from: `address` for the audit trail, `network` is what attempts are counted by.

    `device` is the token by which a browser shows that it signed in before.
    """

    address: str
    network: str
    device: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """An attempt, which counts as failed until it succeeds."""

    id: int
    account_hash: str
    way: str


def account_hash(runtime: Runtime, email: str) -> str:
    """What stands for an e-mail that was tried; without our key nobody can say for which."""
    key = runtime.cipher.derived("zk_pipeline failed sign-ins")[0]
    return hmac.new(key, email.encode(), hashlib.sha256).hexdigest()


def begin_attempt(runtime: Runtime, email: str, network: str, way: str = UNKNOWN_DEVICE) -> SignInAttempt:
    """Note an attempt before it is made, so that many at once are no way around. Raises `ThrottledError`.

    `network` is what addresses are counted by, `way` the device if it is known.
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
    """The event; of somebody unknown it holds a hash alone, since people type their passwords there too."""
    subject = f"user:{user.id}" if user else f"account:{attempt.account_hash[:16]}"
    return AuditEvent("user.sign_in_failed", ANONYMOUS, subject, {"address": caller.address} if caller.address else {})


def _wait(failures: Failures, most: int) -> int:
    if failures.number < most:
        return 0
    return max(1, math.ceil(WINDOW.total_seconds() - failures.seconds))
