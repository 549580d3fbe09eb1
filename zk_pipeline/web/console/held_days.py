"""The question that the days of a cancelled run wait with, as Home and To do ask it."""

from collections.abc import Awaitable, Callable

from zk_pipeline.identity.actors import Role
from zk_pipeline.operate import sync
from zk_pipeline.operate.sync import IN_DAGSTER, HeldDays
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit

_ANSWERS = {"held.again": ("sync", sync.sync_again), "held.leave": ("block", sync.leave)}


def show(visit: Visit, row: HeldDays, answered: Callable[[], Awaitable[None]]) -> None:
    """Draw who cancelled the run and, for those who may give one, the answers; `answered` is called after one."""
    words, known = visit.words, {"at": visit.words.instant(row.cancelled_at)}
    known["days"] = words.days(row.first, row.last)
    in_dagster = row.cancelled_by == IN_DAGSTER
    sentence = words("held.in_dagster", **known) if in_dagster else words("held.by", name=row.cancelled_by, **known)
    with widgets.box("zk-row"):
        widgets.text("span", sentence)
        widgets.link(words("dagster"), row.url, outside=True)
    widgets.text("p", words("held.changes", number=words.number(row.changes)))
    if visit.may(Role.OPERATOR):
        with widgets.box("zk-row"):
            for label in _ANSWERS:
                _answer(visit, label, row, answered)


def _answer(visit: Visit, label: str, row: HeldDays, answered: Callable[[], Awaitable[None]]) -> None:
    icon, operation = _ANSWERS[label]

    async def say() -> None:
        await visit.ask(operation, visit.runtime, visit.actor, row.run_id)
        visit.notify(visit.words(f"{label}.done"))
        await answered()

    widgets.button(visit.words(label), visit.act(Role.OPERATOR, say), icon=icon)
