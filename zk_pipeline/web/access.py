"""Which role a route needs, declared in its signature: `actor: Operator`. What lacks it must be public on purpose."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from zk_pipeline.operations.actors import Actor, Role
from zk_pipeline.web.errors import ProblemError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing."""


class Recognition(Protocol):
    """Finds out who a request comes from; the app keeps one as `app.state.recognition`."""

    def actor_of(self, request: Request) -> Actor:
        """Who it is. Raises `ProblemError` with 401 when nobody is recognized, with 403 when it was forged."""
        ...


@dataclass(frozen=True, slots=True)
class Needs:
    """The dependency of a route that needs a role: answers 401 to strangers and 403 to lower roles."""

    role: Role

    def __call__(self, request: Request) -> Actor:
        """The actor, who has the role."""
        actor: Actor | None = getattr(request.state, "actor", None)
        if actor is None:
            recognition: Recognition = request.app.state.recognition
            actor = request.state.actor = recognition.actor_of(request)
        if not actor.role.covers(self.role):
            raise ProblemError(
                403, f"This needs the role {self.role}; you have {actor.role}. Ask an admin to do it or for the role."
            )
        return actor


class GuardedRoute(APIRoute):
    """A route that asks who it is before it looks at a body: to strangers nothing is said of what they send."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, behind its roles."""
        handle = super().get_route_handler()
        roles = [needed.call for needed in self.dependant.dependencies if isinstance(needed.call, Needs)]

        async def guarded(request: Request) -> Response:
            if request.method not in SAFE_METHODS:
                for needs in roles:
                    await run_in_threadpool(needs, request)
            return await handle(request)

        return guarded


Viewer = Annotated[Actor, Depends(Needs(Role.VIEWER))]
Operator = Annotated[Actor, Depends(Needs(Role.OPERATOR))]
Admin = Annotated[Actor, Depends(Needs(Role.ADMIN))]
