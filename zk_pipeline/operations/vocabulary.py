"""The names of both systems that mappings are written in: as last read, as they are now, and looked up in the source.

Stored of the source's people and organizations is who booked, what tickets with bookings belong to, and what is mapped.
A mapping may name others: they are looked up by what a person wrote, and kept once they are mapped.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from zk_pipeline.domain.mapping_lines import (
    NOTHING,
    ActivityMapping,
    AnyMapping,
    CustomerMapping,
    Kind,
    MappingError,
    UserMapping,
    Vocabulary,
)
from zk_pipeline.domain.names import fold, name_keys
from zk_pipeline.domain.records import SourceDirectory, TargetDirectory
from zk_pipeline.runtime import Runtime, SetupError
from zk_pipeline.stages import kimai, zammad
from zk_pipeline.store import source as source_rows
from zk_pipeline.store import target as target_rows

Wanted = Callable[[Vocabulary], Sequence[tuple[int, AnyMapping]]]
"""What is to be set, each with the number of its line in a file, or 0."""


def stored_vocabulary(runtime: Runtime) -> Vocabulary | None:
    """The names of both systems as they were last read, or `None` before the first time."""
    source, target, unlisted = _stored(runtime)
    return Vocabulary(source, target, unlisted) if target is not None else None


def current_vocabulary(runtime: Runtime) -> Vocabulary:
    """The names of both systems as they are now, read from them and stored. Raises connectors' errors."""
    _read(runtime)
    source, target, unlisted = _stored_now(runtime)
    return Vocabulary(source, target, unlisted)


def vocabulary_of(runtime: Runtime, wanted: Wanted) -> tuple[Vocabulary, SourceDirectory]:
    """The current names with those that the source's search has for what is wanted, and these by themselves.

    A name may mean somebody who has not booked yet, and a namesake of somebody who has. Raises connectors' errors.
    """
    _read(runtime)
    source, target, unlisted = _stored_now(runtime)
    listening = _Listening(source, target, unlisted)
    with suppress(MappingError):  # It is said once everybody is known who can be.
        wanted(listening)
    found = _find(runtime, listening.names)
    with runtime.database.transaction() as connection:
        source_rows.save_directory(connection, runtime.stored("source").name, _among(found, source))
    source, target, unlisted = _stored_now(runtime)
    return Vocabulary(found.joined(source), target, unlisted), found


def meant(found: SourceDirectory, mappings: Iterable[AnyMapping]) -> SourceDirectory:
    """Whom and what of the found the mappings are about, with an organization's namesakes, and nobody else."""
    agents: set[int | str] = set()
    organizations: set[int | None] = set()
    for mapping in mappings:
        match mapping:
            case UserMapping(agent):
                agents.add(agent)
            case ActivityMapping(_, organization_id) | CustomerMapping(organization_id):
                organizations.add(organization_id)
    names = {key for row in found.organizations if row.id in organizations for key in name_keys(row.name)}
    return SourceDirectory(
        tuple(row for row in found.agents if row.id in agents),
        tuple(row for row in found.organizations if name_keys(row.name) & names),
    )


class _Listening(Vocabulary):
    """Notes what lines call agents and organizations, right or wrong.

    And the addresses of the target's users: who has one in the source would be the same user.
    """

    def __init__(self, source: SourceDirectory, target: TargetDirectory, unlisted: Iterable[int]) -> None:
        super().__init__(source, target, unlisted)
        self.names: set[str] = set()
        self._addresses = {row.id: row.email or row.username for row in target.users}
        self._known_addresses = {row.email.casefold() for row in source.agents}

    def mapping(self, kind: str, zammad: str, kimai: str) -> AnyMapping:
        """Note the name, and go on."""
        names = [zammad]
        if fold(kind) == Kind.USER:
            self.names |= {address for user in self._users.fitting(kimai) if (address := self._unknown(user.key))}
        elif fold(kind) == Kind.ACTIVITY:  # Names of types and of organizations may have an @ of their own.
            names = [zammad[at + 1 :] for at, letter in enumerate(zammad) if letter == "@"]
        self.names |= {name.strip() for name in names} - {"", NOTHING}
        return super().mapping(kind, zammad, kimai)

    def _unknown(self, user_id: int) -> str:
        """The address of a user of the target; nothing where the agent with it is stored."""
        address = self._addresses.get(user_id, "")
        return "" if address.casefold() in self._known_addresses else address


def _find(runtime: Runtime, names: Iterable[str]) -> SourceDirectory:
    found = SourceDirectory()
    with runtime.source() as source:
        for name in sorted(names):
            named = source.find(name)
            found = found.joined(named)
            if fold(name).removeprefix("id:").isdecimal():  # What an id means may have a namesake.
                found = found.joined(*(source.find(row.name) for row in named.organizations))
    return found


def _among(found: SourceDirectory, stored: SourceDirectory) -> SourceDirectory:
    """Those of the found that are stored already: they may have another address or name by now."""
    agents, organizations = {row.id for row in stored.agents}, {row.id for row in stored.organizations}
    return SourceDirectory(
        tuple(row for row in found.agents if row.id in agents),
        tuple(row for row in found.organizations if row.id in organizations),
    )


def _read(runtime: Runtime) -> None:
    with runtime.source() as source:
        zammad.extract_directory(runtime, source)
    with runtime.target() as target:
        kimai.extract_directory(runtime, target)


def _stored(runtime: Runtime) -> tuple[SourceDirectory, TargetDirectory | None, list[int]]:
    """Both directories as stored, and agents with bookings whom the source no longer has."""
    source_name, target_name = runtime.stored("source").name, runtime.stored("target").name
    with runtime.database.transaction() as connection:
        return (
            source_rows.load_directory(connection, source_name),
            target_rows.load_directory(connection, target_name),
            source_rows.unlisted_agents(connection, source_name),
        )


def _stored_now(runtime: Runtime) -> tuple[SourceDirectory, TargetDirectory, list[int]]:
    """The same right after both were read."""
    source, target, unlisted = _stored(runtime)
    if target is None:
        raise SetupError("The connector of Kimai was exchanged meanwhile. Try it once more.")
    return source, target, unlisted
