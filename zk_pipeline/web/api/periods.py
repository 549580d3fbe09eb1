"""`/api/v1/periods`, `/api/v1/credits` and `/api/v1/invoices`: closing months, and what was billed and invoiced."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from zk_pipeline.billing import credit_list, invoices, months, periods
from zk_pipeline.billing.credit_list import Credit
from zk_pipeline.billing.invoices import InvoiceComparison
from zk_pipeline.billing.months import MonthProgress
from zk_pipeline.billing.periods import ClosedMonth, Period
from zk_pipeline.web.api.common import PREFIX, Body, Page, Ready, Wanted, also
from zk_pipeline.web.authentication import Admin, Operator, Viewer
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=PREFIX, tags=["periods"], route_class=KeyedRoute)

LARGEST_ID = 2**63 - 1
MONTH = r"^\d{4}-\d{2}$"
Month = Annotated[str, Path(pattern=MONTH, description="Year and month, such as 2025-08.")]
Sentence = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]


class Closing(Body):
    """How a month is closed: although bookings wait, and whether its time sheets are tagged in Kimai."""

    with_waiting: bool = False
    tag: bool = False


class Reopening(Body):
    """Why a month is opened again."""

    reason: Sentence


class Settlement(Body):
    """How a credit was settled."""

    note: Sentence


class Acceptance(Body):
    """The difference between exported and invoiced amounts of a customer, as a person saw it, and why it is right."""

    customer_id: Annotated[int, Field(ge=1, le=LARGEST_ID)]
    currency: Annotated[str, Field(min_length=1, max_length=10, pattern=r"^[A-Z]+$")]
    difference: Decimal
    reason: Sentence


class Reviewing(Body):
    """A customer as it was looked at: the number in Kimai, or the name without one, and the hash of `GET`."""

    customer: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    hash: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]*$")]
    withdraw: bool = False


class Tagging(BaseModel):
    """The run that tags the time sheets of a month."""

    tag_run_id: str


@router.get("/periods", summary="Every closing of every month")
def history(_actor: Viewer, ready: Ready, paging: Wanted) -> Page[Period]:
    """The newest month and closing first. A month is closed while one of its closings was not opened again."""
    return paging.among(periods.history(ready))


@router.get("/periods/{month}", summary="How far a month is on its way to being closed")
def progress(_actor: Viewer, ready: Ready, month: Month) -> MonthProgress:
    """The five steps with what is left of each, and each customer with its change against the month before."""
    return months.progress(ready, month)


@router.post("/periods/{month}/reviews", summary="Record that a customer was reviewed", responses=also(404))
def review(actor: Operator, ready: Ready, month: Month, body: Reviewing) -> MonthProgress:
    """409 if the customer's time changed since. Closing does not need reviews; `withdraw` takes one back."""
    return months.review(ready, actor, month, {body.customer: body.hash}, withdraw=body.withdraw)


@router.post("/periods/{month}/close", summary="Close a month")
def close(actor: Admin, ready: Ready, month: Month, body: Closing) -> ClosedMonth:
    """Answers 409 with every obstacle.

    Nothing is written to a closed month. With `tag`, ZK_PUSH_MODE=off is an obstacle too. Where the tags could not be
    requested, the month is closed all the same: `tag_problem` says why, and `POST /periods/{month}/tags` requests them
    again.
    """
    return periods.close_and_tag(ready, actor, month, with_waiting=body.with_waiting, tag=body.tag)


@router.post("/periods/{month}/tags", summary="Tag the time sheets of a closed month", responses=also(502))
def tag(actor: Admin, ready: Ready, month: Month) -> Tagging:
    """May be repeated: a time sheet that has the tag is left alone. 409 while the month is open."""
    return Tagging(tag_run_id=periods.launch_tagging(ready, actor, month))


@router.post("/periods/{month}/reopen", summary="Open a closed month again")
def reopen(actor: Admin, ready: Ready, month: Month, body: Reopening) -> Period:
    """The closing stays in the history, and tags in Kimai stay."""
    return periods.reopen(ready, actor, month, body.reason)


@router.get("/credits", summary="Credits: minutes billed too many")
def listed(
    _actor: Viewer,
    ready: Ready,
    paging: Wanted,
    month: Annotated[str, Query(pattern=MONTH)] = "",
    state: Annotated[Literal["open", "settled"] | None, Query(description="Both, unless one is named.")] = None,
) -> Page[Credit]:
    """Oldest first; `month` is that of the booking."""
    found = credit_list.list_credits(ready, month, settled=state != "open")
    return paging.among([row for row in found if state in {row.state, None}])


@router.post("/credits/{credit_id}/settle", summary="Record that a credit is settled")
def settle(
    actor: Operator, ready: Ready, credit_id: Annotated[int, Path(ge=1, le=LARGEST_ID)], body: Settlement
) -> Credit:
    """A credit is settled once; the note says how."""
    return credit_list.settle(ready, actor, credit_id, body.note)


@router.get("/invoices", summary="Compare exports with invoices")
def compared(_actor: Viewer, ready: Ready, paging: Wanted) -> Page[InvoiceComparison]:
    """As the last comparison found it (the nightly check makes one), the customers whose amounts differ first."""
    return paging.among(invoices.list_comparisons(ready))


@router.post("/invoices/acceptances", summary="Accept a difference", responses=also(404))
def accept(actor: Operator, ready: Ready, body: Acceptance) -> InvoiceComparison:
    """Answers 409 when the difference has changed. The acceptance ends as soon as the amount changes."""
    return invoices.accept(
        ready, actor, str(body.customer_id), body.reason, currency=body.currency, difference=body.difference
    )
