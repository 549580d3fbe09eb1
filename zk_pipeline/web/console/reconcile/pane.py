"""The pane at the side of a list: what is looked at, while the list stays where it is."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.visit import Visit


class Pane:
    """Empty and hidden until something is opened in it; `changed` is called after a decision in it."""

    def __init__(self, visit: Visit, changed: Callable[[], Awaitable[None]]) -> None:
        self._visit, self.changed = visit, changed
        self.shown = 0
        """Grows with everything that is opened."""
        self._box = widgets.box("zk-pane", "aside")
        self._box.set_visibility(False)

    @contextmanager
    def showing(self, title: str, lead: str = "") -> Iterator[None]:
        """Draw something else into the pane, which takes the focus; `lead` is shown below the title."""
        words = self._visit.words
        self.shown += 1
        self._box.clear()
        self._box.set_visibility(True)
        self._box.props["aria-label"] = title
        with self._box:
            with widgets.box("zk-pane-head"):
                heading = feedback.focusable(widgets.text("h3", title, "zk-pane-title")).props("dir=auto")
                close = widgets.icon_button(words("close"), "close", self.close)
                close.props("data-zk-close")
            with widgets.box("zk-pane-body"):
                if lead:
                    widgets.text("p", lead, "zk-lead").props("dir=auto")
                yield
        self._visit.client.run_javascript(f"setTimeout(() => zkConsole.toPane(getHtmlElement({heading.id})), 60)")

    def close(self, shown: int | None = None) -> None:
        """Hide it; the focus goes back to the list. What called this may stand in it, so it is emptied later.

        After an answer that took its time, `shown` is what was open at the click: what was opened since stays.
        """
        if shown not in {None, self.shown}:
            return
        was_open = self._box.visible
        self._box.set_visibility(False)
        if was_open:
            self._visit.client.run_javascript("zkConsole.toList()")
