"""`/api/v1/mappings`: which Kimai users, activities and customers stand for Zammad's."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from zk_pipeline.decisions import mappings, partners
from zk_pipeline.decisions.mapping_files import SIZE_LIMIT, Suggestion
from zk_pipeline.decisions.mapping_names import MappingFilter, MappingRow
from zk_pipeline.decisions.mappings import MappingChanges, UnmappedItem
from zk_pipeline.decisions.partners import PartnerFilter, State
from zk_pipeline.domain.mapping_lines import Kind, LineProblem
from zk_pipeline.domain.people import Way
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.web.api.common import PREFIX, Body, CsvDialect, Page, Ready, Search, Wanted, also
from zk_pipeline.web.authentication import Operator, Viewer
from zk_pipeline.web.errors import ProblemError
from zk_pipeline.web.limits import BodyBudget, TooLargeError, TooSlowError, read_body
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/mappings", tags=["mappings"], route_class=KeyedRoute)

SECONDS_TO_ARRIVE = 30.0
_UPLOAD_LIMIT = SIZE_LIMIT + 10_000  # The parts of a form have headers.
_FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "kind,zammad,kimai\nactivity,Remote,Support\n"},
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string"}}}
            },
        },
    }
}


class Collection(StrEnum):
    """What mappings are about."""

    ACTIVITIES = "activities"
    USERS = "users"
    CUSTOMERS = "customers"

    @property
    def kind(self) -> Kind:
        """The kind of these mappings."""
        return {"activities": Kind.ACTIVITY, "users": Kind.USER, "customers": Kind.CUSTOMER}[self]


Key = Annotated[str, Path(pattern=r"^[0-9a-f@-]{1,60}$", description="The mapping's key, as the list has it.")]
Name = Annotated[str, Field(min_length=1, max_length=600)]


class NewMapping(Body):
    """A mapping, with the values of an import file: names, e-mails, numbers or ids; `id:7` is always an id.

    `shared` confirms that several agents are one Kimai user.
    """

    zammad: Annotated[Name, Field(description="Type, TYPE@ORGANIZATION, agent or organization; - for none.")]
    kimai: Annotated[Name, Field(description="Activity, user or customer; new for a customer of its own.")]
    shared: bool = False


class MappingChange(Body):
    """The new target of a mapping.

    With `seen`, its `updated_at` as you know it, a change that somebody else made since is a 409. `shared` confirms
    that several agents are one Kimai user.
    """

    kimai: Name
    seen: datetime | None = None
    shared: bool = False


class PartnerView(BaseModel):
    """Something of Zammad, and its partner in Kimai.

    `zammad` is its value in an import file; it is empty for a Kimai user whom no agent is. `way` says how that is
    known, and `sure` whether that is unmistakable. `shared_with` are the other agents who are the same user. `since`
    is the day of the mapping, or the first whose time was written without one. `entries` and `minutes` are those that
    wait.
    """

    model_config = ConfigDict(from_attributes=True)

    kind: Kind
    state: State
    way: Way
    sure: bool
    zammad: str
    name: str
    note: str
    active: bool
    organization: str | None
    kimai_id: int | None
    kimai: str
    kimai_note: str
    usable: bool
    shared_with: list[str]
    since: date | None
    entries: int
    minutes: Decimal
    mapping: MappingRow | None
    suggestions: list[Suggestion]


class PartnersPage(Page[PartnerView]):
    """A page of partners; `states` says how many of each state the search finds."""

    states: dict[State, int]


class ChangeView(BaseModel):
    """One mapping that is set; `before` is its former target, null if there was none."""

    kind: Kind
    zammad: str
    kimai: str
    before: str | None


class OutcomeView(BaseModel):
    """The changed mappings; `days` waited for them and are run again. `warnings` say what a mapping cannot do."""

    mappings: int
    new: int
    changed: int
    unchanged: int
    changes: list[ChangeView]
    days: list[date]
    warnings: list[str]


class ImportView(OutcomeView):
    """What an import changed or, as a dry run, would change; with any problem it changes nothing."""

    dry_run: bool
    problems: list[LineProblem]


class DeletionView(BaseModel):
    """The days that used a deleted mapping; they are asked for."""

    days: list[date]


async def _file(request: Request) -> bytes:
    """The file in the body, which is CSV itself or a form with it."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {"text/csv", "multipart/form-data"}:
        raise ProblemError(415, "Send the file as text/csv, or as the part `file` of multipart/form-data.")
    try:
        with BodyBudget(_UPLOAD_LIMIT).share() as share:
            body = await read_body(request, share, limit=_UPLOAD_LIMIT, seconds=SECONDS_TO_ARRIVE)
    except TooLargeError:
        raise ProblemError(413, f"A file of mappings has {SIZE_LIMIT // 1_000_000} MB at most.") from None
    except TooSlowError:
        raise ProblemError(408, "The file did not arrive completely. Send it again.") from None
    return body if media_type == "text/csv" else await _part(request, body)


async def _part(request: Request, body: bytes) -> bytes:
    async def whole() -> AsyncIterator[bytes]:
        yield body

    try:
        form = await MultiPartParser(request.headers, whole(), max_files=1, max_fields=1).parse()  # pyright: ignore[reportArgumentType]
    except (MultiPartException, KeyError) as error:
        raise ProblemError(422, "The form cannot be read. Send the file as its part `file`.") from error
    part = form.get("file")
    if not isinstance(part, UploadFile):
        raise ProblemError(422, "file: the form has no such file. Send the CSV file as its part `file`.")
    return await part.read()


File = Annotated[bytes, Depends(_file)]
DryRun = Annotated[bool, Query(description="Report what would change and every bad line; change nothing.")]
Shared = Annotated[bool, Query(description="Several agents are one Kimai user, and that is meant.")]
Known = Annotated[bool | None, Query(description="True: both systems have it. False: something of it is gone.")]

OfState = Annotated[
    State | None, Query(description="`open`: it has no partner. `alone`: a Kimai user whom no agent is.")
]


@router.get("/unmapped", summary="What has no mapping", responses=also(409))
def list_unmapped(_actor: Viewer, ready: Ready, paging: Wanted) -> Page[UnmappedItem]:
    """With the number of entries that wait for it, and suggestions."""
    found = mappings.unmapped_page(ready, None, limit=paging.size, offset=paging.offset)
    return paging.of(list(found.rows), sum(found.totals.values()))


@router.get("/partners/{collection}", summary="Who is who", responses=also(409))
def list_partners(
    _actor: Viewer, ready: Ready, paging: Wanted, collection: Collection, search: Search = "", state: OfState = None
) -> PartnersPage:
    """Everything of Zammad with its partner in Kimai, mapped or not; those without one come first."""
    wanted = PartnerFilter(search, state)
    found = partners.page(ready, collection.kind, wanted, limit=paging.size, offset=paging.offset)
    page = paging.of([PartnerView.model_validate(row) for row in found.rows], found.total)
    return PartnersPage(**dict(page), states=dict(found.states))


@router.get(
    "/export",
    summary="All mappings as CSV",
    response_class=Response,
    responses=also(409) | {200: {"content": {"text/csv": {}}}},
)
def export_mappings(_actor: Viewer, ready: Ready, csv_dialect: CsvDialect = CsvFormat.PLAIN) -> Response:
    """The file can be imported again. What a spreadsheet would take for a formula begins with an apostrophe."""
    name = {"Content-Disposition": 'attachment; filename="mappings.csv"'}
    return Response(mappings.export_csv(ready, csv_dialect), media_type="text/csv", headers=name)


@router.post(
    "/import", summary="Set the mappings of a CSV file", openapi_extra=_FILE, responses=also(408, 409, 415, 502)
)
def import_mappings(
    actor: Operator, ready: Ready, content: File, *, dry_run: DryRun = False, shared: Shared = False
) -> ImportView:
    """Columns `kind,zammad,kimai`. All lines are applied, or none if one is wrong. A dry run names each bad line."""
    if not dry_run:
        return _imported(mappings.import_content(ready, actor, content, shared=shared), dry_run=False)
    return _imported(mappings.check_content(ready, actor, content, shared=shared), dry_run=True)


@router.get("/{collection}", summary="A page of mappings", responses=also(409))
def list_mappings(
    _actor: Viewer, ready: Ready, paging: Wanted, collection: Collection, search: Search = "", known: Known = None
) -> Page[MappingRow]:
    """By name; what is gone comes first."""
    wanted = MappingFilter(search, known)
    rows, total = mappings.page(ready, collection.kind, wanted, limit=paging.size, offset=paging.offset)
    return paging.of(rows, total)


@router.post("/{collection}", status_code=201, summary="Map something", responses=also(502))
def create_mapping(actor: Operator, ready: Ready, collection: Collection, body: NewMapping) -> OutcomeView:
    """The days with entries that waited for it are asked for. 409 if it is mapped elsewhere already."""
    outcome = mappings.create(ready, actor, collection.kind, body.zammad, body.kimai, shared=body.shared)
    return OutcomeView.model_validate(outcome.to_json())


@router.get("/{collection}/{key}", summary="One mapping", responses=also(409))
def get_mapping(_actor: Viewer, ready: Ready, collection: Collection, key: Key) -> MappingRow:
    """With the names of both sides as they were last read."""
    return mappings.one(ready, collection.kind, key)


@router.put("/{collection}/{key}", summary="Change a mapping", responses=also(502))
def change_mapping(actor: Operator, ready: Ready, collection: Collection, key: Key, body: MappingChange) -> OutcomeView:
    """409 if somebody else changed it since `seen`. Time sheets that were written stay as they are."""
    outcome = mappings.change(ready, actor, collection.kind, key, body.kimai, seen=body.seen, shared=body.shared)
    return OutcomeView.model_validate(outcome.to_json())


@router.delete("/{collection}/{key}", summary="Delete a mapping")
def delete_mapping(actor: Operator, ready: Ready, collection: Collection, key: Key) -> DeletionView:
    """The days that used it are asked for again."""
    return DeletionView(days=mappings.delete(ready, actor, collection.kind, key))


def _imported(outcome: MappingChanges, *, dry_run: bool) -> ImportView:
    return ImportView.model_validate({**outcome.to_json(), "dry_run": dry_run, "problems": outcome.problems})
