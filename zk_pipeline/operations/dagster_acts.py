"""What people do in Dagster's own UI: recorded in their name before Dagster is asked to do it."""

from collections.abc import Sequence

from zk_pipeline.operations.actors import Actor
from zk_pipeline.run_tags import NO_RETRY, REQUEST_TAG
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import audit, cancellations, run_requests

EVENT = "dagster.asked"


def note(runtime: Runtime, actor: Actor, acts: Sequence[tuple[str, str]], cancelled: Sequence[str] = ()) -> None:
    """Record operations of Dagster's with what each is about, such as `launchRun` and `sync`.

    The days of the runs that are `cancelled` by it are held in this name.
    """
    with runtime.database.transaction() as connection:
        for run_id in cancelled:
            cancellations.ask(connection, run_id, actor.name)
        events = [actor.did(EVENT, f"dagster:{name}", {"operation": name, "about": about}) for name, about in acts]
        audit.append(connection, events)


def request(runtime: Runtime, actor: Actor, job: str, about: str) -> dict[str, str]:
    """The tags of a run that an admin launches there and that needs a request of ours."""
    with runtime.database.transaction() as connection:
        return {REQUEST_TAG: run_requests.ask(connection, actor.name, job, about), **NO_RETRY}
