"""The frame of every page: top bar, navigation, the sections, and the live refresh."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from copy import copy

from fastapi import Request
from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments

from zk_pipeline.identity.actors import Role
from zk_pipeline.languages import Language
from zk_pipeline.operate.overview import ChangeMark, change_mark, open_work
from zk_pipeline.operate.sync import held_days
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import PushMode
from zk_pipeline.web.authentication import cookie_of
from zk_pipeline.web.console import (
    audit,
    dashboard,
    mappings,
    reconcile,
    run_actions,
    settings,
    statement,
    widgets,
)
from zk_pipeline.web.console.finder import Finder
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.sync_dialog import SyncDialog
from zk_pipeline.web.console.visit import Visit, Visitor
from zk_pipeline.web.console.words import Words, chosen

# The top bar: what it is, sync now, language and colours, and who is signed in.


def show(visit: Visit, drawer: ui.left_drawer) -> None:
    """The bar at the top of every page; what the role may not do is not there."""
    words = visit.words
    with ui.header(bordered=True).classes("zk-top"):
        widgets.icon_button(words("navigation"), "menu", drawer.toggle).classes("zk-menu-button")
        with widgets.link("", "/").classes("zk-brand", remove="zk-link"):
            widgets.text("h1", "zk_pipeline")
        Finder(visit)
        widgets.box("zk-grow")
        if visit.may(Role.OPERATOR):
            open_sync = visit.act(Role.OPERATOR, lambda: SyncDialog(visit).show())
            sync = widgets.button(words("sync.now"), open_sync, kind="primary", icon="sync")
            _named(sync, words("sync.now"))
        _language(visit)
        widgets.icon_button(words("theme"), "contrast").on("click", js_handler="() => zkConsole.theme()")
        _account(visit)


def _named(button: ui.button, name: str) -> None:
    """Keep a button's name where there is only room for its icon."""
    button.props["aria-label"] = name


def _language(visit: Visit) -> None:
    with widgets.icon_button(visit.words("language"), "translate"), ui.menu().props("auto-close"):
        for language in Language:
            item = ui.menu_item(language.own_name)
            item.props(f"lang={language}").on("click", js_handler=f"() => zkConsole.language('{language}')")


def _account(visit: Visit) -> None:
    words = visit.words
    with widgets.icon_button(words("account"), "account_circle"), ui.menu().props("auto-close"):
        widgets.text("p", visit.visitor.name, "zk-menu-name")
        widgets.text("p", words(f"role.{visit.actor.role}"), "zk-menu-note")
        ui.menu_item(words("account"), lambda: ui.navigate.to("/account"))
        if visit.may(Role.ADMIN):
            ui.menu_item(words("users"), lambda: ui.navigate.to("/users"))
        ui.menu_item(words("sign_out")).on("click", js_handler="() => zkConsole.signOut()")


# Keeps a page up to date for as long as somebody looks at it: a light question every few seconds.

SECONDS = 5.0


class Live:
    """Asks for the change mark, and has everything loaded again once it is another. A hidden tab asks for nothing."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._seen: ChangeMark | None = None
        self._timer = ui.timer(SECONDS, self._look)
        ui.on("zk-looked-at", self._looked_at)

    def _looked_at(self, event: GenericEventArguments) -> None:
        self._timer.active = bool(event.args)

    async def _look(self) -> None:
        with self._visit.showing_errors():
            mark = await self._visit.ask(_mark, self._visit.runtime)
            if self._seen is not None and mark != self._seen:
                for refresh in self._visit.refreshers:
                    await refresh()
            self._seen = mark


def _mark(runtime: Runtime) -> ChangeMark:
    with runtime.database.transaction() as connection:
        return change_mark(connection)


# The frame of every page: skip link, top bar, navigation, the boxes of the sections, and the live refresh.

LANGUAGE_COOKIE = "zk_language"
THEME_COOKIE = "zk_theme"

_HEAD = """
<link rel="stylesheet" href="/console/assets/console.css">
<script src="/console/assets/console.js" defer></script>
<link rel="manifest" href="/console/assets/manifest.webmanifest">
<link rel="apple-touch-icon" href="/console/assets/icon-192.png">
<meta name="theme-color" content="#2f55c4">
"""
_THEMES = {"dark": True, "light": False}
_SHARE_OF_ACCESS = 0.6
"""Of its time after which the page renews the token that its requests are recognized by."""

_log = logging.getLogger(__name__)


def page(runtime: Runtime, all_sections: Sequence[Section], shown: Sequence[Section]) -> Callable[[Request], None]:
    """What builds a page with these sections; the navigation always leads to all of them."""

    def build(request: Request) -> None:
        visit = _begun(runtime, request)
        ui.add_head_html(_HEAD)
        if shown is not all_sections:
            visit.client.title = f"{visit.words(f'{shown[0].name}.title')} · zk_pipeline"
        drawer = _navigation(visit, all_sections, alone=shown is not all_sections)
        show(visit, drawer)
        _banners(visit)
        boxes = {section.name: _box(visit, section) for section in shown}
        _skip_link(visit)
        _load_in_view(visit, shown, boxes)
        Live(visit)

    return build


def _begun(runtime: Runtime, request: Request) -> Visit:
    """The visit, and the page in the visitor's language and colours."""
    client = ui.context.client
    settings = runtime.settings
    language = chosen(cookie_of(request, settings, LANGUAGE_COOKIE) or "", request.headers.get("accept-language", ""))
    words = Words(language, runtime.settings.zone)
    own = copy(client.page)
    own.language = "en-US" if language == "en" else language.value
    own.dark = _THEMES.get(cookie_of(request, settings, THEME_COOKIE) or "")
    client.page = own
    visitor: Visitor = request.state.visitor
    visit = Visit(runtime, words, visitor, visitor.actor, client)
    client.on_exception(visit.fail)
    return visit


def _navigation(visit: Visit, sections: Sequence[Section], *, alone: bool) -> ui.left_drawer:
    # The browser opens it where there is room. Without a value the server would ask for one, and take it for an error
    # when a slow device needs more than a second to answer.
    drawer = ui.left_drawer(value=False, bordered=True).props("width=232 breakpoint=900 show-if-above")
    drawer.classes("zk-drawer")
    with drawer, widgets.box("zk-nav", "nav") as nav:
        nav.props["aria-label"] = visit.words("navigation")
        for section in sections:
            with widgets.link("", f"/#{section.name}" if alone else f"#{section.name}") as link:
                link.classes("zk-nav-link", remove="zk-link").props(f"data-section={section.name}")
                ui.icon(section.icon)
                widgets.text("span", visit.words(f"{section.name}.title"))
                if section is reconcile.SECTION:
                    _ToDo(visit)
    return drawer


class _ToDo:
    """How many questions wait for a person, beside the link to them."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._number = widgets.text("span", "", "zk-count")
        visit.live(self.refresh)
        ui.timer(0, self.refresh, once=True)

    async def refresh(self) -> None:
        """Count again."""
        with self._visit.showing_errors():
            waiting = await self._visit.ask(_questions, self._visit.runtime)
            self._number.set_text(self._visit.words.number(waiting))
            self._number.set_visibility(bool(waiting))


def _questions(runtime: Runtime) -> int:
    with runtime.database.transaction() as connection:
        waiting = open_work(connection)
    return waiting.conflicts + waiting.parked + len(held_days(runtime))


def _banners(visit: Visit) -> None:
    """What holds for every page: that nothing is written, and that the connection is or was lost, which JS shows."""
    if visit.runtime.settings.push_mode is PushMode.OFF:
        widgets.text("p", visit.words("banner.off"), "zk-banner")
    for name in ("offline", "reloaded"):
        banner = widgets.text("p", visit.words(f"banner.{name}"), f"zk-banner zk-banner-{name}")
        banner.props("role=alert hidden")


def _box(visit: Visit, section: Section) -> ui.element:
    """A section with its heading, and the box in it that is filled later."""
    with widgets.box("zk-section", "section") as around:
        around.props(f"id={section.name} aria-labelledby={section.name}-title data-zk-section={section.name}")
        around.props["data-zk-parts"] = " ".join(part.name for part in section.parts)
        with widgets.box("zk-section-head"):
            widgets.text("h2", visit.words(f"{section.name}.title"), "zk-section-title").props(
                f"id={section.name}-title"
            )
            widgets.text("p", visit.words(f"{section.name}.about"), "zk-muted")
        with widgets.box("zk-section-body") as box:
            widgets.skeleton(visit.words("loading"))
    return box


def _skip_link(visit: Visit) -> None:
    ui.skip_link(visit.words("skip"), target=visit.client.content)


def _load_in_view(visit: Visit, sections: Sequence[Section], boxes: dict[str, ui.element]) -> None:
    """Fill each box when the browser says that it comes into view."""
    first, *others = sections
    waiting = {section.name: section for section in others}

    async def load(event: GenericEventArguments) -> None:
        section = waiting.pop(str(event.args), None)
        if section is not None:
            await _fill(visit, section, boxes[section.name])

    # What comes first need not wait until the browser asks for it.
    background_tasks.create(_fill(visit, first, boxes[first.name]), name=f"section {first.name}")
    ui.on("zk-in-view", load)
    minutes = visit.runtime.settings.access_minutes * _SHARE_OF_ACCESS
    visit.client.on_connect(lambda: ui.run_javascript(f"zkConsole.start({minutes})"))


async def _fill(visit: Visit, section: Section, box: ui.element) -> None:
    """Let the section draw itself; whatever goes wrong stays within its box."""

    async def drawn() -> None:
        with box:
            await section.show(visit)

    box.clear()
    (outcome,) = await asyncio.gather(drawn(), return_exceptions=True)
    if isinstance(outcome, Exception):
        _log.error("The section %s of the console failed unexpectedly:", section.name, exc_info=outcome)
        box.clear()
        with box:
            words = visit.words
            widgets.failed(
                words("error.part"), words("error.defect"), words("try_again"), lambda: _fill(visit, section, box)
            )


# The sections of the console, in their order.

SECTIONS: tuple[Section, ...] = (
    dashboard.SECTION,
    reconcile.SECTION,
    statement.SECTION,
    mappings.SECTION,
    run_actions.SECTION,
    audit.SECTION,
    settings.SECTION,
)
