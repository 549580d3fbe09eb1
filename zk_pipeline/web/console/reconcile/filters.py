"""What of the plan is listed: the four views, and what narrows them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from nicegui import ui

from zk_pipeline.domain.reasons import Reason
from zk_pipeline.store.conflict_lists import Filter
from zk_pipeline.store.plan_lines import LineFilter, View
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.visit import Visit


class Filters:
    """The row of fields; `wanted` is what they say, and `on_change` is called when they say something else."""

    def __init__(self, visit: Visit, on_change: Callable[[], Awaitable[None]]) -> None:
        self._on_change = on_change
        words, given = visit.words, visit.client.request.query_params
        self._view = View(given["view"]) if given.get("view") in set(View) else View.CONFLICTS
        with parts.box("zk-views").props("role=group") as group:
            group.props["aria-label"] = words("reconcile.views")
            self._buttons = {view: self._view_button(words(f"reconcile.{view}"), view) for view in View}
        reasons = {"": words("all"), **{reason.value: words(f"reason.{reason}") for reason in Reason}}
        with parts.box("zk-filters"):
            self._reason = parts.choice(words("reconcile.reason"), reasons, "", on_change)
            self._agent = parts.search(words("reconcile.agent"), on_change)
            self._customer = parts.search(words("reconcile.customer"), on_change)
            self._ticket = parts.search(words("reconcile.ticket"), on_change)
            self._first = parts.day_field(words("from"), on_change=on_change)
            self._last = parts.day_field(words("to"), on_change=on_change)
        self._mark()

    @property
    def wanted(self) -> LineFilter:
        """The lines that are meant."""
        return LineFilter(
            view=self._view,
            reason=self._reason.value,
            agent=_text(self._agent),
            customer=_text(self._customer),
            ticket=_text(self._ticket),
            first=parts.day_of(self._first),
            last=parts.day_of(self._last),
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything narrows the view."""
        return self.wanted != LineFilter(view=self._view)

    @property
    def conflicts(self) -> Filter | None:
        """The same as a filter of conflicts, so that all can be decided at once; `None` where there is no such."""
        wanted = self.wanted
        if wanted.view is not View.CONFLICTS or replace(wanted, ticket="") != wanted:
            return None
        return Filter(
            reason=wanted.reason,
            agent=wanted.agent,
            customer=wanted.customer,
            first=wanted.first,
            last=wanted.last,
        )

    def _view_button(self, label: str, view: View) -> ui.button:
        async def choose() -> None:
            self._view = view
            self._mark()
            await self._on_change()

        return parts.button(label, choose, kind="quiet").classes("zk-view")

    def _mark(self) -> None:
        for view, button in self._buttons.items():
            button.props["aria-pressed"] = str(view is self._view).lower()


def _text(field: ui.input) -> str:
    return (field.value or "").strip()
