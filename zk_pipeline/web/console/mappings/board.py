"""The parts of the section, for one kind of mappings at a time: what waits at the top, then what is mapped."""

from collections.abc import Mapping
from urllib.parse import urlencode

from nicegui import ui

from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.vocabulary import current_vocabulary
from zk_pipeline.web.console import feedback, parts
from zk_pipeline.web.console.mappings import file, forms
from zk_pipeline.web.console.mappings.listing import Listing
from zk_pipeline.web.console.mappings.waiting import WaitingList
from zk_pipeline.web.console.visit import Visit

EXPORT = "/api/v1/mappings/export"


class Board:
    """The choice of the kind, and the two lists that follow it. The address may name a kind, as `?kind=user`."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        given = visit.client.request.query_params.get("kind", "")
        self._kind = Kind(given) if given in set(Kind) else Kind.ACTIVITY
        words = visit.words
        with parts.box("zk-toolbar"):
            with parts.box("zk-views").props("role=group") as group:
                group.props["aria-label"] = words("mappings.kinds")
                self._buttons = {kind: self._kind_button(kind) for kind in Kind}
            with parts.box("zk-row"):
                self._tools()
        with parts.card(words("mappings.waiting")):
            self._waiting = WaitingList(visit, self._count, self._changed)
        with parts.card(words("mappings.stored")):
            self._listing = Listing(visit, self._changed)
        self._mark()
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load both lists again."""
        await self._waiting.show(self._kind)
        await self._listing.show(self._kind)

    async def _changed(self) -> None:
        await self.refresh()
        feedback.keep_focus(self._visit, self._listing.box)

    def _tools(self) -> None:
        visit, words = self._visit, self._visit.words
        if visit.may(Role.OPERATOR):
            add = visit.act(Role.OPERATOR, lambda: forms.add(visit, self._kind, self._changed))
            parts.button(words("mappings.add"), add, kind="primary", icon="add")
            take = visit.act(Role.OPERATOR, lambda: file.take(visit, self._changed))
            parts.button(words("mappings.import"), take, icon="upload")
            read = visit.act(Role.OPERATOR, self._read)
            self._read_button = parts.icon_button(words("mappings.read"), "refresh", read)
        address = f"{EXPORT}?{urlencode(words.csv)}" if words.csv else EXPORT
        parts.link(words("mappings.export"), address).props("download=mappings.csv")

    async def _read(self) -> None:
        with feedback.working(self._read_button):
            await self._visit.ask(current_vocabulary, self._visit.runtime)
        self._visit.tell(self._visit.words("mappings.read.done"))
        await self.refresh()

    def _kind_button(self, kind: Kind) -> ui.button:
        async def choose() -> None:
            self._kind = kind
            self._mark()
            await self.refresh()

        return parts.button(self._visit.words(f"mappings.{kind}"), choose, kind="quiet").classes("zk-view")

    def _count(self, totals: Mapping[Kind, int]) -> None:
        """Say of each kind how much lacks a mapping."""
        words = self._visit.words
        for kind, button in self._buttons.items():
            name, number = words(f"mappings.{kind}"), totals.get(kind, 0)
            button.set_text(words("mappings.counted", name=name, number=words.number(number)) if number else name)

    def _mark(self) -> None:
        for kind, button in self._buttons.items():
            button.props["aria-pressed"] = str(kind is self._kind).lower()
