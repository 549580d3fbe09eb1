"""The part My account of the settings: second factor, password and API tokens. Changes ask for the password again."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from nicegui import ui

from zk_pipeline.identity import api_tokens, second_factor, sign_in, users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.api_tokens import IssuedToken
from zk_pipeline.identity.queries import ApiToken, User
from zk_pipeline.identity.sign_in import NotConfirmedError
from zk_pipeline.identity.throttle import Client
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import SecondFactor
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Panel
from zk_pipeline.web.console.words import Words
from zk_pipeline.web.limits import network_of

LIVES = (30, 90, 366)
"""How many days a token may count."""
_AGAIN = "/sign-in/oidc?again=true&next=/settings"


async def _show(visit: Visit) -> None:
    user = await visit.ask(_self, visit.runtime, visit.actor)
    words = visit.words
    with widgets.card(words("account.who")):
        widgets.facts(
            [
                (words("users.name"), user.name or words("none")),
                (words("users.email"), user.email),
                (words("users.role"), words(f"role.{user.role}")),
            ]
        )
    if user.has_password:
        with widgets.card(words("account.factor")) as card:
            pass
        _Factor(visit, card).draw(user)
        with widgets.card(words("account.password")), widgets.box("zk-form-column zk-narrow"):
            _Password(visit)
    else:
        widgets.text("p", words("account.provider"), "zk-note")
    with widgets.card(words("account.tokens")), widgets.box("zk-stack"):
        tokens = _Tokens(visit)
    await tokens.show()


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

        form = feedback.Form(visit, Role.VIEWER, {"password": password}, cancel=dialog.close)
        form.button(words("account.confirm.go"), go_on)


class _Password:
    """The form for a new password of one's own."""

    def __init__(self, visit: Visit) -> None:
        self._visit, words = visit, visit.words
        widgets.text("p", words("account.password.about"), "zk-muted")
        self._current = _secret(words("account.password.current"))
        self._new = _secret(words("account.password.new"), "new-password")
        form = feedback.Form(visit, Role.VIEWER, {"password": self._current, "new": self._new})
        form.button(words("account.password.change"), self._change)

    async def _change(self) -> None:
        visit, current, new = self._visit, self._current.value or "", self._new.value or ""
        await visit.ask(sign_in.change_own_password, visit.runtime, visit.actor, current, new, _caller(visit))
        visit.leave()


class _Factor:
    """One's own second factor: set up, renewed, removed."""

    def __init__(self, visit: Visit, card: ui.element) -> None:
        self._visit = visit
        with card:
            self._box = widgets.box("zk-form-column zk-narrow").props("aria-live=polite")

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

        form = feedback.Form(visit, Role.VIEWER, {"password": password, "code": code})
        form.button(words("account.codes.renew"), renew, kind="plain")
        form.button(words("account.factor.remove"), remove, kind="danger")

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

            feedback.Form(visit, Role.VIEWER, {"code": code}).button(words("account.factor.finish"), finish)

    def _show(self, codes: Sequence[str]) -> None:
        words = self._visit.words
        self._box.clear()
        with self._box:
            widgets.text("h4", words("account.codes"))
            widgets.text("p", words("account.codes.about"))
            with widgets.box("zk-codes", "ul"):
                for code in codes:
                    widgets.text("li", code, "zk-mono")


class _Tokens:
    """One's own API tokens: made, and ended."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        words = visit.words
        widgets.text("p", words("account.tokens.about"), "zk-muted")
        self._fresh = widgets.box("zk-stack").props("aria-live=polite")
        self._panel: Panel[Sequence[ApiToken]] = Panel(visit, self._load, self._show)
        make = visit.act(Role.VIEWER, lambda: confirmed(visit, self._ask))
        with widgets.actions():
            widgets.button(words("account.tokens.make"), make, icon="add")

    async def show(self) -> None:
        """Load the tokens."""
        await self._panel.refresh()

    def _load(self) -> Sequence[ApiToken]:
        visit = self._visit
        with visit.runtime.database.transaction() as connection:
            return api_tokens.own_tokens(connection, visit.actor)

    def _show(self, tokens: Sequence[ApiToken]) -> None:
        words = self._visit.words
        if not tokens:
            widgets.text("p", words("account.tokens.none"), "zk-muted")
            return
        keys = ("account.tokens.name", "users.role", "account.tokens.until", "account.tokens.used")
        columns = [*(Column(words(key)) for key in keys), Column("")]
        widgets.table(words("account.tokens"), columns, [self._row(token) for token in tokens])

    def _row(self, token: ApiToken) -> list[Cell]:
        words = self._visit.words
        used = words.instant(token.last_used_at) if token.last_used_at else words("account.tokens.never")
        until = words.instant(token.expires_at)
        return [token.name, words(f"role.{token.role}"), until, used, lambda: self._button(token)]

    def _button(self, token: ApiToken) -> None:
        visit, words = self._visit, self._visit.words

        async def end() -> None:
            await visit.ask(_revoke, visit.runtime, visit.actor, token.id)
            with self._panel.box:
                await self.show()

        def ask() -> None:
            label, effect = words("account.tokens.end"), words("account.tokens.end.about")
            feedback.confirm(visit, Role.VIEWER, f"{label}: {token.name}", effect, label, end, "danger")

        label = f"{words('account.tokens.end')}: {token.name}"
        widgets.icon_button(label, "delete", visit.act(Role.VIEWER, ask))

    async def _ask(self) -> None:
        """The form of a new token."""
        visit, words = self._visit, self._visit.words
        roles = {role: words(f"role.{role}") for role in Role if visit.may(role)}
        lives = {days: words.count("account.tokens.days", days) for days in LIVES}
        with widgets.dialog(words("account.tokens.make"), words("close")) as dialog:
            name = widgets.field(words("account.tokens.name"), hint=words("account.tokens.name.about"))
            name.props("maxlength=100 autocomplete=off")
            role = widgets.choice(words("users.role"), roles, Role.VIEWER)
            life = widgets.choice(words("account.tokens.life"), lives, LIVES[1])

            async def make() -> None:
                until = datetime.now(UTC) + timedelta(days=life.value)
                runtime, actor = visit.runtime, visit.actor
                made = await visit.ask(_issue, runtime, actor, name.value or "", Role(role.value), until)
                dialog.close()
                self._fresh.clear()
                with self._fresh:
                    once(words, words("account.tokens.fresh", name=made.stored.name), made.token)
                with self._panel.box:
                    await self.show()

            fields = {"expires_at": life, "role": role, "name": name}
            feedback.Form(visit, Role.VIEWER, fields, cancel=dialog.close).button(words("account.tokens.make"), make)


def once(words: Words, title: str, secret: str) -> None:
    """What is shown this once: a password or token, with a button that copies it."""
    with widgets.box("zk-note zk-stack"):
        widgets.text("p", title, "zk-lead")
        with widgets.box("zk-row"):
            widgets.text("code", secret, "zk-mono zk-secret")
            copy = widgets.button(words("copy"), icon="content_copy")
            copy.on("click", js_handler=f"() => navigator.clipboard.writeText({json.dumps(secret)})")
        widgets.text("p", words("once.about"), "zk-muted")


def _secret(label: str, kind: str = "current-password") -> ui.input:
    return widgets.field(label, password=True).props(f"autocomplete={kind} maxlength=200")


def _code(label: str) -> ui.input:
    return widgets.field(label).props("autocomplete=one-time-code autocapitalize=none spellcheck=false maxlength=40")


def _caller(visit: Visit) -> Client:
    address = visit.visitor.session.address
    return Client(address, network_of(address))


def _self(runtime: Runtime, actor: Actor) -> User:
    with runtime.database.transaction() as connection:
        return users.user_by_id(connection, actor.user_id or 0)


def _issue(runtime: Runtime, actor: Actor, name: str, role: Role, until: datetime) -> IssuedToken:
    with runtime.database.transaction() as connection:
        return api_tokens.issue(connection, actor, name, role, until)


def _revoke(runtime: Runtime, actor: Actor, token_id: int) -> None:
    with runtime.database.transaction() as connection:
        api_tokens.revoke(connection, actor, token_id)


SECTION = Section("account", "account_circle", _show)
