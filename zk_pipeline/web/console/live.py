"""Keeps a page up to date for as long as somebody looks at it: a light question every few seconds."""

from nicegui import ui
from nicegui.events import GenericEventArguments

from zk_pipeline.runtime import Runtime
from zk_pipeline.store.change_mark import ChangeMark, change_mark
from zk_pipeline.web.console.visit import Visit

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
        with self._visit.telling():
            mark = await self._visit.ask(_mark, self._visit.runtime)
            if self._seen is not None and mark != self._seen:
                for refresh in self._visit.refreshers:
                    await refresh()
            self._seen = mark


def _mark(runtime: Runtime) -> ChangeMark:
    with runtime.database.transaction() as connection:
        return change_mark(connection)
