"""`/api/v1/reconciliation`: the plan line by line, both sides beside each other."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from zk_pipeline.decisions import comparison
from zk_pipeline.decisions.comparison import PlanLineDetail, PlanRow
from zk_pipeline.decisions.lists import LineFilter, LineSelection
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.web.api.common import PREFIX, First, Former, Last, Named, Page, Ready, Wanted, renamed
from zk_pipeline.web.authentication import Viewer

router = APIRouter(prefix=f"{PREFIX}/reconciliation", tags=["reconciliation"])

Key = Annotated[str, Path(max_length=100, pattern=r"^(kimai:)?[0-9]{1,18}$")]


def _filter(
    response: Response,
    view: LineSelection = LineSelection.ALL,
    status: Status | None = None,
    action: Action | None = None,
    reason: Reason | None = None,
    agent: Named = "",
    customer: Named = "",
    ticket_number: Named = "",
    first: First = None,
    last: Last = None,
    ticket: Former = "",
) -> LineFilter:
    ticket = renamed(response, "ticket_number", ticket_number, "ticket", ticket)
    return LineFilter(view, status or "", action or "", reason or "", agent, customer, ticket, first, last)


@router.get("", summary="A page of the plan's lines, newest day first")
def list_lines(
    _actor: Viewer, ready: Ready, paging: Wanted, wanted: Annotated[LineFilter, Depends(_filter)]
) -> Page[PlanRow]:
    """`agent` and `customer` are parts of e-mail or name; `ticket_number` is a whole one, `#50001` or `50001`."""
    lines, total = comparison.page(ready, wanted, paging.size, paging.offset)
    return paging.of(list(lines), total)


@router.get("/{day}/{key}", summary="One line of a day's plan, field by field")
def line(_actor: Viewer, ready: Ready, day: date, key: Key) -> PlanLineDetail:
    """`key` is the id of a booking, or `kimai:7` for a time sheet without one."""
    return comparison.plan_line_detail(ready, day, key)
