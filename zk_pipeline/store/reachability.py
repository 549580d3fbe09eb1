"""How the outside systems answer, as our own runs and sensors met them: noted when one ends, over with a good read."""

from datetime import UTC, datetime

from sqlalchemy import Connection, text

from zk_pipeline.domain.vital_figures import System

_OWNER = "reachability"


def note_failing(connection: Connection, system: str, problem: str, *, refused: bool) -> None:
    """Record why a system, by the name of its connector, could not be used just now; since when is kept."""
    # A failure that is over by another read begins again.
    began = next((row.failing_since for row in systems(connection) if row.name == system), None)
    connection.execute(
        text(
            """
            INSERT INTO sync.cursors (connector, subject, value) VALUES (
                :owner, :system, jsonb_build_object(
                    'since', CAST(:since AS text), 'problem', CAST(:problem AS text), 'refused', CAST(:refused AS bool)
                )
            )
            ON CONFLICT (connector, subject) DO UPDATE SET value = excluded.value, updated_at = now()
            """
        ),
        {
            "owner": _OWNER,
            "system": system,
            "since": (began or datetime.now(UTC)).isoformat(),
            "problem": problem,
            "refused": refused,
        },
    )


def note_answering(connection: Connection, system: str) -> None:
    """Record that a system answered what it was asked last."""
    statement = text("DELETE FROM sync.cursors WHERE connector = :owner AND subject = :system")
    connection.execute(statement, {"owner": _OWNER, "system": system})


def systems(connection: Connection) -> list[System]:
    """The systems that are used, by role: when each was last read with success, and since when it fails.

    A good read is a complete sweep or a look at the changes. It ends a failure, and so does another token or address.
    """
    return [
        System(row.role, row.name, row.read_at)
        if row.value is None
        else System(
            row.role,
            row.name,
            row.read_at,
            datetime.fromisoformat(row.value["since"]),
            row.failed_at,
            row.value["problem"],
            row.value["refused"],
        )
        for row in connection.execute(_SYSTEMS, {"owner": _OWNER})
    ]


_SYSTEMS = text(
    """
    SELECT c.role, c.name, read.at AS read_at, failed.value, failed.updated_at AS failed_at
    FROM sync.connectors c
    CROSS JOIN LATERAL (
        SELECT GREATEST(
            (SELECT s.ended_at FROM sync.sweeps s WHERE s.connector = c.name AND s.complete ORDER BY s.id DESC LIMIT 1),
            (SELECT max(r.updated_at) FROM sync.cursors r WHERE r.connector = c.name)
        ) AS at
    ) AS read
    LEFT JOIN sync.cursors failed ON failed.connector = :owner AND failed.subject = c.name
        AND failed.updated_at > GREATEST(c.updated_at, read.at)
    WHERE c.active ORDER BY c.role, c.name
    """
)
