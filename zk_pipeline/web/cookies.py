"""The cookies of a browser's session, and the proof that a request comes from our own pages."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from zk_pipeline.operations.sign_in import LIFE_OF_A_DEVICE, SignedIn
from zk_pipeline.settings import Settings
from zk_pipeline.web.errors import ProblemError

ACCESS, REFRESH, DEVICE, SECOND_STEP = "zk_access", "zk_refresh", "zk_device", "zk_second_step"


def is_secure(settings: Settings) -> bool:
    """Whether browsers reach us over TLS, so that cookies are sent over nothing else."""
    return settings.public_url.startswith("https://")


def cookie_name(settings: Settings, name: str) -> str:
    """The name; over TLS with the prefix that forbids other hosts of our domain to set it."""
    return f"__Host-{name}" if is_secure(settings) else name


def cookie_of(request: HTTPConnection, settings: Settings, name: str) -> str | None:
    """What the browser sends back under this name."""
    return request.cookies.get(cookie_name(settings, name))


def set_session(response: Response, settings: Settings, signed_in: SignedIn) -> None:
    """Give a browser the tokens of its session.

    The access token is sent by our own pages alone. The refresh token comes along when somebody follows a link to us
    from elsewhere, so that the page can be renewed; by itself it allows nothing. The device's outlasts the session.
    """
    _set(response, settings, ACCESS, signed_in.access_token, signed_in.access_until, strict=True)
    _set(response, settings, REFRESH, signed_in.refresh_token, signed_in.until, strict=False)
    if signed_in.device_token:
        known_until = datetime.now(UTC) + LIFE_OF_A_DEVICE
        _set(response, settings, DEVICE, signed_in.device_token, known_until, strict=True)


def clear_session(response: Response, settings: Settings) -> None:
    """Take the tokens of its session from a browser."""
    for name in (ACCESS, REFRESH):
        clear(response, settings, name)
    response.headers["Clear-Site-Data"] = '"storage"'  # Of Dagster's pages; answers of ours are stored nowhere.


def set_short(response: Response, settings: Settings, name: str, value: str, until: datetime) -> None:
    """Set a cookie that is needed when the browser comes back from another site."""
    _set(response, settings, name, value, until, strict=False)


def clear(response: Response, settings: Settings, name: str) -> None:
    """Take a cookie from a browser."""
    response.delete_cookie(cookie_name(settings, name), path="/", secure=is_secure(settings), httponly=True)


def require_own_origin(request: HTTPConnection, settings: Settings) -> None:
    """Refuse what another site's page made the browser send. Raises `ProblemError` with 403."""
    if request.headers.get("sec-fetch-site") == "same-origin":
        return
    origin = request.headers.get("origin", "")
    if origin and (origin == _origin(settings.public_url) or urlsplit(origin).netloc == request.headers.get("host")):
        return
    raise ProblemError(
        403, "The request does not come from a page of this host, so its cookies are not believed. Send a bearer token."
    )


def _set(response: Response, settings: Settings, name: str, value: str, until: datetime, *, strict: bool) -> None:
    seconds = int((until - datetime.now(UTC)).total_seconds())
    response.set_cookie(
        cookie_name(settings, name),
        value,
        max_age=max(0, seconds),
        path="/",
        secure=is_secure(settings),
        httponly=True,
        samesite="strict" if strict else "lax",
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
