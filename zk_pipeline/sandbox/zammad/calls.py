"""One API call: its caller and parameters, paging, and the way from a handler's result to HTTP."""

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zk_pipeline.sandbox.zammad.accountings import Sorting
from zk_pipeline.sandbox.zammad.auth import Caller, authenticate
from zk_pipeline.sandbox.zammad.desk import Desk, RefusedError
from zk_pipeline.sandbox.zammad.errors import ApiError, error_response

logger = logging.getLogger(__name__)

NO_PAGE = "This page doesn't exist."


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose caller is known; `params` holds query and body together, as Rails merges them."""

    caller: Caller
    path: dict[str, Any]
    params: dict[str, Any]

    def flag(self, name: str) -> bool:
        """Whether a switch such as `expand` is on."""
        return self.params.get(name) in ("true", "1", True)

    def integers(self, name: str) -> list[int] | None:
        """The numbers of a parameter given once, as a list or as `name[]`; None if it is absent."""
        value = self.params.get(name)
        if value is None:
            return None
        return [_integer(name, item) for item in (value if isinstance(value, list) else [value])]

    def integer(self, name: str) -> int | None:
        """The number of a parameter; None if it is absent or empty."""
        value = self.params.get(name)
        return None if value in (None, "") else _integer(name, value)

    def only(self, *names: str) -> dict[str, Any]:
        """Those of the named parameters that were sent."""
        return {name: self.params[name] for name in names if name in self.params}

    def page(self, default: int, cap: int) -> tuple[int, int]:
        """Offset and size of the page asked for; a size above the cap is lowered without a word."""
        size = self.params.get("per_page") or self.params.get("limit") or default
        limit = min(_integer("per_page", size), cap)
        page = _integer("page", self.params.get("page") or 1)
        return (max(page, 1) - 1) * limit, limit

    def sorting(self, columns: tuple[str, ...], default: Sorting) -> Sorting:
        """Sort columns paired with directions by position; a column without a partner is dropped.

        An unknown column or direction is an error 500 in Zammad (docs/zammad.md §2).
        """
        names = _words(self.params.get("sort_by"))
        if not names:
            return default
        orders = [order.lower() for order in _words(self.params.get("order_by"))] or ["asc"]
        pairs = list(zip(names, orders, strict=False))
        for name, order in pairs:
            if name not in columns or order not in {"asc", "desc"}:
                raise ServerError(f"Found invalid column or direction in sorting: {name} {order}")
        return [(name, order == "desc") for name, order in pairs]


def not_found(model: str, row_id: Any) -> ApiError:
    """The refusal for a row that does not exist."""
    return ApiError(404, f"Couldn't find {model} with 'id'={row_id}")


class ServerError(Exception):
    """What Zammad does not expect and answers with 500 and an error id."""


Handler = Callable[[Call], Any]


def route(
    desk: Desk, method: str, path: str, handler: Handler, *, status: int = 200, since: tuple[int, int] = (1, 0)
) -> Route:
    """A route that answers with what the handler returns, as JSON, or with its refusal.

    Before the version `since` the route does not exist.
    """

    async def endpoint(request: Request) -> Response:
        accept = request.headers.get("accept", "*/*")
        try:
            _require_version(desk, since)
            caller = authenticate(desk, request.headers.get("authorization", ""))
            call = Call(caller, request.path_params, await _params(request))
            return JSONResponse(handler(call), status)
        except ApiError as error:
            return error_response(error, accept)
        except RefusedError as error:
            return error_response(ApiError(422, str(error)), accept)
        except ServerError as error:
            error_id = uuid.uuid4().hex[:8]
            logger.info("Error ID %s: %s", error_id, error)
            return error_response(ApiError(500, f"Error ID {error_id}: Please contact your administrator."), accept)

    return Route(path, endpoint, methods=[method])


def _require_version(desk: Desk, since: tuple[int, int]) -> None:
    if not desk.settings.at_least(*since):
        raise ApiError(404, NO_PAGE)


async def _params(request: Request) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name.endswith("[]"):
            params.setdefault(name[:-2], []).append(value)
        else:
            params[name] = value
    body = await request.body()
    if not body:
        return params
    try:
        content = json.loads(body)
    except ValueError as error:
        raise ApiError(400, "Error occurred while parsing request parameters") from error
    if not isinstance(content, dict):
        raise ApiError(400, "The request body is not a JSON object")
    return params | content


def _words(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else str(value or "").split(",")
    return [str(part).strip() for part in parts if str(part).strip()]


def _integer(name: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{name} is {value!r}, not a number") from error
