"""A small OpenID Connect provider that says what a real one would not, by code flow with PKCE."""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Form, Header, HTTPException
from starlette.responses import RedirectResponse

CLIENT, SECRET = "zk-pipeline", "the secret of the client"


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class OidcProvider:
    """Lets in whoever comes, with the given claims; `changed` are claims that an identity token gets instead of its
    own, and `algorithm` and `key` are what it is signed with."""

    claims: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    url: str = ""
    published: rsa.RSAPrivateKey = field(default_factory=_key)
    key: Any = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.get("/.well-known/openid-configuration")(self._configuration)
        app.get("/keys")(self._keys)
        app.get("/authorize")(self._authorize)
        app.post("/token")(self._token)
        return app

    def _configuration(self) -> dict[str, str]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }

    def _keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.published.public_key()))
        return {"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}

    def _authorize(
        self,
        client_id: str,
        redirect_uri: str,
        state: str,
        nonce: str,
        code_challenge: str,
        code_challenge_method: str,
        response_type: str,
        scope: str,
    ) -> RedirectResponse:
        asked = (client_id, response_type, code_challenge_method, "openid" in scope.split())
        if asked != (CLIENT, "code", "S256", True):
            raise HTTPException(400, f"cannot do {asked}")
        code = secrets.token_urlsafe(16)
        self.codes[code] = {"challenge": code_challenge, "nonce": nonce, "redirect_uri": redirect_uri}
        return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 303)

    def _token(
        self,
        code: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        grant_type: Annotated[str, Form()],
        authorization: Annotated[str, Header()],
    ) -> dict[str, str]:
        granted = self.codes.pop(code, None)  # A code counts once.
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        digest = hashlib.sha256(code_verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        expected = {"challenge": challenge, "redirect_uri": redirect_uri, "nonce": granted and granted["nonce"]}
        if granted != expected or authorization != basic or grant_type != "authorization_code":
            raise HTTPException(400, "invalid_grant")
        return {"token_type": "Bearer", "access_token": "unused", "id_token": self._id_token(granted["nonce"])}

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        own = {"iss": self.url, "aud": CLIENT, "sub": "one", "iat": now, "exp": now + 60, "nonce": nonce}
        claims = {**own, **self.claims, **self.changed}
        kept = {name: value for name, value in claims.items() if value is not None}
        key = None if self.algorithm == "none" else self.key or self.published
        return jwt.encode(kept, key, self.algorithm, headers={"kid": "one"})
