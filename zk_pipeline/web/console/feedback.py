"""Feedback while and after something is done: the busy button, what is wrong with a form, the question, the focus."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.validation_element import ValidationElement

from zk_pipeline.identity.actors import OperationError, Role
from zk_pipeline.identity.sign_in import SessionOverError
from zk_pipeline.runtime.schedules import ScheduleError
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


Act = Callable[[], Awaitable[None]]


class Form:
    """The end of a form: its buttons, and what is wrong with what was typed.

    That stands below the field that it is about, by the `field` of the error, and above the buttons where it is about
    none. `fields` are by these names; the enter key in the last one presses the first button.
    """

    def __init__(
        self,
        visit: Visit,
        needed: Role,
        fields: Mapping[str, ValidationElement] | None = None,
        *,
        cancel: Callable[[], object] | None = None,
    ) -> None:
        self._visit, self._needed, self._fields = visit, needed, dict(fields or {})
        self._problem = widgets.box("zk-stack").props("aria-live=assertive")
        self._actions = widgets.actions()
        self._first: ui.button | None = None
        for field in self._fields.values():
            field.on_value_change(partial(setattr, field, "error", None))
        if cancel:
            with self._actions:
                widgets.button(visit.words("cancel"), cancel)

    def button(self, label: str, act: Act, *, kind: Kind = "primary", icon: str | None = None) -> ui.button:
        """A button that does something with the form, and says below or above what is wrong."""
        guarded = self._visit.act(self._needed, partial(self._go, act))
        with self._actions:
            made = widgets.button(label, guarded, kind=kind, icon=icon)
        if self._first is None and self._fields:
            *_, last = self._fields.values()
            last.on("keydown.enter", guarded)
        self._first = self._first or made
        return made

    async def _go(self, act: Act) -> None:
        self._problem.clear()
        for field in self._fields.values():
            field.error = None
        try:
            await act()
        except SessionOverError:
            raise
        except EXPECTED as error:
            self._say(error)

    def _say(self, error: Exception) -> None:
        said = self._visit.words.said(error)
        name = error.field if isinstance(error, (OperationError, ScheduleError)) else ""
        if (field := self._fields.get(name)) is not None:
            # For programs, some sentences begin with the name of the field.
            why = said.removeprefix(f"{name}: ")
            refuse(field, why[:1].upper() + why[1:])
        else:
            with self._problem:
                widgets.text("p", said, "zk-note zk-warn").props("role=alert")


def refuse(field: ValidationElement, why: str) -> None:
    """Show below a field what is wrong with it, and put the focus there."""
    field.error = why
    field.run_method("focus")


def confirm(visit: Visit, needed: Role, title: str, effect: str, label: str, act: Act, kind: Kind) -> None:
    """Ask for confirmation before an act that others notice. After an error the dialog can only be closed."""
    with widgets.dialog(title, visit.words("close")) as dialog:
        widgets.text("p", effect)
        form = Form(visit, needed, cancel=dialog.close)

        async def go() -> None:
            try:
                await act()
            except EXPECTED:
                button.disable()
                raise
            dialog.close()

        button = form.button(label, go, kind=kind)
