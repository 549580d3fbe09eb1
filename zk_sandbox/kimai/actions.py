"""The menus of records: the actions that Kimai's own pages offer the caller (docs/kimai.md §1)."""

from collections.abc import Iterable
from typing import Any

from zk_sandbox.kimai import timesheets
from zk_sandbox.kimai.errors import not_found
from zk_sandbox.kimai.http import Call, Handler


def _timesheet(call: Call) -> Any:
    caller, entry = call.caller, timesheets.readable(call.caller, call.id)
    startable = timesheets.is_startable(caller, entry)
    return _menu({
        "stop": entry.end is None and caller.may_for("stop_{}_timesheet", entry.user),
        "repeat": entry.end is not None and startable and caller.may_for("start_{}_timesheet", entry.user),
        "edit": timesheets.may_change(caller, entry, "edit"),
        "copy": startable and caller.may_for("create_{}_timesheet", entry.user),
        "trash": timesheets.may_change(caller, entry, "delete"),
    }.items())  # fmt: skip


def _activity(call: Call) -> Any:
    caller, row = call.caller, call.caller.kimai.activities.get(call.id)
    if row is None:
        raise not_found()
    caller.require("view_activity")
    return _menu({
        "details": True,
        "edit": caller.may("edit_activity"),
        "filter": caller.may("view_other_timesheet"),
        "create-timesheet": row.visible and caller.may("create_other_timesheet"),
        "trash": caller.may("delete_activity"),
    }.items())  # fmt: skip


def _menu(entries: Iterable[tuple[str, bool]]) -> list[dict[str, Any]]:
    return [
        {"id": name, "title": name, "url": None, "class": None, "attr": {}, "divider": name == "trash"}
        for name, offered in entries
        if offered
    ]


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/api/actions/timesheet/{id:int}/{view}/{locale}", _timesheet),
    ("GET", "/api/actions/activity/{id:int}/{view}/{locale}", _activity),
]
"""Method, path and handler."""
