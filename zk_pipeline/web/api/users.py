"""`/api/v1/users`: who may sign in, for admins, who give their password again before they change anything."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, SecretStr

from zk_pipeline.identity import second_factor
from zk_pipeline.identity import users as accounts
from zk_pipeline.identity.actors import Role
from zk_pipeline.identity.queries import User
from zk_pipeline.identity.users import Invitation, NewUser
from zk_pipeline.web.api.common import PREFIX, Body, Page, Ready, SecretBody, Wanted, also
from zk_pipeline.web.authentication import Admin, Confirmed
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/users", tags=["Users"], route_class=KeyedRoute)

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
Name = Annotated[str, Field(max_length=200)]
Password = Annotated[SecretStr, Field(max_length=4096)]


class UserRow(BaseModel):
    """A user. `has_password` is false for somebody who signs in through the identity provider alone."""

    id: int
    email: str
    name: str
    role: Role
    active: bool
    has_password: bool
    second_factor: bool
    created_at: datetime
    last_login_at: datetime | None

    @classmethod
    def of(cls, user: User) -> Self:
        """The row of a user."""
        return cls.model_validate(user, from_attributes=True)


class NewUserBody(SecretBody):
    """A new user; without password for the identity provider alone."""

    email: Annotated[str, Field(max_length=254)]
    role: Role
    name: Name = ""
    password: Password | None = None


class InvitationBody(Body):
    """Who is to be invited."""

    email: Annotated[str, Field(max_length=254)]
    role: Role
    name: Name = ""


class InvitationView(UserRow):
    """A user with a password that was made up: it is shown this once, to be handed over and changed."""

    password: str

    @classmethod
    def made(cls, invitation: Invitation) -> Self:
        """The view of an invitation."""
        return cls(**UserRow.of(invitation.user).model_dump(), password=invitation.password)


class UserChange(Body):
    """What to change about a user."""

    name: Name | None = None
    role: Role | None = None
    active: bool | None = None


class PasswordBody(SecretBody):
    """A new password."""

    password: Password


@router.get("", summary="List users", responses=also(403))
def list_users(_: Admin, ready: Ready, paging: Wanted) -> Page[UserRow]:
    """Users by e-mail."""
    with ready.database.transaction() as connection:
        users, total = accounts.list_users(connection, offset=paging.offset, limit=paging.size)
    return paging.of([UserRow.of(user) for user in users], total)


@router.post("", status_code=201, summary="Create a user")
def create_user(given: NewUserBody, actor: Admin, _: Confirmed, ready: Ready) -> UserRow:
    """Answers 403 without the admin's password lately, 409 when the e-mail is taken, 422 for a weak password."""
    password = None if given.password is None else given.password.get_secret_value()
    with ready.database.transaction() as connection:
        return UserRow.of(accounts.create(connection, actor, NewUser(given.email, given.role, given.name, password)))


@router.post("/invitations", status_code=201, summary="Invite a user")
def invite_user(given: InvitationBody, actor: Admin, _: Confirmed, ready: Ready) -> InvitationView:
    """Creates the user with a password that is made up. Answers as creating a user does."""
    with ready.database.transaction() as connection:
        return InvitationView.made(accounts.invite(connection, actor, given.email, given.role, given.name))


@router.get("/{user_id}", summary="Show a user", responses=also(403))
def show_user(user_id: Number, _: Admin, ready: Ready) -> UserRow:
    """One user."""
    with ready.database.transaction() as connection:
        return UserRow.of(accounts.user_by_id(connection, user_id))


@router.patch("/{user_id}", summary="Change or deactivate a user")
def change_user(user_id: Number, given: UserChange, actor: Admin, _: Confirmed, ready: Ready) -> UserRow:
    """Change what is given; it counts at once.

    Answers 403 without the admin's password lately, and 409 where no active admin would be left.
    """
    with ready.database.transaction() as connection:
        user = accounts.change(connection, actor, user_id, name=given.name, role=given.role, active=given.active)
    return UserRow.of(user)


@router.put("/{user_id}/password", status_code=204, summary="Set a user's password")
def set_password(user_id: Number, given: PasswordBody, actor: Admin, _: Confirmed, ready: Ready) -> None:
    """All sessions and API tokens of the user end. Answers 403 without the admin's password lately."""
    with ready.database.transaction() as connection:
        accounts.set_password(connection, actor, user_id, given.password.get_secret_value())


@router.post("/{user_id}/password-reset", summary="Reset a user's password")
def reset_password(user_id: Number, actor: Admin, _: Confirmed, ready: Ready) -> InvitationView:
    """Makes up a password in place of a forgotten one; all sessions and API tokens of the user end.

    Answers 403 without the admin's password lately, and 422 for somebody who signs in at the identity provider alone.
    """
    with ready.database.transaction() as connection:
        return InvitationView.made(accounts.reset_password(connection, actor, user_id))


@router.delete("/{user_id}/second-factor", summary="Remove a user's second factor")
def reset_second_factor(user_id: Number, actor: Admin, _: Confirmed, ready: Ready) -> UserRow:
    """For somebody who lost app and recovery codes; their sessions end.

    Answers 403 without the admin's password lately, and 409 where there is none.
    """
    with ready.database.transaction() as connection:
        return UserRow.of(second_factor.reset(connection, actor, user_id))
