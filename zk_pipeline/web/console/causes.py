"""What keeps bookings from Kimai, by cause, with its hours and the way to solve it."""

from collections.abc import Callable, Sequence
from datetime import date
from urllib.parse import urlencode

from zk_pipeline.decisions import causes
from zk_pipeline.decisions.causes import PROJECT_UNCLEAR, Cause
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.mapping import ObstacleKind
from zk_pipeline.domain.mapping_lines import NOTHING
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.words import Words

_NAMED = frozenset(
    {*ObstacleKind, PROJECT_UNCLEAR, Reason.UNMAPPED_USER, Reason.UNMAPPED_ACTIVITY, Reason.UNMAPPED_CUSTOMER}
)
"""Causes that are about somebody or something with a name."""


def causes_of(visit: Visit, first: date, last: date) -> tuple[Cause, ...]:
    """The causes on these days, most hours first. It asks the database: call it beside the event loop."""
    return causes.causes(visit.runtime, ConflictFilter(first=first, last=last))


def title_of(words: Words, cause: Cause) -> str:
    """What a cause is called."""
    if cause.kind not in _NAMED:
        return words(f"reason.{cause.reason}")
    name = words("mappings.without") if cause.zammad == NOTHING else cause.name
    return words(f"cause.{cause.kind}", name=name, ended=words.day(cause.ended) if cause.ended else "")


def next_step_of(words: Words, cause: Cause) -> str:
    """What a person may do about a cause."""
    known = words.known(f"next.{cause.reason}", words.said(cause.text))
    return words.known(f"cause.next.{cause.kind}", known)


def subject_of(words: Words, ticket: str | None, kimai_id: int | None, key: str) -> str:
    """What a line or a conflict is about: its ticket, else its time sheet, else its booking."""
    if ticket:
        return ticket
    if kimai_id is not None:
        return words("reconcile.sheet", id=kimai_id)
    return words("trace.booking", id=key.rpartition(":")[2])


def show(words: Words, found: Sequence[Cause], fix: Callable[[Cause], bool] = lambda _: False) -> None:
    """The causes, each with its hours, what solves it and a way to its card in To do, opened; or that nothing waits.

    `fix` draws what solves a cause by one click, and says whether there is anything.
    """
    if not found:
        widgets.empty(words("home.causes.none"), words("home.causes.none.hint"))
        return
    with widgets.box("zk-list", "ul"):
        for cause in found:
            title, address = title_of(words, cause), f"/reconcile?{urlencode({'cause': cause.key})}"
            with widgets.box("zk-list-row", "li"):
                what = widgets.box("zk-two-lines zk-grow")
                is_fixed_here = fix(cause)
                if not is_fixed_here:
                    review = widgets.link(words("todo.review"), address).classes("zk-button-link", remove="zk-link")
                    review.props["aria-label"] = f"{words('todo.review')}: {title}"
            with what:
                name = widgets.link(title, address) if is_fixed_here else widgets.text("span", title)
                name.classes("zk-lead").props("dir=auto")
                with widgets.box("zk-muted", "span"):
                    widgets.hours(words, cause.minutes)
                    widgets.text("span", f" · {words.count('home.bookings', cause.conflicts)}")
