"""The dialogs that add and change connectors. A token is typed in and never shown again, not even as dots."""

from collections.abc import Awaitable, Callable, Collection
from itertools import chain, count
from operator import itemgetter

from nicegui import ui

from zk_pipeline.operations import connectors
from zk_pipeline.operations.actors import Role
from zk_pipeline.store.connections import Connector
from zk_pipeline.web.console import feedback, parts
from zk_pipeline.web.console.visit import Visit

_NAME_LENGTH, _ADDRESS_LENGTH, _TOKEN_LENGTH = 40, 500, 1000

Changed = Callable[[], Awaitable[None]]


async def add(visit: Visit, added: Callable[[Connector], Awaitable[None]]) -> None:
    """Ask for a new connector, and store it. A kind that there is none of yet is proposed."""
    words = visit.words
    stored = await visit.ask(connectors.listed, visit.runtime)
    sources_first = sorted(connectors.kinds().items(), key=itemgetter(1))
    kinds = {kind: f"{kind} ({words(f'connectors.role.{role}')})" for kind, role in sources_first}
    first = min(kinds, key=lambda kind: any(row.kind == kind for row in stored))
    taken = {row.name for row in stored}
    with parts.dialog(words("connectors.add"), words("close")) as dialog:
        kind = parts.choice(words("connectors.kind"), kinds, first)
        name = parts.field(words("connectors.name"), _free(first, taken), hint=words("connectors.name.hint"))
        name.props(f"maxlength={_NAME_LENGTH} autocomplete=off")
        kind.on_value_change(lambda: name.set_value(_free(kind.value, taken)))
        address = _address_field(visit, "")
        token = _token_field(visit, words("connectors.token.hint"))

        async def store() -> None:
            given = {"kind": kind.value, "base_url": _text(address), "token": token.value or ""}
            with feedback.working(button):
                stored = await visit.ask(connectors.create, visit.runtime, visit.actor, name=_text(name), **given)
            visit.tell(words(f"connectors.stored.{'on' if stored.active else 'off'}", name=stored.name))
            dialog.close()
            await added(stored)

        button = _end(visit, dialog, words("connectors.save_and_test"), store)
        token.on("keydown.enter", visit.act(Role.ADMIN, store))


def edit(visit: Visit, connector: Connector, changed: Changed) -> None:
    """Ask for another address or token, and store it. A new address needs the token again."""
    words = visit.words
    with parts.dialog(words("connectors.edit.title", name=connector.name), words("close")) as dialog:
        address = _address_field(visit, connector.base_url)
        token = _token_field(visit, words("connectors.token.keep"))
        note = parts.box("zk-stack").props("aria-live=polite")

        def look() -> None:
            note.clear()
            elsewhere = _text(address).rstrip("/") != connector.base_url.rstrip("/")
            token.props["hint"] = words("connectors.token.hint" if elsewhere else "connectors.token.keep")
            if elsewhere:
                with note:
                    parts.text("p", words("connectors.token.again"), "zk-note zk-warn")

        address.on_value_change(look)

        async def store() -> None:
            secret = token.value or None
            with feedback.working(button):
                stored = await visit.ask(
                    connectors.change,
                    visit.runtime,
                    visit.actor,
                    connector.id,
                    base_url=_text(address),
                    token=secret,
                )
            visit.tell(words("connectors.same" if stored == connector else "connectors.changed", name=stored.name))
            dialog.close()
            await changed()

        button = _end(visit, dialog, words("save"), store)
        token.on("keydown.enter", visit.act(Role.ADMIN, store))


def activate(visit: Visit, connector: Connector, changed: Changed) -> None:
    """Use this one instead of the other of its role, once that was confirmed."""

    async def act() -> None:
        await visit.ask(connectors.activate, visit.runtime, visit.actor, connector.id)
        await changed()

    _confirm(visit, connector, "activate", act)


def deactivate(visit: Visit, connector: Connector, changed: Changed) -> None:
    """Use it no longer, once that was confirmed."""

    async def act() -> None:
        await visit.ask(connectors.deactivate, visit.runtime, visit.actor, connector.id)
        await changed()

    _confirm(visit, connector, "deactivate", act)


def delete(visit: Visit, connector: Connector, changed: Changed) -> None:
    """Remove it, once that was confirmed; what depends on it forbids that, and the dialog tells."""

    async def act() -> None:
        await visit.ask(connectors.delete, visit.runtime, visit.actor, connector.id)
        await changed()

    _confirm(visit, connector, "delete", act)


def _free(kind: str, taken: Collection[str]) -> str:
    """A name for a connector of this kind that no other has."""
    names = chain([kind], (f"{kind}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def _confirm(visit: Visit, connector: Connector, name: str, act: Changed) -> None:
    words = visit.words
    feedback.confirm(
        visit,
        Role.ADMIN,
        f"{words(f'connectors.{name}')}: {connector.name}",
        words(f"connectors.{name}.effect"),
        words(f"connectors.{name}"),
        act,
        "danger" if name == "delete" else "primary",
    )


def _address_field(visit: Visit, value: str) -> ui.input:
    hint = "" if value else visit.words("connectors.address.hint")
    made = parts.field(visit.words("connectors.address"), value, hint=hint)
    return made.props(f"type=url inputmode=url maxlength={_ADDRESS_LENGTH} autocomplete=off spellcheck=false")


def _token_field(visit: Visit, hint: str) -> ui.input:
    made = parts.field(visit.words("connectors.token"), hint=hint, password=True)
    return made.props(f"maxlength={_TOKEN_LENGTH} autocomplete=new-password")


def _end(visit: Visit, dialog: ui.dialog, label: str, store: Changed) -> ui.button:
    with parts.actions():
        parts.button(visit.words("cancel"), dialog.close)
        return parts.button(label, visit.act(Role.ADMIN, store), kind="primary")


def _text(field: ui.input) -> str:
    return (field.value or "").strip()
