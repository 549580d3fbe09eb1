"""`/api/v1/auth/session`: what a proxy asks before it lets somebody through to Dagster (deploy/proxy)."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from zk_pipeline.operations.actors import Role
from zk_pipeline.web.access import Viewer
from zk_pipeline.web.api.common import PREFIX, Ready
from zk_pipeline.web.cookies import require_own_origin
from zk_pipeline.web.errors import ProblemError
from zk_pipeline.web.recognition import bearer_of

ROLE = "X-ZK-Role"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

router = APIRouter(prefix=f"{PREFIX}/auth", tags=["Sign-in"])


@router.get("/session", status_code=204, summary="Ask whether a request may pass, and with which role")
def session(
    request: Request,
    actor: Viewer,
    ready: Ready,
    role: Annotated[Role, Query(description="The role that is needed.")] = Role.VIEWER,
    original_method: Annotated[str, Header(alias="X-Original-Method")] = "GET",
    original_upgrade: Annotated[str, Header(alias="X-Original-Upgrade")] = "",
) -> Response:
    """204 with the role in `X-ZK-Role`, 401 without a session, 403 when the role is too low.

    A browser's cookies count for a request that may change something, and for a socket, only when it comes from our own
    pages.
    """
    if not actor.role.covers(role):
        raise ProblemError(403, f"This needs the role {role}; you have {actor.role}. Ask an admin for it.")
    if bearer_of(request) is None and (original_method not in _SAFE_METHODS or original_upgrade):
        require_own_origin(request, ready.settings)
    return Response(status_code=204, headers={ROLE: actor.role})
