"""Which role a route needs, declared in its signature: `actor: Operator`. What lacks it must be public on purpose."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from zk_pipeline.operations.actors import Actor, Role
from zk_pipeline.web.errors import ProblemError


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
        recognition: Recognition = request.app.state.recognition
        actor = recognition.actor_of(request)
        if not actor.role.covers(self.role):
            raise ProblemError(
                403, f"This needs the role {self.role}; you have {actor.role}. Ask an admin to do it or for the role."
            )
        return actor


Viewer = Annotated[Actor, Depends(Needs(Role.VIEWER))]
Operator = Annotated[Actor, Depends(Needs(Role.OPERATOR))]
Admin = Annotated[Actor, Depends(Needs(Role.ADMIN))]
