"""The operator's mappings of agents, activity types and organizations, and the entries that lack one."""

from collections.abc import Collection, Hashable, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Delete, delete, exists, func, select, text
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.mapping import OWN_CUSTOMER, Mappings
from zk_pipeline.domain.mapping_lines import ActivityMapping, AnyMapping, CustomerMapping, UserMapping
from zk_pipeline.domain.people import Address, AgentKey
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.source_ids import NO_ORGANIZATION
from zk_pipeline.store import audit, day_requests
from zk_pipeline.store.database import by_source_id
from zk_pipeline.store.tables import (
    activity_mappings,
    carried_agents,
    customer_mappings,
    normalized_entries,
    user_mappings,
)


@dataclass(frozen=True, slots=True)
class MappingDiff:
    """A mapping to be stored; `before` is the one it replaces."""

    before: AnyMapping | None
    after: AnyMapping


@dataclass(frozen=True, slots=True)
class UnmappedBooking:
    """Entries of one day, agent, type and organization that wait for a mapping for the same reason."""

    reason: Reason
    day: date
    agent_id: str
    user_email: str
    user_name: str
    type_id: str | None
    type_name: str | None
    organization_id: str | None
    organization_name: str | None
    entries: int
    minutes: Decimal

    def waits_for(self, mapping: AnyMapping) -> bool:
        """Whether this mapping may be the missing one."""
        match mapping:
            case UserMapping(agent):
                return self.reason is Reason.UNMAPPED_USER and agent in {self.agent_id, self.user_email.casefold()}
            case ActivityMapping(type_id, organization_id):
                everywhere = organization_id is None or organization_id == self.organization_id
                return self.reason is Reason.UNMAPPED_ACTIVITY and self.type_id == type_id and everywhere
            case CustomerMapping(organization_id):
                return (
                    self.reason is Reason.UNMAPPED_CUSTOMER
                    and (self.organization_id or NO_ORGANIZATION) == organization_id
                )


def load(connection: Connection, source: str) -> Mappings:
    """All mappings, and whom agents of this source were written for, as the domain looks them up."""
    users = connection.execute(select(user_mappings.c.agent_id, user_mappings.c.email, user_mappings.c.kimai_user_id))
    of_source = carried_agents.c.source == source
    carried = connection.execute(select(carried_agents.c.agent_id, carried_agents.c.kimai_user_id).where(of_source))
    activities = connection.execute(select(activity_mappings))
    customers = connection.execute(select(customer_mappings))
    return Mappings(
        users={_agent(row): row.kimai_user_id for row in users},
        activities={(row.type_id, row.organization_id): row.kimai_activity_id for row in activities},
        customers={row.organization_id: row.kimai_customer_id or OWN_CUSTOMER for row in customers},
        carried={row.agent_id: row.kimai_user_id for row in carried},
    )


def every(connection: Connection) -> list[AnyMapping]:
    """All mappings in a stable order."""
    activities = connection.execute(
        select(activity_mappings).order_by(
            *by_source_id(activity_mappings.c.type_id, nulls_first=True),
            *by_source_id(activity_mappings.c.organization_id, nulls_first=True),
        )
    )
    users = connection.execute(
        select(user_mappings).order_by(*by_source_id(user_mappings.c.agent_id), user_mappings.c.email)
    )
    customers = connection.execute(
        select(customer_mappings).order_by(*by_source_id(customer_mappings.c.organization_id))
    )
    return [
        *(ActivityMapping(row.type_id, row.organization_id, row.kimai_activity_id) for row in activities),
        *(UserMapping(_agent(row), row.kimai_user_id) for row in users),
        *(CustomerMapping(row.organization_id, row.kimai_customer_id) for row in customers),
    ]


def changes(connection: Connection, wanted: Iterable[AnyMapping]) -> list[MappingDiff]:
    """What would change if these mappings were set."""
    stored: dict[Hashable, AnyMapping] = {mapping.key: mapping for mapping in every(connection)}
    found = [MappingDiff(stored.get(mapping.key), mapping) for mapping in wanted]
    return [change for change in found if change.before != change.after]


def waiting(connection: Connection, source: str, target: str) -> list[UnmappedBooking]:
    """What waits for a mapping, by the open conflicts, oldest day first."""
    query = text(
        """
        SELECT c.reason, c.entry_date AS day, e.agent_id, e.user_email, e.user_name, e.activity_type_id AS type_id,
            e.activity_name AS type_name, e.organization_id, e.organization_name, count(*) AS entries,
            sum(e.time_minutes) AS minutes
        FROM sync.conflicts c
        JOIN sync.normalized_entries e ON e.source = :source AND e.source_id = c.source_id
        WHERE c.connector = :target AND c.resolution_status = 'open' AND c.reason = ANY(:reasons)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ORDER BY 2, 1, 4, length(e.agent_id), 3, length(e.activity_type_id), 6, length(e.organization_id), 8
        """
    )
    reasons = [Reason.UNMAPPED_USER, Reason.UNMAPPED_ACTIVITY, Reason.UNMAPPED_CUSTOMER]
    rows = connection.execute(query, {"source": source, "target": target, "reasons": [str(name) for name in reasons]})
    return [UnmappedBooking(**{**row, "reason": Reason(row["reason"])}) for row in rows.mappings()]


def days_waiting(connection: Connection, source: str, target: str, mappings: Iterable[AnyMapping]) -> list[date]:
    """The days with entries that wait for one of these mappings."""
    wanted = list(mappings)
    rows = waiting(connection, source, target) if wanted else []
    return sorted({row.day for row in rows if any(row.waits_for(mapping) for mapping in wanted)})


def remember(connection: Connection, source: str, target: str, source_ids: Collection[str]) -> None:
    """Remember, for agents without a mapping, which user the confirmed time sheets of these bookings went to."""
    query = text(
        """
        INSERT INTO sync.carried_agents (source, agent_id, kimai_user_id)
        SELECT DISTINCT ON (e.agent_id) e.source, e.agent_id, CAST(p.asked ->> 'user_id' AS bigint)
        FROM sync.pushes p JOIN sync.normalized_entries e ON e.source = :source AND e.source_id = p.source_id
        WHERE p.connector = :target AND p.source_id = ANY(:source_ids) AND p.state = 'confirmed'
            AND NOT EXISTS (
                SELECT FROM sync.user_mappings m
                WHERE m.agent_id = e.agent_id OR (m.agent_id IS NULL AND m.email = lower(e.user_email))
            )
            -- Nearly always it is known, and then nobody waits for anybody's row.
            AND NOT EXISTS (
                SELECT FROM sync.carried_agents c
                WHERE c.source = e.source AND c.agent_id = e.agent_id
                    AND c.kimai_user_id = CAST(p.asked ->> 'user_id' AS bigint)
            )
        ORDER BY e.agent_id, e.entry_date DESC
        ON CONFLICT (source, agent_id) DO UPDATE SET kimai_user_id = excluded.kimai_user_id, updated_at = now()
        """
    )
    connection.execute(query, {"source": source, "target": target, "source_ids": list(source_ids)})


def carried_since(connection: Connection, source: str, agents: Collection[str]) -> dict[tuple[str, int], datetime]:
    """When the time of these agents was first written for the user who gets it without a mapping, by both ids."""
    query = select(carried_agents).where(carried_agents.c.source == source, carried_agents.c.agent_id.in_(agents))
    return {(row.agent_id, row.kimai_user_id): row.updated_at for row in connection.execute(query)}


def first_days(connection: Connection, source: str, target: str, organizations: Collection[str]) -> dict[str, date]:
    """The first day of these organizations' time that is in the target, or of tickets without one."""
    query = text(
        """
        SELECT coalesce(e.organization_id, '0'), min(e.entry_date) FROM sync.normalized_entries e
        JOIN sync.pushes p ON p.connector = :target AND p.source_id = e.source_id AND p.state = 'confirmed'
        WHERE e.source = :source AND coalesce(e.organization_id, '0') = ANY(:organizations)
        GROUP BY 1
        """
    )
    values = {"source": source, "target": target, "organizations": list(organizations)}
    return {row[0]: row[1] for row in connection.execute(query, values)}


def books_without(connection: Connection, source: str, column: Literal["activity_type_id", "organization_id"]) -> bool:
    """Whether there are entries without activity type, or without organization."""
    entry = normalized_entries.c
    return connection.scalar(select(exists().where(entry.source == source, entry[column].is_(None)))) or False


def lock(connection: Connection) -> None:
    """Lock all mappings until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:mappings', 0))"))


def change(
    connection: Connection, wanted: Iterable[AnyMapping], *, actor: str, source: str, target: str, address: str = ""
) -> tuple[list[MappingDiff], list[date]]:
    """Set mappings, record each change, and request the days that waited; returns the changes and these days."""
    lock(connection)
    made = changes(connection, wanted)
    _save(connection, source, [one.after for one in made])
    audit.append(connection, (_set(one, actor, address) for one in made))
    days = days_waiting(connection, source, target, [one.after for one in made])
    day_requests.ask(connection, days, day_requests.MAPPING)
    return made, days


def remove(connection: Connection, mapping: AnyMapping, *, actor: str, source: str, address: str = "") -> list[date]:
    """Delete a mapping, record that, and request the days that used it; returns them."""
    lock(connection)
    days = _days_using(connection, mapping, source)
    connection.execute(_delete(mapping))
    _forget(connection, source, mapping)
    detail = {"before": asdict(mapping), **_from(address)}
    audit.append(connection, [audit.AuditEvent("mapping.deleted", actor, f"mapping:{mapping.kind}", detail)])
    day_requests.ask(connection, days, day_requests.MAPPING)
    return days


def _days_using(connection: Connection, mapping: AnyMapping, source: str) -> list[date]:
    """The days with an entry that this mapping applies to; one for a single organization takes precedence."""
    entry = normalized_entries.c
    match mapping:
        case UserMapping(Address() as address):
            uses = func.lower(entry.user_email) == str(address)
        case UserMapping(agent):
            uses = entry.agent_id == agent
        case CustomerMapping(organization_id):
            uses = func.coalesce(entry.organization_id, NO_ORGANIZATION) == organization_id
        case ActivityMapping(type_id, None):
            own = activity_mappings.c.organization_id == entry.organization_id
            special = exists().where(activity_mappings.c.type_id.is_not_distinct_from(type_id), own)
            uses = entry.activity_type_id.is_not_distinct_from(type_id) & ~special
        case ActivityMapping(type_id, organization_id):
            of_type = entry.activity_type_id.is_not_distinct_from(type_id)
            uses = of_type & (entry.organization_id == organization_id)
    query = select(entry.entry_date).distinct().where(entry.source == source, uses).order_by(entry.entry_date)
    return list(connection.scalars(query))


def _forget(connection: Connection, source: str, mapping: AnyMapping) -> None:
    """A mapping of an agent replaces earlier ones, and none of them returns once it is deleted."""
    if isinstance(mapping, UserMapping) and not isinstance(mapping.agent, Address):
        agent = (carried_agents.c.source == source) & (carried_agents.c.agent_id == mapping.agent)
        connection.execute(delete(carried_agents).where(agent))


def _agent(row: Any) -> AgentKey:
    return Address(row.email.casefold()) if row.agent_id is None else row.agent_id


def _is_of(agent: AgentKey) -> ColumnElement[bool]:
    if isinstance(agent, Address):
        return user_mappings.c.agent_id.is_(None) & (user_mappings.c.email == str(agent))
    return user_mappings.c.agent_id == agent


def _set(change: MappingDiff, actor: str, address: str) -> audit.AuditEvent:
    """The subject has no personal data, because only the detail can be erased."""
    detail = {"before": change.before and asdict(change.before), "after": asdict(change.after), **_from(address)}
    return audit.AuditEvent("mapping.set", actor, f"mapping:{change.after.kind}", detail)


def _from(address: str) -> dict[str, str]:
    return {"address": address} if address else {}


def _delete(mapping: AnyMapping) -> Delete:
    match mapping:
        case UserMapping(agent):
            return delete(user_mappings).where(_is_of(agent))
        case ActivityMapping(type_id, organization_id):
            columns = activity_mappings.c
            return delete(activity_mappings).where(
                columns.type_id.is_not_distinct_from(type_id),
                columns.organization_id.is_not_distinct_from(organization_id),
            )
        case CustomerMapping(organization_id):
            return delete(customer_mappings).where(customer_mappings.c.organization_id == organization_id)


def _save(connection: Connection, source: str, mappings: Iterable[AnyMapping]) -> None:
    for mapping in mappings:
        match mapping:
            case UserMapping(agent, user_id):
                connection.execute(delete(user_mappings).where(_is_of(agent)))
                named = {"email": str(agent)} if isinstance(agent, Address) else {"agent_id": agent}
                connection.execute(insert(user_mappings).values(**named, kimai_user_id=user_id))
                _forget(connection, source, mapping)
                continue
            case ActivityMapping(type_id, organization_id, activity_id):
                statement = insert(activity_mappings).values(
                    type_id=type_id, organization_id=organization_id, kimai_activity_id=activity_id
                )
                keys = [activity_mappings.c.type_id, activity_mappings.c.organization_id]
                changed = "kimai_activity_id"
            case CustomerMapping(organization_id, customer_id):
                statement = insert(customer_mappings).values(
                    organization_id=organization_id, kimai_customer_id=customer_id
                )
                keys, changed = [customer_mappings.c.organization_id], "kimai_customer_id"
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=keys, set_={changed: statement.excluded[changed], "updated_at": func.now()}
            )
        )
