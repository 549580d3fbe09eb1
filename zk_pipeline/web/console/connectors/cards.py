"""A card for each connector, with what can be done with it."""

from collections.abc import Callable, Sequence

from nicegui import ui
from nicegui.element import Element

from zk_pipeline.connectors.checks import Validation
from zk_pipeline.operations import connectors
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.connectors import Standing
from zk_pipeline.store.connections import Connector
from zk_pipeline.web.console import feedback, parts
from zk_pipeline.web.console.connectors import findings, forms
from zk_pipeline.web.console.panel import Panel
from zk_pipeline.web.console.visit import Visit


class Cards:
    """The section's parts. What a test said is kept until its connector is changed."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._tested: dict[Connector, Validation] = {}
        self._told: dict[int, Element] = {}
        if visit.may(Role.ADMIN):
            with parts.box("zk-row"):
                add = visit.act(Role.ADMIN, lambda: forms.add(visit, self._added))
                parts.button(visit.words("connectors.add"), add, kind="primary", icon="add")
        self._panel: Panel[list[Standing]] = Panel(visit, lambda: connectors.standings(visit.runtime), self._show)
        feedback.focusable(self._panel.box)
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load the connectors again."""
        await self._panel.refresh()

    async def _changed(self) -> None:
        await self.refresh()
        feedback.keep_focus(self._visit, self._panel.box)

    async def _added(self, stored: Connector) -> None:
        """Test what was just stored, since who gave the token wants to know."""
        with self._panel.box, self._visit.telling():
            await self.refresh()
            self._told[stored.id].run_method("scrollIntoView", {"block": "center"})
            await self._test(stored)
            feedback.keep_focus(self._visit, self._panel.box)

    async def _test(self, connector: Connector) -> None:
        words, told = self._visit.words, self._told[connector.id]
        told.clear()
        with told:
            parts.skeleton(words("connectors.testing"))
        try:
            self._tested[connector] = await self._visit.ask(connectors.test, self._visit.runtime, connector.id)
        finally:
            told = self._told[connector.id]  # The cards may have been drawn again meanwhile.
            told.clear()
        with told:
            findings.show(words, self._tested[connector])

    def _show(self, standings: Sequence[Standing]) -> None:
        words = self._visit.words
        if not standings:
            hint = "admin" if self._visit.may(Role.ADMIN) else "others"
            parts.empty(words("connectors.none"), words(f"connectors.none.{hint}"))
            return
        with parts.box("zk-cards zk-connectors"):
            for standing in standings:
                self._card(standing)

    def _card(self, standing: Standing) -> None:
        words, connector = self._visit.words, standing.connector
        with parts.card(classes="zk-connector"):
            with parts.box("zk-row"):
                parts.text("h3", connector.name, "zk-card-title zk-grow")
                state(self._visit, connector)
            read = words.instant(standing.read_at) if standing.read_at else words("connectors.read.never")
            parts.facts(
                [
                    (words("connectors.role"), words(f"connectors.role.{connector.role}")),
                    (words("connectors.kind"), connector.kind),
                    (
                        words("connectors.address"),
                        lambda: parts.link(connector.base_url, connector.base_url, outside=True),
                    ),
                    (
                        words("connectors.token"),
                        words(f"connectors.token.{'there' if connector.has_token else 'gone'}"),
                    ),
                    (words("connectors.read"), read if connector.active else words("connectors.read.unused")),
                ]
            )
            told = parts.box("zk-findings-box").props("aria-live=polite")
            self._told[connector.id] = told
            if connector in self._tested:
                with told:
                    findings.show(words, self._tested[connector])
            if self._visit.may(Role.ADMIN):
                self._buttons(connector)

    def _buttons(self, connector: Connector) -> None:
        visit, words = self._visit, self._visit.words

        async def test() -> None:
            with feedback.working(button):
                await self._test(connector)

        def icon(name: str, shape: str, handler: Callable[[], object]) -> None:
            label = f"{words(f'connectors.{name}')}: {connector.name}"
            parts.icon_button(label, shape, visit.act(Role.ADMIN, handler))

        with parts.box("zk-row zk-card-actions"):
            button = parts.button(words("connectors.test"), visit.act(Role.ADMIN, test), icon="network_check")
            button.props["aria-label"] = f"{words('connectors.test')}: {connector.name}"
            parts.box("zk-grow")
            icon("edit", "edit", lambda: forms.edit(visit, connector, self._changed))
            if connector.active:
                icon("deactivate", "pause_circle", lambda: forms.deactivate(visit, connector, self._changed))
            else:
                icon("activate", "play_circle", lambda: forms.activate(visit, connector, self._changed))
            icon("delete", "delete", lambda: forms.delete(visit, connector, self._changed))


def state(visit: Visit, connector: Connector) -> None:
    """Whether it is used, as a text with an icon."""
    name, tone, shape = ("on", "good", "check_circle") if connector.active else ("off", "calm", "pause_circle")
    with parts.box(f"zk-chip zk-{tone} zk-with-icon", "span"):
        ui.icon(shape)
        parts.text("span", visit.words(f"connectors.{name}"))
