"""The part Users of the settings, for admins: who may sign in, with which role. Changes ask for the password again."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from zk_pipeline.identity import second_factor, users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.queries import User
from zk_pipeline.identity.users import Invitation
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.account import confirmed, once
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Panel

SIZE = 50

Loaded = tuple[int, Sequence[User], int]


class Users:
    """The list, and what an admin does about each."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._page = visit, 1
        self._fresh = widgets.box("zk-stack").props("aria-live=polite")
        with widgets.box("zk-toolbar"):
            widgets.box("zk-grow")
            invite = visit.act(Role.ADMIN, lambda: confirmed(visit, self._invite))
            widgets.button(visit.words("users.invite"), invite, kind="primary", icon="person_add")
        with widgets.card():
            self._panel: Panel[Loaded] = Panel(visit, self._load, self._show)
            feedback.focusable(self._panel.box)

    async def refresh(self) -> None:
        """Load the list again."""
        with self._panel.box:
            await self._panel.refresh()

    async def _changed(self) -> None:
        await self.refresh()
        feedback.keep_focus(self._visit, self._panel.box)

    async def _go(self, page: int) -> None:
        self._page = page
        await self._changed()

    def _load(self) -> Loaded:
        with self._visit.runtime.database.transaction() as connection:
            rows, total = users.list_users(connection, offset=(self._page - 1) * SIZE, limit=SIZE)
        return self._page, rows, total

    def _show(self, loaded: Loaded) -> None:
        page, rows, total = loaded
        words = self._visit.words
        keys = ("users.email", "users.role", "users.state", "account.factor", "users.seen")
        whole = {"users.role", "users.seen"}
        columns = [*(Column(words(key), whole=key in whole) for key in keys), Column("")]
        widgets.table(words("users.title"), columns, [self._row(user) for user in rows])
        if total > SIZE:
            widgets.pager(words, page, SIZE, total, self._go)

    def _row(self, user: User) -> list[Cell]:
        words = self._visit.words
        seen = words.instant(user.last_login_at) if user.last_login_at else words("users.seen.never")
        return [
            lambda: widgets.two_lines(user.name or user.email, user.email if user.name else ""),
            words(f"role.{user.role}"),
            lambda: widgets.chip(words(f"users.{'on' if user.active else 'off'}"), "good" if user.active else "calm"),
            lambda: self._factor(user),
            seen,
            lambda: self._buttons(user),
        ]

    def _factor(self, user: User) -> None:
        words = self._visit.words
        if not user.has_password:
            widgets.text("span", words("users.provider"), "zk-muted")
        else:
            widgets.text("span", words("account.factor.on" if user.second_factor else "account.factor.off"))

    def _buttons(self, user: User) -> None:
        visit, words = self._visit, self._visit.words

        def icon(name: str, shape: str, act: Callable[[User], Awaitable[None]]) -> None:
            def asked() -> None:
                label, effect = words(f"users.{name}"), words(f"users.{name}.about")
                go = partial(confirmed, visit, partial(act, user))
                feedback.confirm(visit, Role.ADMIN, f"{label}: {user.email}", effect, label, go, "danger")

            widgets.icon_button(f"{words(f'users.{name}')}: {user.email}", shape, visit.act(Role.ADMIN, asked))

        with widgets.box("zk-row-actions"):
            edit = visit.act(Role.ADMIN, lambda: confirmed(visit, partial(self._edit, user)))
            widgets.icon_button(f"{words('users.edit')}: {user.email}", "edit", edit)
            if user.has_password:
                icon("password", "key", self._reset_password)
            if user.second_factor:
                icon("factor", "lock_reset", self._reset_factor)
            if user.active:
                icon("deactivate", "person_off", self._deactivate)
            else:
                activate = visit.act(Role.ADMIN, lambda: confirmed(visit, partial(self._activate, user)))
                widgets.icon_button(f"{words('users.activate')}: {user.email}", "person", activate)

    async def _invite(self) -> None:
        """The form of a new user."""
        visit, words = self._visit, self._visit.words
        with widgets.dialog(words("users.invite"), words("close")) as dialog:
            widgets.text("p", words("users.invite.about"), "zk-muted")
            email = widgets.field(words("users.email")).props("type=email maxlength=254 autocomplete=off")
            name = widgets.field(words("users.name")).props("maxlength=200 autocomplete=off")
            role = widgets.choice(words("users.role"), self._roles(), Role.VIEWER)
            widgets.text("p", words("users.role.about"), "zk-muted")

            async def make() -> None:
                given = (email.value or "", Role(role.value), name.value or "")
                invitation = await visit.ask(_invite, visit.runtime, visit.actor, *given)
                dialog.close()
                self._tell(invitation, "users.invited")
                await self._changed()

            fields = {"role": role, "name": name, "email": email}
            feedback.Form(visit, Role.ADMIN, fields, cancel=dialog.close).button(words("users.invite"), make)

    async def _edit(self, user: User) -> None:
        visit, words = self._visit, self._visit.words
        with widgets.dialog(f"{words('users.edit')}: {user.email}", words("close")) as dialog:
            name = widgets.field(words("users.name"), user.name).props("maxlength=200 autocomplete=off")
            role = widgets.choice(words("users.role"), self._roles(), Role(user.role))
            widgets.text("p", words("users.role.about"), "zk-muted")

            async def change() -> None:
                given = {"name": name.value or "", "role": Role(role.value)}
                await visit.ask(_change, visit.runtime, visit.actor, user.id, **given)
                dialog.close()
                await self._changed()

            form = feedback.Form(visit, Role.ADMIN, {"role": role, "name": name}, cancel=dialog.close)
            form.button(words("save"), change)

    def _roles(self) -> dict[Role, str]:
        return {role: self._visit.words(f"role.{role}") for role in Role}

    async def _reset_password(self, user: User) -> None:
        visit = self._visit
        self._tell(await visit.ask(_reset_password, visit.runtime, visit.actor, user.id), "users.password.done")

    async def _reset_factor(self, user: User) -> None:
        visit = self._visit
        await visit.ask(_reset_factor, visit.runtime, visit.actor, user.id)
        visit.notify(visit.words("users.factor.done", email=user.email))
        await self._changed()

    async def _deactivate(self, user: User) -> None:
        await self._visit.ask(_change, self._visit.runtime, self._visit.actor, user.id, active=False)
        await self._changed()

    async def _activate(self, user: User) -> None:
        await self._visit.ask(_change, self._visit.runtime, self._visit.actor, user.id, active=True)
        await self._changed()

    def _tell(self, invitation: Invitation, key: str) -> None:
        """Show the password, which nobody can look up later."""
        words = self._visit.words
        self._fresh.clear()
        with self._fresh:
            once(words, words(key, email=invitation.user.email), invitation.password)


def _invite(runtime: Runtime, actor: Actor, email: str, role: Role, name: str) -> Invitation:
    with runtime.database.transaction() as connection:
        return users.invite(connection, actor, email, role, name)


def _change(runtime: Runtime, actor: Actor, user_id: int, **changes: Any) -> User:
    with runtime.database.transaction() as connection:
        return users.change(connection, actor, user_id, **changes)


def _reset_password(runtime: Runtime, actor: Actor, user_id: int) -> Invitation:
    with runtime.database.transaction() as connection:
        return users.reset_password(connection, actor, user_id)


def _reset_factor(runtime: Runtime, actor: Actor, user_id: int) -> User:
    with runtime.database.transaction() as connection:
        return second_factor.reset(connection, actor, user_id)


async def _show(visit: Visit) -> None:
    await Users(visit).refresh()


SECTION = Section("users", "group", _show, needs=Role.ADMIN)
