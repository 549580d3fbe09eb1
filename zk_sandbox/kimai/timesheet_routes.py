"""Routes of time entries (docs/kimai.md §2-§4)."""

from typing import Any

from starlette.responses import JSONResponse, Response

from zk_sandbox.kimai import timesheet_list, timesheets, views
from zk_sandbox.kimai.datetimes import parse_html5
from zk_sandbox.kimai.errors import bad_request
from zk_sandbox.kimai.forms import scalar
from zk_sandbox.kimai.http import Call, Handler, no_content


def _list(call: Call) -> Response:
    page = timesheet_list.page_of(call.caller, call.query)
    expanded = call.query.flag("full") is True
    rows = [views.entry_row(call.caller, entry, expanded=expanded) for entry in page.rows]
    return JSONResponse(rows, headers=page.headers())


def _active(call: Call) -> Any:
    return [views.entry_row(call.caller, entry, expanded=True) for entry in timesheet_list.active(call.caller)]


def _recent(call: Call) -> Any:
    entries = timesheet_list.recent(call.caller, call.query)
    return [views.entry_row(call.caller, entry, expanded=True) for entry in entries]


def _get(call: Call) -> Any:
    entry = timesheets.readable(call.caller, call.id)
    return views.entry_entity(call.caller, timesheets.Shown(entry, entry.zone))


def _post(call: Call) -> Any:
    expanded = call.query.flag("full") is True
    return views.entry_entity(call.caller, timesheets.create(call.caller, call.data), expanded=expanded)


def _patch(call: Call) -> Any:
    return views.entry_entity(call.caller, timesheets.patch(call.caller, call.id, call.data))


def _delete(call: Call) -> Response:
    timesheets.delete(call.caller, call.id)
    return no_content()


def _stop(call: Call) -> Any:
    return views.entry_entity(call.caller, timesheets.stop(call.caller, call.id))


def _restart(call: Call) -> Any:
    data = call.data
    copy, begin = scalar(data.get("copy")), scalar(data.get("begin"))
    if copy not in {"", "all"}:
        raise bad_request()
    try:
        instant = parse_html5(begin, call.caller.zone) if begin else None
    except ValueError as error:
        raise bad_request() from error
    shown = timesheets.restart(call.caller, call.id, begin=instant, copy_all=copy == "all")
    return views.entry_entity(call.caller, shown)


def _duplicate(call: Call) -> Any:
    return views.entry_entity(call.caller, timesheets.duplicate(call.caller, call.id))


def _export(call: Call) -> Any:
    return views.entry_entity(call.caller, timesheets.toggle_export(call.caller, call.id))


def _meta(call: Call) -> Any:
    return views.entry_entity(call.caller, timesheets.set_meta(call.caller, call.id, call.data))


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/api/timesheets", _list),
    ("POST", "/api/timesheets", _post),
    ("GET", "/api/timesheets/active", _active),
    ("GET", "/api/timesheets/recent", _recent),
    ("GET", "/api/timesheets/{id:int}", _get),
    ("PATCH", "/api/timesheets/{id:int}", _patch),
    ("DELETE", "/api/timesheets/{id:int}", _delete),
    ("PATCH", "/api/timesheets/{id:int}/stop", _stop),
    ("PATCH", "/api/timesheets/{id:int}/restart", _restart),
    ("PATCH", "/api/timesheets/{id:int}/duplicate", _duplicate),
    ("PATCH", "/api/timesheets/{id:int}/export", _export),
    ("PATCH", "/api/timesheets/{id:int}/meta", _meta),
]
"""Method, path and handler."""
