"""The state of everything at a glance."""

from typing import Any

from sqlalchemy import Connection, func, select

from zk_pipeline.domain.closing import month_name
from zk_pipeline.store import periods
from zk_pipeline.store.tables import conflicts, connectors, day_requests, normalized_entries, pushes, sync_runs

RUNS_SHOWN = 5


def overview(connection: Connection) -> dict[str, Any]:
    """Connectors without their tokens, counts by state and reason, the last runs, days asked for."""
    known = select(connectors.c.name, connectors.c.role, connectors.c.kind, connectors.c.base_url, connectors.c.active)
    last_runs = select(sync_runs).order_by(sync_runs.c.started_at.desc()).limit(RUNS_SHOWN)
    by_state = select(pushes.c.state, func.count()).group_by(pushes.c.state).order_by(pushes.c.state)
    by_reason = (
        select(conflicts.c.reason, func.count())
        .where(conflicts.c.resolution_status == "open")
        .group_by(conflicts.c.reason)
        .order_by(func.count().desc(), conflicts.c.reason)
    )
    unclaimed = select(func.count(day_requests.c.day.distinct())).where(day_requests.c.claimed_by_run.is_(None))
    return {
        "connectors": [dict(row) for row in connection.execute(known.order_by(connectors.c.id)).mappings()],
        "entries": connection.execute(select(func.count()).select_from(normalized_entries)).scalar_one(),
        "pushes": {row[0]: row[1] for row in connection.execute(by_state)},
        "conflicts": {row[0]: row[1] for row in connection.execute(by_reason)},
        "runs": [dict(row) for row in connection.execute(last_runs).mappings()],
        "closed_months": [month_name(month) for month in sorted(periods.closed_months(connection))],
        "requested_days": connection.execute(unclaimed).scalar_one(),
    }
