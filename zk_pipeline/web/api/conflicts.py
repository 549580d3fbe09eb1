"""`/api/v1/conflicts`: what waits for a person, and the decisions about it."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import AliasChoices, ConfigDict, Field, model_validator

from zk_pipeline.decisions import causes, conflicts
from zk_pipeline.decisions.causes import Cause
from zk_pipeline.decisions.conflicts import BulkResult, Conflict, ConflictView, DecidedConflict, DecisionPreview
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.api.common import PREFIX, Body, First, Former, Last, Named, Page, Ready, Wanted, also, renamed
from zk_pipeline.web.authentication import Operator, Viewer
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/conflicts", tags=["conflicts"], route_class=KeyedRoute)

LARGEST_ID = 2**63 - 1
MOST_AT_ONCE = 5000

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
SourceId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$", coerce_numbers_to_str=True)]
"""An id in the source: text, where a whole number may be sent as well."""
"""PostgreSQL stores no text with a zero character."""

Life = Literal["open", "decided", "carried_out", "expired", "left_out"]


class ConflictPage(Page[Conflict]):
    """One page of conflicts, and the number for each reason, counted without the filter's own reason."""

    counts: Mapping[str, int]


class Decision(Body):
    """What is decided. `facts_hash` is that of the conflict as it was seen.

    `timesheet_id` goes with `link`, `booking_id` with `reduce`. `ignore` needs the reason, `why`, above an hour.
    """

    choice: Choice
    facts_hash: Text
    timesheet_id: Id | None = None
    booking_id: SourceId | None = None
    why: Text = ""


class SeenConflict(Body):
    """A conflict as it was seen."""

    id: Id
    facts_hash: Text


class FilterBody(Body):
    """Which open conflicts are meant; what is empty does not narrow. `agent` and `customer` are taken until 0.3."""

    reason: Reason | None = None
    first: date | None = None
    last: date | None = None
    user_name: Annotated[Text, Field(validation_alias=AliasChoices("user_name", "agent"))] = ""
    customer_name: Annotated[Text, Field(validation_alias=AliasChoices("customer_name", "customer"))] = ""
    search: Text = ""
    cause: Text = ""

    def wanted(self, runtime: Runtime) -> ConflictFilter:
        """The filter of the operations. Raises `UnknownError` for a cause that nothing has."""
        wanted = ConflictFilter(
            "open", self.reason or "", self.first, self.last, self.user_name, self.customer_name, self.search
        )
        return causes.of_cause(runtime, wanted, self.cause) if self.cause else wanted


class PreviewRequest(Body):
    """Either some conflicts by id, or those of a filter."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"choice": "keep", "ids": [17, 18]}]})

    choice: Choice
    ids: Annotated[list[Id], Field(max_length=MOST_AT_ONCE)] | None = None
    filter: FilterBody | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "PreviewRequest":
        if (self.ids is None) == (self.filter is None):
            raise ValueError("either ids or filter says which conflicts are meant; give one of them")
        return self


class BulkDecision(Body):
    """Either some conflicts as they were seen, or those of a filter with the digest of its preview.

    `why` is the reason, which `ignore` needs above an hour in all.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"choice": "keep", "conflicts": [{"id": 17, "facts_hash": "9f2c51"}]}]}
    )

    choice: Choice
    why: Text = ""
    conflicts: Annotated[list[SeenConflict], Field(max_length=MOST_AT_ONCE)] | None = None
    filter: FilterBody | None = None
    digest: Text = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> "BulkDecision":
        if (self.conflicts is None) == (self.filter is None):
            raise ValueError("either conflicts or filter says which conflicts are meant; give one of them")
        if (self.filter is None) != (self.digest == ""):
            raise ValueError("filter and digest belong together; take the digest from the preview of the filter")
        return self


def _filter(
    response: Response,
    resolution_status: Life = "open",
    reason: Reason | None = None,
    first: First = None,
    last: Last = None,
    user_name: Named = "",
    customer_name: Named = "",
    search: Text = "",
    agent: Former = "",
    customer: Former = "",
) -> ConflictFilter:
    agent = renamed(response, "user_name", user_name, "agent", agent)
    customer = renamed(response, "customer_name", customer_name, "customer", customer)
    return ConflictFilter(resolution_status, reason or "", first, last, agent, customer, search)


@router.get("", summary="A page of conflicts, oldest day first", responses=also(404))
def list_conflicts(
    _actor: Viewer,
    ready: Ready,
    paging: Wanted,
    wanted: Annotated[ConflictFilter, Depends(_filter)],
    cause: Text = "",
) -> ConflictPage:
    """`user_name` is an agent's name in full or e-mail, `customer_name` that of an organization or customer in full.

    `search` is a part of ticket number, title, agent or customer; `cause` is the `key` of a cause.
    """
    if cause:
        wanted = causes.of_cause(ready, wanted, cause)
    found = conflicts.list_conflicts(ready, wanted, paging.size, paging.offset)
    page = paging.of(list(found.items), found.total)
    return ConflictPage(items=page.items, total=page.total, page=page.page, pages=page.pages, counts=found.counts)


@router.get("/causes", summary="A page of the causes of conflicts, most minutes first")
def list_causes(
    _actor: Viewer, ready: Ready, paging: Wanted, wanted: Annotated[ConflictFilter, Depends(_filter)]
) -> Page[Cause]:
    """Each unmapped customer, ended project or disabled person is a cause of its own, with what solves all of it."""
    found = causes.causes(ready, wanted)
    return paging.of(list(found[paging.offset :][: paging.size]), len(found))


@router.get("/{conflict_id}", summary="Everything about one conflict")
def conflict(_actor: Viewer, ready: Ready, conflict_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]) -> ConflictView:
    """Both sides field by field, candidates, what may be decided and what it does, and what was decided before."""
    return conflicts.conflict_view(ready, conflict_id)


@router.post("/{conflict_id}/decision", summary="Decide about one conflict")
def decide(
    actor: Operator, ready: Ready, conflict_id: Annotated[int, Path(ge=1, le=LARGEST_ID)], body: Decision
) -> DecidedConflict:
    """409 when somebody decided first, when the facts changed since they were seen, or when the decision is not
    possible."""
    return conflicts.decide(
        ready,
        actor,
        conflict_id,
        body.choice,
        timesheet_id=body.timesheet_id,
        booking_id=body.booking_id,
        seen=body.facts_hash,
        why=body.why,
    )


@router.post("/{conflict_id}/reopening", summary="Take back a decision that wrote nothing by itself")
def reopen(actor: Operator, ready: Ready, conflict_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]) -> DecidedConflict:
    """`reduce`, `move`, `ignore` and `keep`, while they hold: the question is asked again. 409 for any other.

    It brings back what was left out, which `GET /conflicts?resolution_status=left_out` lists.
    """
    return conflicts.reopen(ready, actor, conflict_id)


@router.post("/decisions", summary="Decide about many conflicts at once", responses=also(404))
def decide_many(actor: Operator, ready: Ready, body: BulkDecision) -> BulkResult:
    """Each is decided on its own; what could not be decided is listed with the reason."""
    if body.filter is not None:
        return conflicts.decide_matching(
            ready, actor, body.choice, body.filter.wanted(ready), body.digest, why=body.why
        )
    seen = {row.id: row.facts_hash for row in body.conflicts or ()}
    return conflicts.decide_many(ready, actor, body.choice, seen, why=body.why)


@router.post("/decisions/preview", summary="Preview a decision about many conflicts", responses=also(404))
def preview(_actor: Operator, ready: Ready, body: PreviewRequest) -> DecisionPreview:
    """Nothing is changed. Decisions about a filter name the `digest` of this answer."""
    wanted = body.filter.wanted(ready) if body.filter is not None else ConflictFilter(ids=frozenset(body.ids or ()))
    return conflicts.preview(ready, body.choice, wanted)
