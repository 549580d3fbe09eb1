"""What keeps bookings from Kimai, by cause, with its hours and the way to solve it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from zk_pipeline.decisions import lists
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.words import Words


@dataclass(frozen=True, slots=True)
class Cause:
    """Why bookings wait, and the address at which that is solved."""

    title: str
    bookings: int
    minutes: Decimal
    address: str


def causes_of(visit: Visit, first: date, last: date) -> tuple[Cause, ...]:
    """The causes on these days, most hours first. It asks the database: call it beside the event loop."""
    with visit.runtime.database.transaction() as connection:
        names = active_connectors(connection)
        groups = lists.groups(connection, names.source, ConflictFilter(first=first, last=last), None)
    sums: dict[str, tuple[int, Decimal]] = {}
    for group in groups:
        number, minutes = sums.get(group.reason, (0, Decimal(0)))
        sums[group.reason] = (number + group.number, minutes + group.minutes)
    days = f"from={first}&to={last}"
    return tuple(
        Cause(visit.words(f"reason.{reason}"), number, minutes, f"/reconcile?reason={reason}&{days}")
        for reason, (number, minutes) in sorted(sums.items(), key=lambda one: (-one[1][1], one[0]))
    )


def show(words: Words, found: Sequence[Cause]) -> None:
    """The causes, each with its hours and a way to where it is solved; or that nothing waits."""
    if not found:
        widgets.empty(words("home.causes.none"), words("home.causes.none.hint"))
        return
    with widgets.box("zk-list", "ul"):
        for cause in found:
            with widgets.box("zk-list-row", "li"):
                with widgets.box("zk-two-lines zk-grow"):
                    widgets.text("span", cause.title, "zk-lead")
                    with widgets.box("zk-muted", "span"):
                        widgets.hours(words, cause.minutes)
                        widgets.text("span", f" · {words.count('home.bookings', cause.bookings)}")
                solve = widgets.link(words("home.solve"), cause.address).classes("zk-button-link", remove="zk-link")
                solve.props["aria-label"] = f"{words('home.solve')}: {cause.title}"
