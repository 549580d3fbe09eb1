"""The tokens of a session: signed, short-lived, and good for one purpose each.

A token says which session it belongs to and no more: whether that one goes on, and the role, is asked of the database.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import jwt

from zk_pipeline.store.encryption import TokenCipher

ISSUER = "zk_pipeline"
_ALGORITHM = "HS256"
_CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "exp")


class Purpose(StrEnum):
    """What a token is good for: its audience."""

    ACCESS = "zk_pipeline:access"
    REFRESH = "zk_pipeline:refresh"
    DEVICE = "zk_pipeline:device"
    SECOND_STEP = "zk_pipeline:second-step"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a valid token says. That of a device has its number for `session_id`, that of a second step a hash."""

    session_id: str
    user_id: int


class SessionTokens:
    """Signs with the newest key, and believes tokens that were signed with an older one."""

    def __init__(self, cipher: TokenCipher) -> None:
        self._keys = cipher.derived("zk_pipeline session tokens")

    def sign(self, purpose: Purpose, claim: Claim, expires_at: datetime) -> str:
        """A token until this instant; no two are the same."""
        content = {
            "iss": ISSUER,
            "aud": purpose,
            "sub": f"user:{claim.user_id}",
            "sid": claim.session_id,
            "jti": secrets.token_urlsafe(16),
            "iat": datetime.now(UTC),
            "exp": expires_at,
        }
        return jwt.encode(content, self._keys[0], _ALGORITHM)

    def read(self, purpose: Purpose, token: str) -> Claim | None:
        """What a token says; `None` for one that was not signed by us for this purpose, or is over."""
        for key in self._keys:
            try:
                content = jwt.decode(
                    token, key, [_ALGORITHM], audience=purpose, issuer=ISSUER, options={"require": list(_CLAIMS)}
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError:
                return None
            return _claim(content)
        return None


def _claim(content: Mapping[str, Any]) -> Claim:
    return Claim(content["sid"], int(content["sub"].removeprefix("user:")))
