"""What the resources of the API share: the runtime, pages of a list, and strict bodies."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.runtime.runtime import Runtime

PREFIX = "/api/v1"
LARGEST_PAGE = 200

Row = TypeVar("Row")


class Body(BaseModel):
    """The body of a request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class SecretBody(Body):
    """A body with a password, in which every blank counts; the operations trim what else is in it."""

    model_config = ConfigDict(str_strip_whitespace=False)


class Page(BaseModel, Generic[Row]):
    """One page of a list, and how many rows there are on all pages."""

    items: list[Row]
    total: int
    page: int
    pages: int


def also(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors of an operation that do not follow from what it takes; `documentation` describes them."""
    return {status: {} for status in statuses}


class Paging(BaseModel):
    """Which page is wanted, from 1 on, and how many rows it has at most."""

    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1
    size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50

    @property
    def offset(self) -> int:
        """Rows on the pages before."""
        return (self.page - 1) * self.size

    def of(self, items: list[Row], total: int) -> Page[Row]:
        """The page with these rows."""
        return Page[Row](items=items, total=total, page=self.page, pages=max(1, -(-total // self.size)))

    def among(self, everything: Sequence[Row]) -> Page[Row]:
        """The page of a short list that is read as a whole."""
        return self.of(list(everything[self.offset :][: self.size]), len(everything))


def runtime_of(request: Request) -> Runtime:
    """Settings, database and cipher of the app."""
    return request.app.state.runtime


CsvDialect = Annotated[
    CsvFormat, Query(description="`plain` for programs; `excel` opens right where the decimal mark is a comma.")
]
First = Annotated[date | None, Query(description="The first day, included.")]
Last = Annotated[date | None, Query(description="The last day, included.")]
Search = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$", description="A part of what is shown of a row.")]
"""PostgreSQL stores no text with a zero character."""
Named = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
"""A filter by a text."""
Former = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$", deprecated=True)]
"""A filter under the name that it had before; see `renamed`."""
Ready = Annotated[Runtime, Depends(runtime_of)]
Wanted = Annotated[Paging, Query()]

_RENAMED_ON = "@1796083200"
"""When these filters were renamed, as RFC 9745 writes it: the first of December 2026."""


def renamed(response: Response, name: str, value: str, former: str, formerly: str) -> str:
    """The value of a filter, given by its name or by its former one, of which the headers of the answer warn."""
    if not formerly:
        return value
    response.headers["Deprecation"] = _RENAMED_ON
    response.headers.append("Warning", f'299 zk_pipeline "{former} is now {name}, and goes in 0.3."')
    return value or formerly
