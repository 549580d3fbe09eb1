"""The account, the site, projects, people, fields, organizations and webhooks."""

from dataclasses import dataclass
from typing import Any

from starlette.routing import Route

from zk_sandbox.jira.calls import JiraCall, routes
from zk_sandbox.jira.errors import ApiError
from zk_sandbox.jira.site import Site
from zk_sandbox.jira.views import ALL_FIELDS, issue_type_json, me_json, organizations_name, project_json, user_json

SERVICE_DESK = "/rest/servicedeskapi"
ORGANIZATIONS = "com.atlassian.servicedesk:sd-customer-organizations"
PERMISSIONS = ("BROWSE_PROJECTS", "WORK_ON_ISSUES", "USER_PICKER")


@dataclass(frozen=True, slots=True)
class DirectoryRoutes:
    """Handlers of everything that is not an issue or worklog."""

    site: Site

    def routes(self) -> list[Route]:
        """Those of this kind of Jira."""
        table = [
            ("GET", "/myself", self.myself),
            ("GET", "/serverInfo", self.server_info),
            ("GET", "/mypermissions", self.my_permissions),
            ("GET", "/user", self.user),
            ("GET", "/user/search", self.users),
            ("GET", "/field", self.fields),
            ("GET", "/issuetype", self.issue_types),
            ("GET", "/configuration/timetracking/options", self.time_tracking),
        ]
        if self.site.settings.is_cloud:
            table += [("GET", "/project/search", self.projects), ("GET", "/users/search", self.all_users)]
            hooks = "/rest/webhooks/1.0"
        else:
            table += [("GET", "/project", self.project_list)]
            hooks = "/rest/jira-webhook/1.0"
        name = "/webhook" if self.site.settings.is_cloud else "/webhooks"
        found = [each for method, path, handler in table for each in routes(self.site, method, path, handler)]
        found += routes(self.site, "GET", "/organization", self.organizations, root=SERVICE_DESK)
        return found + routes(self.site, "POST", name, self.add_webhook, root=hooks)

    def myself(self, call: JiraCall) -> dict[str, Any]:
        """The account of the token."""
        return me_json(self.site, call.caller.require_account())

    def server_info(self, _call: JiraCall) -> dict[str, Any]:
        """Kind and version, for everybody."""
        settings = self.site.settings
        numbers = [int(part) for part in settings.version.split("-")[0].split(".")]
        return {
            "baseUrl": settings.base_url,
            "version": settings.version,
            "versionNumbers": numbers,
            "deploymentType": "Cloud" if settings.is_cloud else "Server",
            "buildNumber": 100000,
            "serverTime": settings.printed(settings.clock()),
            "serverTimeZone": settings.zone,
        }

    def my_permissions(self, call: JiraCall) -> dict[str, Any]:
        """What the caller may do somewhere."""
        asked = [each for each in call.text("permissions").split(",") if each]
        if not asked:
            raise ApiError(400, "The 'permissions' query parameter is required.")
        browses = any(call.caller.browses(row) for row in self.site.state.projects.values())
        user = call.caller.user
        holds = {
            "BROWSE_PROJECTS": browses,
            "WORK_ON_ISSUES": browses and user is not None,
            "USER_PICKER": user is not None and user.browses_users,
        }
        return {"permissions": {name: {"key": name, "havePermission": holds.get(name, False)} for name in asked}}

    def projects(self, call: JiraCall) -> dict[str, Any]:
        """The projects that the caller may browse, page by page, by stage of their life."""
        wanted = set(call.query.get("status", ["live"]))
        rows = [row for row in self.site.state.projects.values() if row.status in wanted]
        seen = [row for row in rows if call.caller.browses(row) or (row.status == "deleted" and call.caller.user)]
        start, size = call.page(50, 100)
        page = [project_json(row) for row in sorted(seen, key=lambda row: row.key)[start : start + size]]
        is_last = start + size >= len(seen)
        return {"startAt": start, "maxResults": size, "total": len(seen), "isLast": is_last, "values": page}

    def project_list(self, call: JiraCall) -> list[dict[str, Any]]:
        """The projects that the caller may browse, archived ones only if asked for."""
        archived = call.text("includeArchived") == "true"
        rows = [row for row in self.site.state.projects.values() if row.status == "live" or archived]
        return [project_json(row) for row in rows if call.caller.browses(row)]

    def user(self, call: JiraCall) -> dict[str, Any]:
        """One person, by account id on Cloud, and by key or login on Data Center."""
        call.caller.require_account()
        known = self.site.state.users
        wanted = call.text("accountId" if self.site.settings.is_cloud else "key")
        found = known.get(wanted)
        if found is None and not self.site.settings.is_cloud:
            found = next((row for row in known.values() if row.name == call.text("username", "\0")), None)
        if found is None:
            raise ApiError(404, "Specified user does not exist or you do not have required permissions")
        return user_json(self.site, found.id)

    def users(self, call: JiraCall) -> list[dict[str, Any]]:
        """People by a part of their name or address; nobody is found without the right to browse users."""
        caller = call.caller.require_account()
        text = call.text("query" if self.site.settings.is_cloud else "username").lower()
        if not text:
            raise ApiError(400, "The query parameter was not provided.")
        rows = self.site.state.users.values() if caller.browses_users else ()
        shown = [
            row for row in rows if text in row.display_name.lower() or (row.shows_email and text in row.email.lower())
        ]
        start, size = call.page(50, 1000)
        return [user_json(self.site, row.id) for row in shown[start : start + size]]

    def all_users(self, call: JiraCall) -> list[dict[str, Any]]:
        """Everybody, active or not."""
        if not call.caller.require_account().browses_users:
            raise ApiError(403, "You are not permitted to browse users.")
        start, size = call.page(50, 1000)
        return [user_json(self.site, each) for each in list(self.site.state.users)[start : start + size]]

    def fields(self, _call: JiraCall) -> list[dict[str, Any]]:
        """The fields of issues; the number of the one for organizations differs from site to site."""
        listed: list[dict[str, Any]] = [{"id": name, "name": name.capitalize(), "custom": False} for name in ALL_FIELDS]
        name = organizations_name(self.site)
        if name:
            schema = {"type": "array", "custom": ORGANIZATIONS, "customId": self.site.settings.organizations_field}
            listed.append({"id": name, "name": "Organizations", "custom": True, "schema": schema})
        return listed

    def issue_types(self, call: JiraCall) -> list[dict[str, Any]]:
        """The types of the issues that there are."""
        call.caller.require_account()
        return [issue_type_json(name) for name in sorted({row.issue_type for row in self.site.state.issues.values()})]

    def organizations(self, call: JiraCall) -> dict[str, Any]:
        """The customer organizations, page by page; 404 without a service desk."""
        call.caller.require_account()
        if self.site.settings.organizations_field is None:
            raise ApiError(404, "Not Found")
        rows = sorted(self.site.state.organizations.values(), key=lambda row: row.id)
        start, size = call.number("start", 0), min(call.number("limit", 50), 50)
        page = rows[start : start + size]
        return {
            "size": len(page),
            "start": start,
            "limit": size,
            "isLastPage": start + size >= len(rows),
            "values": [{"id": str(row.id), "name": row.name} for row in page],
        }

    def time_tracking(self, _call: JiraCall) -> dict[str, Any]:
        """How the site shows times."""
        hours = self.site.settings.hours_per_day
        return {"workingHoursPerDay": hours, "workingDaysPerWeek": 5.0, "timeFormat": "pretty", "defaultUnit": "minute"}

    def add_webhook(self, call: JiraCall) -> dict[str, Any]:
        """Register a webhook."""
        call.caller.require_account()
        url, secret = str(call.wanted("url", "")), str(call.wanted("secret", "") or "")
        number = self.site.add_webhook(url, call.wanted("events", []), secret)
        return {"id": number, "name": call.wanted("name", ""), "url": url, "events": call.wanted("events", [])}
