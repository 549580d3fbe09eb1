"""A search field with a few results, one of which is chosen; the server searches, not the browser."""

from collections.abc import Callable, Mapping, Sequence

from nicegui import ui

from zk_pipeline.decisions.mapping_names import MappingOption
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit


class Picker:
    """Chooses one of what `search` finds, or of `always`, which is offered whatever is typed: texts by their values."""

    def __init__(
        self,
        visit: Visit,
        label: str,
        search: Callable[[str], Sequence[MappingOption]],
        always: Mapping[str, str] | None = None,
    ) -> None:
        self._visit, self._label, self._search, self._always = visit, label, search, dict(always or {})
        with widgets.box("zk-picker", "fieldset"):
            widgets.text("legend", label, "zk-lead")
            self._text = widgets.search(visit.words("mappings.search"), self.load)
            self._text.props["aria-label"] = f"{visit.words('mappings.search')}: {label}"
            self._list = ui.element("div")
            self._radio = self._offer(self._always, None)
            self._note = widgets.text("p", "", "zk-muted").props("aria-live=polite")

    @property
    def value(self) -> str | None:
        """The value that was chosen, if any."""
        return self._radio.value

    async def load(self) -> None:
        """Show what fits the text; what was chosen stays chosen as long as it fits."""
        visit, wanted = self._visit, self._wanted
        with visit.showing_errors():
            found = await visit.ask(self._search, wanted)
            if wanted != self._wanted:  # typed on meanwhile: the next answer is the one to show
                return
            options = self._always | {one.value: self._described(one) for one in found}
            self._radio = self._offer(options, self._radio.value)
            self._note.text = visit.words.count("mappings.found", len(found)) if wanted else ""

    @property
    def _wanted(self) -> str:
        return (self._text.value or "").strip()

    def _offer(self, options: Mapping[str, str], chosen: str | None) -> ui.radio:
        """A list of its own for each answer: a click names a line by its number, and one on a list that the browser
        still shows must not choose what has that number in the next."""
        self._list.clear()
        with self._list:
            radio = ui.radio(dict(options), value=chosen if chosen in options else None)
        radio.props("dense").classes("zk-picker-list")
        radio.props["aria-label"] = self._label
        return radio

    def _described(self, choice: MappingOption) -> str:
        unused = "" if choice.usable else self._visit.words("mappings.unused")
        return " · ".join(filter(None, (choice.name, choice.note, unused)))
