"""`/api/v1/gdpr`: a person's data as a file, and their erasure. No person's address is in a URL."""

from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from zk_pipeline.privacy import erasure
from zk_pipeline.privacy.erasure import Erasure, ErasurePlan
from zk_pipeline.web.api.common import PREFIX, Body, Ready, also
from zk_pipeline.web.authentication import Admin
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/gdpr", tags=["privacy"], route_class=KeyedRoute)

PIECE = 64 * 1024


class Person(Body):
    """The person."""

    email: Annotated[str, Field(max_length=320)]


class ErasureRequest(Person):
    """The person to erase, by the plan that was shown."""

    plan_hash: Annotated[str, Field(max_length=64)]


@router.post(
    "/exports",
    summary="Everything about a person, as a zip file",
    response_class=StreamingResponse,
    responses=also(404),
)
def export_person(actor: Admin, ready: Ready, person: Person) -> StreamingResponse:
    """A JSON file for each table that has anything, and a README. It is noted in the trail without the name."""
    file = erasure.export(ready, person.email, actor)
    headers = {"Content-Disposition": 'attachment; filename="person.zip"', "Cache-Control": "no-store"}
    return StreamingResponse(_pieces(file), media_type="application/zip", headers=headers)


@router.post("/erasures/plan", summary="What the erasure of a person will do", responses=also(404))
def plan_erasure(_actor: Admin, ready: Ready, person: Person) -> ErasurePlan:
    """What is removed, pseudonymized, and kept for billing and why. It changes nothing."""
    return erasure.plan_erasure(ready, person.email)


@router.post("/erasures", summary="Erase a person", responses=also(404))
def erase_person(actor: Admin, ready: Ready, wanted: ErasureRequest) -> Erasure:
    """Carries out the plan that was shown, all of it or nothing; 409 when something has changed since."""
    return erasure.erase(ready, wanted.email, wanted.plan_hash, actor)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece
