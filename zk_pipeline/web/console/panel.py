"""A part of a section that loads by itself: it waits, fails and is redrawn without the rest of the page."""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from nicegui import ui

from zk_pipeline.operations.sign_in import SessionOverError
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.visit import TOLD, Visit

Data = TypeVar("Data")

_NOTHING = object()
_log = logging.getLogger(__name__)


class Panel(Generic[Data]):
    """Shows what `load` returns, which runs beside the event loop; `show` draws it into the panel's box."""

    def __init__(self, visit: Visit, load: Callable[[], Data], show: Callable[[Data], None]) -> None:
        self._visit, self._load, self._show = visit, load, show
        self._shown: object = _NOTHING
        self.box = ui.element("div").classes("zk-panel").props("aria-busy=true")
        with self.box:
            parts.skeleton(visit.words("loading"))

    async def refresh(self) -> None:
        """Load again; draw again where something changed. Whatever goes wrong stays within the box."""
        if self.box.is_deleted:
            return
        (outcome,) = await asyncio.gather(self._visit.ask(self._load), return_exceptions=True)
        if self.box.is_deleted or (outcome == self._shown and not isinstance(outcome, BaseException)):
            return
        self._shown = outcome
        self.box.props(remove="aria-busy").clear()
        with self.box:
            if isinstance(outcome, SessionOverError):
                self._visit.leave()
            elif isinstance(outcome, BaseException):
                self._say(outcome)
            else:
                self._show(outcome)

    def _say(self, error: BaseException) -> None:
        words = self._visit.words
        if isinstance(error, TOLD):
            reason = str(error)
        else:
            _log.error("A part of the console failed because of a defect:", exc_info=error)
            reason = words("error.defect")
        parts.failed(words("error.part"), reason, words("try_again"), self.refresh)
