"""The description of the API: OpenAPI as JSON, and two pages that show it, whose scripts come from a package."""

import re
from base64 import b64encode
from difflib import get_close_matches
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from zk_pipeline.web.api.common import PREFIX
from zk_pipeline.web.api.examples import Examples
from zk_pipeline.web.authentication import SECRETS_IN_URL, SESSION, Recognizing, Viewer, cookie_name
from zk_pipeline.web.errors import ProblemError

SCHEMA = "/api/openapi.json"
SWAGGER = "/api/docs"
REDOC = "/api/redoc"
ASSETS = "/api/docs-assets"
TITLE = "zk_pipeline"
INTRODUCTION = """
Carries every Zammad time accounting into Kimai, once, for the right person. *The API in ten minutes* (docs/api.md) has
a script to begin with.

- **Who**: sign in at `/api/v1/auth/login`, or send an API token as bearer.
- **Lists** come in pages, `{"items", "total", "page", "pages"}`; `page` and `size` choose. A filter is named as the
  field that it is about; `first` and `last` are days, `search` finds parts of what is
  shown. An unknown name is refused.
- **Once**: an act that is sent with a header `Idempotency-Key` (a UUID, for example) is done once within a day, however
  often it is sent, and answered with the first answer; the same key with another request is refused.
- **Errors** have the form `{"detail", "status_code", "timestamp", "request_id"}`; reads carry an `ETag`.
"""

_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API token (*Account*, or `POST /api/v1/tokens`), or the access token of a sign-in.",
}
_PROBLEM = {
    "title": "Problem",
    "type": "object",
    "required": ["detail", "status_code", "timestamp", "request_id"],
    "properties": {
        "detail": {"type": "string", "description": "What is wrong and what to do, as one sentence."},
        "status_code": {"type": "integer"},
        "timestamp": {"type": "string", "format": "date-time"},
        "request_id": {"type": "string", "description": "Also in the header X-Request-ID and in the log."},
    },
}
_AS_PROBLEM = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ERRORS = {
    "400": "The body cannot be read, or a token stands in the address.",
    "401": "Nobody is signed in, or a token, password, code or signature is not right.",
    "403": "The role does not allow it, the password is to be given again, or another site sent the request.",
    "404": "There is no such thing.",
    "408": "The body did not arrive in time.",
    "409": "It cannot be done as things are now.",
    "413": "The body is too large.",
    "415": "The body is of another kind than it has to be.",
    "422": "A field or parameter is wrong; the sentence names it.",
    "429": "Too many requests; `Retry-After` says when to try again.",
    "502": "Zammad, Kimai or Dagster did not do what it was asked for.",
    "503": "The database does not answer.",
}
_ERRORS_OF_FASTAPI = {"HTTPValidationError", "ValidationError"}
_NEVER_UNKNOWN = {"month", "collection", "name"}
"""Parts of addresses of which a wrong one is answered with 422."""
_PUBLIC = (
    "/api/health",
    "/api/v1/webhooks/",
    f"{PREFIX}/auth/login",
    f"{PREFIX}/auth/refresh",
    f"{PREFIX}/auth/logout",
)
"""Where nobody needs to be signed in."""
_IDEMPOTENT = "Idempotency-Key"

_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

router = APIRouter(include_in_schema=False)


def install(app: FastAPI) -> None:
    """Serve the description of the routes that the app has once it is complete."""
    app.mount(ASSETS, StaticFiles(directory=Path(str(files("fastapi_offline") / "static"))))
    app.include_router(router)


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the routes under `/api`: how one signs in, and the one form of every error."""
    document = app.openapi()
    schemas = document["components"]["schemas"]
    examples = Examples({**schemas, "Problem": _PROBLEM})
    cookie = {"type": "apiKey", "in": "cookie", "name": cookie_name(app.state.runtime.settings, SESSION)}
    of_api = {
        path: {
            method: examples.operation(_with_errors(path, method, operation))
            for method, operation in operations.items()
        }
        for path, operations in document["paths"].items()
        if path.startswith("/api/")
    }
    schemas = {name: schema for name, schema in schemas.items() if name not in _ERRORS_OF_FASTAPI}
    return {
        **document,
        "info": {"title": TITLE, "version": "1", "description": INTRODUCTION},
        "paths": of_api,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "securitySchemes": {"token": _TOKEN, "session": cookie},
        },
        "security": [{"token": []}, {"session": []}],
    }


def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a query parameter that the operation does not have: a mistyped filter would return everything.

    Raises `ProblemError` with 422.
    """
    given = list(dict.fromkeys(request.query_params))
    operation = request.app.openapi()["paths"].get(request.scope["route"].path, {}).get(request.method.lower())
    if not given or operation is None:
        return
    known = [row["name"] for row in operation.get("parameters", ()) if row["in"] == "query"]
    for name in given:
        if name not in known and name.lower() not in SECRETS_IN_URL:  # Those are refused with a reason of their own.
            meant = get_close_matches(name, known, 1)
            remedy = f"Did you mean {meant[0]}?" if meant else f"Known are: {', '.join(known) or 'none'}."
            raise ProblemError(422, f"query.{name[:80]}: there is no such parameter here. {remedy}")


def _with_errors(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation with the errors that it can answer, in the form that they have."""
    declared = operation["responses"]
    answered = {status: row for status, row in declared.items() if status not in _ERRORS}
    statuses = _statuses(path, method, operation) | (declared.keys() & _ERRORS.keys())
    problems = {status: {"description": _ERRORS[status], "content": _AS_PROBLEM} for status in sorted(statuses)}
    if not path.startswith(PREFIX):  # Health has its own form, also when it is bad.
        problems = {status: {**declared[status], "description": _ERRORS[status]} for status in problems}
    return {**operation, "responses": {**answered, **problems}}


def _statuses(path: str, method: str, operation: dict[str, Any]) -> set[str]:
    """The errors that follow from what an operation takes; `common.also` declares the others at the route."""
    parameters = operation.get("parameters", [])
    found = set[str]()
    if path.startswith(PREFIX):
        found |= {"422", "503"}
    if not path.startswith(_PUBLIC):
        found |= {"400", "401"} if method == "get" else {"400", "401", "403"}
    if "requestBody" in operation:
        found |= {"400", "413"}
    if any(row["in"] == "path" and row["name"] not in _NEVER_UNKNOWN for row in parameters):
        found.add("404")
    if any(row["name"] == _IDEMPOTENT for row in parameters):
        found.add("409")
    return found


@router.get(SCHEMA)
def schema(request: Request, actor: Viewer) -> dict[str, Any]:
    """The OpenAPI document."""
    del actor
    return described(request.app)


@router.get(SWAGGER)
def swagger(request: Request, known: Recognizing) -> Response:
    """The API, to be tried out in the browser."""
    return _for_people(
        request,
        known,
        get_swagger_ui_html(
            openapi_url=SCHEMA,
            title=TITLE,
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
        ),
    )


@router.get(REDOC)
def redoc(request: Request, known: Recognizing) -> Response:
    """The API, to be read."""
    return _for_people(
        request,
        known,
        get_redoc_html(
            openapi_url=SCHEMA,
            title=TITLE,
            redoc_js_url=f"{ASSETS}/redoc.standalone.js",
            redoc_favicon_url=f"{ASSETS}/favicon.png",
            with_google_fonts=False,
        ),
    )


def _for_people(request: Request, known: Recognizing, page: HTMLResponse) -> Response:
    """The page for people who are signed in; others are sent to the sign-in and back."""
    try:
        known.actor_of(request)
    except ProblemError as error:
        if error.status != 401:
            raise
        return RedirectResponse(known.way_in(request.url.path), 303)
    page.headers["Content-Security-Policy"] = _policy(page)
    return page


def _policy(page: HTMLResponse) -> str:
    """What the page may load: the scripts of this host, and the one that stands in it."""
    hashes = [b64encode(sha256(script).digest()).decode() for script in _SCRIPT.findall(bytes(page.body))]
    scripts = " ".join(["'self'", *(f"'sha256-{value}'" for value in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; worker-src blob:; object-src 'none'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
