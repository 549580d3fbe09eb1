"""A field to search in and a few things that it finds, one of which is chosen; the server searches, not the browser."""

from collections.abc import Callable, Mapping, Sequence

from nicegui import ui

from zk_pipeline.store.mapping_choices import Choice
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.visit import Visit


class Picker:
    """Chooses one of what `search` finds, or of `always`, which is offered whatever is typed: texts by their values."""

    def __init__(
        self,
        visit: Visit,
        label: str,
        search: Callable[[str], Sequence[Choice]],
        always: Mapping[str, str] | None = None,
    ) -> None:
        self._visit, self._search, self._always = visit, search, dict(always or {})
        with parts.box("zk-picker", "fieldset"):
            parts.text("legend", label, "zk-lead")
            self._text = parts.search(visit.words("mappings.search"), self.load)
            self._text.props["aria-label"] = f"{visit.words('mappings.search')}: {label}"
            self._radio = ui.radio(self._always).props("dense").classes("zk-picker-list")
            self._radio.props["aria-label"] = label
            self._note = parts.text("p", "", "zk-muted").props("aria-live=polite")

    @property
    def value(self) -> str | None:
        """The value that was chosen, if any."""
        return self._radio.value

    async def load(self) -> None:
        """Show what fits the text; what was chosen stays chosen as long as it fits."""
        visit, wanted = self._visit, (self._text.value or "").strip()
        with visit.telling():
            found = await visit.ask(self._search, wanted)
            options = self._always | {one.value: self._label(one) for one in found}
            self._radio.set_options(options, value=self._radio.value if self._radio.value in options else None)
            self._note.text = visit.words.count("mappings.found", len(found)) if wanted else ""

    def _label(self, choice: Choice) -> str:
        unused = "" if choice.usable else self._visit.words("mappings.unused")
        return " · ".join(filter(None, (choice.name, choice.note, unused)))
