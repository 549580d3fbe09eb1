"""Signing in through the identity provider: the way there, and the way back."""

import hmac
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from zk_pipeline.operations import identities
from zk_pipeline.operations.errors import OperationError
from zk_pipeline.runtime import Runtime
from zk_pipeline.store.encryption import UndecryptableError
from zk_pipeline.web import cookies
from zk_pipeline.web.api.common import Ready
from zk_pipeline.web.errors import ProblemError
from zk_pipeline.web.oidc import Flow, Provider, ProviderError
from zk_pipeline.web.recognition import Recognizing
from zk_pipeline.web.sign_in_html import onward
from zk_pipeline.web.sign_in_page import form, language_of, local_target

PATH, CALLBACK = "/sign-in/oidc", "/sign-in/oidc/callback"
COOKIE = "zk_oidc"
TIME_AT_THE_PROVIDER = timedelta(minutes=10)

router = APIRouter(include_in_schema=False)


@router.get(PATH)
def leave(
    request: Request,
    ready: Ready,
    next: str = "/",  # noqa: A002 (the name in addresses)
    *,
    again: bool = False,
) -> Response:
    """Off to the provider, which lets nobody through `again` without proof.

    What the way back is checked by goes along in a cookie that only we can read.
    """
    flow, until = Flow(), datetime.now(UTC) + TIME_AT_THE_PROVIDER
    if request.headers.get("sec-fetch-site") == "cross-site":  # Nobody is signed in because another site wants it.
        return form(request, ready.settings, next).response()
    try:
        address = _provider(request, ready).address(flow, again=again)
    except ProviderError as error:
        return form(request, ready.settings, next, problem=str(error)).response(502)
    # The way back leads to the web app; who left from another port of ours is led on to it from there.
    target = getattr(request.app.state, "address", "") + local_target(next)
    kept = json.dumps({"flow": asdict(flow), "target": target, "until": until.timestamp()})
    answer = RedirectResponse(address, 303)
    cookies.set_short(answer, ready.settings, COOKIE, ready.cipher.encrypt(kept), until)
    return answer


@router.get(CALLBACK)
def come_back(
    request: Request, ready: Ready, known: Recognizing, state: str = "", code: str = "", error: str = ""
) -> Response:
    """Back from the provider: begin a session, or the form again with the reason why not."""
    provider = _provider(request, ready)
    try:
        flow, target = _kept(request, ready, state)
        if error or not code:
            raise ProviderError("The identity provider let nobody in. Sign in again, or ask an admin.")  # noqa: TRY301
        signed_in = identities.with_identity(ready, provider.identity(flow, code), known.address_of(request))
    except (ProviderError, OperationError) as problem:
        answer = form(request, ready.settings, "/", problem=str(problem)).response(403)
    else:
        answer = onward(language_of(request), target)
        cookies.set_session(answer, ready.settings, signed_in)
    cookies.clear(answer, ready.settings, COOKIE)
    return answer


def _provider(request: Request, ready: Runtime) -> Provider:
    settings = ready.settings
    if not settings.oidc_issuer or not settings.oidc_client_id:
        raise ProblemError(404, "There is no identity provider. Set ZK_OIDC_ISSUER and ZK_OIDC_CLIENT_ID.")
    here = settings.public_url or str(request.base_url).rstrip("/")
    return Provider(settings, f"{here}{CALLBACK}")


def _kept(request: Request, ready: Runtime, state: str) -> tuple[Flow, str]:
    """What this browser left with. Raises `ProviderError` unless it was to come back with this state."""
    try:
        kept = json.loads(ready.cipher.decrypt(cookies.cookie_of(request, ready.settings, COOKIE) or ""))
    except UndecryptableError:
        raise ProviderError("This browser did not begin to sign in here, or took too long. Sign in again.") from None
    flow = Flow(**kept["flow"])
    if kept["until"] < datetime.now(UTC).timestamp() or not hmac.compare_digest(state.encode(), flow.state.encode()):
        raise ProviderError("The way back belongs to another sign-in (state), or took too long. Sign in again.")
    return flow, kept["target"]
