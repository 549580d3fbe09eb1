"""Routes of users, organizations, settings and the version (docs/zammad.md §1, §4, §6)."""

from collections.abc import Callable, Iterable
from typing import Any

from starlette.routing import Route

from zk_pipeline.sandbox.zammad.accountings import sorted_rows
from zk_pipeline.sandbox.zammad.auth import Caller
from zk_pipeline.sandbox.zammad.calls import Call, not_found, route
from zk_pipeline.sandbox.zammad.desk import Desk
from zk_pipeline.sandbox.zammad.errors import ApiError
from zk_pipeline.sandbox.zammad.records import Organization, User
from zk_pipeline.sandbox.zammad.rows import SYSTEM_USER, Rows

USER_PAGE, LARGEST_USER_PAGE = 100, 1000
ORGANIZATION_PAGE, LARGEST_ORGANIZATION_PAGE = 500, 1000
ORGANIZATION_COLUMNS = ("id", "name", "active", "created_at", "updated_at")
SEARCH_PAGE, LARGEST_SEARCH_PAGE = 50, 200
BY_ID = (("id", False),)


class DirectoryRoutes:
    """Handlers of the directory; who may read little gets a short list, not an error."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows = Rows(desk)

    def routes(self) -> list[Route]:
        """All routes; `me` before the ids."""
        return [
            route(self._desk, "GET", path, handler)
            for path, handler in (
                ("/api/v1/users/me", self.me),
                ("/api/v1/users/search", self.search_users),
                ("/api/v1/users", self.users),
                ("/api/v1/users/{id:int}", self.user),
                ("/api/v1/organizations/search", self.search_organizations),
                ("/api/v1/organizations", self.organizations),
                ("/api/v1/organizations/{id:int}", self.organization),
                ("/api/v1/settings", self.settings),
                ("/api/v1/version", self.version),
            )
        ]

    def me(self, call: Call) -> Any:
        """The caller."""
        return self._rows.user(call.caller.user)

    def users(self, call: Call) -> Any:
        """A page of users by id; only oneself without a right to see others."""
        offset, limit = call.page(USER_PAGE, LARGEST_USER_PAGE)
        everybody = sorted(self._desk.state.users.values(), key=lambda user: user.id)
        visible = everybody if _sees_people(call.caller, "admin.user") else [call.caller.user]
        return [self._rows.user(row) for row in visible[offset : offset + limit]]

    def user(self, call: Call) -> Any:
        """One user; anybody with some `admin` permission may look."""
        row: User | None = self._desk.state.users.get(call.path["id"])
        if row is None:
            raise not_found("User", call.path["id"])
        caller = call.caller
        if not (row.id == caller.user.id or caller.can_some_admin() or _sees_people(caller, "admin.user")):
            raise ApiError(403, "Not authorized")
        return self._rows.user(row)

    def organizations(self, call: Call) -> Any:
        """A page of organizations; only one's own without a right to see others."""
        offset, limit = call.page(ORGANIZATION_PAGE, LARGEST_ORGANIZATION_PAGE)
        rows: list[Organization] = list(self._desk.state.organizations.values())
        if not _sees_people(call.caller, "admin.organization"):
            rows = [row for row in rows if row.id == call.caller.user.organization_id]
        rows = sorted_rows(rows, call.sorting(ORGANIZATION_COLUMNS, BY_ID))
        return self._rows.organizations(rows[offset : offset + limit])

    def organization(self, call: Call) -> Any:
        """One organization; nothing for who may see no other and has none."""
        caller = call.caller
        if not (_sees_people(caller, "admin.organization") or caller.user.organization_id == call.path["id"]):
            if caller.user.organization_id:
                raise ApiError(403, "Not authorized")
            return {}
        row: Organization | None = self._desk.state.organizations.get(call.path["id"])
        if row is None:
            raise not_found("Organization", call.path["id"])
        return self._rows.organizations([row])[0]

    def search_users(self, call: Call) -> Any:
        """The users with this text in name, login or address; never the system user."""
        if not _sees_people(call.caller, "admin.user"):
            raise ApiError(403, "Not authorized")
        offset, limit = call.page(SEARCH_PAGE, LARGEST_SEARCH_PAGE)
        rows = [row for row in self._desk.state.users.values() if row.id != SYSTEM_USER]
        found = self._searched(call, rows, lambda row: (row.firstname, row.lastname, row.login, row.email))
        return [self._rows.user(row) for row in found[offset : offset + limit]]

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
            ("developer_mode", False, None),
        ]


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
