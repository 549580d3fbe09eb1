"""The guard before the first write: a run that would delete or change unusually much stops and says what to do.

And whether what would be written to is a real system at all.
"""

from collections.abc import Sequence
from datetime import date
from http import HTTPStatus

import httpx
from sqlalchemy import Connection

from zk_pipeline.domain.approval import Limits, objection
from zk_pipeline.domain.instants import days_window
from zk_pipeline.runtime import Runtime, SetupError
from zk_pipeline.settings import Settings
from zk_pipeline.store import plans, target

SANDBOX = "/_sandbox/requests"
"""What the simulated systems answer beside their product's own routes."""


class GuardError(SetupError):
    """The plan is larger than the operator's limits; the message says how to let it pass."""


def require_moderation(runtime: Runtime, target_name: str, days: Sequence[date], *, let_pass: bool) -> None:
    """Raise `GuardError` when the plan of these days exceeds the limits and nobody let it pass."""
    if let_pass:
        return
    with runtime.database.transaction() as connection:
        reason = objection_to(connection, target_name, runtime.settings, days)
    if reason is None:
        return
    span = f"--from {days[0]} --to {days[-1]}"
    raise GuardError(
        f"Stopped before the first write. {reason} Look at it with `zk sync {span} --plan`; if it is right, "
        f"let it pass with `zk sync {span} --let-pass`, or as an admin in the console's sync dialog."
    )


def objection_to(connection: Connection, target_name: str, settings: Settings, days: Sequence[date]) -> str | None:
    """Why a run over these days, as they are planned now, would be stopped; `None` where it would not."""
    window = days_window(days[0], days[-1], settings.zone)
    lines = [line for day in days for line in plans.writes_of_day(connection, target_name, day)]
    timesheets = target.count_within(connection, target_name, window)
    return objection(lines, timesheets, Limits(settings.max_changes, settings.max_deletes))


def is_sandbox(base_url: str) -> bool:
    """Whether a simulated system answers at this address."""
    try:
        answer = httpx.get(f"{base_url}{SANDBOX}", timeout=5, follow_redirects=False)
        return answer.status_code == HTTPStatus.OK and "by_route" in answer.json()
    except (httpx.HTTPError, ValueError):
        return False
