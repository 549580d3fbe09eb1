"""`zk users`: the users of the console and the API."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from sqlalchemy import Connection

from zk_pipeline.cli.output import AsJson, called, environment, explained, out, person, show_json, show_table
from zk_pipeline.identity import second_factor
from zk_pipeline.identity import users as accounts
from zk_pipeline.identity.actors import Actor, OperationError, Role
from zk_pipeline.identity.throttle import Client
from zk_pipeline.identity.users import NewUser

app = typer.Typer(help="The users of the console and the API.", no_args_is_help=True)

MOST_LISTED = 10_000

Email = Annotated[str, typer.Argument(help="The user's e-mail address.")]


@app.command()
def create(
    email: Email,
    *,
    role: Annotated[Role, typer.Option(help="The user's role.")] = Role.VIEWER,
    name: Annotated[str, typer.Option(help="The user's name.")] = "",
    without_password: Annotated[
        bool, typer.Option("--without-password", help="The user signs in through the identity provider.")
    ] = False,
) -> None:
    """Create a user. The password is prompted for, or read from standard input."""
    password = None if without_password else _new_password()
    with _accounts() as (connection, who):
        user = accounts.create(connection, who, NewUser(email, role, name, password))
    out.print(f"{user.email} can sign in, with the role {user.role}.", markup=False, soft_wrap=True)


@app.command("list")
def list_users(*, as_json: AsJson = False) -> None:
    """List the users."""
    with _accounts() as (connection, _):
        users, _ = accounts.list_users(connection, offset=0, limit=MOST_LISTED)
    if as_json:
        show_json([asdict(user) for user in users])
        return
    columns = ("e-mail", "name", "role", "active", "second factor", "last sign-in")
    rows = [
        (user.email, user.name, called("role", user.role), user.active, user.second_factor, user.last_login_at)
        for user in users
    ]
    show_table("Users", columns, rows)
    if not users:
        out.print("None yet. Create one: zk users create EMAIL --role admin")


@app.command("set-role")
def set_role(email: Email, role: Annotated[Role, typer.Argument(help="The user's role.")]) -> None:
    """Change the role of a user, with immediate effect."""
    with _accounts() as (connection, who):
        user = accounts.change(connection, who, accounts.user_by_email(connection, email).id, role=role)
    out.print(f"{user.email} now has the role {user.role}.", markup=False, soft_wrap=True)


@app.command("set-password")
def set_password(email: Email) -> None:
    """Set a new password, prompted for or read from standard input. Ends all sessions and API tokens."""
    password = _new_password()
    with _accounts() as (connection, who):
        user = accounts.user_by_email(connection, email)
        accounts.set_password(connection, who, user.id, password)
    out.print(f"{user.email} has a new password; all sessions and API tokens have ended.", markup=False, soft_wrap=True)


@app.command("set-second-factor")
def set_second_factor(
    email: Email,
    *,
    code: Annotated[str, typer.Option(help="A code from the app, to confirm the key that was shown.")] = "",
) -> None:
    """Set up a second factor: show the key for the app, then confirm it with a first code."""
    with environment(decided=False) as ready, explained(OperationError):
        with ready.runtime.database.transaction() as connection:
            user = accounts.user_by_email(connection, email)
        if code:
            codes = second_factor.activate(ready.runtime, user, code, Client("", "command line"), person())
            out.print(f"{user.email} has a second factor. Recovery codes, shown only once:", markup=False)
            for recovery in codes:
                out.print(recovery, markup=False)
            return
        offer = second_factor.start_enrolment(ready.runtime, user)
    if sys.stdout.isatty():
        offer.print_to(sys.stdout)
    out.print(f"Key: {offer.secret}", markup=False)
    out.print(f"Enter it in the app, then: zk users set-second-factor {user.email} --code CODE", markup=False)


@app.command("reset-second-factor")
def reset_second_factor(email: Email) -> None:
    """Remove the second factor of a user who lost it. Ends all sessions."""
    with _accounts() as (connection, who):
        user = second_factor.reset(connection, who, accounts.user_by_email(connection, email).id)
    out.print(f"{user.email} no longer has a second factor; all sessions have ended.", markup=False, soft_wrap=True)


@app.command()
def deactivate(email: Email) -> None:
    """Deactivate a user at once. Sessions and API tokens end for good."""
    with _accounts() as (connection, who):
        user = accounts.change(connection, who, accounts.user_by_email(connection, email).id, active=False)
    out.print(f"{user.email} can no longer sign in.", markup=False, soft_wrap=True)


@app.command()
def activate(email: Email) -> None:
    """Let a deactivated user sign in again."""
    with _accounts() as (connection, who):
        user = accounts.change(connection, who, accounts.user_by_email(connection, email).id, active=True)
    out.print(f"{user.email} can sign in again.", markup=False, soft_wrap=True)


@contextmanager
def _accounts() -> Iterator[tuple[Connection, Actor]]:
    """A transaction on the users, and the actor at the command line."""
    with (
        environment(decided=False) as ready,
        explained(OperationError),
        ready.runtime.database.transaction() as connection,
    ):
        yield connection, person()


def _new_password() -> str:
    if sys.stdin.isatty():
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\r\n")
