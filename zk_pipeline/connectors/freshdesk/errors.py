"""Freshdesk's refusals as typed errors, each with the operator's next step (docs/freshdesk.md)."""

import base64
from collections.abc import Mapping
from typing import Any

from zk_pipeline.connectors.answer import Call
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
)

LONGEST_TEXT = 300
PASSWORD = "X"  # noqa: S105 - Freshdesk ignores it; only the key counts.

_NEW_KEY = "Copy the API key from the profile of an active agent again, and store it for this connector."
_LOCKED = frozenset({"password_lockout", "password_expired"})


class FreshdeskDialect:
    """How Freshdesk takes the API key, and what its 4xx responses mean."""

    product = "Freshdesk"

    def authorization(self, token: str) -> str:
        """The header of Basic authentication: the key is the name."""
        return f"Basic {base64.b64encode(f'{token}:{PASSWORD}'.encode()).decode()}"

    def refusal(self, call: Call, status: int, data: Any, headers: Mapping[str, str]) -> ConnectorError:
        """The typed error for a 4xx response; its body may be empty."""
        del headers
        code, text = _told(data)
        if status == 401:
            return call.error(AuthenticationError, _sentence(text or "The key is unknown"), status=401, remedy=_NEW_KEY)
        if status == 403:
            return _forbidden(call, code, text)
        if status == 404:
            return call.error(NotFoundError, _sentence(text or "It is not shown"), status=404)
        problem = _sentence(f"{code}: {text}" if code and text else text or code or "The request was refused")
        return call.error(ProtocolError, problem, status=status)

    def distrust(self, headers: Mapping[str, str]) -> str | None:
        """Nothing to distrust: Freshdesk refuses an unknown key by its status."""
        del headers
        return None


def _told(data: Any) -> tuple[str, str]:
    """The code and the text of a refusal, of which either may be missing."""
    if not isinstance(data, dict):
        return "", ""
    errors = data.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code, text = data.get("code") or first.get("code"), data.get("message") or first.get("message")
    text = text or data.get("description")
    return (code if isinstance(code, str) else ""), (text[:LONGEST_TEXT] if isinstance(text, str) else "")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _forbidden(call: Call, code: str, text: str) -> ConnectorError:
    """403 has many meanings, which only the code tells apart; none of them means that something is gone."""
    if code in _LOCKED:
        remedy = "Too many sign-ins failed. Unlock the agent in Freshdesk, then store the key again."
        return call.error(AuthenticationError, _sentence(f"{code}: {text}"), status=403, remedy=remedy)
    if code == "require_feature":
        return call.error(
            PermissionDeniedError,
            "Time tracking is not part of this Freshdesk plan (require_feature).",
            status=403,
            remedy="Choose a plan with time tracking. What was carried over stays as it is.",
        )
    if code == "account_suspended":
        remedy = "Settle it with Freshdesk. What was carried over stays as it is."
        return call.error(PermissionDeniedError, _sentence(f"{code}: {text}"), status=403, remedy=remedy)
    needed = f" It needs {' and '.join(call.needs)}." if call.needs else ""
    return call.error(
        PermissionDeniedError,
        _sentence(f"{code}: {text}" if code else text or "The key may not do this"),
        status=403,
        remedy=f"Use the key of an administrator with access to all tickets.{needed}",
    )
