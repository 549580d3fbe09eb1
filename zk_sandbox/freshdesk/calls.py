"""One API call: who calls, what is left of the limit, paging by `Link`, and the way from a handler's result to HTTP."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zk_sandbox.freshdesk.desk import Desk
from zk_sandbox.freshdesk.records import GLOBAL, GROUP, Agent, Ticket, instant_of

PREFIX = "/api/v2"
DEFAULT_PAGE, LARGEST_PAGE = 30, 100
LOGINS_BEFORE_LOCKOUT = 3
SECONDS = {"minute": 60, "hour": 3600}


class ApiError(Exception):
    """A response other than success. Without a code its body is empty."""

    def __init__(self, status: int, code: str = "", message: str = "", **headers: str) -> None:
        super().__init__(message or code)
        self.status, self.code, self.message = status, code, message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def invalid(name: str, message: str) -> ApiError:
    """The refusal of one field."""
    error = ApiError(400, "invalid_value", message)
    error.code, error.message = name, message
    return error


@dataclass(slots=True)
class Call:
    """A request whose caller is known. `cost` is what it takes of the limit."""

    caller: Agent
    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cost: int = 1

    def id(self) -> int:
        """The id in the path; 404 for anything but a number."""
        if not self.path["id"].isdigit():
            raise ApiError(404)
        return int(self.path["id"])

    def instant(self, name: str) -> datetime | None:
        """A point in time in the query, or None."""
        if name not in self.query:
            return None
        try:
            return instant_of(self.query[name])
        except ValueError as error:
            raise invalid(name, "It should be a valid date in the UTC format") from error

    def number(self, name: str) -> int | None:
        """A number in the query, or None."""
        if name not in self.query:
            return None
        if not self.query[name].isdigit():
            raise invalid(name, "It should be a Positive Integer")
        return int(self.query[name])

    def page(self, rows: Sequence[Any], link: str = "usual") -> Sequence[Any]:
        """The page that was asked for, with a `Link` to the next one if there is more."""
        size, number = self.number("per_page") or DEFAULT_PAGE, self.number("page") or 1
        if size > LARGEST_PAGE:
            raise invalid("per_page", "It should be a Positive Integer less than or equal to 100")
        if len(rows) > number * size:
            url = self.url if link != "foreign" else f"https://elsewhere.example{PREFIX}/time_entries"
            following = {**self.query, "page": str(number if link == "loop" else number + 1)}
            self.headers["Link"] = f'<{url}?{urlencode(following)}>; rel="next"'
        return rows[(number - 1) * size : number * size]

    def sees(self, ticket: Ticket) -> bool:
        """Whether the caller's scope includes a ticket."""
        if self.caller.ticket_scope == GLOBAL:
            return True
        if self.caller.ticket_scope == GROUP and ticket.group_id in self.caller.group_ids:
            return True
        return ticket.responder_id == self.caller.id


Handler = Callable[[Call], Any]


def route(desk: Desk, method: str, path: str, handler: Handler, status: int = 200) -> Route:
    """A route that answers with the handler's result as JSON, or with its refusal."""

    async def endpoint(request: Request) -> Response:
        if desk.meanwhile is not None:
            desk.meanwhile(request.url.path, request.url.query)
        headers: dict[str, str] = {}
        try:
            caller = _authenticate(desk, request.headers.get("authorization", ""))
            call = Call(caller, request.path_params, dict(request.query_params), await _body(request), _url(request))
            headers = call.headers
            _require_budget(desk)
            try:
                content = handler(call)
            finally:
                headers |= _spend(desk, call.cost)
        except ApiError as error:
            return _refusal(error, headers)
        return Response(status_code=204, headers=headers) if content is None else JSONResponse(content, status, headers)

    return Route(PREFIX + path, endpoint, methods=[method])


def _url(request: Request) -> str:
    return str(request.url.replace(query=""))


async def _body(request: Request) -> dict[str, Any]:
    content = await request.body()
    if not content:
        return {}
    try:
        found = json.loads(content)
    except ValueError as error:
        raise ApiError(400, "invalid_json", "Request body has invalid json format") from error
    return found if isinstance(found, dict) else {}


def _authenticate(desk: Desk, authorization: str) -> Agent:
    if desk.state.failed_logins >= LOGINS_BEFORE_LOCKOUT:
        raise ApiError(403, "password_lockout", "Your account has been locked.")
    for agent in desk.state.agents.values():
        if agent.key and agent.active and agent.key == _key(authorization):
            return agent
    desk.state.failed_logins += 1
    raise ApiError(401, "invalid_credentials", "You have to be logged in to perform this action.")


def _key(authorization: str) -> str:
    try:
        return base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _span(desk: Desk) -> tuple[str, int]:
    """The span of the limit that it is, and the seconds until the next one."""
    seconds = SECONDS[desk.settings.limit_span]
    now = int(desk.settings.clock().timestamp())
    return str(now // seconds), seconds - now % seconds


def _require_budget(desk: Desk) -> None:
    span, wait = _span(desk)
    if desk.state.used.get(span, 0) >= desk.settings.limit:
        raise ApiError(429, "", "", Retry_After=str(wait))


def _spend(desk: Desk, cost: int) -> dict[str, str]:
    """Count a request and those of other apps; returns the headers that tell what is left."""
    span, _ = _span(desk)
    used = desk.state.used.get(span, 0) + cost + desk.settings.others_use
    desk.state.used = {span: used}
    return {
        "X-RateLimit-Total": str(desk.settings.limit),
        "X-RateLimit-Remaining": str(max(0, desk.settings.limit - used)),
        "X-RateLimit-Used-CurrentRequest": str(cost),
    }


def _refusal(error: ApiError, headers: dict[str, str]) -> Response:
    headers = headers | error.headers
    if not error.code:
        return Response(status_code=error.status, headers=headers)
    if error.status == 400 and error.code != "invalid_json":
        fields = [{"field": error.code, "message": error.message, "code": "invalid_value"}]
        return JSONResponse({"description": "Validation failed", "errors": fields}, 400, headers)
    return JSONResponse({"code": error.code, "message": error.message}, error.status, headers)


def by_id(rows: Iterable[Any]) -> list[Any]:
    """Rows by their ids."""
    return sorted(rows, key=lambda row: row.id)
