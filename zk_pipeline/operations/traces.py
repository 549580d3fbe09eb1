"""The whole story of a booking, of a ticket's bookings, or of a time sheet, with the pages of its runs."""

from dataclasses import asdict

from zk_pipeline.dagster_server import run_url
from zk_pipeline.operations.errors import UnknownError
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import traces
from zk_pipeline.store.addresses import addresses
from zk_pipeline.store.traces import Fields, Systems, TraceError


def stories(runtime: Runtime, reference: str) -> list[Fields]:
    """The stories behind `123`, `#50001` or `kimai:7`, each a mapping of plain values. Raises `UnknownError`."""
    with runtime.database.transaction() as connection:
        names = addresses(connection)
        try:
            found = traces.stories(connection, Systems(names.source, names.target), reference)
        except TraceError as error:
            raise UnknownError(str(error)) from error
    base = runtime.settings.dagster_link
    return [
        {**asdict(story), "runs": [{**run, "url": run_url(base, run["run_id"])} for run in story.runs]}
        for story in found
    ]
