"""What solves all of a cause by one click: the same in the cards of To do and on Home."""

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from zk_pipeline.decisions import mappings, mending
from zk_pipeline.decisions.causes import Cause
from zk_pipeline.decisions.mappings import MappingChanges
from zk_pipeline.identity.actors import Role
from zk_pipeline.stages.push.mending import MendRequest
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.mappings import forms
from zk_pipeline.web.console.visit import Visit, new_key

_CERTAIN = 100

Done = Callable[[], Awaitable[None]]


class Fixes:
    """Draws the buttons; `clicked` is called at a click on a mapping, and what it returns once that is set."""

    def __init__(self, visit: Visit, clicked: Callable[[], Done]) -> None:
        self._visit, self._clicked = visit, clicked

    def first(self, cause: Cause) -> bool:
        """The best mapping or the mend, and nothing else; whether there is one."""
        return self.suggestions(cause, 1) or self.mend(cause)

    def suggestions(self, cause: Cause, most: int) -> bool:
        """The mappings that the names suggest, if one solves the cause; whether there is any."""
        found = cause.suggestions[:most] if is_unmapped(cause) and cause.zammad else ()
        for suggestion in found:
            label = self._visit.words("todo.use", name=suggestion.name)
            self.mapping(cause, label, f"id:{suggestion.id}", primary=suggestion.score == _CERTAIN)
        return bool(found)

    def mapping(self, cause: Cause, label: str, value: str, *, primary: bool = False) -> None:
        """The mapping to this value of an import file."""
        button = widgets.button(label, kind="primary" if primary else "plain")
        button.on_click(self._visit.act(Role.OPERATOR, partial(self.map, cause, value, button)))

    async def map(self, cause: Cause, value: str, button: ui.button) -> None:
        """Set the mapping, after a question where others share it."""
        visit, done = self._visit, self._clicked()
        assert cause.maps is not None  # noqa: S101 - only such causes have these buttons
        kind = cause.maps

        def ask(*, shared: bool) -> Awaitable[MappingChanges]:
            return visit.ask(mappings.set_one, visit.runtime, visit.actor, kind, cause.zammad, value, shared=shared)

        async def then(outcome: MappingChanges) -> None:
            forms.notify_outcome(visit, outcome)
            await done()

        with feedback.working(button):
            await forms.confirmed(visit, ask, then)

    def mend(self, cause: Cause) -> bool:
        """What can be changed in Kimai; whether there is anything."""
        if cause.mend is None or cause.target_id is None:
            return False
        words, request = self._visit.words, mending.proposed(self._visit.runtime, cause.mend, cause.target_id)
        label = words(f"todo.mend.{request.mend}", day=words.day(request.until) if request.until else "")
        button = widgets.button(label, kind="primary")
        button.props["aria-label"] = f"{label}: {cause.name}"
        button.on_click(self._visit.act(Role.OPERATOR, partial(self._start_mend, request, new_key(), button)))
        return True

    async def _start_mend(self, request: MendRequest, key: str, button: ui.button) -> None:
        visit = self._visit
        with feedback.working(button):
            await visit.once(
                key, mending.launch, visit.runtime, visit.actor, request.mend, request.record_id, request.until
            )
        button.disable()
        visit.notify(visit.words("todo.mend.started"))


def is_unmapped(cause: Cause) -> bool:
    """Whether a mapping is what is missing, rather than one way among others."""
    return cause.kind == cause.reason and cause.maps is not None
