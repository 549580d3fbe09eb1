"""`/api/v1/statements`: where every minute of a month went, as JSON and as files."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from zk_pipeline.billing import letterhead, statements
from zk_pipeline.billing.files import MEDIA_TYPES, FileFormat, file_name, render
from zk_pipeline.billing.files.data import StatementView, to_view
from zk_pipeline.billing.files.style import document_style
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.languages import Language
from zk_pipeline.web.api.common import PREFIX, CsvDialect, Ready, also
from zk_pipeline.web.api.periods import Month
from zk_pipeline.web.authentication import Operator, Viewer
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/statements", tags=["statements"], route_class=KeyedRoute)

FILES = {200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}, "description": "The statement."}}


class Refreshing(BaseModel):
    """The run of Dagster that makes the statements again."""

    run_id: str


@router.get(
    "/{month}", summary="The statement of a month", response_model=StatementView, responses=FILES | also(404, 409)
)
def statement(
    _actor: Viewer,
    ready: Ready,
    month: Month,
    customer: Annotated[str, Query(max_length=200, description="Only this one: the name, or Kimai's id.")] = "",
    kind: Annotated[FileFormat, Query(alias="format")] = FileFormat.JSON,
    language: Annotated[Language | None, Query(description="Of PDF and XLSX; else ZK_LANGUAGE.")] = None,
    internal: Annotated[bool, Query(description="Add to the PDF where every minute went.")] = False,  # noqa: FBT002
    csv_dialect: CsvDialect = CsvFormat.PLAIN,
    closed: Annotated[bool, Query(description="As it was when the month was closed.")] = False,  # noqa: FBT002
) -> StatementView | Response:
    """As it was made last; `zip` has a PDF for each customer.

    `built_at` says when it was made, `stale_days` which days changed since. Amounts are exact. Of a closed month,
    `closing` says whether the statement differs from the one that was closed, which `closed` asks for; 409 where none
    was kept.
    """
    found = statements.statement(ready, month, customer, refresh=False, closed=closed)
    if kind is FileFormat.JSON:
        return to_view(found)
    style = document_style(ready.settings, language, internal=internal, csv=csv_dialect)
    content = render(found, kind, letterhead.styled(style, letterhead.read(ready)))
    name = quote(file_name(found, kind, found.accounts[0].customer if customer else None))
    disposition = (
        f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}" if "%" in name else f'attachment; filename="{name}"'
    )
    return Response(content, media_type=MEDIA_TYPES[kind], headers={"Content-Disposition": disposition})


@router.post("/refresh", summary="Make the statements again", status_code=202, responses=also(502))
def refresh(actor: Operator, ready: Ready) -> Refreshing:
    """Has Dagster build the marts of the days that changed; its run is answered before it is through."""
    return Refreshing(run_id=statements.launch_refresh(ready, actor))
