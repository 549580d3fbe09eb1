"""Deleting customers and projects of Kimai, only while nothing refers to them: it takes all time sheets along."""

from typing import Any

from zk_pipeline.connectors.errors import NotFoundError, StillInUseError
from zk_pipeline.connectors.http import HttpClient, Params
from zk_pipeline.connectors.kimai_errors import TIMESHEETS
from zk_pipeline.connectors.kimai_registers import CUSTOMERS, HIDDEN_AND_VISIBLE, PROJECTS, Register

ACTIVITIES = "/api/activities"


def remove_project(http: HttpClient, project_id: int, number: str) -> None:
    """Delete a project that neither time sheets nor activities refer to (docs/kimai.md §7)."""
    path = f"{PROJECTS.path}/{project_id}"
    if not _is_there(http, PROJECTS, path, number):
        return
    _expect_no_timesheets(http, path, {"project": project_id})
    rows = http.get(ACTIVITIES, {"project": project_id, "visible": HIDDEN_AND_VISIBLE}).rows("activity")
    if any(row.optional_integer("project") == project_id for row in rows):
        raise _refusal(http, path, "It has activities of its own.")
    _delete(http, path, "delete_project")


def remove_customer(http: HttpClient, customer_id: int, number: str) -> None:
    """Delete a customer that neither projects nor time sheets refer to (docs/kimai.md §7)."""
    path = f"{CUSTOMERS.path}/{customer_id}"
    if not _is_there(http, CUSTOMERS, path, number):
        return
    projects, unreadable = PROJECTS.everything(http)
    if any(project.customer_id == customer_id for project in projects):
        raise _refusal(http, path, "It has projects.")
    if unreadable:
        raise _refusal(http, path, f"Whether it has projects is not known. {unreadable[0]}")
    _expect_no_timesheets(http, path, {"customer": customer_id})
    _delete(http, path, "delete_customer")


def _is_there(http: HttpClient, register: Register[Any], path: str, number: str) -> bool:
    """Whether the record exists. Raises `StillInUseError` when it does not have the number that is expected."""
    try:
        row = http.get(path).row(register.what)
    except NotFoundError:
        return False
    found = register.parse(row).number
    if not number or found != number:
        raise _refusal(http, path, f"It has the number {found!r} and not {number!r}: it is not the one meant.")
    return True


def _expect_no_timesheets(http: HttpClient, path: str, reference: Params) -> None:
    """Refuse unless Kimai counts none. A filter that it does not know it ignores, and then all time sheets count."""
    answer = http.get(TIMESHEETS, {"user": "all", "size": 1, **reference}, needs=("view_other_timesheet",))
    number = answer.header_number("X-Total-Count")
    if number or answer.rows("time sheet"):
        raise _refusal(http, path, f"{number} time sheets refer to it.")


def _delete(http: HttpClient, path: str, permission: str) -> None:
    try:
        http.write("DELETE", path, repeatable=True, needs=(permission,))
    except NotFoundError:
        return


def _refusal(http: HttpClient, path: str, problem: str) -> StillInUseError:
    remedy = "Nothing was deleted; delete it in Kimai if it should go with all that refers to it."
    return StillInUseError(problem, system=http.system, method="DELETE", path=path, remedy=remedy)
