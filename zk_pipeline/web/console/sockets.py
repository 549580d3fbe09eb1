"""Whose page a socket may drive: the session's that opened the page.

NiceGUI takes a message for the page that it names, whoever sends it, and the id of a page is no secret: it stands in
addresses.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any
from urllib.parse import parse_qs

from nicegui import Client, core
from socketio.exceptions import ConnectionRefusedError as RefusedError

_MESSAGES = ("handshake", "event", "javascript_response", "ack", "log")
"""All that NiceGUI takes on a socket; a test compares them with the installed one."""

_NAMESPACE = "/"


def bind_to_sessions() -> None:
    """Have every message refused that is about a page of another session."""
    handlers = core.sio.handlers[_NAMESPACE]
    for name in _MESSAGES:
        core.sio.on(name, _of_its_session(handlers[name]))
    core.sio.on("connect", _connecting(handlers["connect"]))


def is_of(page: str, session: str) -> bool:
    """Whether this session opened the page; what is no page is left to NiceGUI."""
    client = Client.instances.get(page)
    return client is None or client.request.state.visitor.session.id == session


def _of_its_session(handle: Callable[..., Any]) -> Callable[..., Any]:
    async def guarded(socket: str, message: dict[str, Any]) -> Any:
        if not is_of(str(message.get("client_id")), _session_of(socket)):
            return False
        answer = handle(socket, message)
        return await answer if isawaitable(answer) else answer

    return guarded


def _connecting(handle: Callable[..., Any]) -> Callable[..., Any]:
    """A socket may name its page with the connection already."""

    async def guarded(socket: str, environ: dict[str, Any], *more: Any) -> Any:
        for page in parse_qs(environ.get("QUERY_STRING", "")).get("client_id", ()):
            if not is_of(page, _session_of(socket)):
                raise RefusedError("The page belongs to another session.")
        return await handle(socket, environ, *more)

    return guarded


def _session_of(socket: str) -> str:
    """The session of whoever opened the socket, as the gate recognized it."""
    environ: dict[str, Any] = core.sio.get_environ(socket) or {}
    return environ["asgi.scope"]["state"]["visitor"].session.id
