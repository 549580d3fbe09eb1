"""How Jira takes the token, and its refusals as typed errors with the operator's next step (docs/jira.md)."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from zk_pipeline.connectors.answer import Call
from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
)

GATEWAY = "/ex/jira/"
LONGEST_TEXT = 300
LOGIN_REASON = "X-Seraph-LoginReason"

_DISTRUSTED = re.compile(r"AUTHENTICATED_FAILED|AUTHENTICATION_DENIED")
_NEW_TOKEN = {
    True: "Make a new API token at id.atlassian.com and store it as e-mail:token. Tokens expire after a year at most.",
    False: "Make a new personal access token in the profile of an active user and store it for this connector.",
}
_PASTED = re.compile(r"/(rest|browse|projects|issues|secure|jira|servicedesk)(/.*)?$")


def is_cloud(endpoint: Endpoint) -> bool:
    """Whether it is Jira Cloud, by the credentials: an e-mail address with its token, or an address of the gateway."""
    return ":" in endpoint.token or GATEWAY in endpoint.base_url


def api_root(endpoint: Endpoint) -> str:
    """The root of the API in the version of this kind of Jira."""
    return f"/rest/api/{3 if is_cloud(endpoint) else 2}"


def without_page(base_url: str) -> str:
    """The address without the path of a page that was pasted with it."""
    return base_url if GATEWAY in base_url else _PASTED.sub("", base_url.strip())


class JiraDialect:
    """What Jira's 4xx responses mean. Jira says "not found" where others say "forbidden"."""

    product = "Jira"

    def __init__(self, endpoint: Endpoint) -> None:
        self._is_cloud = is_cloud(endpoint)

    def authorization(self, token: str) -> str:
        """Basic with `e-mail:token`, or Bearer with a token alone."""
        if ":" not in token:
            return f"Bearer {token}"
        return "Basic " + base64.b64encode(token.encode()).decode()

    def refusal(self, call: Call, status: int, data: Any, headers: Mapping[str, str]) -> ConnectorError:
        """The typed error for a 4xx response."""
        text = _text(data)
        if status == 401 and "scope" in text.lower():
            remedy = "Give the token the scopes read:jira-work and read:jira-user; for a service desk also its own."
            return call.error(PermissionDeniedError, _sentence(text), status=401, remedy=remedy)
        if status == 401:
            problem = _sentence(text or "Unauthorized")
            return call.error(AuthenticationError, problem, status=401, remedy=_NEW_TOKEN[self._is_cloud])
        if status == 403 and "denied" in headers.get("x-authentication-denied-reason", "").lower():
            remedy = "Sign in once in the browser with this account and solve the CAPTCHA."
            return call.error(AuthenticationError, "The account is locked.", status=403, remedy=remedy)
        if not text:
            return call.error(
                ProtocolError,
                "The refusal is not one of Jira's.",
                status=status,
                remedy="Check the base URL and what a proxy in front of Jira refuses.",
            )
        if status == 403:
            needed = " and ".join(call.needs) or "of this call"
            remedy = f"Give the account the permission {needed}."
            return call.error(PermissionDeniedError, _sentence(text), status=403, remedy=remedy)
        if status == 404 and _is_jiras(data):
            return call.error(NotFoundError, _sentence(text), status=404)
        remedy = "Switch on time tracking in Jira." if "time tracking" in text.lower() else ""
        return call.error(ProtocolError, _sentence(text), status=status, remedy=remedy)

    def distrust(self, headers: Mapping[str, str]) -> str | None:
        """A refused token is answered as an anonymous visitor, with any status; only a header tells."""
        if _DISTRUSTED.search(headers.get(LOGIN_REASON, "")):
            return "Jira did not accept the token and answered as it answers anonymous visitors."
        return None


def _is_jiras(data: Any) -> bool:
    return isinstance(data, dict) and "errorMessages" in data


def _text(data: Any) -> str:
    """The messages of a refusal, of Jira or of the gateway in front of it."""
    if not isinstance(data, dict):
        return ""
    messages = data.get("errorMessages")
    errors = data.get("errors")
    texts = [each for each in messages if isinstance(each, str)] if isinstance(messages, list) else []
    texts += [f"{name}: {each}" for name, each in errors.items()] if isinstance(errors, dict) else []
    message = data.get("message")
    return " ".join(texts or ([message] if isinstance(message, str) else []))[:LONGEST_TEXT]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
