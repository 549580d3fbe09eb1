"""Signing in through an identity provider by OpenID Connect: code flow with PKCE, state and nonce."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from zk_pipeline.connectors import network
from zk_pipeline.identity import sign_in
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.identity.sign_in import CONFIRMED_FOR, ProviderIdentity
from zk_pipeline.languages import translated
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.encryption import UndecryptableError
from zk_pipeline.web import authentication
from zk_pipeline.web.api.common import Ready
from zk_pipeline.web.authentication import Recognizing
from zk_pipeline.web.errors import ProblemError
from zk_pipeline.web.sign_in import form, language_of, local_target, onward

# The identity provider by OpenID Connect: code flow with PKCE, state and nonce.

_SCOPE = "openid email profile"
_AGAIN = {"prompt": "login", "max_age": int(CONFIRMED_FOR.total_seconds())}
"""With a greatest age, the provider has to say when somebody signed in there; that decides, not what is asked for."""

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by key pairs only: neither a shared secret nor a missing key may pass for the provider's signature."""


class ProviderError(Exception):
    """The provider did not confirm an identity; the message says why, without any token."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What is kept while somebody is at the provider: by `state` the answer is known to belong to this browser, by
    `nonce` the identity token to this attempt; with `verifier` nobody else can use the code."""

    state: str = field(default_factory=lambda: generate_token(32))
    nonce: str = field(default_factory=lambda: generate_token(32))
    verifier: str = field(default_factory=lambda: generate_token(64))


class Provider:
    """The provider of the settings; `redirect_uri` is where it sends people back."""

    def __init__(self, settings: Settings, redirect_uri: str) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri

    def address(self, flow: Flow, *, again: bool = False) -> str:
        """The address of the provider's sign-in; with `again` it asks even people who are signed in there.

        Raises `ProviderError`.
        """
        with self._http() as http:
            known = self._discovered(http)
        return prepare_grant_uri(
            _text(known, "authorization_endpoint"),
            client_id=self._settings.oidc_client_id,
            response_type="code",
            redirect_uri=self._redirect_uri,
            scope=_SCOPE,
            state=flow.state,
            nonce=flow.nonce,
            code_challenge=create_s256_code_challenge(flow.verifier),
            code_challenge_method="S256",
            **(_AGAIN if again else {}),
        )

    def identity(self, flow: Flow, code: str) -> ProviderIdentity:
        """The identity that the provider confirms for this code. Raises `ProviderError`."""
        with self._http() as http:
            known = self._discovered(http)
            token = self._id_token(http, _text(known, "token_endpoint"), flow, code)
            keys = _asked(http, "GET", _text(known, "jwks_uri"))
        claims = self._verified(token, keys, _text(known, "issuer"))
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode()):
            raise ProviderError("The identity token belongs to another sign-in (nonce). Sign in again.")
        return self._identity(claims)

    def _http(self) -> httpx.Client:
        bundle = str(self._settings.ca_bundle or "")
        try:
            return network.client(ca_bundle=bundle, timeout=self._settings.http_timeout)
        except network.NetworkError as error:
            raise ProviderError(str(error)) from error

    def _discovered(self, http: httpx.Client) -> Mapping[str, Any]:
        issuer = self._settings.oidc_issuer
        known = _asked(http, "GET", f"{issuer}/.well-known/openid-configuration")
        if _text(known, "issuer").rstrip("/") != issuer:
            raise ProviderError("The identity provider calls itself otherwise. Correct ZK_OIDC_ISSUER.")
        return known

    def _id_token(self, http: httpx.Client, endpoint: str, flow: Flow, code: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "client_id": self._settings.oidc_client_id,
            "code_verifier": flow.verifier,
        }
        secret = self._settings.oidc_client_secret.get_secret_value()
        auth = (self._settings.oidc_client_id, secret) if secret else None
        return _text(_asked(http, "POST", endpoint, data=form, auth=auth), "id_token")

    def _verified(self, token: str, keys: Mapping[str, Any], issuer: str) -> Mapping[str, Any]:
        client = self._settings.oidc_client_id
        try:
            claims = jwt.decode(
                token,
                _signing_key(token, keys),
                _ALGORITHMS,
                audience=client,
                issuer=issuer,
                leeway=30,
                options={"require": ["iss", "aud", "sub", "exp", "iat"]},
            )
        except jwt.PyJWTError as error:
            raise ProviderError(f"The identity token is not valid: {str(error).rstrip('.')}. Sign in again.") from error
        if claims.get("azp", client) != client:
            raise ProviderError("The identity token was made for another application (azp). Sign in again.")
        return claims

    def _identity(self, claims: Mapping[str, Any]) -> ProviderIdentity:
        roles = claims.get(self._settings.oidc_role_claim)
        return ProviderIdentity(
            issuer=claims["iss"],
            subject=claims["sub"],
            email=str(claims.get("email") or ""),
            email_is_verified=claims.get("email_verified") is True,
            name=str(claims.get("name") or ""),
            signed_in_at=_number(claims.get("auth_time")),
            roles=[str(role) for role in (roles if isinstance(roles, list) else [roles])],
        )


def _signing_key(token: str, keys: Mapping[str, Any]) -> jwt.PyJWK:
    """The provider's key that the token names, or its only one. Raises `jwt.PyJWTError`."""
    published = [key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys if key.public_key_use in {"sig", None}]
    wanted = jwt.get_unverified_header(token).get("kid")
    fitting = [key for key in published if wanted is None or key.key_id == wanted]
    if len(fitting) != 1:
        raise jwt.InvalidKeyError("none of the published keys fits it")
    return fitting[0]


def _asked(http: httpx.Client, method: str, address: str, **more: Any) -> Mapping[str, Any]:
    try:
        answer = http.request(method, address, **more)
        answer.raise_for_status()
        content = answer.json()
    except httpx.HTTPStatusError as error:
        raise ProviderError(
            f"The identity provider answers {error.response.status_code} at {address}. Sign in again, or ask an admin."
        ) from error
    except network.NetworkError as error:
        raise ProviderError(str(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ProviderError(f"The identity provider does not answer at {address}. Try again later.") from error
    if not isinstance(content, dict):
        raise ProviderError(f"The identity provider answers something else than an object at {address}. Ask an admin.")
    return content


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    if not isinstance(value, str) or not value:
        raise ProviderError(f"The identity provider does not state {name}. Ask an admin.")
    return value


# Signing in through the identity provider: the redirect there, and the callback.

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
    """Redirect to the provider, which asks for proof with `again`.

    A cookie that only we can read holds what the callback is checked against.
    """
    flow, until = Flow(), datetime.now(UTC) + TIME_AT_THE_PROVIDER
    if request.headers.get("sec-fetch-site") == "cross-site":  # Another site must not sign anybody in.
        return form(request, ready.settings, next).response()
    try:
        address = _provider(request, ready).address(flow, again=again)
    except ProviderError as error:
        return form(request, ready.settings, next, problem=_said(request, error)).response(502)
    # The callback is at the web app; people who came from another port of ours are sent on to it.
    target = getattr(request.app.state, "address", "") + local_target(next)
    kept = json.dumps({"flow": asdict(flow), "target": target, "until": until.timestamp()})
    answer = RedirectResponse(address, 303)
    authentication.set_short(answer, ready.settings, COOKIE, ready.cipher.encrypt(kept), until)
    return answer


@router.get(CALLBACK)
def come_back(
    request: Request, ready: Ready, known: Recognizing, state: str = "", code: str = "", error: str = ""
) -> Response:
    """The callback: begin a session, or show the form again with the reason."""
    provider = _provider(request, ready)
    try:
        flow, target = _kept(request, ready, state)
        if error or not code:
            raise ProviderError("The identity provider refused the sign-in. Sign in again, or ask an admin.")  # noqa: TRY301
        signed_in = sign_in.with_identity(ready, provider.identity(flow, code), known.address_of(request))
    except (ProviderError, OperationError) as problem:
        answer = form(request, ready.settings, "/", problem=_said(request, problem)).response(403)
    else:
        answer = onward(language_of(request), target)
        authentication.set_session(answer, ready.settings, signed_in)
    authentication.clear(answer, ready.settings, COOKIE)
    return answer


def _said(request: Request, problem: Exception) -> str:
    return translated(str(problem), language_of(request))


def _provider(request: Request, ready: Runtime) -> Provider:
    settings = ready.settings
    if not settings.oidc_issuer or not settings.oidc_client_id:
        raise ProblemError(404, "There is no identity provider. Set ZK_OIDC_ISSUER and ZK_OIDC_CLIENT_ID.")
    here = settings.public_url or str(request.base_url).rstrip("/")
    return Provider(settings, f"{here}{CALLBACK}")


def _kept(request: Request, ready: Runtime, state: str) -> tuple[Flow, str]:
    """The flow of this browser. Raises `ProviderError` unless the state fits."""
    try:
        kept = json.loads(ready.cipher.decrypt(authentication.cookie_of(request, ready.settings, COOKIE) or ""))
    except UndecryptableError:
        raise ProviderError("Sign in again: this browser did not begin the sign-in, or took too long.") from None
    flow = Flow(**kept["flow"])
    if kept["until"] < datetime.now(UTC).timestamp() or not hmac.compare_digest(state.encode(), flow.state.encode()):
        raise ProviderError("Sign in again: the answer belongs to another sign-in (state), or took too long.")
    return flow, kept["target"]
