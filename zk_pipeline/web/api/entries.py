"""`/api/v1/entries`: the whole story of a booking."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from zk_pipeline.audit import traces
from zk_pipeline.web.api.common import PREFIX, Page, Ready, Wanted
from zk_pipeline.web.authentication import Viewer

router = APIRouter(prefix=f"{PREFIX}/entries", tags=["entries"])

Reference = Annotated[str, Path(max_length=100, pattern=r"^(kimai:|#)?[0-9]{1,18}$")]


@router.get("/{source_id}/trace", summary="Everything known about a booking")
def trace(_actor: Viewer, ready: Ready, paging: Wanted, source_id: Reference) -> Page[dict[str, Any]]:
    """Rows, policy, plan, decisions, ledger, each write, who did what, and the runs.

    Of a booking by its id, of a time sheet by `kimai:7`, and of each booking of a ticket by `%2350001`.
    """
    return paging.among(traces.find_traces(ready, source_id))
