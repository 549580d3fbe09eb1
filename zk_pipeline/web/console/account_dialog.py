"""One's own account, with password and second factor, and the users for admins; changes ask for the password again."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from zk_pipeline.identity import second_factor, sign_in, users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.queries import User
from zk_pipeline.identity.sign_in import NotConfirmedError
from zk_pipeline.identity.throttle import Client
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import SecondFactor
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Column
from zk_pipeline.web.limits import network_of

MOST_SHOWN = 200
_AGAIN = "/sign-in/oidc?again=true&next=/"


async def show(visit: Visit) -> None:
    """Open the dialog of the visitor's own account."""
    user = await visit.ask(_self, visit.runtime, visit.actor)
    words = visit.words
    with widgets.dialog(words("account"), words("close")) as dialog:
        if not user.has_password:
            widgets.text("p", words("account.provider"))
            return
        with widgets.card(words("account.factor")) as card:
            pass
        _Factor(visit, card).draw(user)
        with widgets.card(words("account.password")), widgets.box("zk-form-column"):
            _Password(visit, dialog)


async def show_users(visit: Visit) -> None:
    """Open the dialog with the users, for admins."""
    words = visit.words
    with widgets.dialog(words("users"), words("close"), wide=True):
        await _Users(visit, widgets.box("")).draw()


async def confirmed(visit: Visit, then: Callable[[], Awaitable[None]]) -> None:
    """Change an account, after asking for the password where it was not given within the last minutes."""
    try:
        await visit.ask(sign_in.require_confirmed, visit.runtime, visit.visitor.session.id)
    except NotConfirmedError:
        await _ask_again(visit, then)
    else:
        await then()


async def _ask_again(visit: Visit, then: Callable[[], Awaitable[None]]) -> None:
    words = visit.words
    user = await visit.ask(_self, visit.runtime, visit.actor)
    with widgets.dialog(words("account.confirm"), words("close")) as dialog:
        widgets.text("p", words("account.confirm.about"))
        if not user.has_password:
            widgets.link(words("account.confirm.provider"), _AGAIN)
            return
        password = _secret(words("account.password.current"))

        async def go_on() -> None:
            session = visit.visitor.session
            typed, caller = password.value or "", _caller(visit)
            await visit.ask(sign_in.confirm, visit.runtime, session.id, visit.actor, typed, caller)
            dialog.close()
            # What follows outlives the dialog.
            with visit.client.layout:
                await then()

        _submit(visit, words("account.confirm.go"), go_on, password)


class _Password:
    """The form for a new password of one's own."""

    def __init__(self, visit: Visit, dialog: ui.dialog) -> None:
        self._visit, self._dialog, words = visit, dialog, visit.words
        widgets.text("p", words("account.password.about"), "zk-muted")
        self._current = _secret(words("account.password.current"))
        self._new = _secret(words("account.password.new"), "new-password")
        _submit(visit, words("account.password.change"), self._change, self._new)

    async def _change(self) -> None:
        visit, current, new = self._visit, self._current.value or "", self._new.value or ""
        await visit.ask(sign_in.change_own_password, visit.runtime, visit.actor, current, new, _caller(visit))
        self._dialog.close()
        visit.leave()


class _Factor:
    """One's own second factor: set up, renewed, removed."""

    def __init__(self, visit: Visit, card: ui.element) -> None:
        self._visit = visit
        with card:
            self._box = widgets.box("zk-form-column").props("aria-live=polite")

    def draw(self, user: User) -> None:
        """The possible acts."""
        visit, words = self._visit, self._visit.words
        self._box.clear()
        with self._box:
            if visit.runtime.settings.second_factor is SecondFactor.OFF:
                widgets.text("p", words("account.factor.closed"))
                return
            if user.second_factor:
                widgets.chip(words("account.factor.on"), "good")
                self._proof()
                return
            widgets.chip(words("account.factor.off"))
            widgets.text("p", words("account.factor.about"), "zk-muted")
            begin = visit.act(Role.VIEWER, lambda: confirmed(visit, self._begin))
            widgets.button(words("account.factor.begin"), begin, kind="primary")

    def _proof(self) -> None:
        """The form for what needs password and code."""
        visit, words = self._visit, self._visit.words
        password, code = _secret(words("account.password.current")), _code(words("account.factor.code"))

        async def proven() -> User:
            user = await visit.ask(_self, visit.runtime, visit.actor)
            return await visit.ask(
                sign_in.verify_password, visit.runtime, user.email, password.value or "", _caller(visit)
            )

        async def renew() -> None:
            user, typed = await proven(), code.value or ""
            self._show(await visit.ask(second_factor.renew_codes, visit.runtime, user, typed, _caller(visit)))

        async def remove() -> None:
            user, typed = await proven(), code.value or ""
            await visit.ask(second_factor.remove, visit.runtime, user, typed, _caller(visit))
            visit.notify(words("account.factor.removed"))
            self.draw(await visit.ask(_self, visit.runtime, visit.actor))

        with widgets.actions():
            widgets.button(words("account.codes.renew"), visit.act(Role.VIEWER, renew))
            widgets.button(words("account.factor.remove"), visit.act(Role.VIEWER, remove), kind="danger")

    async def _begin(self) -> None:
        visit, words = self._visit, self._visit.words
        user = await visit.ask(_self, visit.runtime, visit.actor)
        offer = await visit.ask(second_factor.start_enrolment, visit.runtime, user)
        self._box.clear()
        with self._box:
            widgets.text("p", words("account.factor.scan"))
            picture = ui.html(offer.picture, sanitize=False).classes("zk-qr").props("role=img")
            picture.props["aria-label"] = words("account.factor.picture")
            widgets.text("p", words("account.factor.key", secret=offer.secret), "zk-mono")
            code = _code(words("account.factor.code"))

            async def finish() -> None:
                typed = code.value or ""
                self._show(await visit.ask(second_factor.activate, visit.runtime, user, typed, _caller(visit)))

            _submit(visit, words("account.factor.finish"), finish, code)

    def _show(self, codes: Sequence[str]) -> None:
        words = self._visit.words
        self._box.clear()
        with self._box:
            widgets.text("h4", words("account.codes"))
            widgets.text("p", words("account.codes.about"))
            with widgets.box("zk-codes", "ul"):
                for code in codes:
                    widgets.text("li", code, "zk-mono")


class _Users:
    """The users, and what an admin does about their second factors."""

    def __init__(self, visit: Visit, box: ui.element) -> None:
        self._visit, self._box = visit, box

    async def draw(self) -> None:
        """The list as it is now."""
        users = await self._visit.ask(_listed, self._visit.runtime)
        words = self._visit.words
        columns = [Column(words(key)) for key in ("users.email", "users.role", "users.active", "account.factor")]
        self._box.clear()
        with self._box:
            widgets.table(words("users"), [*columns, Column("")], [self._row(user) for user in users])

    def _row(self, user: User) -> list[widgets.Cell]:
        words = self._visit.words
        state = words("account.factor.on" if user.second_factor else "account.factor.off")
        active = words("yes" if user.active else "no")
        reset = (lambda: self._button(user)) if user.second_factor else ""
        return [user.email, words(f"role.{user.role}"), active, state, reset]

    def _button(self, user: User) -> None:
        visit, words = self._visit, self._visit.words

        async def reset() -> None:
            await visit.ask(_reset, visit.runtime, visit.actor, user.id)
            visit.notify(words("users.reset.done", email=user.email))
            await self.draw()

        label = words("users.reset", email=user.email)
        widgets.icon_button(label, "lock_reset", visit.act(Role.ADMIN, lambda: confirmed(visit, reset)))


def _secret(label: str, kind: str = "current-password") -> ui.input:
    return widgets.field(label, password=True).props(f"autocomplete={kind} maxlength=200")


def _code(label: str) -> ui.input:
    return widgets.field(label).props("autocomplete=one-time-code autocapitalize=none spellcheck=false maxlength=40")


def _submit(visit: Visit, label: str, handler: Callable[[], Awaitable[None]], last: ui.input) -> None:
    """The button of a form; the enter key in the last field presses it too."""
    guarded = visit.act(Role.VIEWER, handler)
    last.on("keydown.enter", guarded)
    with widgets.actions():
        widgets.button(label, guarded, kind="primary")


def _caller(visit: Visit) -> Client:
    address = visit.visitor.session.address
    return Client(address, network_of(address))


def _self(runtime: Runtime, actor: Actor) -> User:
    with runtime.database.transaction() as connection:
        return users.user_by_id(connection, actor.user_id or 0)


def _listed(runtime: Runtime) -> Sequence[User]:
    with runtime.database.transaction() as connection:
        return users.list_users(connection, offset=0, limit=MOST_SHOWN)[0]


def _reset(runtime: Runtime, actor: Actor, user_id: int) -> User:
    with runtime.database.transaction() as connection:
        return second_factor.reset(connection, actor, user_id)
