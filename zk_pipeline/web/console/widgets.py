"""The widgets of the console, which have one look and say to screen readers what they are."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from inspect import iscoroutine
from typing import Any, Generic, Literal, TypeVar

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from zk_pipeline.identity.sign_in import SessionOverError
from zk_pipeline.web.console.visit import EXPECTED, Visit
from zk_pipeline.web.console.words import Words

Kind = Literal["primary", "plain", "quiet", "danger"]
Tone = Literal["good", "warn", "bad", "info", "calm"]
Cell = str | Callable[[], Any]
"""What a cell shows: text, or what draws it."""
Handler = Callable[..., Any]

_KINDS: Mapping[Kind, str] = {
    "primary": "unelevated no-caps",
    "plain": "outline no-caps",
    "quiet": "flat no-caps",
    "danger": "unelevated no-caps",
}


_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; its title is also the label of its cells where the table becomes cards.

    A column of buttons needs none. What is `whole`, such as days, is broken between its words alone.
    """

    title: str
    number: bool = False
    whole: bool = False


def text(tag: str, content: str, classes: str = "") -> TextElement:
    """An element that holds nothing but text."""
    return TextElement(tag=tag, text=content).classes(classes)


def hours(words: Words, minutes: int | Decimal, classes: str = "", tag: str = "span") -> TextElement:
    """An amount of time in hours, with its exact minutes on hover."""
    made = text(tag, words.hours(minutes), classes)
    made.props["title"] = words.minutes(minutes)
    return made


def box(classes: str, tag: str = "div") -> Element:
    """An element around others."""
    return ui.element(tag).classes(classes)


@contextmanager
def card(title: str = "", classes: str = "") -> Iterator[Element]:
    """A card, which has a heading of the third level when it has a title."""
    with box(f"zk-card {classes}") as element:
        if title:
            text("h3", title, "zk-card-title")
        yield element


def button(label: str, on_click: Handler | None = None, *, kind: Kind = "plain", icon: str | None = None) -> ui.button:
    """A button with a text. It is busy, and cannot be pressed, for as long as what it does takes."""
    made = ui.button(label, icon=icon, color="primary" if kind == "primary" else None)
    if on_click is not None:
        made.on_click(_busy_during(made, on_click))
    return made.props(_KINDS[kind]).classes(f"zk-button zk-{kind}")


def _busy_during(made: ui.button, on_click: Handler) -> Callable[[], Awaitable[None]]:
    async def pressed() -> None:
        answer = on_click()
        # Not `isawaitable`: a dialog is, and opens again when it is awaited; its `close` returns the dialog.
        if not iscoroutine(answer):
            return
        made.props("loading")
        try:
            await answer
        finally:
            if not made.is_deleted:
                made.props(remove="loading")

    return pressed


def icon_button(label: str, icon: str, on_click: Handler | None = None) -> ui.button:
    """A button with an icon alone, busy as others are; the label is its name and its tooltip."""
    made = ui.button(icon=icon, color=None).props("flat round")
    if on_click is not None:
        made.on_click(_busy_during(made, on_click))
    made.props["aria-label"] = label
    made.props["title"] = label
    return made.classes("zk-icon-button")


def open_button(label: str, on_click: Handler) -> ui.button:
    """The button in a row that opens what the row is about; it is busy as others are."""
    made = ui.button(label, color=None).props("flat dense no-caps align=left dir=auto").classes("zk-open")
    return made.on_click(_busy_during(made, on_click))


def chip(label: str, tone: Tone = "calm") -> TextElement:
    """A short state; its colour only underlines what it says."""
    return text("span", label, f"zk-chip zk-{tone}")


def link(label: str, target: str, *, outside: bool = False) -> TextElement:
    """A link; one that leads out of the console opens beside it."""
    made = text("a", label, "zk-link")
    made.props["href"] = target
    if outside:
        made.props["target"] = "_blank"
        made.props["rel"] = "noopener noreferrer"
    return made


def field(label: str, value: str = "", *, hint: str = "", password: bool = False) -> ui.input:
    """A line to type into."""
    made = ui.input(label, value=value, password=password).props("outlined dense").classes("zk-field")
    if hint:
        made.props["hint"] = hint
    return made


def search(label: str, on_change: Handler) -> ui.input:
    """A line that narrows a list while it is typed into."""
    made = ui.input(label, on_change=on_change).props("outlined dense clearable debounce=350 maxlength=200")
    return made.classes("zk-field")


def offer(made: ui.input, find: Callable[[str], Awaitable[Mapping[str, str]]]) -> None:
    """Offer what `find` returns for the text of a field, in the browser's own list, from which arrow keys choose.

    `find` returns each value with the text that it is shown as.
    """
    offered = ui.element("datalist")
    offered.props["id"] = f"{made.html_id}-datalist"  # The list that NiceGUI's field names.

    async def load() -> None:
        wanted = made.value or ""
        found = await find(wanted)
        if (
            wanted != (made.value or "") or offered.is_deleted
        ):  # Typed on meanwhile: the next answer is the one to show.
            return
        offered.clear()
        with offered:
            for value, label in found.items():
                option = ui.element("option")
                option.props["value"], option.props["label"] = value, label

    made.on("focus", load)
    made.on_value_change(load)


def day_field(label: str, value: date | None = None, on_change: Handler | None = None) -> ui.input:
    """A day, picked or typed; read it with `day_of`."""
    made = ui.input(label, value=value.isoformat() if value else "", on_change=on_change)
    return made.props('type=date outlined dense stack-label max="9999-12-31"').classes("zk-field zk-day")


def day_of(made: ui.input) -> date | None:
    """The day in a field, if there is one."""
    return as_day(made.value or "")


def as_day(given: str) -> date | None:
    """The day that a text means, if it is one."""
    if not _DAY.fullmatch(given):
        return None
    try:
        return date.fromisoformat(given)
    except ValueError:  # such as 31 February
        return None


def choice(
    label: str, options: Mapping[Any, str], value: Any, on_change: Handler | None = None, *, typed: bool = False
) -> ui.select:
    """One of several values, each with the text that it is shown as; one that is `typed` is found by a part of it."""
    made = ui.select(dict(options), label=label, value=value, on_change=on_change, with_input=typed, clearable=typed)
    return made.props("outlined dense options-dense").classes("zk-field")


def two_lines(first: str, second: str) -> None:
    """A name, and below it what distinguishes it."""
    with box("zk-two-lines"):
        text("span", first).props("dir=auto")
        if second:
            text("span", second, "zk-muted").props("dir=auto")


def empty(title: str, hint: str) -> None:
    """The placeholder of an empty list: that there is nothing, and what to do."""
    with box("zk-empty"):
        ui.icon("inbox").classes("zk-empty-icon")
        text("p", title, "zk-empty-title")
        text("p", hint, "zk-muted")


def failed(title: str, reason: str, again: str, on_again: Handler) -> None:
    """The placeholder of what could not be loaded: why, and a button to try again."""
    with box("zk-failed").props("role=alert"):
        text("p", title, "zk-empty-title")
        text("p", reason)
        button(again, on_again, icon="refresh")


def skeleton(label: str) -> None:
    """The placeholder while something loads."""
    with box("zk-skeleton").props("role=status"):
        text("span", label, "zk-sr")
        for _ in range(3):
            box("zk-skeleton-line")


def facts(pairs: Sequence[tuple[str, Cell]]) -> None:
    """Names and values, one below the other."""
    with box("zk-facts", "dl"):
        for name, value in pairs:
            text("dt", name)
            _cell("dd", value)


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Element:
    """A table, which becomes a list of cards on a narrow screen. The caption is for screen readers."""
    with box("zk-table-box"), box("zk-table", "table").props("role=table") as made:
        text("caption", caption, "zk-sr")
        with box("", "thead").props("role=rowgroup"), box("", "tr").props("role=row"):
            for column in columns:
                if column.title:
                    heading = text("th", column.title, "zk-number" if column.number else "")
                    heading.props("scope=col role=columnheader")
                else:  # A header without text would be read as one that is missing.
                    text("td", "").props("role=cell")
        with box("", "tbody").props("role=rowgroup"):
            for row in rows:
                with box("", "tr").props("role=row"):
                    for column, value in zip(columns, row, strict=True):
                        cell = _cell("td", value).props("role=cell").classes(_classes(column))
                        cell.props["data-label"] = column.title
    return made


def _classes(column: Column) -> str:
    return "zk-number" if column.number else "zk-whole" if column.whole else ""


def pager(words: Words, page: int, size: int, total: int, go: Callable[[int], Any]) -> None:
    """Which page of a list this is, with the ways to the first, the one before, the one after and the last.

    Pages count from 1.
    """
    pages = max(1, -(-total // size))
    with box("zk-pager", "nav") as around:
        around.props["aria-label"] = words("pages")
        first = (page - 1) * size + 1 if total else 0
        text("span", words.rows(first, min(page * size, total), total), "zk-muted")
        ways = (
            ("first", "first_page", 1),
            ("before", "chevron_left", page - 1),
            ("after", "chevron_right", page + 1),
            ("last", "last_page", pages),
        )
        for name, shape, to in ways:
            way = icon_button(words(f"pages.{name}"), shape, partial(go, to))
            way.set_enabled(1 <= to <= pages and to != page)


@contextmanager
def dialog(title: str, close: str, *, wide: bool = False) -> Iterator[ui.dialog]:
    """An open dialog that takes the focus, gives it back when it closes, and then is gone."""
    layout = ui.context.client.layout
    with layout, ui.dialog(value=True) as made:
        made.on("hide", made.delete)
        with box(f"zk-dialog {'zk-wide' if wide else ''}") as around:
            with box("zk-dialog-head"):
                heading = text("h2", title, "zk-dialog-title").props("dir=auto")
                icon_button(close, "close", made.close)
            made.props["aria-labelledby"] = heading.html_id
            with box("zk-dialog-body"):
                yield made
        around.props["role"] = "document"


def actions() -> Element:
    """The row of buttons at the end of a dialog or a form."""
    return box("zk-actions")


def _cell(tag: str, value: Cell) -> Element:
    if isinstance(value, str):
        return text(tag, value).props("dir=auto")
    with ui.element(tag) as element:
        value()
    return element


# A part of a section that loads, fails and is redrawn without the rest of the page.

Data = TypeVar("Data")

SECONDS_HEARD = 10.0
"""How long a click may take to the server. Without this, a page that redraws in that time swallows it."""

_NOTHING = object()
_log = logging.getLogger(__name__)


class Panel(Generic[Data]):
    """Shows what `load` returns, which runs beside the event loop; `show` draws it into the panel's box."""

    def __init__(self, visit: Visit, load: Callable[[], Data], show: Callable[[Data], None]) -> None:
        self._visit, self._load, self._show = visit, load, show
        self._shown: object = _NOTHING
        self.box = ui.element("div").classes("zk-panel").props("aria-busy=true")
        with self.box:
            skeleton(visit.words("loading"))

    async def refresh(self) -> None:
        """Load again; draw again where something changed. Whatever goes wrong stays within the box."""
        if self.box.is_deleted:
            return
        (outcome,) = await asyncio.gather(self._visit.ask(self._load), return_exceptions=True)
        if self.box.is_deleted or (outcome == self._shown and not isinstance(outcome, BaseException)):
            return
        self._shown = outcome
        self._take_off()
        with self.box.props(remove="aria-busy"):
            if isinstance(outcome, SessionOverError):
                self._visit.leave()
            elif isinstance(outcome, BaseException):
                self._say(outcome)
            else:
                self._show(outcome)

    def _take_off(self) -> None:
        """Take what is shown off the page; a click that is under way to it is still heard."""
        gone = list(self.box)
        for slot in self.box.slots.values():
            slot.children.clear()
        self.box.update()
        asyncio.get_running_loop().call_later(SECONDS_HEARD, _forget, gone)

    def _say(self, error: BaseException) -> None:
        words = self._visit.words
        if isinstance(error, EXPECTED):
            reason = words.said(error)
        else:
            _log.error("A part of the console failed unexpectedly:", exc_info=error)
            reason = words("error.defect")
        failed(words("error.part"), reason, words("try_again"), self.refresh)


def _forget(gone: Sequence[Element]) -> None:
    for element in gone:
        if not element.is_deleted:
            element.client.remove_elements(element.descendants(include_self=True))
