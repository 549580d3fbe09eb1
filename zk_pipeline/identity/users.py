"""Users: who may sign in, what they may do, and what their passwords must be."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import BoundedSemaphore, Lock
from typing import Any

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Connection
from zxcvbn import zxcvbn

from zk_pipeline.identity import queries
from zk_pipeline.identity.actors import Actor, OperationError, Role, StaleError, UnknownError
from zk_pipeline.identity.queries import User
from zk_pipeline.store import audit

# Passwords: what they must be, and their argon2 hashes.

SHORTEST, LONGEST = 12, 200
"""Characters of a password. The upper limit keeps a hash cheap; NIST SP 800-63B asks for 64 at least."""

LOWEST_SCORE = 3
"""Of zxcvbn's scores 0 to 4: a hundred million guesses by somebody who knows what people choose."""

_FEWEST_OWN_CHARACTERS = 8
"""Characters of a password beside the words that are known of its owner."""

_CHARACTERS_SCORED = 72
"""Characters that zxcvbn looks at; what begins with so many good ones is good."""

_SHORTEST_WORD = 3
_PRODUCT_WORDS = {"zk_pipeline", "pipeline", "zammad", "kimai", "dagster"}

_hashing = PasswordHash((Argon2Hasher(),))
_hashes_at_once = BoundedSemaphore(4)  # A hash takes 64 MiB.
_scoring = Lock()  # zxcvbn keeps the words of whoever it judges in one place for all.


def hash_password(password: str, *known: str) -> str:
    """The argon2 hash of a new password; `known` is what others know of its owner: address and name.

    Raises `OperationError` when it is too short, too long, or easy to guess.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise OperationError(
            f"The password has {len(password)} characters. Choose one of {SHORTEST} to {LONGEST} characters."
        )
    _require_hard_to_guess(password, known)
    with _hashes_at_once:
        return _hashing.hash(password)


def password_matches(password: str, stored: str | None) -> bool:
    """Whether a password is the one of the stored hash.

    Without a stored hash the same work is done in vain, so that the time of the answer tells nobody which accounts
    exist.
    """
    if len(password) > LONGEST:
        return False
    with _hashes_at_once:
        matches = _hashing.verify(password, stored or _dummy_hash())
    return matches and stored is not None


def _require_hard_to_guess(password: str, known: tuple[str, ...]) -> None:
    parts = [part for text in known for part in (text, text.partition("@")[0], *re.split(r"[\W_]+", text))]
    words = {part.lower() for part in parts if len(part) >= _SHORTEST_WORD} | _PRODUCT_WORDS
    rest = password.lower()
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(rest) < min(len(password), _FEWEST_OWN_CHARACTERS):
        raise OperationError(
            "The password is made of the name or the address of its owner, or of the names of these systems. "
            "Choose one that has nothing to do with them."
        )
    with _scoring:
        judged: Mapping[str, Any] = zxcvbn(password[:_CHARACTERS_SCORED], user_inputs=words)
    if judged["score"] < LOWEST_SCORE:
        raise OperationError(
            "The password is one of those that are tried first: a common one, a row of keys, or a repetition. "
            "Choose several words that do not belong together."
        )


@cache
def _dummy_hash() -> str:
    return _hashing.hash("nobody has this password")


# Users: who may sign in, and what they may do.

_EMAIL = re.compile(r"[^@\s<>\",;:\\]{1,64}@[^@\s<>\",;:\\.]+(\.[^@\s<>\",;:\\.]+)*")
_LONGEST_EMAIL, _LONGEST_NAME = 254, 200


@dataclass(frozen=True, slots=True)
class NewUser:
    """Somebody who should be able to sign in; without a password only through the identity provider or API tokens."""

    email: str
    role: Role
    name: str = ""
    password: str | None = field(default=None, repr=False)


def create(connection: Connection, actor: Actor, new: NewUser) -> User:
    """Store a user.

    Raises `OperationError` for what is no e-mail, name or password, and `StaleError` when the e-mail is taken.
    """
    email = normalized_email(new.email)
    password_hash = None if new.password is None else hash_password(new.password, email, new.name)
    user = queries.add_user(
        connection, email=email, name=normalized_name(new.name), role=new.role, password_hash=password_hash
    )
    if user is None:
        raise StaleError(f"There is a user {email} already. Change that one, or choose another e-mail.")
    audit.append(connection, [actor.audit_event("user.created", f"user:{user.id}", {"email": email, "role": new.role})])
    return user


def normalized_email(email: str) -> str:
    """The e-mail in small letters. Raises `OperationError` when it is none."""
    tidy = email.strip().lower()
    if len(tidy) > _LONGEST_EMAIL or not _EMAIL.fullmatch(tidy) or not tidy.isprintable():
        raise OperationError(f"E-mail {email[:_LONGEST_EMAIL]!r} is no e-mail address. Write it as name@example.com.")
    return tidy


def normalized_name(name: str) -> str:
    """The name without blanks around it. Raises `OperationError` when it is too long or cannot be shown."""
    tidy = name.strip()
    if len(tidy) > _LONGEST_NAME or not tidy.isprintable():
        raise OperationError(f"The name has to be {_LONGEST_NAME} printable characters at most. Shorten it.")
    return tidy


def user_by_id(connection: Connection, user_id: int) -> User:
    """The user of this number. Raises `UnknownError`."""
    user = queries.user_of_id(connection, user_id)
    if user is None:
        raise UnknownError(f"There is no user {user_id}. The list of users names the numbers.")
    return user


def user_by_email(connection: Connection, email: str) -> User:
    """The user of this e-mail. Raises `UnknownError`."""
    user = queries.user_of_email(connection, normalized_email(email))
    if user is None:
        raise UnknownError(f"There is no user {email}. The list of users names the e-mails.")
    return user


def list_users(connection: Connection, *, offset: int, limit: int) -> tuple[Sequence[User], int]:
    """Some users by e-mail, and how many there are."""
    return queries.list_users(connection, offset=offset, limit=limit), queries.count_users(connection)


def change(
    connection: Connection,
    actor: Actor,
    user_id: int,
    *,
    name: str | None = None,
    role: Role | None = None,
    active: bool | None = None,
) -> User:
    """Change what is given of a user.

    Who is deactivated loses sessions and API tokens for good. Raises `UnknownError`, `OperationError`, and `StaleError`
    where no active admin would be left.
    """
    user = user_by_id(connection, user_id)
    given = {
        "name": None if name is None else normalized_name(name),
        "role": role,
        "active": active,
    }
    changes = {key: value for key, value in given.items() if value is not None and value != getattr(user, key)}
    if not changes:
        return user
    steps_down = changes.get("role", Role.ADMIN) != Role.ADMIN or changes.get("active") is False
    if steps_down and queries.active_admins(connection) == {user_id}:
        raise StaleError(f"{user.email} is the last active admin. Give another user the role admin first.")
    queries.change_user(connection, user_id, **changes)
    if changes.get("active") is False:
        queries.end_sessions_of(connection, user_id)
        queries.revoke_tokens_of(connection, user_id)
    before = {key: getattr(user, key) for key in changes}
    audit.append(
        connection, [actor.audit_event("user.changed", f"user:{user_id}", {"before": before, "after": changes})]
    )
    return user_by_id(connection, user_id)


def set_password(connection: Connection, actor: Actor, user_id: int, password: str) -> None:
    """Give a user a new password; all their sessions end. Raises `UnknownError` and `OperationError`."""
    user = user_by_id(connection, user_id)
    set_password_hash(connection, actor, user_id, hash_password(password, user.email, user.name))


def set_password_hash(connection: Connection, actor: Actor, user_id: int, password_hash: str) -> None:
    """Give a user the new password of this hash; all their sessions and API tokens end.

    Whoever sets a password since somebody else knew the last one cannot know what that one made.
    """
    queries.change_user(connection, user_id, password_hash=password_hash)
    queries.end_sessions_of(connection, user_id)
    queries.revoke_tokens_of(connection, user_id)
    audit.append(connection, [actor.audit_event("user.password_set", f"user:{user_id}", {})])


def ensure_admin(connection: Connection, email: str, password: str) -> User | None:
    """Create the first admin from the environment; `None` where there is an active admin already.

    Raises `OperationError` for what is no e-mail or password, `StaleError` where the e-mail belongs to somebody else.
    """
    queries.serialize_users(connection)
    if queries.active_admins(connection):
        return None
    return create(connection, Actor("environment", Role.ADMIN), NewUser(email, Role.ADMIN, password=password))
