"""The section Connectors: the addresses of Zammad and Kimai, which are in use, and their tests."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import chain, count
from operator import itemgetter

from nicegui import ui
from nicegui.element import Element

from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.connectors.plugins import LatePlugin
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.identity.actors import Role
from zk_pipeline.operate import connectors
from zk_pipeline.operate.connectors import ConnectorState
from zk_pipeline.runtime.installation import needing_restart
from zk_pipeline.store.connectors import ConnectorRecord
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Panel, Tone
from zk_pipeline.web.console.words import Words

# The findings of a connector's test, line by line: level, subject, result and remedy.

_LOOKS: Mapping[Level, tuple[Tone, str]] = {
    Level.PASS: ("good", "check_circle"),
    Level.WARN: ("warn", "warning"),
    Level.FAIL: ("bad", "error"),
}


def show_findings(words: Words, found: Validation) -> None:
    """The verdict, what the system says about itself, and each line."""
    widgets.text("p", words(f"connectors.test.{'ok' if found.ok else 'failed'}"), "zk-lead")
    summary = " · ".join(filter(None, (found.version, found.account, found.timezone)))
    if summary:
        widgets.text("p", summary, "zk-muted")
    with widgets.box("zk-findings", "ul"):
        for finding in found.findings:
            finding_line(words, finding)


def finding_line(words: Words, finding: Finding, section: str = "") -> None:
    """One finding of a test or an examination, with its remedy."""
    tone, shape = _LOOKS[finding.level]
    with widgets.box("zk-finding", "li"):
        with widgets.box(f"zk-chip zk-{tone} zk-with-icon", "span"):
            ui.icon(shape)
            widgets.text("span", words(f"connectors.level.{finding.level}"))
        with widgets.box("zk-finding-text"):
            widgets.text("span", " · ".join(map(words.said, filter(None, (section, finding.subject)))), "zk-lead")
            widgets.text("span", words.said(finding.text))
            if finding.remedy:
                widgets.text("p", words.said(finding.remedy), "zk-muted")


# The dialogs that add and change connectors. A token is typed in and never shown again, not even as dots.

Changed = Callable[[], Awaitable[None]]
_USUAL = ("zammad", "kimai")
"""The kinds that are proposed where there is no connector yet."""


async def open_add(visit: Visit, added: Callable[[ConnectorRecord], Awaitable[None]]) -> None:
    """Ask for a new connector, and store it. A role and a kind that there is none of yet are proposed."""
    words = visit.words
    stored = await visit.ask(connectors.list_connectors, visit.runtime)
    roles = connectors.kinds()
    sources_first = sorted(roles.items(), key=itemgetter(1))
    kinds = {kind: f"{kind} ({words(f'connectors.role.{role}')})" for kind, role in sources_first}
    taken_roles, taken_kinds = {row.role for row in stored}, {row.kind for row in stored}
    first = min(kinds, key=lambda kind: (roles[kind] in taken_roles, kind in taken_kinds, kind not in _USUAL))
    taken = {row.name for row in stored}
    with widgets.dialog(words("connectors.add"), words("close")) as dialog:
        kind = widgets.choice(words("connectors.kind"), kinds, first)
        name = widgets.field(words("connectors.name"), _free(first, taken), hint=words("connectors.name.hint"))
        name.props(f"maxlength={connectors.LONGEST_NAME} autocomplete=off")
        kind.on_value_change(lambda: name.set_value(_free(kind.value, taken)))
        address = _address_field(visit, "")
        token = _token_field(visit, words("connectors.token.hint"))

        async def store() -> None:
            given = {"kind": kind.value, "base_url": _text(address), "token": token.value or ""}
            stored = await visit.ask(connectors.create, visit.runtime, visit.actor, name=_text(name), **given)
            visit.notify(words(f"connectors.stored.{'on' if stored.active else 'off'}", name=stored.name))
            dialog.close()
            await added(stored)

        fields = {"kind": kind, "name": name, "base_url": address, "token": token}
        feedback.Form(visit, Role.ADMIN, fields, cancel=dialog.close).button(words("connectors.save_and_test"), store)


def open_edit(visit: Visit, connector: ConnectorRecord, changed: Changed) -> None:
    """Ask for another address or token, and store it. A new address needs the token again."""
    words = visit.words
    with widgets.dialog(words("connectors.edit.title", name=connector.name), words("close")) as dialog:
        address = _address_field(visit, connector.base_url)
        token = _token_field(visit, words("connectors.token.keep"))
        note = widgets.box("zk-stack").props("aria-live=polite")

        def look() -> None:
            note.clear()
            elsewhere = _text(address).rstrip("/") != connector.base_url.rstrip("/")
            token.props["hint"] = words("connectors.token.hint" if elsewhere else "connectors.token.keep")
            if elsewhere:
                with note:
                    widgets.text("p", words("connectors.token.again"), "zk-note zk-warn")

        address.on_value_change(look)

        async def store() -> None:
            secret = token.value or None
            given = {"base_url": _text(address), "token": secret}
            stored = await visit.ask(connectors.change, visit.runtime, visit.actor, connector.id, **given)
            visit.notify(words("connectors.same" if stored == connector else "connectors.changed", name=stored.name))
            dialog.close()
            await changed()

        form = feedback.Form(visit, Role.ADMIN, {"base_url": address, "token": token}, cancel=dialog.close)
        form.button(words("save"), store)


def open_activate(visit: Visit, connector: ConnectorRecord, changed: Changed) -> None:
    """Use this one instead of the other of its role, after a confirmation."""

    async def act() -> None:
        await visit.ask(connectors.activate, visit.runtime, visit.actor, connector.id)
        await changed()

    _confirm(visit, connector, "activate", act)


def open_deactivate(visit: Visit, connector: ConnectorRecord, changed: Changed) -> None:
    """Deactivate it, after a confirmation."""

    async def act() -> None:
        await visit.ask(connectors.deactivate, visit.runtime, visit.actor, connector.id)
        await changed()

    _confirm(visit, connector, "deactivate", act)


def open_delete(visit: Visit, connector: ConnectorRecord, changed: Changed) -> None:
    """Delete it, after a confirmation; the dialog says what depends on it."""

    async def act() -> None:
        await visit.ask(connectors.delete, visit.runtime, visit.actor, connector.id)
        await changed()

    _confirm(visit, connector, "delete", act)


def _free(kind: str, taken: Collection[str]) -> str:
    """A name for a connector of this kind that no other has."""
    names = chain([kind], (f"{kind}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def _confirm(visit: Visit, connector: ConnectorRecord, name: str, act: Changed) -> None:
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
    made = widgets.field(visit.words("connectors.address"), value, hint=hint)
    return made.props(
        f"type=url inputmode=url maxlength={connectors.LONGEST_ADDRESS} autocomplete=off spellcheck=false"
    )


def _token_field(visit: Visit, hint: str) -> ui.input:
    made = widgets.field(visit.words("connectors.token"), hint=hint, password=True)
    return made.props(f"maxlength={connectors.LONGEST_TOKEN} autocomplete=new-password")


def _text(field: ui.input) -> str:
    return (field.value or "").strip()


# A card for each connector, with what can be done with it.


class Cards:
    """The section's parts. What a test said is kept until its connector is changed."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._tested: dict[ConnectorRecord, Validation] = {}
        self._results: dict[int, Element] = {}
        if visit.may(Role.ADMIN):
            with widgets.box("zk-row"):
                add = visit.act(Role.ADMIN, lambda: open_add(visit, self._added))
                widgets.button(visit.words("connectors.add"), add, kind="primary", icon="add")
        self._panel: Panel[tuple[list[ConnectorState], list[LatePlugin]]] = Panel(visit, self._load, self._show)
        feedback.focusable(self._panel.box)
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load the connectors again."""
        await self._panel.refresh()

    async def _changed(self) -> None:
        await self.refresh()
        feedback.keep_focus(self._visit, self._panel.box)

    async def _added(self, stored: ConnectorRecord) -> None:
        """Test the connector that was just stored."""
        with self._panel.box, self._visit.showing_errors():
            await self.refresh()
            self._results[stored.id].run_method("scrollIntoView", {"block": "center"})
            await self._test(stored)
            feedback.keep_focus(self._visit, self._panel.box)

    async def _test(self, connector: ConnectorRecord) -> None:
        words, result = self._visit.words, self._results[connector.id]
        result.clear()
        with result:
            widgets.skeleton(words("connectors.testing"))
        try:
            self._tested[connector] = await self._visit.ask(connectors.test, self._visit.runtime, connector.id)
        finally:
            result = self._results[connector.id]  # The cards may have been drawn again meanwhile.
            result.clear()
        with result:
            show_findings(words, self._tested[connector])

    def _load(self) -> tuple[list[ConnectorState], list[LatePlugin]]:
        return connectors.list_states(self._visit.runtime), needing_restart(self._visit.runtime)

    def _show(self, loaded: tuple[Sequence[ConnectorState], Sequence[LatePlugin]]) -> None:
        words = self._visit.words
        standings, late = loaded
        for plugin in late:
            widgets.text("p", words.said(f"{plugin.text} {plugin.remedy}"), "zk-note zk-warn")
        if not standings:
            hint = "admin" if self._visit.may(Role.ADMIN) else "others"
            widgets.empty(words("connectors.none"), words(f"connectors.none.{hint}"))
            return
        with widgets.box("zk-cards zk-connectors"):
            for standing in standings:
                self._card(standing)

    def _card(self, standing: ConnectorState) -> None:
        words, connector = self._visit.words, standing.connector
        with widgets.card(classes="zk-connector"):
            with widgets.box("zk-row"):
                widgets.text("h3", connector.name, "zk-card-title zk-grow")
                state(self._visit, connector)
            read = words.instant(standing.read_at) if standing.read_at else words("connectors.read.never")
            widgets.facts(
                [
                    (words("connectors.role"), words(f"connectors.role.{connector.role}")),
                    (words("connectors.kind"), connector.kind),
                    (
                        words("connectors.address"),
                        lambda: widgets.link(connector.base_url, connector.base_url, outside=True),
                    ),
                    (
                        words("connectors.token"),
                        words(f"connectors.token.{'there' if connector.has_token else 'gone'}"),
                    ),
                    (words("connectors.read"), read if connector.active else words("connectors.read.unused")),
                ]
            )
            result = widgets.box("zk-findings-box").props("aria-live=polite")
            self._results[connector.id] = result
            if connector in self._tested:
                with result:
                    show_findings(words, self._tested[connector])
            if self._visit.may(Role.ADMIN):
                self._buttons(connector)

    def _buttons(self, connector: ConnectorRecord) -> None:
        visit, words = self._visit, self._visit.words

        async def test() -> None:
            with feedback.working(button):
                await self._test(connector)

        def icon(name: str, shape: str, handler: Callable[[], object]) -> None:
            label = f"{words(f'connectors.{name}')}: {connector.name}"
            widgets.icon_button(label, shape, visit.act(Role.ADMIN, handler))

        with widgets.box("zk-row zk-card-actions"):
            button = widgets.button(words("connectors.test"), visit.act(Role.ADMIN, test), icon="network_check")
            button.props["aria-label"] = f"{words('connectors.test')}: {connector.name}"
            widgets.box("zk-grow")
            icon("edit", "edit", lambda: open_edit(visit, connector, self._changed))
            if connector.active:
                icon("deactivate", "pause_circle", lambda: open_deactivate(visit, connector, self._changed))
            else:
                icon("activate", "play_circle", lambda: open_activate(visit, connector, self._changed))
            icon("delete", "delete", lambda: open_delete(visit, connector, self._changed))


def state(visit: Visit, connector: ConnectorRecord) -> None:
    """Whether it is used, as a text with an icon."""
    name, tone, shape = ("on", "good", "check_circle") if connector.active else ("off", "calm", "pause_circle")
    with widgets.box(f"zk-chip zk-{tone} zk-with-icon", "span"):
        ui.icon(shape)
        widgets.text("span", visit.words(f"connectors.{name}"))


async def _show(visit: Visit) -> None:
    await Cards(visit).refresh()


SECTION = Section("connectors", "power", _show)
