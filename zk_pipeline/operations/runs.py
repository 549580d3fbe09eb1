"""The runs of the chain: what our tables counted of each, and how Dagster says that it is doing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from zk_pipeline.dagster_server import DagsterServer, DagsterServerError, run_url
from zk_pipeline.domain.demand import LONGEST_RANGE
from zk_pipeline.domain.instants import day_ranges
from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.errors import UnknownError
from zk_pipeline.run_tags import range_tags
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import audit, requests, run_lists
from zk_pipeline.store.run_lists import StoredRun

UNKNOWN = "unknown"
"""The status of a run while Dagster does not answer, and of one that it does not know any more."""

_ENDED = frozenset({"success", "failure", "canceled", UNKNOWN})


@dataclass(frozen=True, slots=True)
class Run:
    """A run; instants are in UTC. `status` is Dagster's in small letters, or `unknown`.

    `seconds` is the time from its first to its last stage so far. `carried_out` says that it wrote its days to the end;
    a plan never does. `failure` is what a failed run tells the operator, some seconds after it ended.
    """

    run_id: str
    first: date | None
    last: date | None
    status: str
    counts: Mapping[str, int]
    started_at: datetime
    seconds: int
    carried_out: bool
    failure: str
    url: str

    @property
    def is_under_way(self) -> bool:
        """Whether it waits for its turn or is at work."""
        return self.status not in _ENDED


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run over these days that was just started; `url` is its page in Dagster."""

    run_id: str
    first: date
    last: date
    url: str


def launch(
    runtime: Runtime, job: str, first: date, last: date, tags: Mapping[str, str] | None = None
) -> Iterator[StartedRun]:
    """Start runs of a job over a range, each over a month at most, one by one. Raises `DagsterServerError`."""
    server = DagsterServer(runtime.settings.dagster_server)
    for begin, end in day_ranges(first, last, LONGEST_RANGE):
        run_id = server.launch(job, {**range_tags(begin, end, requests.PERSON), **(tags or {})})
        yield StartedRun(run_id, begin, end, run_url(runtime.settings.dagster_link, run_id))


def page(runtime: Runtime, limit: int, offset: int) -> tuple[tuple[Run, ...], int]:
    """The runs of one page, newest first, and how many there are in all."""
    with runtime.database.transaction() as connection:
        rows = run_lists.page(connection, limit, offset)
        total = run_lists.count(connection)
    return told(runtime, rows), total


def one(runtime: Runtime, run_id: str) -> Run:
    """One run. Raises `UnknownError`."""
    found = of_ids(runtime, [run_id])
    if not found:
        raise UnknownError(f"There is no run {run_id}. A run is known here once its first stage began.")
    return found[0]


def undo_requested(runtime: Runtime, actor: Actor, run_id: str) -> None:
    """Record who has a run undone, before the first write is taken back; what comes of it is told by the undo's run."""
    with runtime.database.transaction() as connection:
        audit.append(connection, [actor.did("undo.requested", f"run:{run_id}", {"run": run_id})])


def of_ids(runtime: Runtime, run_ids: Sequence[str]) -> tuple[Run, ...]:
    """Those of the runs that our tables know, oldest first."""
    with runtime.database.transaction() as connection:
        rows = run_lists.of_ids(connection, run_ids)
    return told(runtime, rows)


def statuses(runtime: Runtime, run_ids: Sequence[str]) -> dict[str, str]:
    """The status of each run; `unknown` where Dagster does not answer or does not know it."""
    try:
        known = DagsterServer(runtime.settings.dagster_server).run_statuses(run_ids)
    except DagsterServerError:
        known = {}
    return {run_id: known.get(run_id, UNKNOWN).lower() for run_id in run_ids}


def told(runtime: Runtime, rows: Sequence[StoredRun]) -> tuple[Run, ...]:
    """Stored runs with what Dagster says of them."""
    status = statuses(runtime, [row.run_id for row in rows])
    return tuple(
        Run(
            run_id=row.run_id,
            first=row.first,
            last=row.last,
            status=status[row.run_id],
            counts=row.counts,
            started_at=row.started_at,
            seconds=int((row.updated_at - row.started_at).total_seconds()),
            carried_out=row.carried_out_until is not None and row.carried_out_until == row.last,
            failure=row.failure,
            url=run_url(runtime.settings.dagster_link, row.run_id),
        )
        for row in rows
    )
