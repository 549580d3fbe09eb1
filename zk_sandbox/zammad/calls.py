"""One API call: its caller and parameters, paging, and the way from a handler's result to HTTP."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zk_sandbox.zammad.accountings import Sorting
from zk_sandbox.zammad.auth import Caller, authenticate
from zk_sandbox.zammad.desk import Desk
from zk_sandbox.zammad.errors import (
    ApiError,
    DatabaseFaultError,
    RefusedError,
    ServerError,
    error_response,
    hidden,
    respond,
)

logger = logging.getLogger(__name__)

NO_PAGE = "This page doesn't exist."
LARGEST_OFFSET = 2**63 - 1
OUT_OF_TIME = "PG::QueryCanceled: ERROR:  canceling statement due to statement timeout\n"


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose caller is known; `params` holds query and body together, as Rails merges them."""

    caller: Caller
    path: dict[str, str]
    params: dict[str, Any]

    def id(self, name: str = "id") -> int:
        """The id in the path: its leading number, as Rails reads it, so that "7abc" is 7 and "abc" is 0."""
        return leading_number(self.path[name])

    def flag(self, name: str) -> bool:
        """Whether a switch such as `expand` is on."""
        return self.params.get(name) in ("true", "1", True)

    def integers(self, name: str) -> list[int] | None:
        """The numbers of a parameter given once, as a list or as `name[]`; None if it is absent."""
        value = self.params.get(name)
        if value is None:
            return None
        return [leading_number(item) for item in (value if isinstance(value, list) else [value])]

    def reference(self, name: str, rows: Any) -> int | None:
        """The id of a row that a parameter refers to, None if it is absent or null; 422 for one that is not there."""
        value = self.params.get(name)
        if value in (None, ""):
            return None
        number = int(value) if re.fullmatch(r"\d+", str(value)) else 0
        if rows.get(number) is None:
            raise RefusedError(f"Invalid value for param '{name}': {json.dumps(value)}")
        return number

    def only(self, *names: str) -> dict[str, Any]:
        """Those of the named parameters that were sent."""
        return {name: self.params[name] for name in names if name in self.params}

    def page(self, default: int, cap: int) -> tuple[int, int]:
        """Offset and size of the requested page; a size above the cap is silently lowered.

        Anything that is not a number counts as 0: no rows for a size, a database error for a page before the first.
        """
        size = self.params.get("per_page", self.params.get("limit", default))
        limit = min(leading_number(size), cap)
        offset = (leading_number(self.params.get("page", 1)) - 1) * limit
        if limit < 0:
            raise DatabaseFaultError("PG::InvalidRowCountInLimitClause: ERROR:  LIMIT must not be negative\n")
        if offset < 0:
            raise DatabaseFaultError("PG::InvalidRowCountInResultOffsetClause: ERROR:  OFFSET must not be negative\n")
        if offset > LARGEST_OFFSET:
            raise DatabaseFaultError(f"{offset} is out of range for ActiveModel::Type::Integer with limit 8 bytes")
        return offset, limit

    def sorting(self, columns: tuple[str, ...], default: Sorting) -> Sorting:
        """Sort columns paired with directions by position; a column without a partner is dropped.

        A direction without a column is the default's; an unknown column or direction is an error 500 in Zammad
        (docs/zammad.md §2).
        """
        names = _words(self.params.get("sort_by")) or [name for name, _ in default]
        orders = [order.lower() for order in _words(self.params.get("order_by"))]
        if not orders:
            orders = ["asc"] if self.params.get("sort_by") else ["desc" if down else "asc" for _, down in default]
        pairs = list(zip(names, orders, strict=False))
        for name, order in pairs:
            if name not in columns or order not in {"asc", "desc"}:
                raise ServerError(f"Found invalid column or direction in sorting: {name} {order}")
        return [(name, order == "desc") for name, order in pairs]

    def missing(self, model: str, name: str = "id") -> ApiError:
        """The refusal for a row that the path names and that does not exist."""
        return not_found(model, self.path[name])


def not_found(model: str, row_id: Any) -> ApiError:
    """The refusal for a row that does not exist, its id written as it came: a text in quotes, a number plain."""
    return ApiError(404, f"Couldn't find {model} with 'id'={json.dumps(row_id)}")


def leading_number(value: Any) -> int:
    """The number that a text begins with, as Ruby's `to_i` finds it; 0 without one."""
    match = re.match(r"\s*[-+]?\d+", str(value))
    return int(match.group()) if match else 0


Handler = Callable[[Call], Any]


def route(
    desk: Desk, method: str, path: str, handler: Handler, *, status: int = 200, since: tuple[int, int] = (1, 0)
) -> Route:
    """A route that responds with the handler's result, as JSON unless it is a response already, or with its refusal.

    Before the version `since` the route does not exist.
    """

    async def endpoint(request: Request) -> Response:
        accept = request.headers.get("accept", "*/*")
        if desk.settings.database == "down":
            return respond(500, {"status": 500, "error": "Internal Server Error"}, accept)
        administrator = False
        try:
            _require_version(desk, since)
            behalf = request.headers.get("from") or request.headers.get("x-on-behalf-of") or ""
            caller = authenticate(desk, request.headers.get("authorization", ""), behalf)
            administrator = caller.can("admin")
            _require_database(desk)
            content = handler(Call(caller, request.path_params, await _params(request)))
            return content if isinstance(content, Response) else JSONResponse(content, status)
        except ApiError as error:
            return error_response(error, accept)
        except DatabaseFaultError as error:
            return respond(422, hidden(str(error), administrator=administrator), accept)
        except RefusedError as error:
            return error_response(ApiError(422, str(error)), accept)
        except ServerError as error:
            logger.info("Zammad answers 500: %s", error)
            return respond(500, hidden(str(error), administrator=administrator), accept)

    return Route(path, endpoint, methods=[method])


def _require_version(desk: Desk, since: tuple[int, int]) -> None:
    if not desk.settings.at_least(*since):
        raise ApiError(404, NO_PAGE)


def _require_database(desk: Desk) -> None:
    if desk.settings.database == "cancelling":
        raise DatabaseFaultError(OUT_OF_TIME)


async def _params(request: Request) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        _nest(params, name, value)
    body = await request.body()
    if not body:
        return params
    try:
        content = json.loads(body)
    except ValueError as error:
        raise ServerError("Error occurred while parsing request parameters") from error
    return params | content if isinstance(content, dict) else params


def _nest(params: dict[str, Any], name: str, value: str) -> None:
    """Put a query parameter in its place: `a[b][]=1` is a list in a dictionary in Rails."""
    first, *keys = re.findall(r"[^\[\]]+|\[\]", name)
    place = params
    for key in keys:
        if key == "[]":
            place.setdefault(first, []).append(value)
            return
        place, first = place.setdefault(first, {}), key
    place[first] = value


def _words(value: Any) -> list[str]:
    """The items of a list, or of a text at its commas; blanks before the first are part of it, as in Zammad."""
    parts = value if isinstance(value, list) else re.split(r"\s*,\s*", str(value or ""))
    return [str(part) for part in parts if str(part)]
