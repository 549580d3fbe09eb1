"""Mappings: which Kimai user, activity and customer stand for Zammad's; one by one, as a file, and what lacks one.

Whatever sets a mapping reads both systems first, so that names are those of this moment; what only looks does not.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.domain.mapping import OWN_CUSTOMER, Mappings
from zk_pipeline.domain.mapping_lines import (
    NOTHING,
    ActivityMapping,
    AnyMapping,
    CustomerMapping,
    Kind,
    MappingError,
    MappingLine,
    Problem,
    UserMapping,
    Vocabulary,
    read_mappings,
    write_mappings,
)
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import SourceDirectory, TargetDirectory
from zk_pipeline.domain.suggestions import Suggestion, of_activities, of_customers, of_users, suggest
from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.errors import StaleError, UnknownError
from zk_pipeline.runtime import Runtime
from zk_pipeline.stages import kimai, zammad
from zk_pipeline.store import mapping_rows
from zk_pipeline.store import mappings as store
from zk_pipeline.store import source as source_rows
from zk_pipeline.store import target as target_rows
from zk_pipeline.store.mapping_rows import MappingFilter, MappingRow
from zk_pipeline.store.mappings import Change, Waiting

NOBODY = SourceDirectory((), (), ())

Check = Callable[[Connection, Sequence[Change]], None]
"""Looks at what is about to change while nobody else can change it; raises to prevent it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import or a single setting changed, or would change; `days` are those that waited for it.

    `problems` are those of a dry run; with any of them, nothing of the file would be taken over.
    """

    mappings: int
    changes: tuple[Change, ...]
    days: tuple[date, ...]
    vocabulary: Vocabulary
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `zk mappings import --json` prints."""
        return {
            "mappings": self.mappings,
            "new": sum(change.before is None for change in self.changes),
            "changed": sum(change.before is not None for change in self.changes),
            "unchanged": self.mappings - len(self.changes),
            "changes": [self._change(change) for change in self.changes],
            "days": [str(day) for day in self.days],
        }

    def _change(self, change: Change) -> dict[str, Any]:
        line = self.vocabulary.line(change.after)
        before = change.before and self.vocabulary.line(change.before).kimai
        return {"kind": line.kind, "zammad": line.zammad, "kimai": line.kimai, "before": before}


@dataclass(frozen=True, slots=True)
class Lacking:
    """What lacks a mapping: `zammad` is the value of an import's column, empty if it can have none until it has a name.

    `suggestions` are what may be meant, best first.
    """

    kind: Kind
    zammad: str
    name: str
    entries: int
    minutes: Decimal
    suggestions: tuple[Suggestion, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class LackingPage:
    """A page of what lacks a mapping; `totals` says of each kind how much there is in all."""

    rows: tuple[Lacking, ...]
    totals: Mapping[Kind, int]


def page(
    runtime: Runtime, kind: Kind, wanted: MappingFilter, *, limit: int, offset: int
) -> tuple[list[MappingRow], int]:
    """A page of the mappings of a kind with the names of both sides as last read, and how many there are in all."""
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        return mapping_rows.page(connection, kind, source, target, wanted, limit=limit, offset=offset)


def one(runtime: Runtime, kind: Kind, key: str) -> MappingRow:
    """The mapping of this key. Raises `UnknownError`."""
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        found = mapping_rows.one(connection, kind, source, target, key)
    if found is None:
        raise _unknown(kind, key)
    return found


def every(runtime: Runtime) -> list[MappingLine]:
    """All mappings as the lines of a file."""
    vocabulary = stored_vocabulary(runtime) or current_vocabulary(runtime)
    with runtime.database.transaction() as connection:
        return [vocabulary.line(mapping) for mapping in store.every(connection)]


def unmapped(runtime: Runtime) -> list[Lacking]:
    """What lacks a mapping and has entries waiting for it, most entries first within a kind."""
    lacking, directory = _all_lacking(runtime)
    return [_with_suggestions(row, directory) for row in lacking]


def unmapped_page(runtime: Runtime, kind: Kind | None, *, limit: int, offset: int) -> LackingPage:
    """A page of what `unmapped` lists of one kind, or of all; suggestions are sought for this page alone."""
    lacking, directory = _all_lacking(runtime)
    totals = {each: sum(row.kind is each for row in lacking) for each in Kind}
    shown = [row for row in lacking if kind in {row.kind, None}][offset:][:limit]
    return LackingPage(tuple(_with_suggestions(row, directory) for row in shown), totals)


def set_one(runtime: Runtime, actor: Actor, kind: str, zammad_value: str, kimai_value: str) -> Outcome:
    """Set one mapping; the values are those of a line in an import. Raises `MappingError` and connectors' errors."""
    return _take_over(runtime, actor, _single(kind, zammad_value, kimai_value))


def create(runtime: Runtime, actor: Actor, kind: Kind, zammad_value: str, kimai_value: str) -> Outcome:
    """Set a mapping where there is none. Raises as `set_one` does, and `StaleError` where there is another already."""

    def check(_connection: Connection, changes: Sequence[Change]) -> None:
        if any(change.before is not None for change in changes):
            raise StaleError(f"{zammad_value!r} is mapped already. Look at that mapping, and change it.")

    return _take_over(runtime, actor, _single(kind, zammad_value, kimai_value), check=check)


def change(
    runtime: Runtime, actor: Actor, kind: Kind, key: str, kimai_value: str, *, seen: datetime | None = None
) -> Outcome:
    """Let a mapping lead elsewhere. `seen` is the `updated_at` that the person looked at, who must not be out of date.

    Raises as `set_one` does, `UnknownError`, and `StaleError` when somebody else changed or deleted it meanwhile.
    """
    row = one(runtime, kind, key)
    source, target = _names(runtime)

    def check(connection: Connection, _changes: Sequence[Change]) -> None:
        now = mapping_rows.one(connection, kind, source, target, key)
        if now is None or (seen is not None and now.updated_at != seen):
            raise StaleError(_changed_meanwhile(now))

    def wanted(vocabulary: Vocabulary) -> list[AnyMapping]:
        return [vocabulary.mapping(kind, vocabulary.line(row.mapping).zammad, kimai_value)]

    return _take_over(runtime, actor, wanted, check=check)


def delete(runtime: Runtime, actor: Actor, kind: Kind, key: str) -> list[date]:
    """Delete a mapping, and ask for the days that used it; returns these. Raises `UnknownError`."""
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        store.lock(connection)
        row = mapping_rows.one(connection, kind, source, target, key)
        if row is None:
            raise _unknown(kind, key)
        return store.remove(connection, row.mapping, actor=actor.name, source=source, address=actor.address)


def import_content(runtime: Runtime, actor: Actor, content: bytes, *, dry_run: bool = False) -> Outcome:
    """Set the mappings of a file's content. Raises `MappingError`, and the errors of both connectors."""
    return _take_over(runtime, actor, lambda vocabulary: read_mappings(content, vocabulary), dry_run=dry_run)


def try_content(runtime: Runtime, actor: Actor, content: bytes) -> Outcome:
    """What an import would change, and every bad line if there are any. Changes nothing, raises connectors' errors."""
    try:
        return import_content(runtime, actor, content, dry_run=True)
    except MappingError as error:
        vocabulary = stored_vocabulary(runtime) or current_vocabulary(runtime)
        return Outcome(0, (), (), vocabulary, error.problems)


def exported(runtime: Runtime) -> str:
    """All mappings in the format that an import reads, safe to open in a spreadsheet.

    Names are those that were last read; only before the first time both systems are asked. Raises connectors' errors.
    """
    vocabulary = stored_vocabulary(runtime) or current_vocabulary(runtime)
    with runtime.database.transaction() as connection:
        return write_mappings(store.every(connection), vocabulary)


def current_vocabulary(runtime: Runtime) -> Vocabulary:
    """The names of both systems as they are now, read from them and stored."""
    with runtime.source() as source:
        zammad.extract_directory(runtime, source)
    with runtime.target() as target:
        kimai.extract_directory(runtime, target)
    vocabulary = stored_vocabulary(runtime)
    assert vocabulary is not None  # noqa: S101 - both directories were stored just now
    return vocabulary


def stored_vocabulary(runtime: Runtime, found: SourceDirectory = NOBODY) -> Vocabulary | None:
    """The names of both systems as they were last read, and those that were found; `None` before the first time."""
    source_name, target_name = _names(runtime)
    with runtime.database.transaction() as connection:
        source = source_rows.load_directory(connection, source_name)
        target = target_rows.load_directory(connection, target_name)
    return Vocabulary(_joined(found, source), target) if target is not None else None


def _take_over(
    runtime: Runtime,
    actor: Actor,
    wanted: Callable[[Vocabulary], Sequence[AnyMapping]],
    *,
    dry_run: bool = False,
    check: Check | None = None,
) -> Outcome:
    vocabulary = current_vocabulary(runtime)
    found = _found(runtime, wanted, vocabulary)
    if found != NOBODY:
        vocabulary = stored_vocabulary(runtime, found) or vocabulary
    mappings = wanted(vocabulary)
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        if dry_run:
            changes = store.changes(connection, mappings)
            days = store.days_waiting(connection, source, target, [change.after for change in changes])
        else:
            store.lock(connection)
            if check is not None:
                check(connection, store.changes(connection, mappings))
            source_rows.save_directory(connection, source, _meant(found, mappings))
            changes, days = store.change(
                connection, mappings, actor=actor.name, source=source, target=target, address=actor.address
            )
    return Outcome(len(mappings), tuple(changes), tuple(days), vocabulary)


class _Listening(Vocabulary):
    """Notes the names that lines give to agents and organizations, right or wrong."""

    def __init__(self, known: Vocabulary) -> None:
        vars(self).update(vars(known))
        self.names: set[str] = set()

    def mapping(self, kind: str, zammad: str, kimai: str) -> AnyMapping:
        name = zammad.partition("@")[2] if kind.strip().casefold() == Kind.ACTIVITY else zammad
        self.names |= {name.strip()} - {"", NOTHING}
        return super().mapping(kind, zammad, kimai)


def _found(
    runtime: Runtime, wanted: Callable[[Vocabulary], Sequence[AnyMapping]], vocabulary: Vocabulary
) -> SourceDirectory:
    """Whom and what the names may mean as the source's search says.

    Stored is who booked alone: a name may mean somebody who has not yet, and a namesake of somebody who has.
    """
    listening = _Listening(vocabulary)
    with suppress(MappingError):  # It is said once everybody is known who can be.
        wanted(listening)
    found = NOBODY
    with runtime.source() as source:
        for name in sorted(listening.names):
            named = source.find(name)
            found = _joined(found, named)
            if name.removeprefix("id:").isdecimal():  # What an id means may have a namesake.
                found = _joined(found, *(source.find(row.name) for row in named.organizations))
    return found


def _joined(*directories: SourceDirectory) -> SourceDirectory:
    """Everybody and everything in these, each once, by what the last one says."""
    agents = {row.id: row for directory in directories for row in directory.agents}
    organizations = {row.id: row for directory in directories for row in directory.organizations}
    types = {row.id: row for directory in directories for row in directory.activity_types}
    return SourceDirectory(tuple(agents.values()), tuple(organizations.values()), tuple(types.values()))


def _meant(found: SourceDirectory, mappings: Iterable[AnyMapping]) -> SourceDirectory:
    """What of the found is mapped from now on, with its namesakes, and nobody else."""
    emails: set[str] = set()
    organizations: set[int | None] = set()
    for mapping in mappings:
        match mapping:
            case UserMapping(email):
                emails.add(email)
            case ActivityMapping(_, organization_id) | CustomerMapping(organization_id):
                organizations.add(organization_id)
    names = {row.name.casefold() for row in found.organizations if row.id in organizations}
    return SourceDirectory(
        tuple(row for row in found.agents if row.email.casefold() in emails),
        tuple(row for row in found.organizations if row.name.casefold() in names),
        (),
    )


def _single(kind: str, zammad_value: str, kimai_value: str) -> Callable[[Vocabulary], Sequence[AnyMapping]]:
    return lambda vocabulary: [vocabulary.mapping(kind, zammad_value, kimai_value)]


def _names(runtime: Runtime) -> tuple[str, str]:
    return runtime.stored("source").name, runtime.stored("target").name


def _unknown(kind: Kind, key: str) -> UnknownError:
    return UnknownError(f"There is no {kind} mapping {key[:80]!r}. Look at the list of mappings.")


def _changed_meanwhile(now: MappingRow | None) -> str:
    if now is None:
        return "Somebody deleted this mapping meanwhile. Look at the list again."
    leads_to = now.kimai or f"id {now.kimai_id}"
    return f"Somebody changed this mapping meanwhile: it leads to {leads_to} now. Look at it again."


def _all_lacking(runtime: Runtime) -> tuple[list[Lacking], TargetDirectory | None]:
    """What lacks a mapping, without what was mapped since its days were planned; and the target as last read."""
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        waiting = store.waiting(connection, source, target)
        directory = target_rows.load_directory(connection, target) if waiting else None
        stored = store.load(connection)
    if directory is None:
        return _gathered(waiting), None
    return _gathered(row for row in waiting if not _is_mapped(row, stored, directory)), directory


def _is_mapped(row: Waiting, stored: Mappings, directory: TargetDirectory) -> bool:
    """Whether a mapping leads to something that the target has."""
    match row.reason:
        case Reason.UNMAPPED_USER:
            return stored.users.get(row.user_email.casefold()) in {user.id for user in directory.users}
        case Reason.UNMAPPED_ACTIVITY:
            of_organization = stored.activities.get((row.type_id, row.organization_id))
            mapped = of_organization or stored.activities.get((row.type_id, None))
            return mapped in {activity.id for activity in directory.activities}
        case _:
            mapped = stored.customers.get(row.organization_id or 0)
            return mapped == OWN_CUSTOMER or mapped in {customer.id for customer in directory.customers}


def _gathered(waiting: Iterable[Waiting]) -> list[Lacking]:
    """What lacks a mapping, each with its number of waiting entries."""
    found: dict[tuple[Kind, str], Lacking] = {}
    for row in waiting:
        kind, value, name = _lacking(row)
        line = found.get((kind, value or name), Lacking(kind, value, name, 0, Decimal(0)))
        found[kind, value or name] = replace(
            line, entries=line.entries + row.entries, minutes=line.minutes + row.minutes
        )
    return sorted(found.values(), key=lambda line: (line.kind, -line.entries, line.zammad))


def _lacking(row: Waiting) -> tuple[Kind, str, str]:
    """Kind, value of the zammad column, and name of what the entries lack."""
    match row.reason:
        case Reason.UNMAPPED_USER:
            return Kind.USER, row.user_email, row.user_name
        case Reason.UNMAPPED_ACTIVITY:
            return Kind.ACTIVITY, str(row.type_id or NOTHING), row.type_name or "(no type)"
        case _:
            return Kind.CUSTOMER, str(row.organization_id or NOTHING), row.organization_name or "(no organization)"


def _with_suggestions(row: Lacking, directory: TargetDirectory | None) -> Lacking:
    if directory is None:
        return row
    match row.kind:
        case Kind.USER:
            found = suggest([row.zammad, row.name], of_users(directory.users))
        case Kind.ACTIVITY:
            found = suggest([row.name], of_activities(directory.activities))
        case Kind.CUSTOMER:
            found = suggest([row.name], of_customers(directory.customers))
    return replace(row, suggestions=found)
