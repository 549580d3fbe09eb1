"""The parts of the section: the choice of the view, the view, the pane at its side, and the keys."""

from enum import StrEnum
from typing import Protocol

from nicegui import ui

from zk_pipeline.decisions.lists import ConflictFilter, LineSelection
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.store.conflicts import LEFT_OUT
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.reconcile import detail
from zk_pipeline.web.console.reconcile.cards import Cards
from zk_pipeline.web.console.reconcile.left_out import LeftOut
from zk_pipeline.web.console.reconcile.listing import Listing
from zk_pipeline.web.console.reconcile.pane import Pane
from zk_pipeline.web.console.visit import Visit


class View(StrEnum):
    """What the section shows."""

    TO_DO = "todo"
    LEFT_OUT = "left_out"
    EVERYTHING = "all"


class Content(Protocol):
    """A view's content."""

    async def refresh(self) -> None:
        """Load it again."""
        ...


_KEYS = ("J / K", "Enter", "X", "Esc", "?")


class Board:
    """The address may name a view, as `?view=left_out`, or one of the whole list, as `?view=matches`.

    It may narrow what waits by `reason`, `from` and `to`, and open a `cause`.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._given = visit.client.request.query_params
        given = self._given.get("view", "")
        self._selection = LineSelection(given) if given in set(LineSelection) else LineSelection.ALL
        is_list = given in set(LineSelection) - {LineSelection.CONFLICTS}
        self._view = View(given) if given in set(View) else View.EVERYTHING if is_list else View.TO_DO
        words = visit.words
        with widgets.box("zk-toolbar"):
            with widgets.box("zk-views").props("role=group") as group:
                group.props["aria-label"] = words("reconcile.views")
                self._buttons = {view: self._view_button(view) for view in View}
            help_button = widgets.icon_button(words("todo.keys"), "keyboard", self._show_keys)
            help_button.props("data-zk-help").classes("zk-keys-button")
        with widgets.box("zk-todo").props("data-zk-todo"):
            self._main = widgets.box("zk-todo-main")
            self._pane = Pane(visit, self.refresh)
        self._content: Content
        self._draw()
        visit.live(self.refresh)

    async def open(self) -> None:
        """Load the view, and the conflict that the address names."""
        await self.refresh()
        named = self._visit.client.request.query_params.get("conflict", "")
        if named.isdecimal():
            with self._visit.showing_errors():
                await detail.of_conflict(self._visit, self._pane, int(named))

    async def refresh(self) -> None:
        """Load the view again."""
        await self._content.refresh()

    def _draw(self) -> None:
        for view, button in self._buttons.items():
            button.props["aria-pressed"] = str(view is self._view).lower()
        self._pane.close()
        self._main.clear()
        with self._main:
            match self._view:
                case View.TO_DO:
                    self._content = Cards(self._visit, self._pane, self._wanted("open"), self._given.get("cause", ""))
                case View.LEFT_OUT:
                    self._content = LeftOut(self._visit, self._pane, self._wanted(LEFT_OUT))
                case View.EVERYTHING:
                    self._content = Listing(self._visit, self._pane, self._selection)

    def _wanted(self, status: str) -> ConflictFilter:
        """What the address narrows the conflicts to."""
        given = self._given
        return ConflictFilter(
            status=status,
            reason=given.get("reason", "") if given.get("reason") in set(Reason) else "",
            first=widgets.as_day(given.get("from", "")),
            last=widgets.as_day(given.get("to", "")),
        )

    def _view_button(self, view: View) -> ui.button:
        async def choose() -> None:
            self._view = view
            self._draw()
            await self.refresh()

        return widgets.button(self._visit.words(f"todo.view.{view}"), choose, kind="quiet").classes("zk-view")

    def _show_keys(self) -> None:
        words = self._visit.words
        with widgets.dialog(words("todo.keys"), words("close")):
            widgets.facts([(key, words(f"todo.key.{number}")) for number, key in enumerate(_KEYS)])
            widgets.text("p", words("todo.keys.letters"), "zk-muted")
