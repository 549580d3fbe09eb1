"""From a request to a handler and back: the caller, the parameters, the body, and refusals as answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.auth import Authenticator
from zk_sandbox.kimai.errors import ApiError, TokenError
from zk_sandbox.kimai.forms import decoded_body, json_body
from zk_sandbox.kimai.query import Query


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a known caller; `id` is the number in the path, `kind` the entity its route is about."""

    caller: Caller
    query: Query
    id: int
    kind: str
    raw: bytes
    content_type: str

    @property
    def data(self) -> dict[str, Any]:
        """The fields of the body."""
        return decoded_body(self.raw, self.content_type)

    @property
    def document(self) -> Any:
        """The body as JSON, whatever it holds; 400 without one."""
        return json_body(self.raw)


Handler = Callable[[Call], Any]


def endpoint(authenticator: Authenticator, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A handler as a Starlette endpoint; what it returns is JSON unless it is a response already."""

    async def answer(request: Request) -> Response:
        raw = b"" if request.method == "GET" else await request.body()
        try:
            call = Call(
                caller=authenticator.caller(request),
                query=Query(request.query_params.multi_items()),
                id=request.path_params.get("id", 0),
                kind=request.path_params.get("kind", ""),
                raw=raw,
                content_type=request.headers.get("content-type", ""),
            )
            result = handler(call)
        except ApiError as refusal:
            return _refused(refusal)
        return result if isinstance(result, Response) else JSONResponse(result)

    return answer


def _refused(refusal: ApiError) -> Response:
    if isinstance(refusal, TokenError):
        return Response(status_code=refusal.status, headers={"WWW-Authenticate": TokenError.HEADER})
    return JSONResponse(refusal.body(), refusal.status)


async def unrouted(_request: Request, error: Exception) -> Response:
    """Unknown routes and methods: the same body as any other refusal."""
    refusal = cast("HTTPException", error)
    return JSONResponse(ApiError(refusal.status_code).body(), refusal.status_code, refusal.headers)


def no_content() -> Response:
    """204 with an empty body."""
    return Response(status_code=204)
