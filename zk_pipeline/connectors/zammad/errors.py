"""Zammad's refusals as typed errors, each with the operator's next step (docs/zammad.md §1, §8)."""

from collections.abc import Mapping
from typing import Any

from zk_pipeline.connectors.answer import Call
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    UnavailableError,
)

UNKNOWN_ROUTE = "This page doesn't exist."
LONGEST_TEXT = 300

_NEW_TOKEN = "Make a new token in the profile of an active user and store it for this connector."  # noqa: S105


class ZammadDialect:
    """How Zammad takes the token, and what its 4xx responses mean."""

    product = "Zammad"

    def authorization(self, token: str) -> str:
        """The header of an access token."""
        return f"Token token={token}"

    def refusal(self, call: Call, status: int, data: Any, headers: Mapping[str, str]) -> ConnectorError:
        """The typed error for a 4xx response."""
        text = _text(data) or headers.get("x-failure", "")[:LONGEST_TEXT]
        if status == 401:
            return call.error(AuthenticationError, _sentence(text or "Unauthorized"), status=401, remedy=_NEW_TOKEN)
        if not text:
            return call.error(
                ProtocolError,
                "The refusal is not one of Zammad's.",
                status=status,
                remedy="Check the base URL and what a proxy in front of Zammad refuses.",
            )
        if status == 403:
            return _forbidden(call, text)
        if status == 404:
            return _not_found(call, text)
        if status == 422:
            return call.error(
                UnavailableError,
                f"The request failed within Zammad: {_sentence(text)}",
                status=422,
                remedy="Try again; if it fails again, search for this text in Zammad's production.log.",
            )
        return call.error(ProtocolError, _sentence(text), status=status)

    def distrust(self, headers: Mapping[str, str]) -> str | None:
        """Nothing to distrust: Zammad refuses an unknown token by its status."""
        del headers
        return None


def _text(data: Any) -> str:
    text = data.get("error") if isinstance(data, dict) else None
    return text[:LONGEST_TEXT] if isinstance(text, str) else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _forbidden(call: Call, text: str) -> ConnectorError:
    """403 has many meanings in Zammad; only the text tells them apart (docs/zammad.md §1)."""
    lower = text.lower()
    if "authentication required" in lower or "token expired" in lower:
        return call.error(AuthenticationError, _sentence(text), status=403, remedy=_NEW_TOKEN)
    if "access disabled" in lower:
        remedy = "Switch on token access in Zammad's admin area under System, API."
        return call.error(AuthenticationError, _sentence(text), status=403, remedy=remedy)
    if "maintenance mode" in lower:
        remedy = "Wait until Zammad's maintenance mode is switched off, then run again."
        return call.error(UnavailableError, _sentence(text), status=403, remedy=remedy)
    needed = " and ".join(call.needs) or "of this call"
    if "token authorization failed" in lower:
        remedy = f"Give the token the permission {needed}."
    elif "user authorization failed" in lower:
        remedy = f"Give a role of the token's owner the permission {needed}."
    else:
        # Zammad's message is the same whether the token or its owner lacks it (docs/zammad.md §1).
        where = " Or give the owner access to the group of the ticket." if "/tickets/" in call.path else ""
        remedy = f"Give both the token and a role of its owner the permission {needed}: one of them lacks it.{where}"
    return call.error(PermissionDeniedError, _sentence(text), status=403, remedy=remedy)


def _not_found(call: Call, text: str) -> ConnectorError:
    if text.startswith(UNKNOWN_ROUTE.rstrip(".")):
        remedy = "Use Zammad 6.1 or newer; older versions do not have this route."
        return call.error(ProtocolError, "This Zammad does not know the route.", status=404, remedy=remedy)
    return call.error(NotFoundError, _sentence(text), status=404)
