"""`/api/v1/auth`: signing in and out, renewing a session, and who one is."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, SecretStr

from zk_pipeline.identity import second_factor, sign_in, users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.queries import User
from zk_pipeline.identity.sign_in import SignedIn
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web import authentication
from zk_pipeline.web.api.common import PREFIX, Body, Ready, SecretBody, also
from zk_pipeline.web.api.users import Name, UserRow
from zk_pipeline.web.authentication import (
    CHALLENGE,
    Confirmed,
    GuardedRoute,
    Recognizing,
    Sessions,
    Viewer,
    refusals,
    refuse_api_token,
    refuse_token_in_url,
    require_confirmed,
)
from zk_pipeline.web.errors import ProblemError

router = APIRouter(
    prefix=f"{PREFIX}/auth",
    tags=["Sign-in"],
    dependencies=[Depends(refuse_token_in_url)],
    route_class=GuardedRoute,
)

Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096)]


Code = Annotated[str, Field(max_length=100)]


class Credentials(SecretBody):
    """E-mail and password, and a code where a second factor is needed.

    With `cookies`, a browser gets a cookie that no script can read, and no tokens.
    """

    email: Annotated[str, Field(min_length=1, max_length=254)]
    password: Secret
    code: Code = ""
    cookies: bool = False


class RefreshToken(Body):
    """The refresh token of a script; browsers send their cookie."""

    refresh_token: Secret | None = None


class Proof(SecretBody):
    """The password of whoever is signed in."""

    password: Secret


class CodeBody(Body):
    """A code of an app, or a recovery code."""

    code: Code


class ProofWithCode(Proof):
    """Password and second factor of whoever is signed in."""

    code: Code


class OfferedFactor(BaseModel):
    """What an app is given once: the secret to type, or the address as a QR code."""

    secret: str
    address: str


class RecoveryCodes(BaseModel):
    """Codes for the day on which the app is lost; each counts once."""

    recovery_codes: list[str]


class OwnChange(SecretBody):
    """What people may change about themselves. A new password needs the current one."""

    name: Name | None = None
    password: Secret | None = None
    current_password: Secret | None = None


class Tokens(BaseModel):
    """A session. The tokens are null for a browser, which has its cookie; instants are in UTC."""

    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the kind of token)
    access_token: str | None
    refresh_token: str | None
    expires_at: datetime
    session_expires_at: datetime
    role: Role


@router.post("/login", summary="Sign in", responses=also(401, 403, 429))
def login(given: Credentials, request: Request, response: Response, ready: Ready, known: Recognizing) -> Tokens:
    """Begin a session. Answers 401 to wrong credentials, and 429 with Retry-After to too many of them."""
    if given.cookies:
        authentication.require_own_origin(request, ready.settings)
    with refusals():
        signed_in = sign_in.with_password(
            ready,
            given.email,
            given.password.get_secret_value(),
            known.caller_of(request),
            given.code,
            in_browser=given.cookies,
        )
    return _answer(ready, response, signed_in, in_cookies=given.cookies)


@router.post("/refresh", summary="Renew a session", responses=also(401, 403))
def refresh(
    request: Request, response: Response, ready: Ready, known: Recognizing, given: RefreshToken | None = None
) -> Tokens:
    """Fresh tokens for a refresh token, which counts only once: shown again, it ends the session. Or a fresh cookie."""
    token, address = _in_body(given), known.address_of(request)
    cookie = None if token else authentication.cookie_of(request, ready.settings, authentication.SESSION)
    if cookie is not None:
        authentication.require_own_origin(request, ready.settings)
    elif token is None:
        raise ProblemError(401, "There is no refresh token in the body, and no cookie. Sign in.", CHALLENGE)
    with refusals():
        signed_in = sign_in.renew(ready, token, address) if token else sign_in.exchange(ready, cookie or "", address)
    return _answer(ready, response, signed_in, in_cookies=cookie is not None)


@router.post("/logout", status_code=204, summary="Sign out", responses=also(403))
def logout(
    request: Request, response: Response, ready: Ready, known: Recognizing, given: RefreshToken | None = None
) -> None:
    """End the session that bearer, body or cookie name; it is no error when there is none any more."""
    known.sign_out(request, _in_body(given))
    authentication.clear_session(response, ready.settings)


@router.post("/confirm", status_code=204, summary="Confirm the password", responses=also(429))
def confirm(given: Proof, actor: Viewer, request: Request, ready: Ready, known: Recognizing) -> None:
    """For five minutes the session may create API tokens and change accounts.

    A wrong password counts as a failed sign-in.
    """
    refuse_api_token(request, "be confirmed")
    with refusals():
        session = known.session_of(request)
        sign_in.confirm(ready, session.id, actor, given.password.get_secret_value(), known.caller_of(request))


@router.get("/me", summary="Show who is signed in")
def me(actor: Viewer, ready: Ready) -> UserRow:
    """The user of the session or API token; a token may allow less than the user's role."""
    with ready.database.transaction() as connection:
        return UserRow.of(users.user_by_id(connection, actor.user_id or 0))


@router.patch("/me", summary="Change your name or password", responses=also(429))
def change_me(given: OwnChange, actor: Viewer, request: Request, ready: Ready, known: Recognizing) -> UserRow:
    """Change what is given. A new password ends all one's sessions, this one too, and all one's API tokens.

    A new password comes with the current one; anything else needs the password of the last minutes. A token changes
    nothing of the account that it belongs to.
    """
    refuse_api_token(request, "change the account that it belongs to")
    if given.password is None:
        require_confirmed(request)
    else:
        if given.current_password is None:
            raise ProblemError(422, "current_password is missing. Send it along with the new password.")
        current, new = given.current_password.get_secret_value(), given.password.get_secret_value()
        with refusals():
            sign_in.change_own_password(ready, actor, current, new, known.caller_of(request))
    with ready.database.transaction() as connection:
        return UserRow.of(users.change(connection, actor, actor.user_id or 0, name=given.name))


@router.post("/second-factor", summary="Begin to set up a second factor", responses=also(409))
def offer_second_factor(response: Response, actor: Viewer, _: Confirmed, ready: Ready) -> OfferedFactor:
    """What an app needs to make codes; it counts once one of them was sent to `/activate`. Needs the password again."""
    response.headers["Cache-Control"] = "no-store"
    offered = second_factor.start_enrolment(ready, _self(ready, actor))
    return OfferedFactor(secret=offered.secret, address=offered.address)


@router.post("/second-factor/activate", summary="Activate a second factor", responses=also(409, 429))
def activate_second_factor(
    given: CodeBody, request: Request, response: Response, actor: Viewer, _: Confirmed, ready: Ready, known: Recognizing
) -> RecoveryCodes:
    """From now on each sign-in by password needs a code. The answer shows the recovery codes, this once."""
    response.headers["Cache-Control"] = "no-store"
    with refusals():
        codes = second_factor.activate(ready, _self(ready, actor), given.code, known.caller_of(request))
    return RecoveryCodes(recovery_codes=list(codes))


@router.post("/second-factor/recovery-codes", summary="Create new recovery codes", responses=also(409, 429))
def renew_recovery_codes(
    given: ProofWithCode, request: Request, response: Response, actor: Viewer, ready: Ready, known: Recognizing
) -> RecoveryCodes:
    """New recovery codes in place of the old ones, for password and code."""
    response.headers["Cache-Control"] = "no-store"
    user = _proven(given, request, actor, ready, known)
    with refusals():
        codes = second_factor.renew_codes(ready, user, given.code, known.caller_of(request))
    return RecoveryCodes(recovery_codes=list(codes))


@router.post("/second-factor/remove", status_code=204, summary="Remove your second factor", responses=also(409, 429))
def remove_second_factor(
    given: ProofWithCode, request: Request, actor: Viewer, ready: Ready, known: Recognizing
) -> None:
    """For password and code. Where the role needs one, the session ends and the next sign-in sets up another."""
    user = _proven(given, request, actor, ready, known)
    with refusals():
        second_factor.remove(ready, user, given.code, known.caller_of(request))


def _self(ready: Runtime, actor: Actor) -> User:
    with ready.database.transaction() as connection:
        return users.user_by_id(connection, actor.user_id or 0)


def _proven(given: Proof, request: Request, actor: Actor, ready: Runtime, known: Sessions) -> User:
    """The caller, in a session and after the password."""
    refuse_api_token(request, "change the account that it belongs to")
    user = _self(ready, actor)
    with refusals():
        return sign_in.verify_password(ready, user.email, given.password.get_secret_value(), known.caller_of(request))


def _answer(ready: Runtime, response: Response, signed_in: SignedIn, *, in_cookies: bool) -> Tokens:
    response.headers["Cache-Control"] = "no-store"
    if in_cookies:
        authentication.set_session(response, ready.settings, signed_in)
    return Tokens(
        access_token=None if in_cookies else signed_in.access_token,
        refresh_token=None if in_cookies else signed_in.refresh_token,
        expires_at=signed_in.access_until,
        session_expires_at=signed_in.until,
        role=signed_in.role,
    )


def _in_body(given: RefreshToken | None) -> str | None:
    return given.refresh_token.get_secret_value() if given and given.refresh_token else None
