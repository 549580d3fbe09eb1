"""Users, and the rules for passwords."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import BoundedSemaphore, Lock
from typing import Any

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Connection

from zk_pipeline.identity import queries
from zk_pipeline.identity.actors import Actor, OperationError, Role, StaleError, UnknownError
from zk_pipeline.identity.queries import User
from zk_pipeline.store import audit

# Passwords and their argon2 hashes.

SHORTEST, LONGEST = 12, 200
"""Length of a password. The upper limit keeps hashing cheap; NIST SP 800-63B requires at least 64."""

LOWEST_SCORE = 3
"""Of zxcvbn's scores 0 to 4; 3 is a hundred million guesses."""

_FEWEST_OWN_CHARACTERS = 8
"""Characters of a password beside words known about its owner."""

_CHARACTERS_SCORED = 72
"""Characters that zxcvbn scores, to limit its time."""

_SHORTEST_WORD = 3
_PRODUCT_WORDS = {"zk_pipeline", "pipeline", "zammad", "kimai", "dagster"}

_hashing = PasswordHash((Argon2Hasher(),))
_hashes_at_once = BoundedSemaphore(4)  # A hash takes 64 MiB.
_scoring = Lock()  # zxcvbn keeps the user's words in a global variable.


def hash_password(password: str, *known: str) -> str:
    """The argon2 hash of a new password; `known` are the address and name of its owner.

    Raises `OperationError` if it is too short, too long, or easy to guess.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise OperationError(
            f"Choose a password of {SHORTEST} to {LONGEST} characters: this one has {len(password)}.", "new"
        )
    _require_hard_to_guess(password, known)
    with _hashes_at_once:
        return _hashing.hash(password)


def password_matches(password: str, stored: str | None) -> bool:
    """Whether a password matches the stored hash.

    Without a stored hash a dummy is checked, so that the response time does not reveal which accounts exist.
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
            "Choose a password that has nothing to do with your name, your address or the names of these systems.",
            "new",
        )
    with _scoring:
        # Its lists take twelve megabytes, and passwords are rarely chosen.
        from zxcvbn import zxcvbn  # noqa: PLC0415

        judged: Mapping[str, Any] = zxcvbn(password[:_CHARACTERS_SCORED], user_inputs=words)
    if judged["score"] < LOWEST_SCORE:
        raise OperationError(
            "Choose several unrelated words: this password is a common one, a row of keys, or a repetition.", "new"
        )


@cache
def _dummy_hash() -> str:
    return _hashing.hash("nobody has this password")


_CLEAR = "abcdefghijkmnpqrstuvwxyz23456789"
"""What a password that we make up consists of."""

# Users.

_EMAIL = re.compile(r"[^@\s<>\",;:\\]{1,64}@[^@\s<>\",;:\\.]+(\.[^@\s<>\",;:\\.]+)*")
_LONGEST_EMAIL, _LONGEST_NAME = 254, 200


@dataclass(frozen=True, slots=True)
class NewUser:
    """A new user; without a password they sign in only through the identity provider."""

    email: str
    role: Role
    name: str = ""
    password: str | None = field(default=None, repr=False)


def create(connection: Connection, actor: Actor, new: NewUser) -> User:
    """Create a user.

    Raises `OperationError` for an invalid e-mail, name or password, and `StaleError` if the e-mail is taken.
    """
    email = normalized_email(new.email)
    password_hash = None if new.password is None else hash_password(new.password, email, new.name)
    user = queries.add_user(
        connection, email=email, name=normalized_name(new.name), role=new.role, password_hash=password_hash
    )
    if user is None:
        raise StaleError(f"User {email} already exists. Change that user, or use another e-mail.", "email")
    audit.append(connection, [actor.audit_event("user.created", f"user:{user.id}", {"email": email, "role": new.role})])
    return user


def normalized_email(email: str) -> str:
    """The e-mail in lowercase. Raises `OperationError` if it is invalid."""
    tidy = email.strip().lower()
    if len(tidy) > _LONGEST_EMAIL or not _EMAIL.fullmatch(tidy) or not tidy.isprintable():
        raise OperationError(f"E-mail {email[:_LONGEST_EMAIL]!r} is invalid. Write it as name@example.com.", "email")
    return tidy


def normalized_name(name: str) -> str:
    """The stripped name. Raises `OperationError` if it is too long or not printable."""
    tidy = name.strip()
    if len(tidy) > _LONGEST_NAME or not tidy.isprintable():
        raise OperationError(f"Shorten the name to at most {_LONGEST_NAME} printable characters.", "name")
    return tidy


def user_by_id(connection: Connection, user_id: int) -> User:
    """The user with this id. Raises `UnknownError`."""
    user = queries.user_of_id(connection, user_id)
    if user is None:
        raise UnknownError(f"User {user_id} does not exist. See the list of users.")
    return user


def user_by_email(connection: Connection, email: str) -> User:
    """The user with this e-mail. Raises `UnknownError`."""
    user = queries.user_of_email(connection, normalized_email(email))
    if user is None:
        raise UnknownError(f"User {email} does not exist. See the list of users.")
    return user


def list_users(connection: Connection, *, offset: int, limit: int) -> tuple[Sequence[User], int]:
    """A page of users by e-mail, and the total."""
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
    """Change a user.

    Deactivating ends sessions and API tokens for good. Raises `UnknownError`, `OperationError`, and `StaleError` if no
    active admin would be left.
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
        raise StaleError(f"Give another user the role admin first: {user.email} is the last active admin.", "role")
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
    """Set a new password, and end sessions and API tokens. Raises `UnknownError` and `OperationError`."""
    user = user_by_id(connection, user_id)
    set_password_hash(connection, actor, user_id, hash_password(password, user.email, user.name))


@dataclass(frozen=True, slots=True)
class Invitation:
    """A user with a password that we made up, to be handed over and changed; it is shown only once."""

    user: User
    password: str = field(repr=False)


def invite(connection: Connection, actor: Actor, email: str, role: Role, name: str = "") -> Invitation:
    """Create a user with a password that we make up. Raises as `create` does."""
    password = _made_up()
    return Invitation(create(connection, actor, NewUser(email, role, name, password)), password)


def reset_password(connection: Connection, actor: Actor, user_id: int) -> Invitation:
    """Give a password that we make up in place of a forgotten one; sessions and API tokens end.

    Raises `UnknownError`, and `OperationError` for somebody without a password.
    """
    user = user_by_id(connection, user_id)
    if not user.has_password:
        raise OperationError(f"{user.email} signs in at the identity provider: reset the password there.")
    password = _made_up()
    set_password(connection, actor, user_id, password)
    return Invitation(user, password)


def _made_up() -> str:
    """Four groups of letters and digits that are not taken for one another: 80 bits."""
    return "-".join("".join(secrets.choice(_CLEAR) for _ in range(4)) for _ in range(4))


def set_password_hash(connection: Connection, actor: Actor, user_id: int, password_hash: str) -> None:
    """Set a new password by its hash, and end sessions and API tokens, which somebody else may have made."""
    queries.change_user(connection, user_id, password_hash=password_hash)
    queries.end_sessions_of(connection, user_id)
    queries.revoke_tokens_of(connection, user_id)
    audit.append(connection, [actor.audit_event("user.password_set", f"user:{user_id}", {})])


def ensure_admin(connection: Connection, email: str, password: str) -> User | None:
    """Create the first admin from the environment; `None` if there is an active admin already.

    Raises `OperationError` for an invalid e-mail or password, `StaleError` if the e-mail belongs to another user.
    """
    queries.serialize_users(connection)
    if queries.active_admins(connection):
        return None
    return create(connection, Actor("environment", Role.ADMIN), NewUser(email, Role.ADMIN, password=password))
