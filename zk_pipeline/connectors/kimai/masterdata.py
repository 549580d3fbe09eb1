"""Customers, projects and tags of Kimai: found, else created once, or removed while nothing refers to them."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from zk_pipeline.connectors.answer import RowReader
from zk_pipeline.connectors.errors import ConnectorError, NotFoundError, StillInUseError, ValidationFailedError
from zk_pipeline.connectors.http import HttpClient, Params
from zk_pipeline.connectors.kimai import reading
from zk_pipeline.connectors.kimai.errors import TIMESHEETS
from zk_pipeline.domain.records import Customer, MasterDataKind, MasterDataState, Project, Unreadable

# Customers, projects and tags of Kimai: found, else created (docs/kimai.md §7, §9).

TAGS = "/api/tags"
HIDDEN_AND_VISIBLE = 3

Kind = TypeVar("Kind", Customer, Project)


@dataclass(frozen=True, slots=True)
class MasterDataEndpoint(Generic[Kind]):
    """A kind of record whose number is unique in Kimai, unlike its name."""

    path: str
    what: str
    parse: Callable[[RowReader], Kind]
    scope: Params
    permission: str

    def everything(self, http: HttpClient) -> tuple[list[Kind], tuple[Unreadable, ...]]:
        """All records that the account may see, and the unreadable ones among them."""
        return http.get(self.path, self.scope).readable(self.what, self.parse)

    def find(self, http: HttpClient, number: str) -> Kind | None:
        """The record with exactly this number, even if hidden or ended; the oldest if there are several.

        Raises `ValidationFailedError` if an unreadable record may be the one, because none must be created beside it.
        """
        term: Params = {"term": number} if is_searchable(number) else {}
        answer = http.get(self.path, {**self.scope, **term})
        records, unreadable = answer.readable(self.what, self.parse)
        numbers = {row.id: item.get("number") for row in unreadable for item in answer.data if _is_row(item, row)}
        matching = [record for record in records if record.number == number]
        maybe = [row for row in unreadable if numbers.get(row.id) == number or not isinstance(numbers.get(row.id), str)]
        if maybe and not matching:
            raise ValidationFailedError(
                f"{maybe[0]} It is unknown whether it has the number {number}.",
                fields={},
                system=http.system,
                method="GET",
                path=self.path,
                remedy=f"Correct the {self.what} in Kimai, then sync the day again.",
            )
        return min(matching, key=lambda record: record.id, default=None)

    def create(self, http: HttpClient, number: str, content: Mapping[str, Any]) -> Kind:
        """Create the record, which `find` did not find.

        If the number is taken, or the answer was lost, it is looked up.
        """
        try:
            answer = http.write("POST", self.path, {**content, "number": number}, needs=(self.permission,))
            return self.parse(answer.row(self.what))
        except ConnectorError as error:
            if not (error.outcome_unknown or _complains_about(error, "number")):
                raise
            found = self.find(http, number)
            if found is None:
                raise
            return found


CUSTOMERS = MasterDataEndpoint(
    path="/api/customers",
    what="customer",
    parse=reading.customer,
    scope={"visible": HIDDEN_AND_VISIBLE},
    permission="create_customer",
)
PROJECTS = MasterDataEndpoint(
    path="/api/projects",
    what="project",
    parse=reading.project,
    # Without ignoreDates only projects that run today are listed (docs/kimai.md §7).
    scope={"visible": HIDDEN_AND_VISIBLE, "ignoreDates": 1},
    permission="create_project",
)


def _is_row(item: Any, row: Unreadable) -> bool:
    return isinstance(item, dict) and row.id is not None and item.get("id") == row.id


def is_searchable(term: str) -> bool:
    """Whether Kimai searches this text as one word: a colon, a space or a leading "!" has another meaning."""
    return bool(term) and ":" not in term and not term.startswith("!") and term.split() == [term]


def ensure_tag(http: HttpClient, name: str) -> None:
    """Make sure that the tag exists and is visible; Kimai silently drops unknown tags (docs/kimai.md §3, §9)."""
    if _is_visible(http, name):
        return
    try:
        # Without `visible` the tag would be hidden.
        http.write("POST", TAGS, {"name": name, "visible": True}, needs=("create_tag",))
    except ConnectorError as error:
        if not (error.outcome_unknown or _complains_about(error, "name")):
            raise
        if _is_visible(http, name):
            return
        if not (isinstance(error, ValidationFailedError) and "already used" in str(error.fields)):
            raise
        raise ValidationFailedError(
            f"The tag {name!r} exists but is hidden.",
            fields={"name": ("hidden",)},
            system=error.system,
            method=error.method,
            path=error.path,
            status=error.status,
            remedy="Let an administrator of Kimai make the tag visible, or choose another tag.",
        ) from error


def same_tag(one: str, other: str) -> bool:
    """Whether Kimai considers two names the same tag: it ignores letter case and accents."""
    return _folded(one) == _folded(other)


def _is_visible(http: HttpClient, name: str) -> bool:
    rows = http.get(f"{TAGS}/find", {"name": name}).rows("tag")
    return any(same_tag(row.text("name"), name) and row.boolean("visible") for row in rows)


def _folded(text: str) -> str:
    plain = (char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return "".join(plain).casefold().strip()


def _complains_about(error: ConnectorError, field: str) -> bool:
    return isinstance(error, ValidationFailedError) and field in error.fields


# Deleting customers and projects in Kimai, only while nothing refers to them: Kimai deletes their time sheets too.

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
        raise _refusal(http, path, f"It is unknown whether it has projects. {unreadable[0]}")
    _expect_no_timesheets(http, path, {"customer": customer_id})
    _delete(http, path, "delete_customer")


# Mending: what was hidden or has ended takes time sheets again. PATCH leaves the rest as it is (docs/kimai.md §7).

_PATHS = {
    MasterDataKind.CUSTOMER: CUSTOMERS.path,
    MasterDataKind.PROJECT: PROJECTS.path,
    MasterDataKind.ACTIVITY: ACTIVITIES,
}


def read_state(http: HttpClient, kind: MasterDataKind, record_id: int) -> MasterDataState | None:
    """The state of a record, or `None` if it is gone."""
    try:
        return _state(http.get(f"{_PATHS[kind]}/{record_id}").row(kind), kind)
    except NotFoundError:
        return None


def change_state(
    http: HttpClient, kind: MasterDataKind, record_id: int, current: MasterDataState, wanted: MasterDataState
) -> MasterDataState:
    """Send what differs; repeating it is harmless."""
    change: dict[str, Any] = {} if current.visible is wanted.visible else {"visible": wanted.visible}
    if current.end != wanted.end:
        # PATCH takes no date without a time, unlike POST; Kimai makes the end of the day of it.
        change["end"] = f"{wanted.end}T00:00:00" if wanted.end else None
    path = f"{_PATHS[kind]}/{record_id}"
    return _state(http.write("PATCH", path, change, repeatable=True, needs=(f"edit_{kind}",)).row(kind), kind)


def _state(row: RowReader, kind: MasterDataKind) -> MasterDataState:
    end = row.optional_date("end") if kind is MasterDataKind.PROJECT else None
    return MasterDataState(row.text("name"), row.boolean("visible"), end)


def _is_there(http: HttpClient, register: MasterDataEndpoint[Any], path: str, number: str) -> bool:
    """Whether the record exists. Raises `StillInUseError` if it has another number than expected."""
    try:
        row = http.get(path).row(register.what)
    except NotFoundError:
        return False
    found = register.parse(row).number
    if not number or found != number:
        raise _refusal(http, path, f"It has the number {found!r} and not {number!r}: it is not the one meant.")
    return True


def _expect_no_timesheets(http: HttpClient, path: str, reference: Params) -> None:
    """Raise unless Kimai counts none. Kimai ignores a filter that it does not know; then all time sheets count."""
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
