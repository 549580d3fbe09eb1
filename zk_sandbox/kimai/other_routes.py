"""Routes of users, teams, invoices, configuration and status (docs/kimai.md §8, §10, §15)."""

from typing import Any

from starlette.responses import JSONResponse, Response

from zk_sandbox.kimai import invoices, masterdata_list, users, views
from zk_sandbox.kimai.errors import not_found
from zk_sandbox.kimai.http import Call, Handler


def _list_users(call: Call) -> Any:
    found = masterdata_list.users(call.caller, call.query)
    if call.query.flag("full"):
        return [views.user_entity(call.caller, user, loaded=False) for user in found]
    return [views.user_row(call.caller.kimai, user) for user in found]


def _me(call: Call) -> Any:
    return views.user_entity(call.caller, call.caller.user)


def _get_user(call: Call) -> Any:
    return views.user_entity(call.caller, users.visible_user(call.caller, call.id))


def _post_user(call: Call) -> Any:
    return views.user_entity(call.caller, users.create(call.caller, call.data), loaded=False)


def _patch_user(call: Call) -> Any:
    return views.user_entity(call.caller, users.patch(call.caller, call.id, call.data), loaded=False)


def _patch_preferences(call: Call) -> Any:
    return views.user_entity(call.caller, users.set_preferences(call.caller, call.id, call.document))


def _list_teams(call: Call) -> Any:
    call.caller.require("view_team")
    return [views.team_row(team) for team in call.caller.kimai.teams]


def _get_team(call: Call) -> Any:
    call.caller.require("view_team")
    team = call.caller.kimai.teams.get(call.id)
    if team is None:
        raise not_found()
    return views.team_entity(call.caller.kimai, team)


def _list_invoices(call: Call) -> Response:
    _require_invoices(call)
    page = invoices.page_of(call.caller, call.query)
    return JSONResponse([views.invoice_row(call.caller.kimai, row) for row in page.rows], headers=page.headers())


def _get_invoice(call: Call) -> Any:
    _require_invoices(call)
    return views.invoice_row(call.caller.kimai, invoices.readable(call.caller, call.id))


def _require_invoices(call: Call) -> None:
    """Older versions do not know the route."""
    if not call.caller.kimai.settings.at_least(2, 22):
        raise not_found()


def _timesheet_config(call: Call) -> Any:
    """What the API tells of the settings; rounding and most rules are not among it."""
    settings = call.caller.kimai.settings
    return {
        "trackingMode": settings.mode,
        "defaultBeginTime": settings.default_begin,
        "activeEntriesHardLimit": settings.hard_limit,
        "isAllowFutureTimes": settings.future_times,
        "isAllowOverlapping": settings.overlapping,
    }


def _version(call: Call) -> Any:
    version = call.caller.kimai.settings.version
    major, minor, patch = (int(part) for part in version.split("."))
    return {
        "version": version,
        "versionId": major * 10_000 + minor * 100 + patch,
        "copyright": f"Kimai {version} by Kevin Papst.",
    }


def _ping(_call: Call) -> Any:
    return {"message": "pong"}


def _plugins(_call: Call) -> Any:
    return []


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/api/users", _list_users),
    ("POST", "/api/users", _post_user),
    ("GET", "/api/users/me", _me),
    ("GET", "/api/users/{id:int}", _get_user),
    ("PATCH", "/api/users/{id:int}", _patch_user),
    ("PATCH", "/api/users/{id:int}/preferences", _patch_preferences),
    ("GET", "/api/teams", _list_teams),
    ("GET", "/api/teams/{id:int}", _get_team),
    ("GET", "/api/invoices", _list_invoices),
    ("GET", "/api/invoices/{id:int}", _get_invoice),
    ("GET", "/api/config/timesheet", _timesheet_config),
    ("GET", "/api/version", _version),
    ("GET", "/api/ping", _ping),
    ("GET", "/api/plugins", _plugins),
]
"""Method, path and handler."""
