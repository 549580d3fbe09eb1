"""Jira's issues as tickets, and which of their fields stands for the customer (docs/jira.md)."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zk_pipeline.connectors.answer import ApiResponse, RowReader, in_chunks, run_concurrently
from zk_pipeline.connectors.errors import NotFoundError, ProtocolError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.jira import rows as jira_rows
from zk_pipeline.domain.attributes import fields_of, values_of
from zk_pipeline.domain.records import Organization, Ticket

FIELDS = ("summary", "project", "issuetype", "components", "updated")
READ_AT_ONCE = {True: 1000, False: 200}
"""Issues of one request; those of Data Center are named in a query."""

FOUND_AT_ONCE = 100
SEARCH_PAGES = 5
FRESH_SECONDS = 60.0
"""How long an issue that was just read may be used without reading it again."""

ORGANIZATIONS_FIELD = "com.atlassian.servicedesk:sd-customer-organizations"
SERVICE_DESK = "service_desk"
ORGANIZATION_PAGES = 20
BROWSES = ("BROWSE_PROJECTS",)

PROJECT = "project"


@dataclass(frozen=True, slots=True)
class FoundIssues:
    """Tickets that a search found; `complete` is false if there are more."""

    tickets: tuple[Ticket, ...]
    complete: bool


class Issues:
    """Reads issues of one Jira."""

    def __init__(
        self,
        http: HttpClient,
        root: str,
        *,
        is_cloud: bool,
        attributes: frozenset[str] = frozenset(),
    ) -> None:
        self._http = http
        self._root = root
        self._is_cloud = is_cloud
        self._attributes = attributes
        self._organizations_field: str | None = None
        self._recent: dict[str, tuple[float, Ticket]] = {}

    def read(self, ids: Collection[str]) -> dict[str, Ticket]:
        """These issues; those that are gone and those that may not be seen are left out. Numbers only, no keys."""
        oldest = time.monotonic() - FRESH_SECONDS
        found = {id_: self._recent[id_][1] for id_ in ids if id_ in self._recent and self._recent[id_][0] >= oldest}
        wanted = sorted({id_ for id_ in ids if id_ not in found and id_ != jira_rows.NO_ID}, key=int)
        for chunk in in_chunks(wanted, READ_AT_ONCE[self._is_cloud]):
            fresh = self._read_together(chunk)
            if not self._is_cloud:
                # One unknown id makes a query fail, and an index may miss one for a moment: those are read alone.
                alone = run_concurrently(self._read_alone, [id_ for id_ in chunk if id_ not in fresh])
                fresh |= {ticket.id: ticket for ticket in alone if ticket is not None}
            found |= fresh
            self._recent |= {id_: (time.monotonic(), ticket) for id_, ticket in fresh.items()}
        return found

    def changed(self, since: datetime, minutes: int) -> FoundIssues:
        """The issues that changed at `since` or later, and at most this long ago, oldest change first.

        It asks for minutes ago, because days and times of a query are those of the account's zone.
        """
        query = f"updated >= -{minutes}m ORDER BY updated ASC"
        found: dict[str, Ticket] = {}
        for number, (answer, items, is_last) in enumerate(self._searched(query), start=1):
            tickets, _ = answer.readable("issue", self.ticket, items)
            found |= {row.id: row for row in tickets if row.updated_at is None or row.updated_at >= since}
            if is_last or number >= SEARCH_PAGES:
                return FoundIssues(tuple(found.values()), complete=is_last)
        return FoundIssues(tuple(found.values()), complete=True)

    def ticket(self, row: RowReader) -> Ticket:
        """One issue as a ticket: its key is what people call it, its id never changes."""
        faults: dict[str, str] = {}
        id_ = jira_rows.number(row, "id")
        fields = row.row("fields", "fields of an issue")
        project = _part(fields, "project")
        customer, name = self._customer(fields.raw, project, faults)
        return Ticket(
            id=id_,
            number=row.spare(faults, "key", row.text, f"id {id_}"),
            title=fields.spare(faults, "summary", fields.text, ""),
            organization_id=customer,
            customer_id=None,
            group_id=_text(project, "id"),
            group_name=_text(project, "name"),
            customer_name=None,
            updated_at=fields.spare(faults, "updated", fields.optional_instant, None),
            complete=True,
            raw=row.raw,
            faults=faults,
            organization_name=name,
            attributes=self._asked(fields.raw),
        )

    def organizations(self) -> list[Organization]:
        """What can be a customer: the organizations of the service desk, if there is one, and the projects."""
        found: list[Organization] = []
        if self.organizations_field():
            found += self._service_desk_organizations()
        return found + [Organization(f"{PROJECT}-{id_}", name, active=True) for id_, name in self.projects().items()]

    def projects(self, stage: str = "live") -> dict[str, str]:
        """The names of the projects that the account may browse, in one stage of their life, by id.

        Data Center tells no others than live and archived ones.
        """
        if not self._is_cloud:
            return self._listed_projects(stage)
        found: dict[str, str] = {}
        start = 0
        while True:
            asked = {"startAt": start, "maxResults": FOUND_AT_ONCE, "status": stage}
            answer = self._http.get(f"{self._root}/project/search", asked, needs=BROWSES)
            page = answer.row("page of projects")
            items = page.raw.get("values")
            if not isinstance(items, list):
                raise answer.fault("The list of projects is missing.")
            found |= _names(answer, items)
            start += len(items)
            if not items or page.raw.get("isLast") is True or start >= page.integer("total"):
                return found

    def organizations_field(self) -> str:
        """The name of the field that holds an issue's organizations; empty where there is no service desk."""
        if self._organizations_field is None:
            named = ""
            for field in self._http.get(f"{self._root}/field").rows("field"):
                schema = field.raw.get("schema")
                if isinstance(schema, dict) and schema.get("custom") == ORGANIZATIONS_FIELD:
                    named = field.text("id")
            self._organizations_field = named
        return self._organizations_field

    def _fields(self) -> list[str]:
        organizations = self.organizations_field()
        custom = sorted(key.partition(":")[2] for key in self._attributes if key.startswith("field:"))
        labels = ["labels"] if "label" in self._attributes else []
        return [*FIELDS, *labels, *([organizations] if organizations else []), *custom]

    def _asked(self, fields: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
        """The attributes that rules read."""
        held = {"component": "components", "label": "labels", "project": "project"}
        found = {name: values_of(fields.get(held[name])) for name in held if name in self._attributes}
        return {name: values for name, values in found.items() if values} | fields_of(fields, self._attributes)

    def _read_together(self, ids: list[str]) -> dict[str, Ticket]:
        if self._is_cloud:
            body = {"issueIdsOrKeys": ids, "fields": self._fields()}
            answer = self._http.search(f"{self._root}/issue/bulkfetch", body, needs=BROWSES)
            items = _issues(answer)
        else:
            body = {"jql": f"id in ({', '.join(ids)})", "fields": self._fields(), "startAt": 0, "maxResults": len(ids)}
            try:
                answer = self._http.search(f"{self._root}/search", body, needs=BROWSES)
            except ProtocolError as error:
                if error.status == 400:
                    return {}
                raise
            items = _issues(answer)
        tickets, _ = answer.readable("issue", self.ticket, items)
        if not {ticket.id for ticket in tickets} <= set(ids):
            raise answer.fault("Issues were requested by id, but others were received.")
        return {ticket.id: ticket for ticket in tickets}

    def _read_alone(self, issue_id: str) -> Ticket | None:
        asked = {"fields": ",".join(self._fields())}
        try:
            answer = self._http.get(f"{self._root}/issue/{issue_id}", asked, needs=BROWSES)
        except NotFoundError:
            return None
        tickets, _ = answer.readable("issue", self.ticket, [answer.data])
        return next(iter(tickets), None)

    def _searched(self, query: str) -> Iterator[tuple[ApiResponse, list[Any], bool]]:
        """The pages of a search: by token on Cloud, where nothing tells their number, and by position elsewhere.

        Raises `ProtocolError` if a page comes twice.
        """
        body: dict[str, Any] = {"jql": query, "fields": self._fields(), "maxResults": FOUND_AT_ONCE}
        path = f"{self._root}/search/jql" if self._is_cloud else f"{self._root}/search"
        tokens: set[str] = set()
        start = 0
        while True:
            answer = self._http.search(path, body, needs=BROWSES)
            items, page = _issues(answer), answer.row("page of issues")
            start += len(items)
            token = page.raw.get("nextPageToken")
            is_last = not token if self._is_cloud else not items or start >= page.integer("total")
            yield answer, items, is_last
            if is_last:
                return
            if self._is_cloud and token in tokens:
                raise answer.fault("A page of the search came twice.", "Try again.")
            tokens.add(str(token))
            body |= {"nextPageToken": token} if self._is_cloud else {"startAt": start}

    def _customer(
        self, fields: dict[str, Any], project: dict[str, Any], faults: dict[str, str]
    ) -> tuple[str | None, str | None]:
        """Id and name of the customer: the organization, or else the project, as Jira itself has no customers.

        Of several organizations none is taken: a person has to say. An issue of a service desk without an organization
        has no customer, and the project is not taken for one.
        """
        held = fields.get(self.organizations_field())
        named = [row for row in held if isinstance(row, dict)] if isinstance(held, list) else []
        if len(named) > 1:
            names = ", ".join(sorted(str(row.get("name")) for row in named))
            faults["organization_id"] = f"it has several organizations ({names}), and one has to be the customer"
            return None, None
        if named and (id_ := _text(named[0], "id")):
            return id_, _text(named[0], "name") or id_
        if project.get("projectTypeKey") == SERVICE_DESK:
            return None, None
        id_ = _text(project, "id")
        return (f"{PROJECT}-{id_}", _text(project, "name") or id_) if id_ else (None, None)

    def _listed_projects(self, stage: str) -> dict[str, str]:
        if stage not in {"live", "archived"}:
            return {}
        answer = self._http.get(f"{self._root}/project", {"includeArchived": "true"}, needs=BROWSES)
        wanted = [row for row in answer.items("project") if _is_archived(row) == (stage == "archived")]
        return _names(answer, wanted)

    def _service_desk_organizations(self) -> list[Organization]:
        found: list[Organization] = []
        for _ in range(ORGANIZATION_PAGES):
            path = "/rest/servicedeskapi/organization"
            answer = self._http.get(path, {"start": len(found), "limit": 50})
            page = answer.row("page of organizations")
            items = page.raw.get("values")
            rows, _ = answer.readable("organization", _organization, items if isinstance(items, list) else [])
            found += rows
            if not rows or page.raw.get("isLastPage") is not False:
                break
        return found


def type_of(ticket: Ticket) -> str | None:
    """The id of the issue's type, which stands for the activity: a worklog has none of its own."""
    fields = ticket.raw.get("fields")
    kind = fields.get("issuetype") if isinstance(fields, dict) else None
    return _text(kind, "id") if isinstance(kind, dict) else None


def _organization(row: RowReader) -> Organization:
    return Organization(jira_rows.number(row, "id"), row.text("name"), active=True)


def _issues(answer: ApiResponse) -> list[Any]:
    items = answer.row("page of issues").raw.get("issues")
    if not isinstance(items, list):
        raise answer.fault("The list of issues is missing.")
    return items


def _names(answer: ApiResponse, items: list[Any]) -> dict[str, str]:
    rows, _ = answer.readable("project", lambda row: (jira_rows.number(row, "id"), row.text("name")), items)
    return dict(rows)


def _is_archived(row: Any) -> bool:
    return isinstance(row, dict) and row.get("archived") is True


def _part(row: RowReader, name: str) -> dict[str, Any]:
    value = row.raw.get(name)
    return value if isinstance(value, dict) else {}


def _text(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None
