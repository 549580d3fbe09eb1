"""The part Letterhead of the settings: the texts of service records, with a preview."""

from datetime import UTC, datetime

from nicegui import ui

from zk_pipeline.billing import letterhead
from zk_pipeline.billing.files.style import document_style
from zk_pipeline.billing.letterhead import LONGEST, Letterhead
from zk_pipeline.domain.instants import local_day
from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit


class _Form:
    def __init__(self, visit: Visit, texts: Letterhead) -> None:
        self._visit, words = visit, visit.words
        with widgets.card(), widgets.box("zk-form-column zk-narrow"):
            self._letterhead = _area(words("letterhead.letterhead"), texts.letterhead)
            self._text = _area(words("letterhead.text"), texts.text)
            self._footer = _area(words("letterhead.footer"), texts.footer)
            widgets.text("p", words("letterhead.logo"), "zk-muted")
            form = feedback.Form(visit, Role.ADMIN)
            form.button(words("letterhead.preview"), self._preview, kind="plain", icon="picture_as_pdf")
            form.button(words("save"), self._save)

    def _given(self) -> Letterhead:
        return Letterhead(*((field.value or "").strip() for field in (self._letterhead, self._text, self._footer)))

    async def _preview(self) -> None:
        visit = self._visit
        style = letterhead.styled(document_style(visit.runtime.settings, visit.words.language), self._given())
        content = await visit.ask(letterhead.preview, style, local_day(datetime.now(UTC), visit.words.zone))
        ui.download(content, "letterhead.pdf", "application/pdf")

    async def _save(self) -> None:
        visit = self._visit
        await visit.ask(letterhead.change, visit.runtime, visit.actor, self._given())
        visit.notify(visit.words("letterhead.saved"))


def _area(label: str, value: str) -> ui.textarea:
    made = ui.textarea(label, value=value).props(f"outlined dense autogrow maxlength={LONGEST}")
    return made.classes("zk-field")


async def _show(visit: Visit) -> None:
    _Form(visit, await visit.ask(letterhead.read, visit.runtime))


SECTION = Section("letterhead", "description", _show, needs=Role.ADMIN)
