"""`/api/v1/audit`: the trail of everything that was done."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from zk_pipeline.audit import trail
from zk_pipeline.audit.trail import ExportFormat, TrailEntry, TrailFilter
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.store.audit import broken_sentence
from zk_pipeline.web.api.common import PREFIX, CsvDialect, Named, Page, Ready, Search, Wanted, also
from zk_pipeline.web.authentication import Admin, Viewer

router = APIRouter(prefix=f"{PREFIX}/audit", tags=["audit"])

MEDIA_TYPES = {ExportFormat.CSV: "text/csv", ExportFormat.JSONL: "application/jsonl"}


class VerificationView(BaseModel):
    """The result of verifying the chain; `broken_at` is the first row that does not fit."""

    rows: int
    head: str
    broken_at: int | None
    text: str


def _filter(
    event: Named = "",
    actor: Named = "",
    subject: Named = "",
    run_id: Named = "",
    search: Search = "",
    since: Annotated[datetime | None, Query(description="From this instant on.")] = None,
    until: Annotated[datetime | None, Query(description="Before this instant.")] = None,
) -> TrailFilter:
    return TrailFilter(event, actor, subject, run_id, since, until, search)


Filtered = Annotated[TrailFilter, Depends(_filter)]


@router.get("", summary="A page of the trail, newest first")
def list_trail(actor: Viewer, ready: Ready, paging: Wanted, wanted: Filtered) -> Page[TrailEntry]:
    """`event` is the beginning of an event; `search` looks into event, subject and detail.

    Viewers read neither sign-ins nor addresses of others.
    """
    entries, total = trail.page(ready, actor, wanted, paging.size, paging.offset)
    return paging.of(entries, total)


@router.get("/export", summary="The trail as CSV or JSON lines, oldest first", response_class=StreamingResponse)
def export_trail(
    actor: Viewer,
    ready: Ready,
    wanted: Filtered,
    kind: Annotated[ExportFormat, Query(alias="format")],
    csv_dialect: CsvDialect = CsvFormat.PLAIN,
) -> StreamingResponse:
    """Sent as it is read. Cells that a spreadsheet would take for a formula begin with an apostrophe."""
    pieces: Iterator[str] = trail.export(ready, actor, wanted, kind, csv_dialect)
    name = f'attachment; filename="audit.{kind}"'
    return StreamingResponse(pieces, media_type=MEDIA_TYPES[kind], headers={"Content-Disposition": name})


@router.get("/verification", summary="Whether the chain is unbroken", responses=also(403))
def verification(_actor: Admin, ready: Ready) -> VerificationView:
    """Verifies the whole chain: every hash, every link, and every detail that was not erased."""
    found = trail.verify(ready)
    return VerificationView(rows=found.rows, head=found.head, broken_at=found.broken_at, text=broken_sentence(found))
