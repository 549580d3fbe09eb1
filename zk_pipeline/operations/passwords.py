"""Passwords: what they must be, and their argon2 hashes."""

from functools import cache
from threading import BoundedSemaphore

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from zk_pipeline.operations.errors import OperationError

SHORTEST, LONGEST = 12, 200
"""Characters of a password. The upper limit keeps a hash cheap; NIST SP 800-63B asks for 64 at least."""

_hashing = PasswordHash((Argon2Hasher(),))
_at_once = BoundedSemaphore(4)  # A hash takes 64 MiB.


def hashed(password: str) -> str:
    """The argon2 hash of a new password. Raises `OperationError` when it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise OperationError(
            f"The password has {len(password)} characters. Choose one of {SHORTEST} to {LONGEST} characters."
        )
    with _at_once:
        return _hashing.hash(password)


def fits(password: str, stored: str | None) -> bool:
    """Whether a password is the one of the stored hash.

    Without a stored hash the same work is done in vain, so that the time of the answer tells nobody which accounts
    exist.
    """
    if len(password) > LONGEST:
        return False
    with _at_once:
        matches = _hashing.verify(password, stored or _decoy())
    return matches and stored is not None


@cache
def _decoy() -> str:
    return _hashing.hash("nobody has this password")
