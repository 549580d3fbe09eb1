"""What takes a request of ours, asked for as the commands do: an undo, a mend, a month's tags, a run of such a job."""

from zk_pipeline.cli.syncing import run_operation
from zk_pipeline.decisions import mending
from zk_pipeline.defs.jobs import MendReport, TagReport
from zk_pipeline.domain.undo import UndoReport
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.runtime.run_tags import MEND_TAG, MONTH_TAG, REQUEST_TAG, undo_config
from zk_pipeline.runtime.runtime import open_runtime
from zk_pipeline.stages.push.mending import MendRequest
from zk_pipeline.store import runs

ANNA = Actor("cli:anna", Role.ADMIN)


def undo(run_id: str) -> UndoReport:
    """Undo a run as `zk undo` does."""
    # Importing the definitions takes a second, and the partitions read the settings of the environment.
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    with open_runtime() as runtime:
        job = defs.resolve_job_def("undo")
        return run_operation(runtime, ANNA, job, run_id, UndoReport, config=undo_config(run_id))


def tag(month: str) -> TagReport:
    """Tag a closed month as `zk close --tag` does."""
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    with open_runtime() as runtime:
        job = defs.resolve_job_def("tag_billed")
        return run_operation(runtime, ANNA, job, month, TagReport, tags={MONTH_TAG: month})


def mend(asked: MendRequest) -> MendReport:
    """Mend something in Kimai as the console asks for it, but waiting for the run."""
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    with open_runtime() as runtime:
        about = mending.record_request(runtime, ANNA, asked)
        return run_operation(runtime, ANNA, defs.resolve_job_def("mend"), about, MendReport, tags={MEND_TAG: about})


def requested(job: str, about: str = "") -> dict[str, str]:
    """The tags of a run of a job that a schedule asks for."""
    with open_runtime() as runtime, runtime.database.transaction() as connection:
        return {REQUEST_TAG: runs.ask(connection, runs.SCHEDULE, job, about)}
