"""Users: who may sign in, and what they may do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from zk_pipeline.operations import passwords
from zk_pipeline.operations.actors import Actor, Role
from zk_pipeline.operations.errors import OperationError, StaleError, UnknownError
from zk_pipeline.store import accounts, api_tokens, audit, sessions
from zk_pipeline.store.accounts import User

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
    email = checked_email(new.email)
    password_hash = None if new.password is None else passwords.hashed(new.password, email, new.name)
    user = accounts.add(
        connection, email=email, name=checked_name(new.name), role=new.role, password_hash=password_hash
    )
    if user is None:
        raise StaleError(f"There is a user {email} already. Change that one, or choose another e-mail.")
    audit.append(connection, [actor.did("user.created", f"user:{user.id}", {"email": email, "role": new.role})])
    return user


def checked_email(email: str) -> str:
    """The e-mail in small letters. Raises `OperationError` when it is none."""
    tidy = email.strip().lower()
    if len(tidy) > _LONGEST_EMAIL or not _EMAIL.fullmatch(tidy) or not tidy.isprintable():
        raise OperationError(f"E-mail {email[:_LONGEST_EMAIL]!r} is no e-mail address. Write it as name@example.com.")
    return tidy


def checked_name(name: str) -> str:
    """The name without blanks around it. Raises `OperationError` when it is too long or cannot be shown."""
    tidy = name.strip()
    if len(tidy) > _LONGEST_NAME or not tidy.isprintable():
        raise OperationError(f"The name has to be {_LONGEST_NAME} printable characters at most. Shorten it.")
    return tidy


def of_id(connection: Connection, user_id: int) -> User:
    """The user of this number. Raises `UnknownError`."""
    user = accounts.of_id(connection, user_id)
    if user is None:
        raise UnknownError(f"There is no user {user_id}. The list of users names the numbers.")
    return user


def of_email(connection: Connection, email: str) -> User:
    """The user of this e-mail. Raises `UnknownError`."""
    user = accounts.of_email(connection, checked_email(email))
    if user is None:
        raise UnknownError(f"There is no user {email}. The list of users names the e-mails.")
    return user


def listed(connection: Connection, *, offset: int, limit: int) -> tuple[Sequence[User], int]:
    """Some users by e-mail, and how many there are."""
    return accounts.listed(connection, offset=offset, limit=limit), accounts.number(connection)


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
    user = of_id(connection, user_id)
    given = {
        "name": None if name is None else checked_name(name),
        "role": role,
        "active": active,
    }
    changes = {key: value for key, value in given.items() if value is not None and value != getattr(user, key)}
    if not changes:
        return user
    steps_down = changes.get("role", Role.ADMIN) != Role.ADMIN or changes.get("active") is False
    if steps_down and accounts.active_admins(connection) == {user_id}:
        raise StaleError(f"{user.email} is the last active admin. Give another user the role admin first.")
    accounts.change(connection, user_id, **changes)
    if changes.get("active") is False:
        sessions.end_all(connection, user_id)
        api_tokens.revoke_all(connection, user_id)
    before = {key: getattr(user, key) for key in changes}
    audit.append(connection, [actor.did("user.changed", f"user:{user_id}", {"before": before, "after": changes})])
    return of_id(connection, user_id)


def set_password(connection: Connection, actor: Actor, user_id: int, password: str) -> None:
    """Give a user a new password; all their sessions end. Raises `UnknownError` and `OperationError`."""
    user = of_id(connection, user_id)
    set_password_hash(connection, actor, user_id, passwords.hashed(password, user.email, user.name))


def set_password_hash(connection: Connection, actor: Actor, user_id: int, password_hash: str) -> None:
    """Give a user the new password of this hash; all their sessions and API tokens end.

    Whoever sets a password since somebody else knew the last one cannot know what that one made.
    """
    accounts.change(connection, user_id, password_hash=password_hash)
    sessions.end_all(connection, user_id)
    api_tokens.revoke_all(connection, user_id)
    audit.append(connection, [actor.did("user.password_set", f"user:{user_id}", {})])


def ensure_admin(connection: Connection, email: str, password: str) -> User | None:
    """Create the first admin from the environment; `None` where there is an active admin already.

    Raises `OperationError` for what is no e-mail or password, `StaleError` where the e-mail belongs to somebody else.
    """
    accounts.serialize(connection)
    if accounts.active_admins(connection):
        return None
    return create(connection, Actor("environment", Role.ADMIN), NewUser(email, Role.ADMIN, password=password))
