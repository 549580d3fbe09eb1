"""The dialogs that set, change and delete a mapping, and how mappings are told."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from nicegui import ui

from zk_pipeline.domain.mapping_lines import NOTHING, OWN, Kind, SharedUserError
from zk_pipeline.operations import mapping_choices, mappings
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.mappings import Lacking, Outcome
from zk_pipeline.store.mapping_rows import MappingRow
from zk_pipeline.web.console import feedback, parts
from zk_pipeline.web.console.mappings.picker import Picker
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.words import Words

Changed = Callable[[], Awaitable[None]]


class Ask(Protocol):
    """Sets a mapping; `shared` where several agents are one user."""

    def __call__(self, *, shared: bool) -> Awaitable[Outcome]:
        """Raises `SharedUserError` where several agents would be one user, unless that is `shared`."""
        ...


_NO_ORGANIZATION = 0


async def add(visit: Visit, kind: Kind, changed: Changed) -> None:
    """Ask what to map and where it leads, and set that."""
    words = visit.words
    await visit.ask(mapping_choices.ensure_read, visit.runtime)
    nothing = {} if kind is Kind.USER else {NOTHING: words(f"mappings.nothing.{kind}")}
    with parts.dialog(words(f"mappings.add.{kind}"), words("close"), wide=True) as dialog:
        with parts.box("zk-two"):
            with parts.box("zk-stack"):
                zammad = Picker(visit, words(f"mappings.{kind}.one"), _of_zammad(visit, kind), nothing)
                scope = _scope(visit) if kind is Kind.ACTIVITY else None
            kimai = _kimai_picker(visit, kind)

        async def store() -> None:
            value, target = zammad.value, kimai.value
            if value is None or target is None:
                visit.warn(words("mappings.both"))
                return
            if scope is not None and scope.value is not None:
                value = f"{value}@{scope.value}"

            def ask(*, shared: bool) -> Awaitable[Outcome]:
                return visit.ask(mappings.create, visit.runtime, visit.actor, kind, value, target, shared=shared)

            with feedback.working(button):
                await confirmed(visit, ask, partial(_stored, visit, dialog, changed))

        button = _end(visit, dialog, store)
    for picker in filter(None, (zammad, scope, kimai)):
        await picker.load()


async def choose(visit: Visit, row: Lacking, changed: Changed) -> None:
    """Ask where something leads that lacks a mapping, and set that."""

    def store(target: str, *, shared: bool) -> Awaitable[Outcome]:
        return visit.ask(mappings.create, visit.runtime, visit.actor, row.kind, row.zammad, target, shared=shared)

    title = visit.words("mappings.map", name=shown(visit.words, row.zammad, row.name))
    await _lead(visit, row.kind, title, store, changed)


async def edit(visit: Visit, row: MappingRow, changed: Changed) -> None:
    """Ask where a mapping leads from now on, and set that, unless somebody else changed it meanwhile."""

    def store(target: str, *, shared: bool) -> Awaitable[Outcome]:
        runtime, actor, key, seen = visit.runtime, visit.actor, row.key, row.updated_at
        return visit.ask(mappings.change, runtime, actor, row.kind, key, target, seen=seen, shared=shared)

    words = visit.words
    title = words("mappings.edit.title", name=name_of(words, row), kimai=leads_to(words, row))
    await _lead(visit, row.kind, title, store, changed)


def delete(visit: Visit, row: MappingRow, changed: Changed) -> None:
    """Delete a mapping once that was confirmed."""
    words = visit.words

    async def act() -> None:
        days = await visit.ask(mappings.delete, visit.runtime, visit.actor, row.kind, row.key)
        visit.tell(words.count("mappings.deleted", len(days)))
        await changed()

    title = f"{words('mappings.delete')}: {name_of(words, row)}"
    effect = words(f"mappings.delete.{row.kind}")
    feedback.confirm(visit, Role.OPERATOR, title, effect, words("mappings.delete"), act, "danger")


async def confirmed(visit: Visit, ask: Ask, then: Callable[[Outcome], Awaitable[None]]) -> None:
    """Set a mapping; that two agents would be one user is shown first, and set only once a person says so."""
    words = visit.words

    async def act() -> None:
        await then(await ask(shared=True))

    try:
        outcome = await ask(shared=False)
    except SharedUserError as error:
        title, label = words("mappings.shared"), words("mappings.shared.confirm")
        feedback.confirm(visit, Role.OPERATOR, title, str(error), label, act, "danger")
    else:
        await then(outcome)


def tell(visit: Visit, outcome: Outcome) -> None:
    """Say what was set, how many days are asked for, and what the mapping cannot do."""
    visit.tell(visit.words.count("mappings.set", len(outcome.days)))
    for warning in outcome.warnings:
        visit.warn(warning)


def shown(words: Words, value: str, name: str) -> str:
    """What lacks a mapping, by its name; bookings without type and tickets without organization have none."""
    return words("mappings.without") if value == NOTHING else name or value


def name_of(words: Words, row: MappingRow) -> str:
    """What is mapped, by its name; what is gone has only an id."""
    if row.kind is not Kind.USER and row.zammad_id in {None, _NO_ORGANIZATION}:
        return words(f"mappings.nothing.{row.kind}")
    return row.zammad or row.email or f"id {row.zammad_id}"


def leads_to(words: Words, row: MappingRow) -> str:
    """Where it leads, by its name."""
    return words("mappings.own") if row.kimai_id is None else row.kimai or f"id {row.kimai_id}"


def two_lines(first: str, second: str) -> None:
    """A name, and below it what tells it from others."""
    with parts.box("zk-two-lines"):
        parts.text("span", first)
        if second:
            parts.text("span", second, "zk-muted")


async def _lead(
    visit: Visit, kind: Kind, title: str, store: Callable[..., Awaitable[Outcome]], changed: Changed
) -> None:
    """Ask for a target, and have it stored."""
    words = visit.words
    await visit.ask(mapping_choices.ensure_read, visit.runtime)
    with parts.dialog(title, words("close")) as dialog:
        kimai = _kimai_picker(visit, kind)

        async def take() -> None:
            if kimai.value is None:
                visit.warn(words("mappings.target"))
                return
            with feedback.working(button):
                await confirmed(visit, partial(store, kimai.value), partial(_stored, visit, dialog, changed))

        button = _end(visit, dialog, take)
    await kimai.load()


async def _stored(visit: Visit, dialog: ui.dialog, changed: Changed, outcome: Outcome) -> None:
    tell(visit, outcome)
    dialog.close()
    await changed()


def _kimai_picker(visit: Visit, kind: Kind) -> Picker:
    words = visit.words
    own = {OWN: words("mappings.own")} if kind is Kind.CUSTOMER else {}
    search = partial(mapping_choices.of_kimai, visit.runtime, kind)
    return Picker(visit, words(f"mappings.{kind}.target"), search, own)


def _scope(visit: Visit) -> Picker:
    """For one organization alone, if anybody wants that."""
    with parts.box("zk-details", "details"):
        parts.text("summary", visit.words("mappings.scope"))
        return Picker(visit, visit.words("mappings.customer.one"), _of_zammad(visit, Kind.CUSTOMER))


def _of_zammad(visit: Visit, kind: Kind) -> Callable[[str], list[mapping_choices.Choice]]:
    return partial(mapping_choices.of_zammad, visit.runtime, kind)


def _end(visit: Visit, dialog: ui.dialog, store: Changed) -> ui.button:
    with parts.actions():
        parts.button(visit.words("cancel"), dialog.close)
        return parts.button(visit.words("save"), visit.act(Role.OPERATOR, store), kind="primary")
