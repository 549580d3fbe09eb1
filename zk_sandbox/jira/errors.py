"""Refusals of a simulated Jira."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

NO_ISSUE = "Issue does not exist or you do not have permission to see it."
LOGIN_REASON = "X-Seraph-LoginReason"


class ApiError(Exception):
    """A response other than success: HTTP status and Jira's text, which concerns a field if one is named."""

    def __init__(
        self,
        status: int,
        text: str,
        *,
        field: str = "",
        headers: Mapping[str, str] | None = None,
        gateway: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.field = field
        self.headers = dict(headers or {})
        self.gateway = gateway

    def response(self) -> Response:
        """As Jira or the gateway in front of it answers."""
        content: dict[str, Any] = {"code": self.status, "message": self.text}
        if not self.gateway:
            texts, fields = ([], {self.field: self.text}) if self.field else ([self.text], {})
            content = {"errorMessages": texts, "errors": fields}
        return JSONResponse(content, self.status, self.headers)


def no_issue() -> ApiError:
    """The refusal for an issue that is gone, and for one that the caller may not see: they look the same."""
    return ApiError(404, NO_ISSUE)


def no_worklog(worklog_id: str) -> ApiError:
    """The refusal for a worklog that is gone or hidden."""
    return ApiError(404, f"Cannot find worklog with id: '{worklog_id}'.")
