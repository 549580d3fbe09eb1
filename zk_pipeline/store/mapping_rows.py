"""Queries on the mappings with the names of both systems: pages of them, and a single one by its key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from zk_pipeline.domain.mapping_lines import ActivityMapping, AnyMapping, CustomerMapping, Kind, UserMapping

# A key is stable and names nobody: it stands in addresses, which proxies write down.
_ROWS = {
    Kind.USER: """
        SELECT coalesce(m.agent_id::text, left(encode(sha256(convert_to(m.email, 'UTF8')), 'hex'), 16) || '@') AS key,
            coalesce(nullif(a.email, ''), m.email) AS email, m.agent_id AS zammad_id, NULL::bigint AS organization_id,
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
        SELECT concat(coalesce(m.type_id::text, '-'), '@' || m.organization_id) AS key,
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
        SELECT m.organization_id::text AS key,
            NULL AS email, m.organization_id AS zammad_id, NULL::bigint AS organization_id,
            m.kimai_customer_id AS kimai_id,
            CASE WHEN m.organization_id = 0 THEN '(no organization)' ELSE o.name END AS zammad,
            NULL AS organization,
            CASE WHEN m.kimai_customer_id IS NULL THEN '(a customer of its own)' ELSE c.name END AS kimai,
            (m.organization_id = 0 OR o.id IS NOT NULL) AND (m.kimai_customer_id IS NULL OR c.id IS NOT NULL) AS known,
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
    """A mapping with the names of both sides, `None` for what is gone there; `known` is false when something is.

    `key` identifies it among those of its kind. `zammad_id` is an agent, a type or an organization; a mapping of an
    agent who was not known when it was set has only the `email`.
    """

    kind: Kind
    key: str
    email: str | None
    zammad_id: int | None
    organization_id: int | None
    kimai_id: int | None
    zammad: str | None
    organization: str | None
    kimai: str | None
    known: bool
    updated_at: datetime

    @property
    def mapping(self) -> AnyMapping:
        """The mapping itself."""
        if self.kind is Kind.CUSTOMER:
            return CustomerMapping(self.zammad_id or 0, self.kimai_id)
        if self.kimai_id is None:
            raise ValueError(f"The mapping {self.key} of kind {self.kind} leads nowhere.")
        if self.kind is Kind.USER:
            return UserMapping(self.zammad_id or (self.email or ""), self.kimai_id)
        return ActivityMapping(self.zammad_id, self.organization_id, self.kimai_id)


@dataclass(frozen=True, slots=True)
class MappingFilter:
    """Which mappings are wanted: with this text in a name of either side, and known or gone ones only."""

    text: str = ""
    known: bool | None = None


def page(
    connection: Connection, kind: Kind, source: str, target: str, wanted: MappingFilter, *, limit: int, offset: int
) -> tuple[list[MappingRow], int]:
    """A page of the mappings of a kind, by name, what is gone first; and how many there are in all."""
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
    """The mapping of this key, or `None`."""
    query = text(f"SELECT * FROM ({_ROWS[kind]}) rows WHERE key = :key")  # noqa: S608 - one of the texts above
    row = connection.execute(query, {"source": source, "target": target, "key": key}).mappings().first()
    return None if row is None else _row(kind, row)


def _row(kind: Kind, row: Mapping[Any, Any]) -> MappingRow:
    return MappingRow(kind, **row)
