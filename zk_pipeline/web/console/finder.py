"""The search field of the top bar: a ticket, customer, agent, booking or time sheet from everywhere."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from nicegui import ui

from zk_pipeline.operate.search import Hit, HitKind, search
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit

_ADDRESSES: Mapping[HitKind, str] = {
    HitKind.TICKET: "/reconcile?view=all&ticket={}",
    HitKind.BOOKING: "/audit?trace={}",
    HitKind.TIMESHEET: "/audit?trace=kimai:{}",
    HitKind.CUSTOMER: "/reconcile?view=all&customer={}",
    HitKind.AGENT: "/reconcile?view=all&agent={}",
}
"""Where what was found is shown."""


class Finder:
    """The field, and under it the links to what was found."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with widgets.box("zk-finder", "search"):
            self._field = ui.input(placeholder=visit.words("search.hint"), on_change=self._typed)
            self._field.props("outlined dense clearable debounce=250 maxlength=200 type=search").classes("zk-field")
            self._field.props["aria-label"] = visit.words("search")
            with self._field.add_slot("prepend"):
                ui.icon("search")
            self._found = widgets.box("zk-found").props("aria-live=polite hidden")
        self._field.on("keydown.escape", lambda: self._field.set_value(""))
        self._field.on("keydown.enter", js_handler="() => document.querySelector('.zk-found a')?.click()")

    async def _typed(self) -> None:
        wanted = (self._field.value or "").strip()
        with self._visit.showing_errors():
            hits = await self._visit.ask(search, self._visit.runtime, wanted) if wanted else ()
            if wanted == (self._field.value or "").strip():  # Else an older answer came late.
                self._show(wanted, hits)

    def _show(self, wanted: str, hits: Sequence[Hit]) -> None:
        words = self._visit.words
        self._found.clear()
        if wanted:
            self._found.props(remove="hidden")
        else:
            self._found.props("hidden")
        with self._found:
            if wanted and not hits:
                widgets.text("p", words("search.none", wanted=wanted), "zk-muted")
            for hit in hits:
                address = _ADDRESSES[hit.kind].format(quote(hit.key.removeprefix("#"), safe=""))
                with widgets.link("", address).classes("zk-hit", remove="zk-link"):
                    widgets.text("span", words(f"search.{hit.kind}"), "zk-hit-kind")
                    widgets.text("span", hit.key, "zk-lead").props("dir=auto")
                    widgets.text("span", hit.text, "zk-muted").props("dir=auto")
