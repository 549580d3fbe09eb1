"""Customers, projects and tags of Kimai: found, or else created; doing it twice makes one (docs/kimai.md §7, §9)."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from zk_pipeline.connectors import kimai_rows
from zk_pipeline.connectors.answer import Row
from zk_pipeline.connectors.errors import ConnectorError, ValidationFailedError
from zk_pipeline.connectors.http import HttpClient, Params
from zk_pipeline.domain.records import Customer, Project, Unreadable

TAGS = "/api/tags"
HIDDEN_AND_VISIBLE = 3

Kind = TypeVar("Kind", Customer, Project)


@dataclass(frozen=True, slots=True)
class Register(Generic[Kind]):
    """A kind of record whose number is unique in Kimai, as its name is not."""

    path: str
    what: str
    parse: Callable[[Row], Kind]
    scope: Params
    permission: str

    def everything(self, http: HttpClient) -> tuple[list[Kind], tuple[Unreadable, ...]]:
        """All records that the account may see, and those of them that cannot be read."""
        return http.get(self.path, self.scope).readable(self.what, self.parse)

    def find(self, http: HttpClient, number: str) -> Kind | None:
        """The record of exactly this number, hidden and ended ones included; the oldest should there be several.

        Raises `ValidationFailedError` when there is one that cannot be read and may be it: none is made beside it.
        """
        term: Params = {"term": number} if is_searchable(number) else {}
        answer = http.get(self.path, {**self.scope, **term})
        records, unreadable = answer.readable(self.what, self.parse)
        numbers = {row.id: item.get("number") for row in unreadable for item in answer.data if _is_row(item, row)}
        matching = [record for record in records if record.number == number]
        maybe = [row for row in unreadable if numbers.get(row.id) == number or not isinstance(numbers.get(row.id), str)]
        if maybe and not matching:
            raise ValidationFailedError(
                f"{maybe[0]} Whether it is the one with the number {number} is not known.",
                fields={},
                system=http.system,
                method="GET",
                path=self.path,
                remedy=f"Correct the {self.what} in Kimai, then sync the day again.",
            )
        return min(matching, key=lambda record: record.id, default=None)

    def obtain(self, http: HttpClient, number: str, content: Mapping[str, Any]) -> Kind:
        """The record of this number, created with this content when there is none.

        When somebody else was quicker, or the answer was lost, it is looked up again.
        """
        found = self.find(http, number)
        if found is not None:
            return found
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


CUSTOMERS = Register(
    path="/api/customers",
    what="customer",
    parse=kimai_rows.customer,
    scope={"visible": HIDDEN_AND_VISIBLE},
    permission="create_customer",
)
PROJECTS = Register(
    path="/api/projects",
    what="project",
    parse=kimai_rows.project,
    # Without ignoreDates only projects that run today are listed (docs/kimai.md §7).
    scope={"visible": HIDDEN_AND_VISIBLE, "ignoreDates": 1},
    permission="create_project",
)


def _is_row(item: Any, row: Unreadable) -> bool:
    return isinstance(item, dict) and row.id is not None and item.get("id") == row.id


def is_searchable(term: str) -> bool:
    """Whether Kimai looks for this text as one word: a colon, a blank or a leading "!" means something else to it."""
    return bool(term) and ":" not in term and not term.startswith("!") and term.split() == [term]


def ensure_tag(http: HttpClient, name: str) -> None:
    """See to it that the tag exists and is visible; Kimai drops unknown tags without a word (docs/kimai.md §3, §9)."""
    if _is_visible(http, name):
        return
    try:
        # Without `visible` the tag would be a hidden one.
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
    """Whether Kimai takes two names for one tag: letter case and accents do not count there."""
    return _folded(one) == _folded(other)


def _is_visible(http: HttpClient, name: str) -> bool:
    rows = http.get(f"{TAGS}/find", {"name": name}).rows("tag")
    return any(same_tag(row.text("name"), name) and row.boolean("visible") for row in rows)


def _folded(text: str) -> str:
    plain = (char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return "".join(plain).casefold().strip()


def _complains_about(error: ConnectorError, field: str) -> bool:
    return isinstance(error, ValidationFailedError) and field in error.fields
