"""Feedback while and after something is done: the busy button, the question, the focus."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from nicegui import ui
from nicegui.element import Element

from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import EXPECTED, Visit
from zk_pipeline.web.console.widgets import Kind


@contextmanager
def working(button: ui.button) -> Iterator[None]:
    """Show that a button is busy, so that nobody presses it twice."""
    button.props("loading")
    try:
        yield
    finally:
        if not button.is_deleted:
            button.props(remove="loading")


def focusable(element: Element) -> Element:
    """Make an element focusable that is no control."""
    return element.props("tabindex=-1")


def keep_focus(visit: Visit, element: Element) -> None:
    """Put the focus here if the element that had it was redrawn, so that it does not jump to the top of the page."""
    visit.client.run_javascript(
        f"setTimeout(() => document.activeElement === document.body && getHtmlElement({element.id})?.focus(), 400)"
    )


def confirm(
    visit: Visit, needed: Role, title: str, effect: str, label: str, act: Callable[[], Awaitable[None]], kind: Kind
) -> None:
    """Ask for confirmation before an act that others notice; its error is shown in the same dialog."""
    words = visit.words
    with widgets.dialog(title, words("close")) as dialog:
        widgets.text("p", effect)
        problem = widgets.box("zk-stack").props("aria-live=assertive")

        async def go() -> None:
            problem.clear()
            try:
                with working(button):
                    await act()
            except EXPECTED as error:
                with problem:
                    widgets.text("p", words.said(error), "zk-note zk-warn")
                button.disable()
            else:
                dialog.close()

        with widgets.actions():
            widgets.button(words("cancel"), dialog.close)
            button = widgets.button(label, visit.act(needed, go), kind=kind)
