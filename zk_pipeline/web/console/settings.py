"""The section Settings: tabs, one for each part that the visitor's role may use."""

from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from zk_pipeline.web.console import account, connectors, letterhead, schedule, upkeep, users, widgets
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit

PARTS: tuple[Section, ...] = (
    connectors.SECTION,
    schedule.SECTION,
    letterhead.SECTION,
    users.SECTION,
    upkeep.ALERTS,
    upkeep.PRIVACY,
    upkeep.HEALTH,
    account.SECTION,
)
"""The tabs in their order. A part is a section with texts `<name>.title` and `<name>.about`."""


class Tabs:
    """The row of tabs, and the box of each part, which is filled when the part is first opened."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._parts = {part.name: part for part in PARTS if visit.may(part.needs)}
        self._boxes: dict[str, Element] = {}
        alone = "" if visit.client.request.url.path == "/" else f"/{SECTION.name}"
        with widgets.box("zk-tabs", "nav") as row:
            row.props["aria-label"] = visit.words("settings.title")
            self._links = {name: self._link(name, alone) for name in self._parts}
        self._around = widgets.box("zk-stack")
        ui.on("zk-part", self._named)

    async def show(self) -> None:
        """Open the part that the address names, or the first."""
        named = self._visit.client.request.url.path.strip("/")
        await self._open(named if named in self._parts else next(iter(self._parts)))
        ui.run_javascript("zkConsole.openPart()")

    def _link(self, name: str, page: str) -> Element:
        part = self._parts[name]
        with widgets.link("", f"{page}#{name}").classes("zk-tab", remove="zk-link") as link:
            ui.icon(part.icon)
            widgets.text("span", self._visit.words(f"{name}.title"))
        return link

    async def _named(self, event: GenericEventArguments) -> None:
        """The browser says which part its address names."""
        if event.args in self._parts:
            await self._open(str(event.args))

    async def _open(self, name: str) -> None:
        is_new = name not in self._boxes
        if is_new:
            with self._around:
                self._boxes[name] = widgets.box("zk-section-body")
        for other, link in self._links.items():
            if other == name:
                link.props["aria-current"] = "true"
            else:
                link.props(remove="aria-current")
        for other, box in self._boxes.items():
            box.set_visibility(other == name)
        if is_new:
            with self._boxes[name]:
                widgets.text("p", self._visit.words(f"{name}.about"), "zk-muted")
                await self._parts[name].show(self._visit)


async def _show(visit: Visit) -> None:
    await Tabs(visit).show()


SECTION = Section("settings", "settings", _show, parts=PARTS)
