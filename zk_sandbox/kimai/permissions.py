"""Permissions of the default roles, every cell changeable (docs/kimai.md §1)."""

from collections.abc import Iterable, Mapping

ROLE_USER, ROLE_TEAMLEAD = "ROLE_USER", "ROLE_TEAMLEAD"
ROLE_ADMIN, ROLE_SUPER_ADMIN = "ROLE_ADMIN", "ROLE_SUPER_ADMIN"

_USER = frozenset({
    "api_access",
    "create_own_timesheet",
    "create_tag",
    "delete_own_timesheet",
    "edit_own_profile",
    "edit_own_timesheet",
    "start_own_timesheet",
    "stop_own_timesheet",
    "view_own_timesheet",
})  # fmt: skip
_TEAMLEAD = _USER | {
    "create_activity",
    "create_invoice",
    "create_other_timesheet",
    "delete_other_timesheet",
    "edit_billable_other_timesheet",
    "edit_billable_own_timesheet",
    "edit_export_other_timesheet",
    "edit_export_own_timesheet",
    "edit_other_timesheet",
    "hourly-rate_own_profile",
    "start_other_timesheet",
    "stop_other_timesheet",
    "view_invoice",
    "view_other_timesheet",
    "view_rate_other_timesheet",
    "view_rate_own_timesheet",
}
_ADMIN = _TEAMLEAD | {
    "create_customer",
    "create_project",
    "delete_activity",
    "delete_customer",
    "delete_project",
    "delete_tag",
    "details_customer",
    "edit_activity",
    "edit_customer",
    "edit_exported_timesheet",
    "edit_project",
    "edit_rate_other_timesheet",
    "edit_rate_own_timesheet",
    "lockdown_grace_timesheet",
    "lockdown_override_timesheet",
    "view_activity",
    "view_all_data",
    "view_customer",
    "view_project",
    "view_team",
}
_SUPER_ADMIN = _ADMIN | {
    "create_user",
    "edit_other_profile",
    "hourly-rate_other_profile",
    "view_other_profile",
    "view_user",
}
_FORCED = {ROLE_SUPER_ADMIN: frozenset({"view_all_data", "view_user"})}

DEFAULTS: Mapping[str, frozenset[str]] = {
    ROLE_USER: _USER,
    ROLE_TEAMLEAD: _TEAMLEAD,
    ROLE_ADMIN: _ADMIN,
    ROLE_SUPER_ADMIN: _SUPER_ADMIN,
}
KNOWN = _SUPER_ADMIN | {"delete_invoice"}
"""Every permission; deleting an invoice is in no role by default."""


def permissions_of(roles: Iterable[str], changed_cells: Mapping[str, Mapping[str, bool]]) -> frozenset[str]:
    """What a user with these roles may do; everybody is a ROLE_USER as well."""
    granted: set[str] = set()
    for role in {ROLE_USER, *roles}:
        cells = changed_cells.get(role, {})
        granted |= {name for name in DEFAULTS[role] if cells.get(name, True)}
        granted |= {name for name, allowed in cells.items() if allowed}
        granted |= _FORCED.get(role, frozenset())
    return frozenset(granted)
