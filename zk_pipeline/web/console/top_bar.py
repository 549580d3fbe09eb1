"""The top bar: what it is, sync now, the schedule, language and colours, and who is signed in."""

from nicegui import ui

from zk_pipeline.operations.actors import Role
from zk_pipeline.web.console import account_dialog, parts, schedule_dialog
from zk_pipeline.web.console.sync_dialog import SyncDialog
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.words import Language


def show(visit: Visit, drawer: ui.left_drawer) -> None:
    """The bar at the top of every page; what the role may not do is not there."""
    words = visit.words
    with ui.header(bordered=True).classes("zk-top"):
        parts.icon_button(words("navigation"), "menu", drawer.toggle).classes("zk-menu-button")
        with parts.link("", "/").classes("zk-brand", remove="zk-link"):
            parts.text("h1", "zk_pipeline")
        parts.box("zk-grow")
        if visit.may(Role.ADMIN):
            open_schedule = visit.act(Role.ADMIN, lambda: schedule_dialog.show(visit))
            _named(parts.button(words("schedule"), open_schedule, icon="schedule"), words("schedule"))
        if visit.may(Role.OPERATOR):
            open_sync = visit.act(Role.OPERATOR, lambda: SyncDialog(visit).show())
            sync = parts.button(words("sync.now"), open_sync, kind="primary", icon="sync")
            _named(sync, words("sync.now"))
        _language(visit)
        parts.icon_button(words("theme"), "contrast").on("click", js_handler="() => zkConsole.theme()")
        _account(visit)


def _named(button: ui.button, name: str) -> None:
    """Keep a button's name where there is only room for its icon."""
    button.props["aria-label"] = name


def _language(visit: Visit) -> None:
    with parts.icon_button(visit.words("language"), "translate"), ui.menu().props("auto-close"):
        for language in Language:
            item = ui.menu_item(language.own_name)
            item.props(f"lang={language}").on("click", js_handler=f"() => zkConsole.language('{language}')")


def _account(visit: Visit) -> None:
    words = visit.words
    with parts.icon_button(words("account"), "account_circle"), ui.menu().props("auto-close"):
        parts.text("p", visit.visitor.name, "zk-menu-name")
        parts.text("p", words(f"role.{visit.actor.role}"), "zk-menu-note")
        ui.menu_item(words("account"), visit.act(Role.VIEWER, lambda: account_dialog.show(visit)))
        if visit.may(Role.ADMIN):
            ui.menu_item(words("users"), visit.act(Role.ADMIN, lambda: account_dialog.show_users(visit)))
        ui.menu_item(words("sign_out")).on("click", js_handler="() => zkConsole.signOut()")
