"""Rows of a simulated Jira as its API shows them to a caller."""

import re
from collections.abc import Collection
from typing import Any

from zk_sandbox.jira.access import Caller
from zk_sandbox.jira.records import Issue, Project, User, Worklog
from zk_sandbox.jira.site import Site

EMBEDDED = 20
"""Worklogs within an issue; the others are only counted."""

ALL_FIELDS = ("summary", "project", "issuetype", "status", "components", "labels", "parent", "created", "updated")


def user_json(site: Site, user_id: str) -> dict[str, Any]:
    """A person: on Cloud only what the person shows, and next to nothing while the user service is down."""
    user = site.state.users.get(user_id)
    if user is None:
        return {"accountId": "unknown", "accountType": "unknown", "active": False, "displayName": "Former user"}
    if not site.settings.is_cloud:
        return {
            "name": user.name, "key": user.id, "emailAddress": user.email, "displayName": user.display_name,
            "active": user.active, "timeZone": user.zone or site.settings.zone,
        }  # fmt: skip
    if site.settings.user_service_down:
        return {"accountId": user.id, "accountType": user.account_type, "active": False, "displayName": ""}
    shown: dict[str, Any] = {
        "accountId": user.id, "accountType": user.account_type, "active": user.active,
        "displayName": user.display_name,
    }  # fmt: skip
    if user.shows_email and user.email:
        shown["emailAddress"] = user.email
    if user.zone:
        shown["timeZone"] = user.zone
    return shown


def worklog_json(site: Site, row: Worklog) -> dict[str, Any]:
    """A worklog; its comment is a document on Cloud and a text with wiki markup on Data Center."""
    version = 3 if site.settings.is_cloud else 2
    shown: dict[str, Any] = {
        "self": f"{site.settings.base_url}/rest/api/{version}/issue/{row.issue_id}/worklog/{row.id}",
        "id": str(row.id),
        "issueId": str(row.issue_id),
        "author": user_json(site, row.author_id),
        "updateAuthor": user_json(site, row.editor_id or row.author_id),
        "created": site.settings.printed(row.created),
        "updated": site.settings.printed(row.updated),
        "started": site.settings.printed(row.started),
        "timeSpent": _spent(row.seconds, site.settings.hours_per_day),
        "timeSpentSeconds": row.seconds,
    }
    if row.comment is not None:
        shown["comment"] = _document(row.comment) if site.settings.is_cloud else str(row.comment)
    if row.visibility:
        shown["visibility"] = {**row.visibility, "identifier": row.visibility["value"]}
    return shown


def project_json(project: Project) -> dict[str, Any]:
    """A project as lists and issues name it."""
    return {
        "id": str(project.id),
        "key": project.key,
        "name": project.name,
        "archived": project.status == "archived",
        "projectTypeKey": project.kind,
    }


def issue_type_json(name: str) -> dict[str, Any]:
    """A type of issues."""
    return {"id": str(10000 + sum(map(ord, name))), "name": name, "subtask": False}


def issue_json(site: Site, caller: Caller, issue: Issue, fields: Collection[str] | None) -> dict[str, Any]:
    """An issue with these fields; None is all of them."""
    version = 3 if site.settings.is_cloud else 2
    shown = {
        "id": str(issue.id),
        "key": issue.key,
        "self": f"{site.settings.base_url}/rest/api/{version}/issue/{issue.id}",
    }
    wanted = (*ALL_FIELDS, "worklog", organizations_name(site)) if fields is None or "*all" in fields else fields
    if set(wanted) <= {"id", "key"}:
        return shown
    values = {name: value for name in wanted if (value := _field(site, caller, issue, name)) is not None}
    return {**shown, "fields": values}


def organizations_name(site: Site) -> str:
    """The name of the field that holds an issue's customer organizations; empty without a service desk."""
    number = site.settings.organizations_field
    return "" if number is None else f"customfield_{number}"


def worklogs_page(site: Site, rows: list[Worklog], start: int, size: int) -> dict[str, Any]:
    """A page of the worklogs of an issue."""
    return {
        "startAt": start,
        "maxResults": size,
        "total": len(rows) + site.settings.total_too_high,
        "worklogs": [worklog_json(site, row) for row in rows[start : start + size]],
    }


def _field(site: Site, caller: Caller, issue: Issue, name: str) -> Any:
    if name == organizations_name(site):
        rows = [site.state.organizations[each] for each in issue.organizations]
        return [{"id": str(row.id), "name": row.name} for row in rows] or None
    if name == "worklog":
        rows = [row for row in site.state.worklogs_of(issue.id) if caller.reads(row)]
        return worklogs_page(site, rows, 0, EMBEDDED)
    parent = site.state.issues.get(issue.parent_id) if issue.parent_id else None
    known: dict[str, Any] = {
        "summary": issue.summary,
        "project": project_json(site.state.projects[issue.project_id]),
        "issuetype": issue_type_json(issue.issue_type),
        "status": {"name": issue.status},
        "components": [{"id": str(20000 + at), "name": each} for at, each in enumerate(issue.components)],
        "labels": issue.labels,
        "parent": {"id": str(parent.id), "key": parent.key} if parent else None,
        "created": site.settings.printed(issue.created),
        "updated": site.settings.printed(issue.updated),
    }
    return known.get(name)


def _spent(seconds: int, hours_per_day: float) -> str:
    minutes, days = seconds // 60, int(hours_per_day * 60)
    parts = [(minutes // days, "d"), (minutes % days // 60, "h"), (minutes % days % 60, "m")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0m"


def _document(comment: Any) -> dict[str, Any]:
    """A comment in Atlassian's document format; a text becomes one paragraph for each of its lines."""
    if isinstance(comment, dict):
        return comment
    lines = re.split(r"\n", str(comment))
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}] if line else []} for line in lines]
    return {"type": "doc", "version": 1, "content": paragraphs}


def me_json(site: Site, user: User) -> dict[str, Any]:
    """The account itself, which always sees its own address."""
    shown = user_json(site, user.id) | {"emailAddress": user.email, "timeZone": user.zone or site.settings.zone}
    return {**shown, "displayName": user.display_name, "active": user.active, "locale": "en_US"}
