"""Which systems refuse our token: noted when one answers 401, over with the next good read of it or another token."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from zk_pipeline.store import cursors

REFUSED = "401"

_OWNER = "refusals"


@dataclass(frozen=True, slots=True)
class Token:
    """Whether a system that is used refused our token when it was last asked."""

    role: str
    system: str
    refused: bool


def note(connection: Connection, system: str) -> None:
    """Record that a system, by the name of its connector, refused our token just now."""
    cursors.save(connection, _OWNER, system, {})


def tokens(connection: Connection) -> list[Token]:
    """The systems that are used, by name."""
    query = text(
        """
        SELECT c.role, c.name, EXISTS (
            SELECT 1 FROM sync.cursors r
            WHERE r.connector = :owner AND r.subject = c.name AND r.updated_at > GREATEST(
                c.updated_at,
                (SELECT s.ended_at FROM sync.sweeps s WHERE s.connector = c.name AND s.complete
                    ORDER BY s.id DESC LIMIT 1),
                (SELECT max(o.updated_at) FROM sync.cursors o WHERE o.connector = c.name)
            )
        ) AS refused
        FROM sync.connectors c WHERE c.active ORDER BY c.name
        """
    )
    return [Token(*row) for row in connection.execute(query, {"owner": _OWNER})]
