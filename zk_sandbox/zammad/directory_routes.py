"""Routes of users, organizations, settings and the version (docs/zammad.md §1, §4, §6)."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.routing import Route

from zk_sandbox.zammad.accountings import sorted_rows
from zk_sandbox.zammad.auth import Caller
from zk_sandbox.zammad.calls import Call, route
from zk_sandbox.zammad.desk import Desk
from zk_sandbox.zammad.errors import ApiError
from zk_sandbox.zammad.records import SYSTEM_USER, Group, Organization, Token, User, iso
from zk_sandbox.zammad.rows import Rows

USER_PAGE, LARGEST_USER_PAGE = 100, 1000
ORGANIZATION_PAGE, LARGEST_ORGANIZATION_PAGE = 500, 1000
ORGANIZATION_COLUMNS = ("id", "name", "active", "created_at", "updated_at")
SEARCH_PAGE, LARGEST_SEARCH_PAGE = 50, 200
BY_ID = (("id", False),)
GROUP_COLUMNS = ("id", "name", "note")
KEPT_FROM_CUSTOMERS = {
    "web", "phone", "fax", "mobile", "department", "street", "zip", "city", "country", "address", "note",
}  # fmt: skip
"""Columns of people that those who are customers alone do not see, not even of themselves."""

OF_ORGANIZATIONS_FOR_CUSTOMERS = ("id", "name", "active", "secondary_member_ids")
NEVER = datetime.min.replace(tzinfo=UTC)
GROUP_PAGE, LARGEST_GROUP_PAGE = 500, 1000


class DirectoryRoutes:
    """Handlers of the directory; callers with few rights get a short list, not an error."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows = Rows(desk)

    def routes(self) -> list[Route]:
        """All routes; `me` before the ids."""
        searched = route(self._desk, "POST", "/api/v1/users/search", self.search_users)
        return [searched] + [
            route(self._desk, "GET", path, handler)
            for path, handler in (
                ("/api/v1/users/me", self.me),
                ("/api/v1/users/search", self.search_users),
                ("/api/v1/users", self.users),
                ("/api/v1/users/{id}", self.user),
                ("/api/v1/organizations/search", self.search_organizations),
                ("/api/v1/organizations", self.organizations),
                ("/api/v1/organizations/{id}", self.organization),
                ("/api/v1/groups", self.groups),
                ("/api/v1/groups/{id}", self.group),
                ("/api/v1/user_access_token", self.tokens),
                ("/api/v1/settings", self.settings),
                ("/api/v1/version", self.version),
            )
        ]

    def me(self, call: Call) -> Any:
        """The caller."""
        return self._user(call, call.caller.user)

    def users(self, call: Call) -> Any:
        """A page of users by id; only oneself without a right to see others. It cannot be sorted."""
        offset, limit = call.page(USER_PAGE, LARGEST_USER_PAGE)
        everybody = sorted(self._desk.state.users.values(), key=lambda user: user.id)
        visible = everybody if _sees_people(call.caller, "admin.user") else [call.caller.user]
        rows = visible[offset : offset + limit]
        if call.flag("full") and not call.flag("expand"):
            return {"record_ids": [row.id for row in rows], "assets": self._user_assets(rows)}
        return [self._shown(call, row) for row in rows]

    def user(self, call: Call) -> Any:
        """One user; anybody with some `admin` permission may look."""
        row: User | None = self._desk.state.users.get(call.id())
        if row is None:
            raise call.missing("User")
        caller = call.caller
        if not (row.id == caller.user.id or caller.can_some_admin() or _sees_people(caller, "admin.user")):
            raise ApiError(403, "Not authorized")
        return self._user(call, row)

    def organizations(self, call: Call) -> Any:
        """A page of organizations; only one's own without a right to see others."""
        offset, limit = call.page(ORGANIZATION_PAGE, LARGEST_ORGANIZATION_PAGE)
        everything = sorted_rows(self._organizations_seen(call), call.sorting(ORGANIZATION_COLUMNS, BY_ID))
        rows = everything[offset : offset + limit]
        if call.flag("full") and not call.flag("expand"):
            return {
                "record_ids": [row.id for row in rows],
                "assets": self._organization_assets(rows),
                "total_count": len(everything),
            }
        contents = self._rows.organizations(rows, expand=call.flag("expand"))
        if _is_customer(call.caller):
            return [{name: content[name] for name in OF_ORGANIZATIONS_FOR_CUSTOMERS} for content in contents]
        return contents

    def organization(self, call: Call) -> Any:
        """One organization."""
        if call.id() not in self._desk.state.organizations:
            raise call.missing("Organization")
        rows = [row for row in self._organizations_seen(call) if row.id == call.id()]
        if not rows:
            raise ApiError(403, "Not authorized")
        if call.flag("full") and not call.flag("expand"):
            return {"id": rows[0].id, "assets": self._organization_assets(rows)}
        return self._rows.organizations(rows, expand=call.flag("expand"))[0]

    def groups(self, call: Call) -> Any:
        """A page of all groups, those whose tickets the caller may not read among them."""
        call.caller.require("ticket.agent", "admin.group")
        offset, limit = call.page(GROUP_PAGE, LARGEST_GROUP_PAGE)
        everything = sorted_rows(list(self._desk.state.groups.values()), call.sorting(GROUP_COLUMNS, BY_ID))
        rows = everything[offset : offset + limit]
        if call.flag("full") and not call.flag("expand"):
            return {
                "record_ids": [row.id for row in rows],
                "assets": self._group_assets(rows),
                "total_count": len(everything),
            }
        return [self._rows.group(row, expand=call.flag("expand")) for row in rows]

    def group(self, call: Call) -> Any:
        """One group."""
        call.caller.require("ticket.agent", "admin.group")
        row = self._desk.state.groups.get(call.id())
        if row is None:
            raise call.missing("Group")
        if call.flag("full") and not call.flag("expand"):
            return {"id": row.id, "assets": self._group_assets([row])}
        return self._rows.group(row, expand=call.flag("expand"))

    def tokens(self, call: Call) -> Any:
        """The access tokens of the caller, the last used first, without their texts."""
        call.caller.require("user_preferences.access_token")
        tokens = [
            (number, token)
            for number, token in enumerate(self._desk.state.tokens.values(), start=1)
            if token.user_id == call.caller.user.id
        ]
        tokens.sort(key=lambda item: (item[1].last_used_at or NEVER, item[0]), reverse=True)
        return {"tokens": [_token_row(number, token) for number, token in tokens], "permissions": []}

    def _user(self, call: Call, row: User) -> Any:
        if call.flag("full") and not call.flag("expand"):
            return {"id": row.id, "assets": self._user_assets([row])}
        return self._shown(call, row)

    def _shown(self, call: Call, row: User) -> dict[str, Any]:
        content = self._rows.user(row, expand=call.flag("expand"))
        hidden = KEPT_FROM_CUSTOMERS if _is_customer(call.caller) else ()
        return {name: value for name, value in content.items() if name not in hidden}

    def _user_assets(self, rows: list[User]) -> dict[str, Any]:
        return self._rows.assets("User", rows, self._rows.user, [row.id for row in rows])

    def _organization_assets(self, rows: list[Organization]) -> dict[str, Any]:
        places = {row.id for row in rows}
        members = {user.id for user in self._desk.state.users.values() if user.organization_id in places}
        return self._rows.assets("Organization", rows, lambda row: self._rows.organizations([row])[0], members)

    def _group_assets(self, rows: list[Group]) -> dict[str, Any]:
        return self._rows.assets("Group", rows, self._rows.group, [SYSTEM_USER])

    def _organizations_seen(self, call: Call) -> list[Organization]:
        rows: list[Organization] = list(self._desk.state.organizations.values())
        if _sees_people(call.caller, "admin.organization"):
            return rows
        return [row for row in rows if row.id == call.caller.user.organization_id]

    def search_users(self, call: Call) -> Any:
        """The users with this text in name, login or address, from 6.5 also by `ids`; never the system user."""
        if not _sees_people(call.caller, "admin.user"):
            raise ApiError(403, "Not authorized")
        offset, limit = call.page(SEARCH_PAGE, LARGEST_SEARCH_PAGE)
        rows = [row for row in self._desk.state.users.values() if row.id != SYSTEM_USER]
        if self._desk.settings.at_least(6, 5) and (ids := call.params.get("ids")):
            rows = [row for row in rows if str(row.id) in map(str, ids)]
        wanted = call.params.get("permissions")
        if wanted:
            rows = [row for row in rows if wanted in row.permissions]
        found = self._searched(call, rows, lambda row: (row.firstname, row.lastname, row.login, row.email))
        return [self._shown(call, row) for row in found[offset : offset + limit]]

    def search_organizations(self, call: Call) -> Any:
        """The organizations with this text in their name."""
        if not _sees_people(call.caller, "admin.organization"):
            raise ApiError(403, "Not authorized")
        offset, limit = call.page(SEARCH_PAGE, LARGEST_SEARCH_PAGE)
        found = self._searched(call, self._desk.state.organizations.values(), lambda row: (row.name,))
        return self._rows.organizations(found[offset : offset + limit])

    def _searched(self, call: Call, rows: Iterable[Any], texts: Callable[[Any], Iterable[str]]) -> list[Any]:
        text = str(call.params.get("query") or "").strip().lower()
        if text and self._desk.settings.search_backend == "elasticsearch_down":
            return []
        return [row for row in rows if any(text in (found or "").lower() for found in texts(row))]

    def settings(self, call: Call) -> Any:
        """The settings whose permission the caller holds."""
        if not call.caller.can_some_admin():
            call.caller.require("admin.setting")
        return [
            _setting_row(number, name, value, permission)
            for number, (name, value, permission) in enumerate(self._setting_values(), start=1)
            if permission is None or call.caller.can(permission)
        ]

    def version(self, call: Call) -> Any:
        """The version, for full administrators only."""
        call.caller.require("admin")
        return {"version": self._desk.settings.version}

    def _setting_values(self) -> list[tuple[str, Any, str | None]]:
        settings = self._desk.settings
        accounting = "admin.time_accounting"
        return [
            ("product_name", "Zammad Helpdesk", "admin.branding"),
            ("timezone_default", settings.zone, "admin.system"),
            ("maintenance_mode", settings.maintenance_mode, "admin.maintenance"),
            ("time_accounting", settings.time_accounting, accounting),
            ("time_accounting_selector", {}, accounting),
            ("time_accounting_unit", settings.unit, accounting),
            ("time_accounting_unit_custom", settings.unit_custom, accounting),
            ("time_accounting_types", settings.types, accounting),
            ("time_accounting_type_default", settings.type_default or "", accounting),
            ("tag_new", settings.tag_new, "admin.tag"),
            ("developer_mode", False, None),
        ]


def _is_customer(caller: Caller) -> bool:
    return "ticket.customer" in caller.user.permissions and "ticket.agent" not in caller.user.permissions


def _sees_people(caller: Caller, admin_permission: str) -> bool:
    return caller.can("ticket.agent") or caller.can(admin_permission)


def _setting_row(number: int, name: str, value: Any, permission: str | None) -> dict[str, Any]:
    return {
        "id": number,
        "title": name.replace("_", " ").capitalize(),
        "name": name,
        "area": "Web::Base",
        "description": "",
        "options": {},
        "state_current": {"value": value},
        "state_initial": {"value": None},
        "frontend": True,
        "preferences": {"permission": [permission]} if permission else {},
    }


def _token_row(number: int, token: Token) -> dict[str, Any]:
    return {
        "id": number,
        "user_id": token.user_id,
        "name": f"token {number}",
        "action": "api",
        "preferences": {"permission": token.permissions},
        "last_used_at": iso(token.last_used_at),
        "expires_at": iso(token.expires_at),
        "created_at": None,
        "updated_at": None,
    }
