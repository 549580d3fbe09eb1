"""Queries on what a mapping can be about and lead to, searched by name as it is typed."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from zk_pipeline.domain.mapping_lines import Kind

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
        FROM kimai.users WHERE connector = :connector
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
class Choice:
    """Something with a name; `value` stands for it, and for nothing else, in a mapping line.

    `note` tells it from its namesakes: an agent's e-mail or login, an activity's project, a customer's number. What is
    not `usable` is hidden, disabled or inactive; it can be mapped all the same, for the sake of old bookings.
    """

    value: str
    name: str
    note: str
    usable: bool


def of_source(connection: Connection, kind: Kind, connector: str, wanted: str, limit: int) -> list[Choice]:
    """What the source has of this kind with this text in name or note, usable ones first, by name."""
    return _found(connection, _SOURCES[kind], connector, wanted, limit)


def of_target(connection: Connection, kind: Kind, connector: str, wanted: str, limit: int) -> list[Choice]:
    """What the target has of this kind with this text in name or note, usable ones first, by name."""
    return _found(connection, _TARGETS[kind], connector, wanted, limit)


def _found(connection: Connection, rows: str, connector: str, wanted: str, limit: int) -> list[Choice]:
    query = text(
        f"""
        SELECT value, name, note, usable FROM ({rows}) rows
        WHERE strpos(lower(normalize(concat_ws(' ', name, note), NFKC)), lower(normalize(:wanted, NFKC))) > 0
        ORDER BY usable DESC, lower(name), value LIMIT :limit
        """  # noqa: S608 - one of the texts above
    )
    found = connection.execute(query, {"connector": connector, "wanted": wanted, "limit": limit})
    return [Choice(*row) for row in found]
