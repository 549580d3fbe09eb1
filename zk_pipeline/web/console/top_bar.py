"""The top bar: what it is, sync now, the schedule, language and colours, and who is signed in."""

from nicegui import ui

from zk_pipeline.web.console import parts
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.words import Language


def show(visit: Visit, drawer: ui.left_drawer) -> None:
    """The bar at the top of every page."""
    words = visit.words
    with ui.header(bordered=True).classes("zk-top"):
        parts.icon_button(words("navigation"), "menu", drawer.toggle).classes("zk-menu-button")
        with parts.link("", "/").classes("zk-brand", remove="zk-link"):
            parts.text("h1", "zk_pipeline")
        parts.box("zk-grow")
        with parts.icon_button(words("language"), "translate"), ui.menu().props("auto-close"):
            for language in Language:
                item = ui.menu_item(language.own_name)
                item.props(f"lang={language}").on("click", js_handler=f"() => zkConsole.language('{language}')")
        parts.icon_button(words("theme"), "contrast").on("click", js_handler="() => zkConsole.theme()")
        with parts.icon_button(words("account"), "account_circle"), ui.menu().props("auto-close"):
            parts.text("p", visit.visitor.name, "zk-menu-name")
            parts.text("p", words(f"role.{visit.actor.role}"), "zk-menu-note")
            ui.menu_item(words("sign_out")).on("click", js_handler="() => zkConsole.signOut()")
