"""The site: what is in it, and what each change does to other rows and to the feeds (docs/jira.md)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from zk_sandbox.jira.records import (
    Issue,
    Organization,
    Project,
    Token,
    Tombstone,
    User,
    Webhook,
    Worklog,
    stored_instant,
)
from zk_sandbox.jira.settings import Settings
from zk_sandbox.jira.state import State

KEEP: Any = object()
"""Default of `Site.edit` for unchanged values."""


class Site:
    """A simulated Jira with its rules. Rows are named by id; times are instants with a zone."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = Settings().changed(settings or {})
        self.state = State()

    # People and master data

    def add_user(
        self,
        name: str,
        email: str = "",
        *,
        account_type: str = "atlassian",
        active: bool = True,
        shows_email: bool = True,
        zone: str | None = None,
        groups: Iterable[str] = (),
        user_id: str | None = None,
        browses_users: bool = True,
    ) -> str:
        """A new account; returns its account id, or key on Data Center."""
        number = self.state.next_id("users")
        new_id = user_id or (f"5b10a2844c20165700e{number:05d}" if self.settings.is_cloud else f"JIRAUSER{number}")
        login = (email.partition("@")[0] or name.lower().replace(" ", ".")) or new_id
        self.state.users[new_id] = User(
            new_id, login, name, email, account_type, active, shows_email, zone, list(groups), browses_users
        )
        return new_id

    def add_token(
        self,
        user_id: str,
        value: str,
        *,
        scopes: Iterable[str] | None = None,
        expires_at: datetime | None = None,
        requests_left: int | None = None,
    ) -> str:
        """A token of an account, and its text again."""
        listed = None if scopes is None else list(scopes)
        self.state.tokens[value] = Token(value, user_id, listed, expires_at, requests_left)
        return value

    def add_reader(self, token: str, email: str = "zk-sync@example.net") -> str:
        """A service account that may browse every project that everybody may, and its token."""
        user_id = self.add_user("Time Sync", email)
        self.add_token(user_id, token)
        return user_id

    def add_organization(self, name: str) -> int:
        """A new customer organization of the service desk."""
        new_id = self.state.next_id("organizations")
        self.state.organizations[new_id] = Organization(new_id, name)
        return new_id

    def add_project(
        self,
        key: str,
        name: str,
        *,
        browsers: Iterable[str] | None = None,
        roles: Mapping[str, list[str]] | None = None,
        public: bool = False,
        kind: str = "software",
    ) -> int:
        """A new project; without browsers, everybody signed in may see it."""
        new_id = self.state.next_id("projects")
        listed = None if browsers is None else list(browsers)
        self.state.projects[new_id] = Project(new_id, key, name, listed, dict(roles or {}), public=public, kind=kind)
        return new_id

    def revoke(self, project_id: int, user_id: str) -> None:
        """Take an account's right to browse a project."""
        project = self.state.projects[project_id]
        everybody = list(self.state.users) if project.browsers is None else project.browsers
        project.browsers = [each for each in everybody if each != user_id]

    def add_issue(
        self,
        project_id: int,
        summary: str,
        *,
        issue_type: str = "Task",
        components: Iterable[str] = (),
        labels: Iterable[str] = (),
        organizations: Iterable[int] = (),
        parent_id: int | None = None,
        readers: Iterable[str] | None = None,
        at: datetime | None = None,
    ) -> int:
        """A new issue."""
        now = self._instant(at)
        new_id = self.state.next_id("issues")
        self.state.issues[new_id] = Issue(
            new_id, self.state.next_key(self.state.projects[project_id]), project_id, summary, now, now,
            issue_type=issue_type, components=list(components), labels=list(labels),
            organizations=list(organizations), parent_id=parent_id,
            readers=None if readers is None else list(readers),
        )  # fmt: skip
        return new_id

    def change_issue(self, issue_id: int, at: datetime | None = None, **fields: Any) -> None:
        """Change fields of an issue."""
        issue = self.state.issues[issue_id]
        for name, value in fields.items():
            setattr(issue, name, value)
        issue.updated = self._instant(at)

    # Worklogs

    def log(
        self,
        issue_id: int,
        author_id: str,
        seconds: int,
        started: datetime,
        comment: Any = None,
        *,
        at: datetime | None = None,
        visibility: Mapping[str, str] | None = None,
    ) -> int:
        """Log work that began at `started`; it is saved at `at`, by default now."""
        now = self._instant(at)
        new_id = self.state.next_id("worklogs")
        self.state.worklogs[new_id] = Worklog(
            new_id, issue_id, author_id, stored_instant(started), self._kept(seconds), now, now,
            comment=comment, visibility=dict(visibility or {}), editor_id=author_id, changes=[now],
        )  # fmt: skip
        self.state.issues[issue_id].updated = now
        return new_id

    def edit(
        self,
        worklog_id: int,
        at: datetime | None = None,
        *,
        seconds: int = KEEP,
        started: datetime = KEEP,
        comment: Any = KEEP,
        visibility: Mapping[str, str] = KEEP,
        editor_id: str = "",
    ) -> None:
        """Change what can be changed of a worklog."""
        row = self.state.worklogs[worklog_id]
        if seconds is not KEEP:
            row.seconds = self._kept(seconds)
        if started is not KEEP:
            row.started = stored_instant(started)
        if comment is not KEEP:
            row.comment = comment
        if visibility is not KEEP:
            row.visibility = dict(visibility)
        row.editor_id = editor_id or row.author_id
        self._touch(row, self._instant(at))

    def delete(self, worklog_id: int, at: datetime | None = None) -> None:
        """Delete a worklog; the feed of deletions names it."""
        row = self.state.worklogs.pop(worklog_id)
        now = self._instant(at)
        self.state.tombstones.append(Tombstone(worklog_id, now))
        self.state.issues[row.issue_id].updated = now

    # What happens to the rows around them

    def move_worklogs(self, worklog_ids: Iterable[int], issue_id: int, at: datetime | None = None) -> None:
        """Move worklogs to another issue: nobody is told, and the feed may be silent too."""
        now = self._instant(at)
        for worklog_id in worklog_ids:
            row = self.state.worklogs[worklog_id]
            row.issue_id = issue_id
            if self.settings.moves_in_feed:
                self._touch(row, now)

    def move_issue(self, issue_id: int, project_id: int, at: datetime | None = None) -> None:
        """Move an issue to another project: it gets a new key, and the old one still leads to it."""
        issue, now = self.state.issues[issue_id], self._instant(at)
        issue.old_keys.append(issue.key)
        issue.project_id = project_id
        issue.key = self.state.next_key(self.state.projects[project_id])
        issue.updated = now
        if self.settings.issue_moves_in_feed:
            for row in self.state.worklogs_of(issue_id):
                self._touch(row, now)

    def delete_issue(self, issue_id: int, at: datetime | None = None) -> None:
        """Delete an issue with its worklogs; whether the feed of deletions names these is a setting."""
        now = self._instant(at)
        for row in self.state.worklogs_of(issue_id):
            del self.state.worklogs[row.id]
            if self.settings.tombstones_of_issues:
                self.state.tombstones.append(Tombstone(row.id, now))
        del self.state.issues[issue_id]

    def add_webhook(self, url: str, events: Iterable[str], secret: str = "") -> int:
        """A webhook that an administrator registers."""
        new_id = self.state.next_id("webhooks")
        self.state.webhooks[new_id] = Webhook(new_id, url, list(events), secret)
        return new_id

    def count_request(self) -> None:
        """Count a request against the projects that close after some of them."""
        for project in self.state.projects.values():
            if project.closes_after is not None:
                project.closes_after -= 1
                if project.closes_after < 0:
                    project.closes_after, project.browsers = None, []

    def _touch(self, row: Worklog, now: datetime) -> None:
        row.updated = now
        row.changes.append(now)

    def _kept(self, seconds: int) -> int:
        return seconds if self.settings.keeps_seconds else seconds // 60 * 60

    def _instant(self, at: datetime | None) -> datetime:
        return self.settings.clock() if at is None else stored_instant(at)
