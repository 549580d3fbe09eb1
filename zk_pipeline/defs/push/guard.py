"""The guard before the first write: a run that would delete or change unusually much stops and says what to do."""

from collections.abc import Sequence
from datetime import date

from zk_pipeline.defs.push.limits import ALLOW_TAG, objection_to
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.runtime import SetupError


class GuardError(SetupError):
    """The plan is larger than the operator's limits; the message says how to let it pass."""


def require_moderation(zk: ZkResource, days: Sequence[date], *, let_pass: bool) -> None:
    """Raise `GuardError` when the plan of these days exceeds the limits and nobody let it pass."""
    if let_pass:
        return
    with zk.runtime.database.transaction() as connection:
        reason = objection_to(connection, zk.target.endpoint.name, zk.runtime.settings, days)
    if reason is None:
        return
    span = f"--from {days[0]} --to {days[-1]}"
    raise GuardError(
        f"Stopped before the first write. {reason} Look at it with `zk sync {span} --plan`; if it is right, "
        f"let it pass with `zk sync {span} --let-pass`, or in Dagster with the run tag {ALLOW_TAG}."
    )
