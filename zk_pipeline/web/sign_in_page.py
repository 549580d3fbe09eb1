"""How browsers sign in and out: a page with a form, and the renewal of a session when a page is loaded."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.responses import RedirectResponse

from zk_pipeline.operations import second_factor, sign_in
from zk_pipeline.operations.errors import SignInError
from zk_pipeline.operations.session_tokens import Purpose
from zk_pipeline.operations.sign_in import JustRenewedError, SecondStepError, SessionOverError
from zk_pipeline.operations.throttle import ThrottledError
from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import Settings
from zk_pipeline.web import cookies
from zk_pipeline.web.api.common import Ready
from zk_pipeline.web.console.words import Language, chosen
from zk_pipeline.web.recognition import Recognizing, refuse_token_in_url
from zk_pipeline.web.sign_in_html import CodeForm, RecoveryCodes, SignInForm, onward
from zk_pipeline.web.sign_in_words import word

PATH, CODE, OUT, RENEWAL = "/sign-in", "/sign-in/code", "/sign-out", "/renew"

router = APIRouter(dependencies=[Depends(refuse_token_in_url)], include_in_schema=False)

Typed = Annotated[str, Form(max_length=4096)]


@router.get(PATH)
def show(request: Request, ready: Ready, known: Recognizing, next: str = "/") -> Response:  # noqa: A002 (in addresses)
    """The form, or straight on for somebody who is signed in."""
    try:
        known.session_of(request)
    except SessionOverError:
        return form(request, ready.settings, next).response()
    return RedirectResponse(local_target(next), 303)


@router.post(PATH)
def enter(
    request: Request,
    ready: Ready,
    known: Recognizing,
    email: Typed = "",
    password: Typed = "",
    next: Typed = "/",  # noqa: A002 (the name in addresses)
) -> Response:
    """Begin a session and go on; the form again, with what was wrong, if that cannot be."""
    cookies.require_own_origin(request, ready.settings)
    language = language_of(request)
    try:
        signed_in = sign_in.with_password(ready, email, password, known.caller_of(request))
    except ThrottledError as error:
        problem = word(language, "throttled", seconds=error.seconds)
        answer = form(request, ready.settings, next, email, problem).response(429)
        answer.headers["Retry-After"] = str(error.seconds)
        return answer
    except SecondStepError as step:
        answer = RedirectResponse(f"{CODE}?next={quote(local_target(next))}", 303)
        if step.enrols:
            second_factor.offer(ready, sign_in.in_second_step(ready, step.token))
        until = datetime.now(UTC) + sign_in.TIME_FOR_THE_CODE
        cookies.set_short(answer, ready.settings, cookies.SECOND_STEP, step.token, until)
        return answer
    except SignInError:
        return form(request, ready.settings, next, email, word(language, "wrong")).response(401)
    answer = RedirectResponse(local_target(next), 303)
    cookies.set_session(answer, ready.settings, signed_in)
    return answer


@router.get(CODE)
def ask_for_code(
    request: Request,
    ready: Ready,
    next: str = "/",  # noqa: A002 (the name in addresses)
    *,
    recovery: bool = False,
) -> Response:
    """The second step for whoever gave the right password a moment ago; for others the form."""
    try:
        return _code_form(request, ready, next, recovery=recovery).response()
    except SessionOverError:
        return RedirectResponse(f"{PATH}?next={quote(local_target(next))}", 303)


@router.post(CODE)
def enter_code(
    request: Request,
    ready: Ready,
    known: Recognizing,
    code: Typed = "",
    next: Typed = "/",  # noqa: A002 (the name in addresses)
    recovery: Typed = "",
) -> Response:
    """Begin a session with the second factor and go on, or the step again, with what was wrong."""
    cookies.require_own_origin(request, ready.settings)
    language = language_of(request)
    try:
        token = cookies.cookie_of(request, ready.settings, cookies.SECOND_STEP) or ""
        signed_in, codes = sign_in.with_code(ready, token, code, known.caller_of(request))
    except ThrottledError as error:
        problem = word(language, "throttled", seconds=error.seconds)
        return _code_form(request, ready, next, problem, recovery=bool(recovery)).response(429)
    except SessionOverError:
        return RedirectResponse(f"{PATH}?next={quote(local_target(next))}", 303)
    except SignInError:
        return _code_form(request, ready, next, word(language, "code.wrong"), recovery=bool(recovery)).response(401)
    target = local_target(next)
    answer = RecoveryCodes(language, target, codes).response() if codes else RedirectResponse(target, 303)
    cookies.set_session(answer, ready.settings, signed_in)
    cookies.clear(answer, ready.settings, cookies.SECOND_STEP)
    return answer


@router.post(OUT)
def leave(request: Request, ready: Ready, known: Recognizing) -> Response:
    """End the session."""
    cookies.require_own_origin(request, ready.settings)
    for purpose, name in ((Purpose.ACCESS, cookies.ACCESS), (Purpose.REFRESH, cookies.REFRESH)):
        token = cookies.cookie_of(request, ready.settings, name)
        if token is not None:
            known.sign_out(purpose, token, request)
    answer = RedirectResponse(PATH, 303)
    cookies.clear_session(answer, ready.settings)
    return answer


@router.get(RENEWAL)
def renew(request: Request, ready: Ready, known: Recognizing, next: str = "/") -> Response:  # noqa: A002 (in addresses)
    """Renew the session by its refresh cookie and go back to the page; without one, to the form."""
    target = local_target(next)
    token = cookies.cookie_of(request, ready.settings, cookies.REFRESH) or ""
    going_on = onward(language_of(request), target)
    try:
        signed_in = sign_in.renew(ready, token, known.address_of(request), grace=sign_in.SECONDS_OF_GRACE)
    except JustRenewedError:
        return going_on
    except SessionOverError:
        answer = RedirectResponse(f"{PATH}?next={quote(target)}", 303)
        cookies.clear_session(answer, ready.settings)
        return answer
    cookies.set_session(going_on, ready.settings, signed_in)
    return going_on


def form(request: Request, settings: Settings, target: str, email: str = "", problem: str = "") -> SignInForm:
    """The form in the language of the browser."""
    target = local_target(target)
    return SignInForm(
        language_of(request),
        target,
        urlsplit(settings.oidc_issuer).netloc if settings.oidc_issuer else "",
        f"{PATH}/oidc?next={quote(target)}",
        email,
        problem,
    )


def _code_form(request: Request, ready: Runtime, target: str, problem: str = "", *, recovery: bool) -> CodeForm:
    """The second step; who has no second factor yet sets it up in it. Raises `SessionOverError`."""
    user = sign_in.in_second_step(ready, cookies.cookie_of(request, ready.settings, cookies.SECOND_STEP) or "")
    offer = None if user.second_factor else second_factor.offered(ready, user)
    return CodeForm(language_of(request), local_target(target), offer, problem, recovery and offer is None)


def language_of(request: Request) -> Language:
    """The language that the browser prefers."""
    return chosen("", request.headers.get("accept-language", ""))


def local_target(wanted: str) -> str:
    """Where to go on: an address of ours, else the start page; never the sign-in again, which would not end."""
    is_local = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    if not is_local or urlsplit(wanted).path.startswith((PATH, OUT, RENEWAL)):
        return "/"
    return quote(wanted, safe="/%?&=:+,~@!$*()-._#")
