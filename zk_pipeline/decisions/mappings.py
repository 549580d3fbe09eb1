"""Mappings of Zammad's agents, activity types and organizations to Kimai: set, import, export, and what lacks one.

Functions that set a mapping read both systems first, so that names are current; those that only read do not.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.decisions import mapping_names
from zk_pipeline.decisions.mapping_files import (
    Suggestion,
    activity_candidates,
    customer_candidates,
    numbered_mappings,
    suggest,
    user_candidates,
    write_mappings,
)
from zk_pipeline.decisions.mapping_names import (
    MappingFilter,
    MappingParser,
    MappingRow,
    current_vocabulary,
    mentioned_in,
    stored_vocabulary,
    vocabulary_for,
)
from zk_pipeline.domain.mapping import OWN_CUSTOMER, Mappings
from zk_pipeline.domain.mapping_lines import (
    NOTHING,
    AnyMapping,
    Kind,
    LineProblem,
    MappingError,
    MappingLine,
    SharedUserError,
    UserMapping,
    Vocabulary,
)
from zk_pipeline.domain.policy import ProjectStrategy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import TargetDirectory
from zk_pipeline.domain.source_ids import NO_ORGANIZATION, NO_TYPE
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.identity.actors import Actor, StaleError, UnknownError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import mappings as store
from zk_pipeline.store import source as source_rows
from zk_pipeline.store import target as target_rows
from zk_pipeline.store.mappings import MappingDiff, UnmappedBooking

Check = Callable[[Connection, Sequence[MappingDiff]], None]
"""Called with the changes under a lock, before they are stored; raises to prevent them."""


@dataclass(frozen=True, slots=True)
class MappingChanges:
    """What an import or a single mapping changed, or would change; `days` are those that waited for it.

    `problems` are those of a dry run; with any, nothing would be imported. `shared`: they are about several agents for
    one user, which a person may confirm. `warnings` are sentences.
    """

    mappings: int
    changes: tuple[MappingDiff, ...]
    days: tuple[date, ...]
    vocabulary: Vocabulary
    problems: tuple[LineProblem, ...] = ()
    shared: bool = False
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `zk mappings import --json` prints."""
        return {
            "mappings": self.mappings,
            "new": sum(change.before is None for change in self.changes),
            "changed": sum(change.before is not None for change in self.changes),
            "unchanged": self.mappings - len(self.changes),
            "changes": [self._change(change) for change in self.changes],
            "days": [str(day) for day in self.days],
            "warnings": list(self.warnings),
        }

    def _change(self, change: MappingDiff) -> dict[str, Any]:
        line = self.vocabulary.line(change.after)
        before = change.before and self.vocabulary.line(change.before).kimai
        return {"kind": line.kind, "zammad": line.zammad, "kimai": line.kimai, "before": before}


@dataclass(frozen=True, slots=True)
class UnmappedItem:
    """An unmapped item; `zammad` is its value in an import file, `zammad_id` is `0` for no type and no organization.

    `suggestions` are best first.
    """

    kind: Kind
    zammad_id: str
    zammad: str
    name: str
    entries: int
    minutes: Decimal
    suggestions: tuple[Suggestion, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class UnmappedPage:
    """A page of unmapped items, and the totals by kind."""

    rows: tuple[UnmappedItem, ...]
    totals: Mapping[Kind, int]


def page(
    runtime: Runtime, kind: Kind, wanted: MappingFilter, *, limit: int, offset: int
) -> tuple[list[MappingRow], int]:
    """A page of the mappings of a kind, with names as last read, and the total."""
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        return mapping_names.page(connection, kind, source, target, wanted, limit=limit, offset=offset)


def one(runtime: Runtime, kind: Kind, key: str) -> MappingRow:
    """The mapping with this key. Raises `UnknownError`."""
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        found = mapping_names.one(connection, kind, source, target, key)
    if found is None:
        raise _unknown(kind, key)
    return found


def every(runtime: Runtime) -> list[MappingLine]:
    """All mappings as the lines of a file."""
    vocabulary = stored_vocabulary(runtime) or current_vocabulary(runtime)
    with runtime.database.transaction() as connection:
        return [vocabulary.line(mapping) for mapping in store.every(connection)]


def unmapped(runtime: Runtime) -> list[UnmappedItem]:
    """The unmapped items with waiting entries, by kind, most entries first."""
    lacking, directory = all_unmapped(runtime)
    return [_with_suggestions(row, directory) for row in lacking]


def unmapped_page(runtime: Runtime, kind: Kind | None, *, limit: int, offset: int) -> UnmappedPage:
    """A page of `unmapped`, of one kind or all; suggestions are made for this page only."""
    lacking, directory = all_unmapped(runtime)
    totals = {each: sum(row.kind is each for row in lacking) for each in Kind}
    shown = [row for row in lacking if kind in {row.kind, None}][offset:][:limit]
    return UnmappedPage(tuple(_with_suggestions(row, directory) for row in shown), totals)


def set_one(
    runtime: Runtime, actor: Actor, kind: str, zammad_value: str, kimai_value: str, *, shared: bool = False
) -> MappingChanges:
    """Set one mapping; the values are those of a line in an import file. Raises `MappingError` and connectors' errors.

    `shared` allows several agents for one user; otherwise that is a `SharedUserError`.
    """
    return _apply(runtime, actor, _single(kind, zammad_value, kimai_value), shared=shared)


def create(
    runtime: Runtime, actor: Actor, kind: Kind, zammad_value: str, kimai_value: str, *, shared: bool = False
) -> MappingChanges:
    """Set a new mapping. Raises as `set_one` does, and `StaleError` if there is one already."""

    def check(_connection: Connection, changes: Sequence[MappingDiff]) -> None:
        if any(change.before is not None for change in changes):
            raise StaleError(f"{zammad_value!r} is mapped already. Change that mapping.")

    return _apply(runtime, actor, _single(kind, zammad_value, kimai_value), check=check, shared=shared)


def change(
    runtime: Runtime,
    actor: Actor,
    kind: Kind,
    key: str,
    kimai_value: str,
    *,
    seen: datetime | None = None,
    shared: bool = False,
) -> MappingChanges:
    """Change the target of a mapping. `seen` is the `updated_at` that was shown.

    Raises as `set_one` does, `UnknownError`, and `StaleError` if it was changed or deleted since.
    """
    row = one(runtime, kind, key)
    source, target = _names(runtime)

    def check(connection: Connection, _changes: Sequence[MappingDiff]) -> None:
        now = mapping_names.one(connection, kind, source, target, key)
        if now is None or (seen is not None and now.updated_at != seen):
            raise StaleError(_changed_meanwhile(now))

    def wanted(vocabulary: Vocabulary) -> list[tuple[int, AnyMapping]]:
        return [(0, vocabulary.mapping(kind, vocabulary.line(row.mapping).zammad, kimai_value))]

    return _apply(runtime, actor, wanted, check=check, shared=shared)


def delete(runtime: Runtime, actor: Actor, kind: Kind, key: str) -> list[date]:
    """Delete a mapping, and request the days that used it; returns them. Raises `UnknownError`."""
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        store.lock(connection)
        row = mapping_names.one(connection, kind, source, target, key)
        if row is None:
            raise _unknown(kind, key)
        return store.remove(connection, row.mapping, actor=actor.name, source=source, address=actor.address)


def unset(runtime: Runtime, actor: Actor, kind: str, zammad_value: str) -> tuple[MappingLine, list[date]]:
    """Delete the mapping of an item in Zammad, and request the days that used it; returns both.

    The value is that of a line in an import file, or as listed. Raises `MappingError`, `UnknownError` without such a
    mapping, and connectors' errors.
    """
    vocabulary = stored_vocabulary(runtime) or current_vocabulary(runtime)
    source, _ = _names(runtime)
    with runtime.database.transaction() as connection:
        store.lock(connection)
        mapping = vocabulary.stored_for(store.every(connection), kind, zammad_value)
        if mapping is None:
            sentence = f"{zammad_value[:80]!r} has no {kind} mapping. The list of mappings shows all there are."
            raise UnknownError(sentence)
        days = store.remove(connection, mapping, actor=actor.name, source=source, address=actor.address)
    return vocabulary.line(mapping), days


def import_content(
    runtime: Runtime, actor: Actor, content: bytes, *, dry_run: bool = False, shared: bool = False
) -> MappingChanges:
    """Import the content of a mapping file. Raises `MappingError` and connectors' errors."""
    return _apply(
        runtime, actor, lambda vocabulary: numbered_mappings(content, vocabulary), dry_run=dry_run, shared=shared
    )


def check_content(runtime: Runtime, actor: Actor, content: bytes, *, shared: bool = False) -> MappingChanges:
    """What an import would change, and all its problems. Raises connectors' errors."""
    try:
        return import_content(runtime, actor, content, dry_run=True, shared=shared)
    except MappingError as error:
        vocabulary = stored_vocabulary(runtime) or current_vocabulary(runtime)
        return MappingChanges(0, (), (), vocabulary, error.problems, shared=isinstance(error, SharedUserError))


def export_csv(runtime: Runtime, dialect: CsvFormat = CsvFormat.PLAIN) -> str:
    """All mappings as an import file, safe to open in a spreadsheet.

    Names are as last read; both systems are read only if they never were. Raises connectors' errors.
    """
    vocabulary = stored_vocabulary(runtime) or current_vocabulary(runtime)
    with runtime.database.transaction() as connection:
        return write_mappings(store.every(connection), vocabulary, dialect)


def _apply(
    runtime: Runtime,
    actor: Actor,
    wanted: MappingParser,
    *,
    dry_run: bool = False,
    check: Check | None = None,
    shared: bool = False,
) -> MappingChanges:
    vocabulary = current_vocabulary(runtime)
    vocabulary, found = vocabulary_for(runtime, wanted)
    numbered = wanted(vocabulary)
    mappings = [mapping for _, mapping in numbered]
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        if not dry_run:
            store.lock(connection)
        changes = store.changes(connection, mappings)
        if check is not None:
            check(connection, changes)
        if not shared:
            changed = {change.after.key for change in changes}
            vocabulary.require_unshared(store.load(connection, source), numbered, changed)
        if dry_run:
            days = store.days_waiting(connection, source, target, [change.after for change in changes])
        else:
            source_rows.save_directory(connection, source, mentioned_in(found, mappings))
            changes, days = store.change(
                connection, mappings, actor=actor.name, source=source, target=target, address=actor.address
            )
    warnings = _warnings(runtime, vocabulary, changes)
    return MappingChanges(len(mappings), tuple(changes), tuple(days), vocabulary, warnings=warnings)


def _warnings(runtime: Runtime, vocabulary: Vocabulary, changes: Sequence[MappingDiff]) -> tuple[str, ...]:
    """Limits of the new mappings. With one fixed project there are none."""
    if runtime.settings.policy.project_strategy is ProjectStrategy.FIXED:
        return ()
    return tuple(dict.fromkeys(filter(None, (vocabulary.limit(change.after) for change in changes))))


def _single(kind: str, zammad_value: str, kimai_value: str) -> MappingParser:
    return lambda vocabulary: [(0, vocabulary.mapping(kind, zammad_value, kimai_value))]


def _names(runtime: Runtime) -> tuple[str, str]:
    return runtime.stored("source").name, runtime.stored("target").name


def _unknown(kind: Kind, key: str) -> UnknownError:
    return UnknownError(f"The {kind} mapping {key[:80]!r} does not exist. See the list of mappings.")


def _changed_meanwhile(now: MappingRow | None) -> str:
    if now is None:
        return "Look at the list again: this mapping was deleted meanwhile."
    leads_to = now.kimai or f"id {now.kimai_id}"
    return f"Look at it again: this mapping was changed meanwhile, to {leads_to}."


def all_unmapped(runtime: Runtime) -> tuple[list[UnmappedItem], TargetDirectory | None]:
    """The unmapped items but those mapped since their days were planned, and the target as last read.

    They have no suggestions, and the target has no projects.
    """
    source, target = _names(runtime)
    with runtime.database.transaction() as connection:
        waiting = store.waiting(connection, source, target)
        directory = target_rows.load_directory(connection, target, with_projects=False) if waiting else None
        stored = store.load(connection, source)
    if directory is None:
        return _grouped(waiting, None), None
    vocabulary = stored_vocabulary(runtime)
    return _grouped((row for row in waiting if not _is_mapped(row, stored, directory)), vocabulary), directory


def _is_mapped(row: UnmappedBooking, stored: Mappings, directory: TargetDirectory) -> bool:
    """Whether a mapping leads to an existing item of the target."""
    match row.reason:
        case Reason.UNMAPPED_USER:
            mapped = stored.users.get(row.agent_id) or stored.users.get(row.user_email.casefold())
            return mapped in {user.id for user in directory.users}
        case Reason.UNMAPPED_ACTIVITY:
            of_organization = stored.activities.get((row.type_id, row.organization_id))
            mapped = of_organization or stored.activities.get((row.type_id, None))
            return mapped in {activity.id for activity in directory.activities}
        case _:
            mapped = stored.customers.get(row.organization_id or NO_ORGANIZATION)
            return mapped == OWN_CUSTOMER or mapped in {customer.id for customer in directory.customers}


def _grouped(waiting: Iterable[UnmappedBooking], vocabulary: Vocabulary | None) -> list[UnmappedItem]:
    """The unmapped items with the numbers of their waiting entries."""
    found: dict[tuple[Kind, str], UnmappedItem] = {}
    for row in waiting:
        kind, id_, name = _missing_of(row)
        value = (
            _value(row, vocabulary)
            if kind is Kind.USER
            else f"id:{id_}"
            if id_ not in {NO_TYPE, NO_ORGANIZATION}
            else NOTHING
        )
        line = found.get((kind, id_), UnmappedItem(kind, id_, value, name, 0, Decimal(0)))
        found[kind, id_] = replace(line, entries=line.entries + row.entries, minutes=line.minutes + row.minutes)
    return sorted(found.values(), key=lambda line: (line.kind, -line.entries, line.zammad))


def _missing_of(row: UnmappedBooking) -> tuple[Kind, str, str]:
    """Kind, id and name of the unmapped item of these entries."""
    match row.reason:
        case Reason.UNMAPPED_USER:
            return Kind.USER, row.agent_id, row.user_name
        case Reason.UNMAPPED_ACTIVITY:
            return Kind.ACTIVITY, row.type_id or NO_TYPE, row.type_name or "(no type)"
        case _:
            return Kind.CUSTOMER, row.organization_id or NO_ORGANIZATION, row.organization_name or "(no organization)"


def _value(row: UnmappedBooking, vocabulary: Vocabulary | None) -> str:
    """A value that identifies the agent, such as the address."""
    return vocabulary.line(UserMapping(row.agent_id, 0)).zammad if vocabulary else f"id:{row.agent_id}"


def _with_suggestions(row: UnmappedItem, directory: TargetDirectory | None) -> UnmappedItem:
    if directory is None:
        return row
    names = [row.zammad, row.name] if row.kind is Kind.USER else [row.name]
    return replace(row, suggestions=suggestions(row.kind, names, directory))


def suggestions(kind: Kind, names: Sequence[str], directory: TargetDirectory) -> tuple[Suggestion, ...]:
    """What in the target is called like one of these names."""
    match kind:
        case Kind.USER:
            return suggest(names, user_candidates(directory.users))
        case Kind.ACTIVITY:
            return suggest(names, activity_candidates(directory.activities))
        case Kind.CUSTOMER:
            return suggest(names, customer_candidates(directory.customers))
