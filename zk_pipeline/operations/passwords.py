"""Passwords: what they must be, and their argon2 hashes."""

import re
from collections.abc import Mapping
from functools import cache
from threading import BoundedSemaphore, Lock
from typing import Any

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from zxcvbn import zxcvbn

from zk_pipeline.operations.errors import OperationError

SHORTEST, LONGEST = 12, 200
"""Characters of a password. The upper limit keeps a hash cheap; NIST SP 800-63B asks for 64 at least."""

HARD_ENOUGH = 3
"""Of zxcvbn's scores 0 to 4: a hundred million guesses by somebody who knows what people choose."""

_LEAST_OF_ITS_OWN = 8
"""Characters of a password beside the words that are known of its owner."""

_JUDGED = 72
"""Characters that zxcvbn looks at; what begins with so many good ones is good."""

_SHORTEST_WORD = 3
_OURS = {"zk_pipeline", "pipeline", "zammad", "kimai", "dagster"}

_hashing = PasswordHash((Argon2Hasher(),))
_at_once = BoundedSemaphore(4)  # A hash takes 64 MiB.
_judging = Lock()  # zxcvbn keeps the words of whoever it judges in one place for all.


def hashed(password: str, *known: str) -> str:
    """The argon2 hash of a new password; `known` is what others know of its owner: address and name.

    Raises `OperationError` when it is too short, too long, or easy to guess.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise OperationError(
            f"The password has {len(password)} characters. Choose one of {SHORTEST} to {LONGEST} characters."
        )
    _require_hard_to_guess(password, known)
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


def _require_hard_to_guess(password: str, known: tuple[str, ...]) -> None:
    parts = [part for text in known for part in (text, text.partition("@")[0], *re.split(r"[\W_]+", text))]
    words = {part.lower() for part in parts if len(part) >= _SHORTEST_WORD} | _OURS
    rest = password.lower()
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(rest) < min(len(password), _LEAST_OF_ITS_OWN):
        raise OperationError(
            "The password is made of the name or the address of its owner, or of the names of these systems. "
            "Choose one that has nothing to do with them."
        )
    with _judging:
        judged: Mapping[str, Any] = zxcvbn(password[:_JUDGED], user_inputs=words)
    if judged["score"] < HARD_ENOUGH:
        raise OperationError(
            "The password is one of those that are tried first: a common one, a row of keys, or a repetition. "
            "Choose several words that do not belong together."
        )


@cache
def _decoy() -> str:
    return _hashing.hash("nobody has this password")
