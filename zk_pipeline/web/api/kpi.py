"""`/api/v1/kpi`: the figures of the dashboard."""

from fastapi import APIRouter

from zk_pipeline.operate import kpi
from zk_pipeline.operate.kpi import Kpi
from zk_pipeline.web.api.common import PREFIX, First, Last, Ready
from zk_pipeline.web.authentication import Viewer

router = APIRouter(prefix=f"{PREFIX}/kpi", tags=["kpi"])


@router.get("", summary="The figures of the dashboard")
def figures(
    _actor: Viewer,
    ready: Ready,
    first: First = None,
    last: Last = None,
) -> Kpi:
    """The series of minutes per day goes from `first` to `last`, this month and the last 30 days unless given."""
    return kpi.figures(ready, first, last)
