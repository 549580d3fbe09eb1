"""Who calls, and what they see: tokens, anonymous visitors, projects, security levels and restricted worklogs."""

import base64
import binascii
from dataclasses import dataclass

from zk_sandbox.jira.errors import LOGIN_REASON, ApiError
from zk_sandbox.jira.records import Issue, Project, Token, User, Worklog
from zk_sandbox.jira.site import Site

UNAUTHORIZED = "Client must be authenticated to access this resource."
DENIED = "AUTHENTICATED_FAILED"


@dataclass(frozen=True, slots=True)
class Caller:
    """The account a request acts for, or an anonymous visitor; `refused` if credentials came that are not valid."""

    site: Site
    user: User | None
    refused: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """What tells a refused caller that the answer is that of a visitor; it comes with every status."""
        return {LOGIN_REASON: DENIED} if self.refused else {}

    def require_account(self) -> User:
        """Refuse an anonymous visitor."""
        if self.user is None:
            raise ApiError(401, UNAUTHORIZED, headers=self.headers)
        return self.user

    def browses(self, project: Project) -> bool:
        """Whether the caller may browse the project."""
        if project.status == "deleted":
            return False
        if self.user is None:
            return project.public
        return project.browsers is None or self.user.id in project.browsers

    def opens(self, issue: Issue) -> bool:
        """Whether the caller may see the issue."""
        allowed = issue.readers is None or (self.user is not None and self.user.id in issue.readers)
        return allowed and self.browses(self.site.state.projects[issue.project_id])

    def is_named_by(self, row: Worklog) -> bool:
        """Whether the caller is in the group or role that a worklog is restricted to, if it is."""
        if not row.visibility:
            return True
        if self.user is None:
            return False
        if row.visibility["type"] == "group":
            return row.visibility["value"] in self.user.groups
        project = self.site.state.projects[self.site.state.issues[row.issue_id].project_id]
        return self.user.id in project.roles.get(row.visibility["value"], ())

    def reads(self, row: Worklog) -> bool:
        """Whether the caller may read the worklog."""
        return self.opens(self.site.state.issues[row.issue_id]) and self.is_named_by(row)


def authenticate(site: Site, authorization: str, *, at_gateway: bool) -> Caller:
    """The caller that the header names; refused credentials make an anonymous visitor on Cloud, and a 401 elsewhere."""
    if not authorization:
        return Caller(site, None)
    token = _token(site, authorization)
    if token is not None and site.settings.is_cloud and token.scopes is not None:
        if not at_gateway:
            raise ApiError(401, UNAUTHORIZED, headers={LOGIN_REASON: DENIED})
        if "read:jira-work" not in token.scopes:
            raise ApiError(401, "Unauthorized; scope does not match", gateway=True)
    if token is None:
        if site.settings.is_cloud:
            return Caller(site, None, refused=True)
        raise ApiError(401, "You are not authenticated. Authentication required to perform this operation.")
    return Caller(site, site.state.users[token.user_id])


def _token(site: Site, authorization: str) -> Token | None:
    scheme, _, secret = authorization.partition(" ")
    if site.settings.is_cloud and scheme == "Basic":
        name, _, value = _decoded(secret).partition(":")
    elif scheme == "Bearer":
        name, value = "", secret
    else:
        return None
    token = site.state.tokens.get(value)
    if token is None:
        return None
    user = site.state.users[token.user_id]
    if scheme == "Basic" and name.lower() != user.email.lower():
        return None
    if token.requests_left is not None:
        token.requests_left -= 1
        if token.requests_left < 0:
            return None
    expired = token.expires_at is not None and token.expires_at <= site.settings.clock()
    return token if user.active and not expired else None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
