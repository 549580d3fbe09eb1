"""The names that mappings are written in: as stored, read now, or searched as one types."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from zk_pipeline.connectors.errors import ConnectorError
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
from zk_pipeline.domain.people import Address
from zk_pipeline.domain.records import SourceDirectory, TargetDirectory
from zk_pipeline.domain.source_ids import NO_ORGANIZATION, is_whole_number
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.stages import read_source, read_target
from zk_pipeline.store import source as source_rows
from zk_pipeline.store import target

# Of the source's people and organizations, only those with bookings or mappings are stored. A mapping may name others:
# they are looked up in the source, and stored once they are mapped.

MappingParser = Callable[[Vocabulary], Sequence[tuple[int, AnyMapping]]]
"""Makes mappings from a vocabulary, each with its line number in a file, or 0."""


def stored_vocabulary(runtime: Runtime) -> Vocabulary | None:
    """The names of both systems as last read; `None` if they never were."""
    source, target, unlisted = _stored(runtime)
    return Vocabulary(source, target, unlisted) if target is not None else None


def current_vocabulary(runtime: Runtime) -> Vocabulary:
    """The names of both systems, read now and stored. Raises connectors' errors."""
    _read_directories(runtime)
    source, target, unlisted = _stored_now(runtime)
    return Vocabulary(source, target, unlisted)


def vocabulary_for(runtime: Runtime, wanted: MappingParser) -> tuple[Vocabulary, SourceDirectory]:
    """The current names and the names found by the source's search, as a vocabulary; and the latter alone.

    A name may be that of somebody without bookings, and a namesake of somebody with. Raises connectors' errors.
    """
    _read_directories(runtime)
    source, target, unlisted = _stored_now(runtime)
    listening = _NameCollector(source, target, unlisted)
    with suppress(MappingError):  # Raised again once all names are known.
        wanted(listening)
    found = _search_source(runtime, listening.names)
    with runtime.database.transaction() as connection:
        source_rows.save_directory(connection, runtime.stored("source").name, _already_stored(found, source))
    source, target, unlisted = _stored_now(runtime)
    return Vocabulary(found.joined(source), target, unlisted), found


def mentioned_in(found: SourceDirectory, mappings: Iterable[AnyMapping]) -> SourceDirectory:
    """The found agents and organizations that the mappings mention, with namesakes of organizations."""
    agents: set[str] = set()
    organizations: set[str | None] = set()
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


class _NameCollector(Vocabulary):
    """Collects the names of agents and organizations in lines, right or wrong.

    Also the addresses of the target's users: an agent with the same address would be the same user.
    """

    def __init__(self, source: SourceDirectory, target: TargetDirectory, unlisted: Iterable[str]) -> None:
        super().__init__(source, target, unlisted)
        self.names: set[str] = set()
        self._addresses = {row.id: row.email or row.username for row in target.users}
        self._known_addresses = {row.email.casefold() for row in source.agents}

    def mapping(self, kind: str, zammad: str, kimai: str) -> AnyMapping:
        names = [zammad]
        if fold(kind) == Kind.USER:
            self.names |= {address for user in self._users.fitting(kimai) if (address := self._unknown(user.key))}
        elif fold(kind) == Kind.ACTIVITY:  # Names of types and organizations may contain an @.
            names = [zammad[at + 1 :] for at, letter in enumerate(zammad) if letter == "@"]
        self.names |= {name.strip() for name in names} - {"", NOTHING}
        return super().mapping(kind, zammad, kimai)

    def _unknown(self, user_id: int) -> str:
        """The address of a user of the target; empty if the agent with it is stored."""
        address = self._addresses.get(user_id, "")
        return "" if address.casefold() in self._known_addresses else address


def _search_source(runtime: Runtime, names: Iterable[str]) -> SourceDirectory:
    found = SourceDirectory()
    with runtime.source() as source:
        for name in sorted(names):
            named = source.find(name)
            found = found.joined(named)
            if is_whole_number(fold(name).removeprefix("id:")) or fold(name).startswith(
                "id:"
            ):  # The item with this id may have namesakes.
                found = found.joined(*(source.find(row.name) for row in named.organizations))
    return found


def _already_stored(found: SourceDirectory, stored: SourceDirectory) -> SourceDirectory:
    """The found items that are stored already: their addresses or names may have changed."""
    agents, organizations = {row.id for row in stored.agents}, {row.id for row in stored.organizations}
    return SourceDirectory(
        tuple(row for row in found.agents if row.id in agents),
        tuple(row for row in found.organizations if row.id in organizations),
    )


def _read_directories(runtime: Runtime) -> None:
    with runtime.source() as source:
        read_source.extract_directory(runtime, source)
    with runtime.target() as target:
        read_target.extract_directory(runtime, target)


def _stored(runtime: Runtime) -> tuple[SourceDirectory, TargetDirectory | None, list[str]]:
    """Both directories as stored, and agents with bookings who no longer exist in the source."""
    source_name, target_name = runtime.stored("source").name, runtime.stored("target").name
    with runtime.database.transaction() as connection:
        return (
            source_rows.load_directory(connection, source_name),
            target.load_directory(connection, target_name),
            source_rows.unlisted_agents(connection, source_name),
        )


def _stored_now(runtime: Runtime) -> tuple[SourceDirectory, TargetDirectory, list[str]]:
    """The same, right after both were read."""
    source, target, unlisted = _stored(runtime)
    if target is None:
        raise SetupError("Try again: the connector of Kimai was changed meanwhile.")
    return source, target, unlisted


# Searching sources and targets of mappings by name.

_SOURCES = {
    Kind.USER: """
        SELECT 'id:' || id AS value, name, coalesce(nullif(email, ''), login) AS note, active AS usable
        FROM zammad.agents WHERE connector = :connector
    """,
    Kind.ACTIVITY: """
        SELECT 'id:' || id AS value, name, '' AS note, active AS usable
        FROM zammad.activity_types WHERE connector = :connector
    """,
    Kind.CUSTOMER: """
        SELECT 'id:' || id AS value, name, '' AS note, active AS usable
        FROM zammad.organizations WHERE connector = :connector
    """,
}
_TARGETS = {
    Kind.USER: """
        SELECT 'id:' || id AS value, coalesce(nullif(name, ''), username) AS name,
            concat_ws(', ', nullif(username, name), email) AS note, enabled AS usable
        FROM kimai.users WHERE connector = :connector AND NOT system_account
    """,
    Kind.ACTIVITY: """
        SELECT 'id:' || a.id AS value, a.name, coalesce(p.name, '') AS note, a.visible AS usable
        FROM kimai.activities a
        LEFT JOIN kimai.projects p ON p.connector = a.connector AND p.id = a.project_id
        WHERE a.connector = :connector
    """,
    Kind.CUSTOMER: """
        SELECT 'id:' || id AS value, name, coalesce(number, '') AS note, visible AS usable
        FROM kimai.customers WHERE connector = :connector
    """,
}


@dataclass(frozen=True, slots=True)
class MappingOption:
    """An item to choose; `value` identifies it in a mapping line.

    `note` distinguishes namesakes: an agent's e-mail or login, an activity's project, a customer's number. An item that
    is not `usable` is hidden, disabled or inactive; it can still be mapped, for old bookings.
    """

    value: str
    name: str
    note: str
    usable: bool


def source_options(connection: Connection, kind: Kind, connector: str, wanted: str, limit: int) -> list[MappingOption]:
    """Items of the source with this text in name or note, usable ones first, by name."""
    return _found(connection, _SOURCES[kind], connector, wanted, limit)


def target_options(connection: Connection, kind: Kind, connector: str, wanted: str, limit: int) -> list[MappingOption]:
    """Items of the target with this text in name or note, usable ones first, by name."""
    return _found(connection, _TARGETS[kind], connector, wanted, limit)


def _found(connection: Connection, rows: str, connector: str, wanted: str, limit: int) -> list[MappingOption]:
    query = text(
        f"""
        SELECT value, name, note, usable FROM ({rows}) rows
        WHERE strpos(lower(normalize(concat_ws(' ', name, note), NFKC)), lower(normalize(:wanted, NFKC))) > 0
        ORDER BY usable DESC, lower(name), length(value), value LIMIT :limit
        """  # noqa: S608 - one of the texts above
    )
    found = connection.execute(query, {"connector": connector, "wanted": wanted, "limit": limit})
    return [MappingOption(*row) for row in found]


SHORTEST_SEARCH = 3
LIMIT = 8
"""Options shown at once."""

_log = logging.getLogger(__name__)


def zammad_options(runtime: Runtime, kind: Kind, wanted: str) -> list[MappingOption]:
    """Agents, activity types or organizations with this text in their name. Raises `SetupError`.

    If no stored one matches, the source is searched for others, which are not stored.
    """
    with runtime.database.transaction() as connection:
        known = source_options(connection, kind, runtime.stored("source").name, wanted, LIMIT)
    if known or kind is Kind.ACTIVITY or len(wanted) < SHORTEST_SEARCH:
        return known
    try:
        with runtime.source() as source:
            found = source.find(wanted)
    except ConnectorError as error:
        _log.warning("The source could not be searched for a mapping. %s", error)
        return []
    if kind is Kind.USER:
        return [MappingOption(f"id:{row.id}", row.name, row.email or row.login, row.active) for row in found.agents][
            :LIMIT
        ]
    return [MappingOption(f"id:{row.id}", row.name, "", row.active) for row in found.organizations][:LIMIT]


def kimai_options(runtime: Runtime, kind: Kind, wanted: str) -> list[MappingOption]:
    """Users, activities or customers with this text in their name. Raises `SetupError`."""
    with runtime.database.transaction() as connection:
        return target_options(connection, kind, runtime.stored("target").name, wanted, LIMIT)


def ensure_read(runtime: Runtime) -> None:
    """Read the names of both systems if they never were. Raises `SetupError` and connectors' errors."""
    if stored_vocabulary(runtime) is None:
        current_vocabulary(runtime)


# Pages of mappings with the names of both systems.

# A key is stable and holds no personal data: it is part of URLs, which proxies log.
_ROWS = {
    Kind.USER: """
        SELECT coalesce(m.agent_id, left(encode(sha256(convert_to(m.email, 'UTF8')), 'hex'), 16) || '@') AS key,
            coalesce(nullif(a.email, ''), m.email) AS email, m.agent_id AS zammad_id, NULL AS organization_id,
            m.kimai_user_id AS kimai_id,
            a.name AS zammad, NULL AS organization, coalesce(nullif(u.name, ''), u.username) AS kimai,
            a.id IS NOT NULL AND u.id IS NOT NULL AS known, m.updated_at
        FROM sync.user_mappings m
        LEFT JOIN LATERAL (
            SELECT id, name, email FROM zammad.agents
            WHERE connector = :source AND (id = m.agent_id OR (m.agent_id IS NULL AND lower(email) = m.email)) LIMIT 1
        ) a ON true
        LEFT JOIN kimai.users u ON u.connector = :target AND u.id = m.kimai_user_id
    """,
    Kind.ACTIVITY: """
        SELECT concat(coalesce(m.type_id, '-'), '@' || m.organization_id) AS key,
            NULL AS email, m.type_id AS zammad_id, m.organization_id, m.kimai_activity_id AS kimai_id,
            CASE WHEN m.type_id IS NULL THEN '(no type)' ELSE t.name END AS zammad,
            o.name AS organization, a.name AS kimai,
            (m.type_id IS NULL OR t.id IS NOT NULL) AND (m.organization_id IS NULL OR o.id IS NOT NULL)
                AND a.id IS NOT NULL AS known, m.updated_at
        FROM sync.activity_mappings m
        LEFT JOIN zammad.activity_types t ON t.connector = :source AND t.id = m.type_id
        LEFT JOIN zammad.organizations o ON o.connector = :source AND o.id = m.organization_id
        LEFT JOIN kimai.activities a ON a.connector = :target AND a.id = m.kimai_activity_id
    """,
    Kind.CUSTOMER: """
        SELECT m.organization_id AS key,
            NULL AS email, m.organization_id AS zammad_id, NULL AS organization_id,
            m.kimai_customer_id AS kimai_id,
            CASE WHEN m.organization_id = '0' THEN '(no organization)' ELSE o.name END AS zammad,
            NULL AS organization,
            CASE WHEN m.kimai_customer_id IS NULL THEN '(a customer of its own)' ELSE c.name END AS kimai,
            (m.organization_id = '0' OR o.id IS NOT NULL)
                AND (m.kimai_customer_id IS NULL OR c.id IS NOT NULL) AS known,
            m.updated_at
        FROM sync.customer_mappings m
        LEFT JOIN zammad.organizations o ON o.connector = :source AND o.id = m.organization_id
        LEFT JOIN kimai.customers c ON c.connector = :target AND c.id = m.kimai_customer_id
    """,
}
_MATCHING = """
    WHERE (:text = '' OR strpos(
            lower(normalize(concat_ws(' ', email, zammad, organization, kimai), NFKC)), lower(normalize(:text, NFKC))
        ) > 0)
        AND (CAST(:known AS boolean) IS NULL OR known = :known)
"""


@dataclass(frozen=True, slots=True)
class MappingRow:
    """A mapping with the names of both sides; a name is `None`, and `known` false, if the item no longer exists.

    `key` identifies it within its kind. `zammad_id` is an agent, a type or an organization; a mapping of an agent who
    was unknown when it was set has only the `email`.
    """

    kind: Kind
    key: str
    email: str | None
    zammad_id: str | None
    organization_id: str | None
    kimai_id: int | None
    zammad: str | None
    organization: str | None
    kimai: str | None
    known: bool
    updated_at: datetime

    @property
    def mapping(self) -> AnyMapping:
        """The mapping of this row."""
        if self.kind is Kind.CUSTOMER:
            return CustomerMapping(self.zammad_id or NO_ORGANIZATION, self.kimai_id)
        if self.kimai_id is None:
            raise ValueError(f"The mapping {self.key} of kind {self.kind} leads nowhere.")
        if self.kind is Kind.USER:
            return UserMapping(self.zammad_id or Address(self.email or ""), self.kimai_id)
        return ActivityMapping(self.zammad_id, self.organization_id, self.kimai_id)


@dataclass(frozen=True, slots=True)
class MappingFilter:
    """A filter of mappings: text in a name of either side, and whether both sides still exist."""

    text: str = ""
    known: bool | None = None


def page(
    connection: Connection,
    kind: Kind,
    source: str,
    target: str,
    wanted: MappingFilter,
    *,
    limit: int | None,
    offset: int,
) -> tuple[list[MappingRow], int]:
    """A page of the mappings of a kind by name, broken ones first, and the total; without `limit` all of them."""
    values = {"source": source, "target": target, "text": wanted.text, "known": wanted.known}
    matching = f"FROM ({_ROWS[kind]}) rows {_MATCHING}"
    rows = connection.execute(
        text(
            f"SELECT * {matching} ORDER BY known, lower(coalesce(zammad, email, '')), key LIMIT :limit OFFSET :offset"
        ),
        {**values, "limit": limit, "offset": offset},
    ).mappings()
    found = [_row(kind, row) for row in rows]
    return found, connection.execute(text(f"SELECT count(*) {matching}"), values).scalar_one()


def one(connection: Connection, kind: Kind, source: str, target: str, key: str) -> MappingRow | None:
    """The mapping with this key, or `None`."""
    query = text(f"SELECT * FROM ({_ROWS[kind]}) rows WHERE key = :key")  # noqa: S608 - one of the texts above
    row = connection.execute(query, {"source": source, "target": target, "key": key}).mappings().first()
    return None if row is None else _row(kind, row)


def _row(kind: Kind, row: Mapping[Any, Any]) -> MappingRow:
    return MappingRow(kind, **row)
