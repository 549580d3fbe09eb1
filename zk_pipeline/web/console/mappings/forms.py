"""The dialogs of mappings: set, change, delete, and take over a file."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from nicegui import ui
from nicegui.events import UploadEventArguments

from zk_pipeline.decisions import mapping_names, mappings
from zk_pipeline.decisions.mapping_files import COLUMNS, SIZE_LIMIT
from zk_pipeline.decisions.mappings import MappingChanges
from zk_pipeline.decisions.partners import Partner
from zk_pipeline.domain.mapping_lines import NOTHING, OWN, Kind, SharedUserError
from zk_pipeline.domain.people import Way
from zk_pipeline.identity.actors import OperationError, Role
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.mappings.picker import Picker
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Column
from zk_pipeline.web.console.words import Words

# The dialogs that set, change and delete a mapping, and how mappings are shown.

Changed = Callable[[], Awaitable[None]]


class Ask(Protocol):
    """Sets a mapping; `shared` where several agents are one user."""

    def __call__(self, *, shared: bool) -> Awaitable[MappingChanges]:
        """Raises `SharedUserError` where several agents would be one user, unless that is `shared`."""
        ...


async def add(visit: Visit, kind: Kind, changed: Changed) -> None:
    """Ask for both sides of a new mapping, and set it."""
    words = visit.words
    await visit.ask(mapping_names.ensure_read, visit.runtime)
    nothing = {} if kind is Kind.USER else {NOTHING: words(f"mappings.nothing.{kind}")}
    with widgets.dialog(words(f"mappings.add.{kind}"), words("close"), wide=True) as dialog:
        with widgets.box("zk-two"):
            with widgets.box("zk-stack"):
                zammad = Picker(visit, words(f"mappings.{kind}.one"), _of_zammad(visit, kind), nothing)
                scope = _scope(visit) if kind is Kind.ACTIVITY else None
            kimai = _kimai_picker(visit, kind)

        async def store() -> None:
            value, target = zammad.value, kimai.value
            if value is None or target is None:
                raise OperationError(words("mappings.both"))
            if scope is not None and scope.value is not None:
                value = f"{value}@{scope.value}"

            def ask(*, shared: bool) -> Awaitable[MappingChanges]:
                return visit.ask(mappings.create, visit.runtime, visit.actor, kind, value, target, shared=shared)

            await confirmed(visit, ask, partial(_stored, visit, dialog, changed))

        feedback.Form(visit, Role.OPERATOR, cancel=dialog.close).button(words("save"), store)
    for picker in filter(None, (zammad, scope, kimai)):
        await picker.load()


async def choose(visit: Visit, row: Partner, changed: Changed) -> None:
    """Ask for its partner, and set that unless somebody else changed it meanwhile."""
    words, name = visit.words, name_of(visit.words, row)
    title = words("mappings.map", name=name)
    if row.way.found:
        title = words("mappings.edit.title", name=name, kimai=leads_to(words, row))
    await visit.ask(mapping_names.ensure_read, visit.runtime)
    with widgets.dialog(title, words("close")) as dialog:
        kimai = _kimai_picker(visit, row.kind)

        async def take() -> None:
            if kimai.value is None:
                raise OperationError(words("mappings.target"))
            await confirmed(visit, partial(store, visit, row, kimai.value), partial(_stored, visit, dialog, changed))

        feedback.Form(visit, Role.OPERATOR, cancel=dialog.close).button(words("save"), take)
    await kimai.load()


async def store(visit: Visit, row: Partner, target: str, *, shared: bool) -> MappingChanges:
    """Map it to this target, unless somebody else changed that meanwhile."""
    runtime, actor, before = visit.runtime, visit.actor, row.mapping
    if before is None:
        return await visit.ask(mappings.create, runtime, actor, row.kind, row.zammad, target, shared=shared)
    seen = before.updated_at
    return await visit.ask(mappings.change, runtime, actor, row.kind, before.key, target, seen=seen, shared=shared)


def delete(visit: Visit, row: Partner, changed: Changed) -> None:
    """Delete a mapping after a confirmation."""
    words, key = visit.words, row.mapping.key if row.mapping else ""

    async def act() -> None:
        days = await visit.ask(mappings.delete, visit.runtime, visit.actor, row.kind, key)
        visit.notify(words.count("mappings.deleted", len(days)))
        await changed()

    title = f"{words('mappings.delete')}: {name_of(words, row)}"
    effect = words(f"mappings.delete.{row.kind}")
    feedback.confirm(visit, Role.OPERATOR, title, effect, words("mappings.delete"), act, "danger")


async def confirmed(visit: Visit, ask: Ask, then: Callable[[MappingChanges], Awaitable[None]]) -> None:
    """Set a mapping. Two agents as one user are set only after a confirmation."""
    words = visit.words

    async def act() -> None:
        await then(await ask(shared=True))

    try:
        outcome = await ask(shared=False)
    except SharedUserError as error:
        title, label = words("mappings.shared"), words("mappings.shared.confirm")
        feedback.confirm(visit, Role.OPERATOR, title, words.said(error), label, act, "danger")
    else:
        await then(outcome)


def notify_outcome(visit: Visit, outcome: MappingChanges) -> None:
    """Say what was set, how many days are asked for, and what the mapping cannot do."""
    visit.notify(visit.words.count("mappings.set", len(outcome.days)))
    for warning in outcome.warnings:
        visit.warn(visit.words.said(warning))


def name_of(words: Words, row: Partner) -> str:
    """What is mapped, by its name; bookings without type and tickets without organization have none."""
    return words(f"mappings.nothing.{row.kind}") if row.zammad == NOTHING else row.name


def leads_to(words: Words, row: Partner) -> str:
    """Its partner; where that has no name yet, the name that it will have."""
    own = "mappings.fixed" if row.way is Way.FIXED else "mappings.own"
    return row.kimai or (words(own) if row.kimai_id is None else f"id {row.kimai_id}")


async def _stored(visit: Visit, dialog: ui.dialog, changed: Changed, outcome: MappingChanges) -> None:
    notify_outcome(visit, outcome)
    dialog.close()
    await changed()


def _kimai_picker(visit: Visit, kind: Kind) -> Picker:
    words = visit.words
    own = {OWN: words("mappings.own")} if kind is Kind.CUSTOMER else {}
    search = partial(mapping_names.kimai_options, visit.runtime, kind)
    return Picker(visit, words(f"mappings.{kind}.target"), search, own)


def _scope(visit: Visit) -> Picker:
    """For one organization alone, if anybody wants that."""
    with widgets.box("zk-details", "details"):
        widgets.text("summary", visit.words("mappings.scope"))
        return Picker(visit, visit.words("mappings.customer.one"), _of_zammad(visit, Kind.CUSTOMER))


def _of_zammad(visit: Visit, kind: Kind) -> Callable[[str], list[mapping_names.MappingOption]]:
    return partial(mapping_names.zammad_options, visit.runtime, kind)


# Importing a CSV file: a dry run first names every bad line and shows what would change.

ROWS_SHOWN = 50
"""How many lines of a long list are shown."""


def take(visit: Visit, changed: Callable[[], Awaitable[None]]) -> None:
    """Open the dialog."""
    _Import(visit, changed).open()


class _Import:
    """The dialog, and the file that was tried last."""

    def __init__(self, visit: Visit, changed: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._words, self._changed = visit, visit.words, changed
        self._content, self._shared = b"", False

    def open(self) -> None:
        visit, words = self._visit, self._words
        with widgets.dialog(words("mappings.import"), words("close"), wide=True) as self._dialog:
            widgets.text("p", words("mappings.import.about", columns=",".join(COLUMNS)), "zk-muted")
            self._upload = ui.upload(
                on_upload=self._arrived, on_rejected=self._rejected, auto_upload=True, max_file_size=SIZE_LIMIT
            )
            self._upload.props('accept=".csv,text/csv"').classes("zk-upload")
            with widgets.box("zk-row"):
                self._choose = widgets.button(words("mappings.import.choose"), icon="upload_file")
                self._choose.on("click", js_handler=f"() => getElement({self._upload.id}).$refs.qRef.pickFiles()")
                self._name = widgets.text("span", "", "zk-muted")
            self._result = widgets.box("zk-stack").props("aria-live=polite")
            with widgets.actions():
                widgets.button(words("cancel"), self._dialog.close)
                self._take = widgets.button(
                    words("mappings.import.take"), visit.act(Role.OPERATOR, self._take_over), kind="primary"
                )
                self._take.disable()

    def _rejected(self) -> None:
        self._visit.warn(self._words("mappings.import.rejected", megabytes=SIZE_LIMIT // 1_000_000))

    async def _arrived(self, event: UploadEventArguments) -> None:
        await self._visit.act(Role.OPERATOR, lambda: self._try(event))()

    async def _try(self, event: UploadEventArguments) -> None:
        self._name.text = event.file.name
        self._content, self._shared = await event.file.read(), False
        self._upload.reset()
        await self._look()

    async def _confirm_shared(self) -> None:
        self._shared = True
        await self._look()

    async def _look(self) -> None:
        visit = self._visit
        self._take.disable()
        with feedback.working(self._choose):
            ask = partial(mappings.check_content, shared=self._shared)
            outcome = await visit.ask(ask, visit.runtime, visit.actor, self._content)
        self._result.clear()
        with self._result:
            if outcome.problems:
                self._problems(outcome)
            else:
                self._changes(outcome)
        self._take.set_enabled(bool(outcome.changes))

    def _problems(self, outcome: MappingChanges) -> None:
        words, problems = self._words, outcome.problems
        widgets.text("p", words.count("mappings.import.problems", len(problems)), "zk-note zk-warn")
        with widgets.box("zk-findings", "ul"):
            for problem in problems[:ROWS_SHOWN]:
                widgets.text("li", words.said(problem.text))
        self._more(len(problems))
        if outcome.shared:
            confirm = self._visit.act(Role.OPERATOR, self._confirm_shared)
            widgets.button(words("mappings.shared.confirm"), confirm, kind="danger")

    def _changes(self, outcome: MappingChanges) -> None:
        words, document = self._words, outcome.to_json()
        numbers = {name: words.number(document[name]) for name in ("new", "changed", "unchanged")}
        widgets.text("p", words("mappings.import.sums", **numbers), "zk-lead")
        for warning in outcome.warnings:
            widgets.text("p", words.said(warning), "zk-note zk-warn")
        if not outcome.changes:
            widgets.text("p", words("mappings.import.same"), "zk-muted")
            return
        widgets.text("p", words.count("mappings.import.days", len(outcome.days)), "zk-muted")
        columns = [Column(words(f"mappings.import.{name}")) for name in ("kind", "zammad", "before", "after")]
        rows = [
            [words(f"mappings.kind.{one['kind']}"), one["zammad"], one["before"] or words("none"), one["kimai"]]
            for one in document["changes"][:ROWS_SHOWN]
        ]
        widgets.table(words("mappings.import"), columns, rows)
        self._more(len(outcome.changes))

    def _more(self, number: int) -> None:
        if number > ROWS_SHOWN:
            widgets.text("p", self._words("sync.more", number=self._words.number(number - ROWS_SHOWN)), "zk-muted")

    async def _take_over(self) -> None:
        visit = self._visit
        with feedback.working(self._take):
            ask = partial(mappings.import_content, shared=self._shared)
            outcome = await visit.ask(ask, visit.runtime, visit.actor, self._content)
        notify_outcome(visit, outcome)
        self._dialog.close()
        await self._changed()
