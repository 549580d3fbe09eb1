"""What must hold after a sync, whatever people and machines did before: each minute once, or somebody is asked."""

from collections import Counter
from decimal import Decimal

from sqlalchemy import text

from zk_pipeline.domain.markers import marked_ids
from zk_pipeline_tests.defs.people import People
from zk_pipeline_tests.defs.world import World


def unaccounted(world: World) -> list[tuple[str, str, str]]:
    """Entries with minutes that are neither in agreement, nor waiting in the open, nor decided by a person."""
    query = """
        SELECT e.source_id, r.status, r.action FROM sync.normalized_entries e
        LEFT JOIN sync.reconciliation_results r ON r.key = e.source_id AND r.entry_date = e.entry_date
        LEFT JOIN sync.conflicts c ON c.key = e.source_id AND c.resolution_status = 'open'
        WHERE e.time_minutes > 0 AND c.id IS NULL AND COALESCE(r.decided, '') = ''
            AND COALESCE(r.status, '') NOT IN ('in_sync')
    """
    with world.environment.runtime.database.transaction() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(text(query))]


def copies_by_us(world: World, people: People) -> dict[str, int]:
    """Bookings of which Kimai holds more marked time sheets than people copied."""
    copies = {int(told.rsplit(" ", 1)[1]) for told in people.done if told.startswith("copy ")}
    marked = Counter(
        id_ for row in world.office.rows if row.id not in copies for id_ in marked_ids(row.description or "", "zammad")
    )
    return {id_: number for id_, number in marked.items() if number > 1}


def minutes_kept(world: World) -> Decimal:
    """Minutes that are to be carried over, less those that are open: what Zammad holds of the days that were run.

    Those of adjustments were booked with the adjusted bookings.
    """
    with world.environment.runtime.database.transaction() as connection:
        query = """
            SELECT COALESCE(sum(time_minutes - open_minutes), 0) FROM sync.normalized_entries
            WHERE source_id NOT LIKE 'a%'
        """
        return connection.execute(text(query)).scalar_one()
