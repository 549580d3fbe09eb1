"""Idempotent acts: done once for each `Idempotency-Key` or key of a page."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from zk_pipeline.operate import runs
from zk_pipeline.operate.runs import AbandonedActError, KeyedRequest, StoredAnswer
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.authentication import SAFE_METHODS, GuardedRoute
from zk_pipeline.web.errors import ProblemError

HEADER = "Idempotency-Key"
REPEATED = "Idempotency-Replayed"
"""The header of a repeated answer."""

LONGEST_WAIT = timedelta(seconds=45)
SECONDS_BETWEEN_LOOKS = 0.1

_DESCRIBED = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A UUID, for example: sent again with it within a day, it is done once and answered alike.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[\x21-\x7e]+$"},
}
_USABLE = re.compile(r"[\x21-\x7e]{1,200}")
_REFUSED = 400


async def once(
    runtime: Runtime, asked: KeyedRequest, act: Callable[[], Awaitable[StoredAnswer | None]]
) -> StoredAnswer | None:
    """Do the act, or wait for the answer of the same act under way.

    An act that returns `None` is not kept. Waiting holds neither a thread nor a connection. Raises what the act raises,
    and the errors of `acts.begin`.
    """
    deadline = asyncio.get_running_loop().time() + LONGEST_WAIT.total_seconds()
    while True:
        turn = await run_in_threadpool(runs.begin_act, runtime, asked)
        if turn.answer is not None:
            return turn.answer
        if turn.id is not None:
            break
        if asyncio.get_running_loop().time() > deadline:
            raise AbandonedActError("The first request with this key is still running. Send it again a little later.")
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
    try:
        with runs.act_context(asked):
            answer = await act()
    except Exception:
        await run_in_threadpool(runs.forget_act, runtime, turn.id)
        raise
    if answer is None:
        await run_in_threadpool(runs.forget_act, runtime, turn.id)
    else:
        await run_in_threadpool(runs.finish_act, runtime, turn.id, answer)
    return answer


class KeyedRoute(GuardedRoute):
    """A route with idempotency keys: the same request under the same key is done once and answered alike.

    Keys count for JSON and empty bodies; an uploaded file, whose route describes its body itself, sets the same twice,
    and a downloaded one is made again.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        extra: dict[str, Any] = given.pop("openapi_extra", None) or {}
        if not set(given.get("methods") or ()) <= SAFE_METHODS and "requestBody" not in extra:
            extra = {**extra, "parameters": [*extra.get("parameters", ()), _DESCRIBED]}
        super().__init__(path, endpoint, openapi_extra=extra, **given)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with the check of the key before it."""
        handle = super().get_route_handler()

        async def keyed(request: Request) -> Response:
            key = request.headers.get(HEADER)
            kind = request.headers.get("content-type", "application/json")
            if key is None or request.method in SAFE_METHODS or not kind.startswith("application/json"):
                return await handle(request)
            if not _USABLE.fullmatch(key):
                raise ProblemError(
                    422, f"{HEADER} has 1 to 200 letters, digits and signs, without blanks. Send a UUID, for example."
                )
            runtime: Runtime = request.app.state.runtime
            actor = await run_in_threadpool(request.app.state.recognition.actor_of, request)
            route = f"{request.method} {request.url.path}?{request.url.query}"
            return await _answered(runtime, KeyedRequest(actor, key, route, await request.body()), request, handle)

        return keyed


async def _answered(
    runtime: Runtime, asked: KeyedRequest, request: Request, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    given: list[Response] = []

    async def act() -> StoredAnswer | None:
        response = await handle(request)
        given.append(response)
        if isinstance(response, StreamingResponse) or response.status_code >= _REFUSED:
            return None
        stored = {"type": response.headers.get("content-type"), "body": bytes(response.body).decode()}
        return StoredAnswer(response.status_code, json.dumps(stored))

    answer = await once(runtime, asked, act)
    if given:
        return given[0]
    assert answer is not None  # noqa: S101 - without one, the act was done here
    stored = json.loads(answer.content)
    headers = {REPEATED: "true"} | ({"content-type": stored["type"]} if stored["type"] else {})
    return Response(stored["body"] or None, answer.status, headers)
