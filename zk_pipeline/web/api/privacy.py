"""`/api/v1/gdpr`: what is stored about a person, as a file, and their erasure. No address of anybody is in a URL."""

from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from zk_pipeline.operations import privacy
from zk_pipeline.operations.privacy import Fate
from zk_pipeline.web.access import Admin
from zk_pipeline.web.api.common import PREFIX, Body, Ready

router = APIRouter(prefix=f"{PREFIX}/gdpr", tags=["privacy"])

PIECE = 64 * 1024


class Person(Body):
    """Who it is about."""

    email: Annotated[str, Field(max_length=320)]


class Wanted(Person):
    """Who is to be erased, by the plan that was shown."""

    plan_hash: Annotated[str, Field(max_length=64)]


class LineView(BaseModel):
    """What happens to some rows of one table, and why."""

    table: str
    fate: Fate
    rows: int
    why: str


class PlanView(BaseModel):
    """What an erasure will do; `hash` is given back to have it done."""

    lines: list[LineView]
    warnings: list[str]
    hash: str


class ErasureView(BaseModel):
    """What was done, and what the person is called from now on."""

    pseudonym: str
    lines: list[LineView]


@router.post("/exports", summary="Everything about a person, as a zip file", response_class=StreamingResponse)
def export_person(actor: Admin, ready: Ready, person: Person) -> StreamingResponse:
    """A JSON file for each table that has anything, and a README. It is noted in the trail without the name."""
    file = privacy.export(ready, person.email, actor)
    headers = {"Content-Disposition": 'attachment; filename="person.zip"', "Cache-Control": "no-store"}
    return StreamingResponse(_pieces(file), media_type="application/zip", headers=headers)


@router.post("/erasures/plan", summary="What the erasure of a person will do")
def plan_erasure(_actor: Admin, ready: Ready, person: Person) -> PlanView:
    """What is removed, pseudonymized, and kept for billing and why. It changes nothing."""
    return PlanView.model_validate(privacy.plan_erasure(ready, person.email), from_attributes=True)


@router.post("/erasures", summary="Erase a person")
def erase_person(actor: Admin, ready: Ready, wanted: Wanted) -> ErasureView:
    """Carries out the plan that was shown, all of it or nothing; 409 when something has changed since."""
    done = privacy.erase(ready, wanted.email, wanted.plan_hash, actor)
    return ErasureView.model_validate(done, from_attributes=True)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece
