"""What people notice while something is done and afterwards: the button that works, the question, the focus."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from nicegui import ui
from nicegui.element import Element

from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import TOLD, Visit
from zk_pipeline.web.console.widgets import Kind


@contextmanager
def working(button: ui.button) -> Iterator[None]:
    """Show that a button is at work, so that nobody presses it twice."""
    button.props("loading")
    try:
        yield
    finally:
        if not button.is_deleted:
            button.props(remove="loading")


def focusable(element: Element) -> Element:
    """Let the focus rest on what is no control."""
    return element.props("tabindex=-1")


def keep_focus(visit: Visit, element: Element) -> None:
    """Put the focus here where what had it was drawn again, so that nobody has to begin at the top of the page."""
    visit.client.run_javascript(
        f"setTimeout(() => document.activeElement === document.body && getHtmlElement({element.id})?.focus(), 400)"
    )


def confirm(
    visit: Visit, needed: Role, title: str, effect: str, label: str, act: Callable[[], Awaitable[None]], kind: Kind
) -> None:
    """Ask before something is done that others notice. Why it cannot be done is told in the same place."""
    words = visit.words
    with widgets.dialog(title, words("close")) as dialog:
        widgets.text("p", effect)
        told = widgets.box("zk-stack").props("aria-live=assertive")

        async def go() -> None:
            told.clear()
            try:
                with working(button):
                    await act()
            except TOLD as error:
                with told:
                    widgets.text("p", str(error), "zk-note zk-warn")
                button.disable()
            else:
                dialog.close()

        with widgets.actions():
            widgets.button(words("cancel"), dialog.close)
            button = widgets.button(label, visit.act(needed, go), kind=kind)
