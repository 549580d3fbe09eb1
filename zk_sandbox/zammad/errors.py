"""Error answers of a simulated Zammad: JSON, or an HTML page for those who do not accept it (docs/zammad.md §8)."""

import secrets
from html import escape
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

_PAGE = (
    '<!DOCTYPE html>\n<html class="dark">\n<meta charset="utf-8">\n<title>{title}</title>\n'
    "<body >\n  <h1>{title}</h1>\n  <div>{text}</div>\n</body>\n</html>\n"
)
_TITLES = {
    401: "401: Unauthorized",
    403: "403: Forbidden",
    404: "404: Not Found",
    422: "422: Unprocessable Content",
    500: "500: An unknown error occurred",
}
_JSON_TYPES = ("application/json", "application/*", "*/*")


class ApiError(Exception):
    """A response other than success: HTTP status and Zammad's text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class RefusedError(Exception):
    """A change that Zammad's validation refuses (HTTP 422), with Zammad's sentence."""


class DatabaseFaultError(RefusedError):
    """A statement that PostgreSQL refuses (HTTP 422); only administrators see its text (docs/zammad.md §8)."""


class ServerError(Exception):
    """An unexpected error, answered with 500; only administrators see its text."""


def hidden(text: str, *, administrator: bool) -> dict[str, str]:
    """The body of a fault: its text for administrators, a number to ask them with for everybody else."""
    if administrator:
        return {"error": text}
    return {"error": f"Error ID {secrets.token_urlsafe(6)}: Please contact your administrator."}


def error_response(error: ApiError, accept: str) -> Response:
    """The answer for a refusal; 401 and 403 repeat the text in a header."""
    headers = {"X-Failure": error.text} if error.status in {401, 403} else {}
    return respond(error.status, {"error": error.text, "error_human": error.text}, accept, headers)


def respond(status: int, content: dict[str, Any], accept: str, headers: dict[str, str] | None = None) -> Response:
    """An error's content as JSON, or as a page for those who do not accept JSON."""
    accepted = {part.split(";")[0].strip() for part in accept.split(",")}
    if accepted.intersection(_JSON_TYPES):
        return JSONResponse(content, status, headers)
    page = _PAGE.format(title=_TITLES.get(status, str(status)), text=escape(content["error"]))
    return HTMLResponse(page, status, headers)
