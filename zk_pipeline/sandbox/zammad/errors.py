"""Error answers of a simulated Zammad: JSON, or an HTML page for those who do not accept it (docs/zammad.md §8)."""

from html import escape

from starlette.responses import HTMLResponse, JSONResponse, Response

_PAGE = "<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{text}</h1></body></html>"
_JSON_TYPES = ("application/json", "application/*", "*/*")


class ApiError(Exception):
    """An answer other than success: HTTP status and Zammad's text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def error_response(error: ApiError, accept: str) -> Response:
    """The answer for an error; 401 and 403 repeat the text in a header."""
    headers = {"X-Failure": error.text} if error.status in {401, 403} else {}
    accepted = {part.split(";")[0].strip() for part in accept.split(",")}
    if not accepted.intersection(_JSON_TYPES):
        return HTMLResponse(_PAGE.format(status=error.status, text=escape(error.text)), error.status, headers)
    content = {"error": error.text}
    if error.status == 422:
        content["error_human"] = content["error"] = error.text.removeprefix("Validation failed: ")
    return JSONResponse(content, error.status, headers)
