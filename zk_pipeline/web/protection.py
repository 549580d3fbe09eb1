"""Security headers for every answer: no sniffing, framing, caching by others, or foreign code.

A page that loads scripts sets a policy of its own, which is kept.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.runtime.settings import Settings

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
OF_DATA = "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of answers that are not pages: opened as one, they load and run nothing."""

NOT_KEPT = "no-store"
OF_ANSWERS = {**HEADERS, "Content-Security-Policy": OF_DATA, "Cache-Control": NOT_KEPT}
"""The headers of an answer that sets none itself."""

_ONE_YEAR = "max-age=31536000; includeSubDomains"


class Protected:
    """Middleware that adds the security headers to each answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a socket passes through."""

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                protect(MutableHeaders(scope=message), self._settings)
            await send(message)

        await self._app(scope, receive, protected)


def protect(headers: MutableHeaders, settings: Settings) -> None:
    """Add the headers that an answer lacks. Files, which are the same for everybody, may be cached."""
    headers.update(HEADERS)
    headers.setdefault("Content-Security-Policy", OF_DATA)
    if "last-modified" not in headers:
        headers.setdefault("Cache-Control", NOT_KEPT)
    if settings.public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = _ONE_YEAR
