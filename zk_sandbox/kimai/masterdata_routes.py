"""Routes of customers, projects, activities, their rates, and tags (docs/kimai.md §7, §9)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from zk_sandbox.kimai import masterdata, masterdata_list, views
from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.errors import ApiError, bad_request, not_found
from zk_sandbox.kimai.http import Call, Handler, no_content
from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.query import Query


@dataclass(frozen=True, slots=True)
class Kind:
    """What distinguishes customers, projects and activities; `noun` is the word in the permissions."""

    noun: str
    list_rows: Callable[[Caller, Query], list[Any]]
    save: Callable[[Caller, dict[str, Any], Any], Any]
    delete: Callable[[Installation, int], None]
    row: Callable[[Installation, Any], views.Json]
    entity: Callable[[Installation, Any], views.Json]


_KINDS = {
    "customers": Kind(
        noun="customer",
        list_rows=masterdata_list.customers,
        save=masterdata.save_customer,
        delete=masterdata.delete_customer,
        row=views.customer_row,
        entity=views.customer_entity,
    ),
    "projects": Kind(
        noun="project",
        list_rows=masterdata_list.projects,
        save=masterdata.save_project,
        delete=masterdata.delete_project,
        row=views.project_row,
        entity=views.project_entity,
    ),
    "activities": Kind(
        noun="activity",
        list_rows=masterdata_list.activities,
        save=masterdata.save_activity,
        delete=masterdata.delete_activity,
        row=views.activity_row,
        entity=views.activity_entity,
    ),
}


def _permitted_row(call: Call, action: str) -> Any:
    """The row in the path, for a caller with permission `action`; 404 goes before 403."""
    row = call.caller.kimai.tables[call.kind].get(call.id)
    if row is None:
        raise not_found()
    call.caller.require(f"{action}_{_KINDS[call.kind].noun}")
    return row


def _list(call: Call) -> Any:
    kind, caller = _KINDS[call.kind], call.caller
    row = kind.row
    if call.kind == "customers" and call.query.flag("full") and caller.may("details_customer"):
        row = views.customer_row_with_address
    return [row(caller.kimai, found) for found in kind.list_rows(caller, call.query)]


def _get(call: Call) -> Any:
    return _KINDS[call.kind].entity(call.caller.kimai, _permitted_row(call, "view"))


def _post(call: Call) -> Any:
    kind = _KINDS[call.kind]
    call.caller.require(f"create_{kind.noun}")
    return kind.entity(call.caller.kimai, kind.save(call.caller, call.data, None))


def _patch(call: Call) -> Any:
    kind = _KINDS[call.kind]
    return kind.entity(call.caller.kimai, kind.save(call.caller, call.data, _permitted_row(call, "edit")))


def _delete(call: Call) -> Response:
    _permitted_row(call, "delete")
    _KINDS[call.kind].delete(call.caller.kimai, call.id)
    return no_content()


def _meta(call: Call) -> Any:
    """No custom field of master data is ever declared here."""
    _permitted_row(call, "edit")
    raise not_found() if call.data.get("name") else bad_request()


def _team(_call: Call) -> Any:
    raise ApiError(410)


def _rates(call: Call) -> Any:
    _permitted_row(call, "edit")
    kimai = call.caller.kimai
    rates = [rate for rate in kimai.rates if (rate.kind, rate.owner) == (call.kind, call.id)]
    return [views.rate_row(kimai, rate) for rate in rates]


def _post_rate(call: Call) -> Any:
    _permitted_row(call, "edit")
    return views.rate_row(call.caller.kimai, masterdata.create_rate(call.caller, call.kind, call.id, call.data))


def _tag_names(call: Call) -> Any:
    return [tag.name for tag in masterdata_list.tags(call.caller, call.query.text("name"))]


def _find_tags(call: Call) -> Any:
    name = call.query.text("name")
    return [] if name is None else [views.tag_row(tag) for tag in masterdata_list.tags(call.caller, name)]


def _post_tag(call: Call) -> Any:
    return views.tag_row(masterdata.create_tag(call.caller, call.data))


def _delete_tag(call: Call) -> Response:
    if call.caller.kimai.tags.get(call.id) is None:
        raise not_found()
    call.caller.require("delete_tag")
    masterdata.delete_tag(call.caller.kimai, call.id)
    return no_content()


_KIND_PATHS: list[tuple[str, str, Handler]] = [
    ("GET", "", _list),
    ("POST", "", _post),
    ("GET", "/{id:int}", _get),
    ("PATCH", "/{id:int}", _patch),
    ("DELETE", "/{id:int}", _delete),
    ("PATCH", "/{id:int}/meta", _meta),
    ("POST", "/{id:int}/team", _team),
    ("GET", "/{id:int}/rates", _rates),
    ("POST", "/{id:int}/rates", _post_rate),
]

ROUTES: list[tuple[str, str, Handler]] = [
    *((method, f"/api/{{kind:masterdata}}{path}", handler) for method, path, handler in _KIND_PATHS),
    ("GET", "/api/tags", _tag_names),
    ("POST", "/api/tags", _post_tag),
    ("GET", "/api/tags/find", _find_tags),
    ("DELETE", "/api/tags/{id:int}", _delete_tag),
]
"""Method, path and handler; `masterdata` in a path matches one of `KIND_NAMES`."""

KIND_NAMES = tuple(_KINDS)
