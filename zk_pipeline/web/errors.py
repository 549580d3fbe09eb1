"""Errors of the web app: each one answered as detail, status code, timestamp and request id."""

import logging
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.mapping_lines import MappingError
from zk_pipeline.identity.actors import DeniedError, IncompleteError, OperationError, StaleError, UnknownError
from zk_pipeline.runtime import logs
from zk_pipeline.runtime.dagster_server import DagsterServerError
from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline.runtime.schedules import ScheduleError
from zk_pipeline.store.conflicts import DecisionError
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.web.protection import OF_ANSWERS

# Errors of the web app: each one answered as detail, status code, timestamp and request id.

EXPLAINED: Mapping[type[Exception], int] = {
    DeniedError: 403,
    UnknownError: 404,
    StaleError: 409,
    IncompleteError: 409,
    DecisionError: 409,
    SetupError: 409,
    EncryptionError: 409,
    OperationError: 422,
    MappingError: 422,
    ScheduleError: 422,
    ConnectorError: 502,
    DagsterServerError: 502,
    DatabaseUnavailableError: 503,
}
"""Errors whose message may be shown to the caller, with their HTTP status."""

REQUEST_ID = "X-Request-ID"

_log = logging.getLogger(__name__)

_SHOWN = frozenset({"path", "query"})
"""Places of a request whose values may be repeated to the caller; a body may hold secrets."""

_LONGEST_SHOWN = 80
_USABLE_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)
_REFUSALS = frozenset({403, 421, 429})
"""Statuses that are logged as refusals; 401 is too common."""

_SENTENCES = {
    400: "The body cannot be read. Send what its Content-Type says; the API takes JSON in UTF-8.",
    404: "There is nothing at {path}. Check the address.",
    405: "{method} is not possible at {path}. Use one of the methods that the header Allow names.",
}


class ProblemError(Exception):
    """A request that is answered with an error: one sentence for the caller, and the HTTP status."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class RequestIds:
    """Middleware that gives each request an id, the caller's own where it can be used, and names it in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _USABLE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with logs.log_context(request_id=request_id):
            await self._app(scope, receive, named)


def install(app: FastAPI) -> None:
    """Answer every error of the app in this form, those of the framework included."""
    app.add_middleware(RequestIds)
    app.exception_handler(ProblemError)(_of_problem)
    for kind, status in EXPLAINED.items():
        app.exception_handler(kind)(_explained(status))
    app.exception_handler(HTTPException)(_of_framework)
    app.exception_handler(RequestValidationError)(_of_validation)
    app.exception_handler(Exception)(_of_defect)


def log_refusal(request: Request, what: str) -> None:
    """Log a refusal with the user's number and the route's template; no address and no name."""
    actor = getattr(getattr(request.state, "actor", None), "name", "somebody")
    route = getattr(request.scope.get("route"), "path", "an address without a route")
    with logs.log_context(request_id=getattr(request.state, "request_id", "")):
        _log.warning("%s was refused %s (%s %s)", actor, what, request.method, route)


def _of_problem(request: Request, error: ProblemError) -> Response:
    if error.status in _REFUSALS:
        log_refusal(request, f"with {error.status}: {error.detail}")
    return _answer(request, error.status, error.detail, error.headers)


def _explained(status: int) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        return _answer(request, status, str(error))

    return answer


def _of_framework(request: Request, error: HTTPException) -> Response:
    sentence = _SENTENCES.get(error.status_code)
    detail = sentence.format(method=request.method, path=request.url.path) if sentence else error.detail
    return _answer(request, error.status_code, detail, error.headers)


def _of_validation(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["loc"][0] in _SHOWN and first["type"] != "missing":
        field += f"={str(first['input'])[:_LONGEST_SHOWN]!r}"
    return _answer(request, 422, f"{field}: {first['msg']}. Correct it and send the request again.")


def _of_defect(request: Request, error: Exception) -> Response:
    """An unexpected error: the log gets its traceback, the caller only its id."""
    with logs.log_context(request_id=request.state.request_id):
        _log.error("Request %s failed unexpectedly:", request.state.request_id, exc_info=error)
    detail = "The server failed. Its log says why under this request id."
    # No middleware sees this answer.
    return _answer(request, 500, detail, {**OF_ANSWERS, REQUEST_ID: request.state.request_id})


def _answer(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    content = {
        "detail": detail,
        "status_code": status,
        "timestamp": datetime.now(UTC).isoformat(),
        "request_id": request.state.request_id,
    }
    return JSONResponse(content, status, headers)


# Database outages: which errors mean one, and one line for the log without statement and values.

OUTAGES = (DatabaseUnavailableError, SQLAlchemyError)


def outage_line(error: Exception) -> str:
    """The error in one line."""
    text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return text.strip().partition("\n")[0]
