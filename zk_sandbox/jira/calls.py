"""One API call: its caller and parameters, and the way from a handler's result to HTTP."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zk_sandbox.jira.access import Caller, authenticate
from zk_sandbox.jira.errors import ApiError
from zk_sandbox.jira.site import Site

GATEWAY = "/ex/jira/{cloud_id}"


@dataclass(frozen=True, slots=True)
class JiraCall:
    """A request whose caller is known; `query` holds the parameters of the URL, `body` the JSON."""

    caller: Caller
    path: dict[str, str]
    query: dict[str, list[str]]
    body: Any

    def text(self, name: str, default: str = "") -> str:
        """A parameter of the URL."""
        return self.query.get(name, [default])[-1]

    def number(self, name: str, default: int) -> int:
        """A whole number of the URL; 400 for anything else."""
        text = self.text(name, str(default))
        if not text.lstrip("-").isdigit():
            raise ApiError(400, f"The value '{text}' of {name} is not a number.")
        return int(text)

    def page(self, default: int, cap: int) -> tuple[int, int]:
        """Begin and size of the requested page; a size above the cap is silently lowered."""
        return max(0, self.number("startAt", 0)), max(0, min(self.number("maxResults", default), cap))

    def wanted(self, name: str, default: Any) -> Any:
        """A member of the body."""
        return self.body.get(name, default) if isinstance(self.body, dict) else default


Handler = Callable[[JiraCall], Any]


def routes(site: Site, method: str, path: str, handler: Handler, *, root: str | None = None) -> list[Route]:
    """The routes of one operation: below the site's own address, and on Cloud below the gateway's too.

    `root` replaces the root of the platform's API, which names the version.
    """
    base = root if root is not None else f"/rest/api/{3 if site.settings.is_cloud else 2}"
    roots = [base, f"{GATEWAY}{base}"] if site.settings.is_cloud else [base]
    return [Route(f"{each}{path}", _endpoint(site, handler), methods=[method]) for each in roots]


def _endpoint(site: Site, handler: Handler) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        caller: Caller | None = None
        try:
            caller = _caller(site, request)
            content = handler(JiraCall(caller, request.path_params, _query(request), await _body(request)))
        except ApiError as error:
            answer = error.response()
        else:
            answer = content if isinstance(content, Response) else JSONResponse(content)
        answer.headers.update(caller.headers if caller else {})
        return answer

    return endpoint


def _caller(site: Site, request: Request) -> Caller:
    cloud_id = request.path_params.get("cloud_id")
    if cloud_id not in {None, site.settings.cloud_id}:
        raise ApiError(404, "Not Found", gateway=True)
    site.count_request()
    return authenticate(site, request.headers.get("authorization", ""), at_gateway=cloud_id is not None)


def _query(request: Request) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name, []).append(value)
    return found


async def _body(request: Request) -> Any:
    body = await request.body()
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise ApiError(400, "There was an error parsing JSON. Check that your request body is valid.") from error
