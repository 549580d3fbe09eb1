"""Mapping lines: what `kind`, `zammad` and `kimai` mean, given the names in both systems."""

import re
from collections.abc import Callable, Container, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import ClassVar, TypeVar

from zk_pipeline.domain.mapping import Mappings
from zk_pipeline.domain.names import AmbiguousNameError, NamedItem, NameIndex, ambiguous_name, fold, quoted
from zk_pipeline.domain.people import Address, AgentKey, UserMatcher, label
from zk_pipeline.domain.records import (
    Activity,
    ActivityType,
    Agent,
    Customer,
    Organization,
    SourceDirectory,
    TargetDirectory,
    TargetUser,
)
from zk_pipeline.domain.source_ids import NO_ORGANIZATION

NOTHING = "-"
"""In the zammad column: bookings without type, or tickets without organization."""
OWN = "new"
"""In the kimai column: create a customer of its own."""

LONGEST_VALUE = 600
"""Longest value accepted; no name is longer."""
_EXPLICIT_TYPE = re.compile(rf"\s*(id:[^@\s]+|{NOTHING})\s*@", re.IGNORECASE)

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong with a line: a sentence, and its parts. `line` is 0 if the value comes from no file."""

    text: str
    line: int = 0
    column: str = ""
    value: str = ""

    def on_line(self, number: int) -> "LineProblem":
        """The same problem, on this line of a file."""
        return replace(self, line=number, text=f"Line {number}, {self.text}")


MOST_SHOWN = 100
"""A message names at most this many problems; `problems` has all of them."""


class MappingError(Exception):
    """Mapping lines that cannot be imported. The message has a sentence for each of the first problems."""

    def __init__(self, *problems: LineProblem) -> None:
        shown = [problem.text for problem in problems[:MOST_SHOWN]]
        more = len(problems) - len(shown)
        super().__init__("\n".join([*shown, *([f"And {more} more lines like these."] if more else [])]))
        self.problems = problems


class SharedUserError(MappingError):
    """Two agents would map to one user, which a person must confirm."""


class Kind(StrEnum):
    """What a mapping is about."""

    ACTIVITY = "activity"
    USER = "user"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class UserMapping:
    """An agent and the target user that the agent's time is written for.

    The agent is the id in the source, or the address of one who was unknown when the mapping was set.
    """

    kind: ClassVar[Kind] = Kind.USER
    agent: AgentKey
    kimai_user_id: int

    @property
    def key(self) -> Hashable:
        """There is at most one mapping with this key."""
        return self.kind, self.agent


@dataclass(frozen=True, slots=True)
class ActivityMapping:
    """A type (`None`: no type), of one organization or all, and its activity in the target."""

    kind: ClassVar[Kind] = Kind.ACTIVITY
    type_id: str | None
    organization_id: str | None
    kimai_activity_id: int

    @property
    def key(self) -> Hashable:
        """There is at most one mapping with this key."""
        return self.kind, self.type_id, self.organization_id


@dataclass(frozen=True, slots=True)
class CustomerMapping:
    """An organization, or `NO_ORGANIZATION`, and its customer in the target; `None` means a customer of its own."""

    kind: ClassVar[Kind] = Kind.CUSTOMER
    organization_id: str
    kimai_customer_id: int | None

    @property
    def key(self) -> Hashable:
        """There is at most one mapping with this key."""
        return self.kind, self.organization_id


AnyMapping = UserMapping | ActivityMapping | CustomerMapping


@dataclass(frozen=True, slots=True)
class MappingLine:
    """A mapping as text. `known` is false if one of the systems no longer has what it names."""

    kind: Kind
    zammad: str
    kimai: str
    known: bool


class Vocabulary:
    """Translates the values of mapping lines, given what both systems have.

    Hidden, disabled and inactive items count too, because old bookings refer to them. A value that fits several items
    is rejected, so that time is never assigned by chance.
    """

    def __init__(self, source: SourceDirectory, target: TargetDirectory, unlisted: Iterable[str] = ()) -> None:
        """`unlisted` are agents with bookings that the source no longer lists."""
        self._source, self._target = source, target
        self._people: tuple[Mappings, UserMatcher] | None = None
        known = {row.id for row in source.agents}
        gone = (Agent(id_, "", "", f"agent {id_}", active=False) for id_ in unlisted if id_ not in known)
        agents = [_agent(row) for row in (*source.agents, *gone)]
        types = [_of_source(row) for row in source.activity_types]
        organizations = [_of_source(row) for row in source.organizations]
        self._agents = NameIndex[str]("agent", "Zammad", agents)
        self._types = NameIndex[str | None]("activity type", "Zammad", types, {NOTHING: None})
        self._scopes = NameIndex[str]("organization", "Zammad", organizations)
        self._organizations = NameIndex[str]("organization", "Zammad", organizations, {NOTHING: NO_ORGANIZATION})
        self._users = NameIndex[int]("user", "Kimai", map(_user, target.users))
        self._activities = NameIndex[int]("activity", "Kimai", map(_activity, target.activities))
        self._customers = NameIndex[int | None]("customer", "Kimai", map(_customer, target.customers), {OWN: None})

    def mapping(self, kind: str, zammad: str, kimai: str) -> AnyMapping:
        """The mapping that a line means. Raises `MappingError` with a sentence that names the column."""
        match fold(kind):
            case Kind.ACTIVITY:
                of_type = _in_column("zammad", self._bookings, zammad)
                return ActivityMapping(*of_type, _in_column("kimai", self._activities.find, kimai))
            case Kind.USER:
                agent = _in_column("zammad", self._agents.find, zammad)
                return UserMapping(agent, _in_column("kimai", self._users.find, kimai))
            case Kind.CUSTOMER:
                organization = _in_column("zammad", self._organizations.find, zammad)
                return CustomerMapping(organization, _in_column("kimai", self._customers.find, kimai))
            case _:
                raise of_column("kind", kind, f"{quoted(kind)} is not a kind; write one of {', '.join(Kind)}.")

    def line(self, mapping: AnyMapping) -> MappingLine:
        """The line that means exactly this mapping."""
        match mapping:
            case UserMapping(agent, user):
                known = not isinstance(agent, Address) and agent in self._agents and user in self._users
                zammad = agent if isinstance(agent, Address) else self._agents.texts(agent)[0]
                kimai = self._users.texts(user)[0]
            case ActivityMapping(type_id, organization, activity):
                in_source = type_id in self._types and (organization is None or organization in self._scopes)
                known = in_source and activity in self._activities
                zammad, kimai = self._bookings_text(type_id, organization), self._activities.texts(activity)[0]
            case CustomerMapping(organization, customer):
                known = organization in self._organizations and customer in self._customers
                zammad, kimai = self._organizations.texts(organization)[0], self._customers.texts(customer)[0]
        return MappingLine(mapping.kind, zammad, kimai, known)

    def cells(self, mapping: AnyMapping) -> tuple[str, str, str, str]:
        """The ids that an export writes to the columns zammad and kimai, and both names for reading."""
        match mapping:
            case UserMapping(agent, user):
                zammad = (agent, agent) if isinstance(agent, Address) else (f"id:{agent}", self._agents.name(agent))
                kimai = (f"id:{user}", self._users.name(user))
            case ActivityMapping(type_id, organization, activity):
                of_type = NOTHING if type_id is None else f"id:{type_id}"
                name = "(no type)" if type_id is None else self._types.name(type_id)
                if organization is not None:
                    of_type, name = f"{of_type}@id:{organization}", f"{name} @ {self._scopes.name(organization)}"
                zammad, kimai = (of_type, name), (f"id:{activity}", self._activities.name(activity))
            case CustomerMapping(organization, customer):
                zammad = (f"id:{organization}", self._organizations.name(organization))
                zammad = (NOTHING, "(no organization)") if organization == NO_ORGANIZATION else zammad
                kimai = (f"id:{customer}", self._customers.name(customer))
                kimai = (OWN, "(a customer of its own)") if customer is None else kimai
        return zammad[0], kimai[0], zammad[1], kimai[1]

    def _key(self, kind: str, zammad: str) -> Hashable:
        match fold(kind):
            case Kind.ACTIVITY:
                return ActivityMapping(*_in_column("zammad", self._bookings, zammad), 0).key
            case Kind.USER:
                return UserMapping(_in_column("zammad", self._agents.find, zammad), 0).key
            case Kind.CUSTOMER:
                return CustomerMapping(_in_column("zammad", self._organizations.find, zammad), None).key
            case _:
                raise of_column("kind", kind, f"{quoted(kind)} is not a kind; write one of {', '.join(Kind)}.")

    def _shared(self, mapping: AnyMapping, after: Mappings) -> LineProblem | None:
        """Why a mapping would give two agents the same user, given all mappings afterwards; `None` if it does not."""
        if not isinstance(mapping, UserMapping) or isinstance(mapping.agent, Address):
            return None
        if self._people is None or self._people[0] != after:
            self._people = after, UserMatcher(self._target.users, self._source.agents, after.users, after.carried)
        others = self._people[1].others(mapping.kimai_user_id, mapping.agent)
        if not others:
            return None
        user, agent = self._users.label(mapping.kimai_user_id), self._agents.label(mapping.agent)
        remedy = "If they are one person, confirm that they share the user (shared); else name another user"
        text = f"column kimai: {user} would get the time of {agent} and of {', '.join(map(label, others))}. {remedy}."
        return LineProblem(text, 0, "kimai", self._users.texts(mapping.kimai_user_id)[0])

    def require_unshared(
        self, stored: Mappings, numbered: Sequence[tuple[int, AnyMapping]], changed: Container[Hashable]
    ) -> None:
        """Check that none of the mappings whose keys are `changed` gives a user to a second agent.

        `changed` has the line number of each key, or 0. Raises `SharedUserError` with every line's problem.
        """
        users = {one.agent: one.kimai_user_id for _, one in numbered if isinstance(one, UserMapping)}
        after = replace(stored, users={**stored.users, **users})
        found = [(number, self._shared(one, after)) for number, one in numbered if one.key in changed]
        problems = [problem.on_line(number) if number else problem for number, problem in found if problem is not None]
        if problems:
            raise SharedUserError(*problems)

    def stored_for(self, stored: Iterable[AnyMapping], kind: str, zammad: str) -> AnyMapping | None:
        """The stored mapping for a value of the column zammad; items that are gone go by their listed name."""
        of_kind = [mapping for mapping in stored if mapping.kind == fold(kind)]
        for mapping in of_kind:
            if fold(zammad) in {fold(self.line(mapping).zammad), fold(self.cells(mapping)[0])}:
                return mapping
        key = self._key(kind, zammad)
        return next((mapping for mapping in of_kind if mapping.key == key), None)

    def limit(self, mapping: AnyMapping) -> str:
        """What a mapping does not cover, as a sentence; empty for most."""
        activities = {row.id: row for row in self._target.activities}
        activity = activities.get(mapping.kimai_activity_id) if isinstance(mapping, ActivityMapping) else None
        if activity is None or activity.project_id is None:
            return ""
        project = next((row for row in self._target.projects if row.id == activity.project_id), None)
        name = f"{project.name} (id {project.id})" if project else f"{activity.project_id}"
        return (
            f"Activity {activity.name} (id {activity.id}) belongs to project {name}: bookings of other projects wait. "
            "Map the type to a global activity, or to this one for one organization alone: TYPE@ORGANIZATION."
        )

    def _bookings(self, value: str) -> tuple[str | None, str | None]:
        """Type and organization meant by `TYPE` or `TYPE@ORGANIZATION`; names may contain an @."""
        meanings = self._meanings(value)
        if len(meanings) == 1:
            return next(iter(meanings))
        if meanings:
            raise ambiguous_name(value, list(meanings.values()))
        type_value, at, organization = value.partition("@")
        if at and self._types.fitting(type_value):
            raise self._scopes.nothing(organization)
        raise self._types.nothing(type_value)

    def _meanings(self, value: str) -> dict[tuple[str | None, str | None], str]:
        """Each type, with or without organization, that the value can mean, with a label."""
        explicit = _EXPLICIT_TYPE.match(value)
        if explicit:
            whole, ends = (), [explicit.end() - 1]
        else:
            whole, ends = self._types.fitting(value), [at for at, letter in enumerate(value) if letter == "@"]
        found: dict[tuple[str | None, str | None], str] = {(type_.key, None): type_.label for type_ in whole}
        for end in ends:
            for type_, scope in product(self._types.fitting(value[:end]), self._scopes.fitting(value[end + 1 :])):
                found[type_.key, scope.key] = f"{type_.label} @ {scope.label}"
        return found

    def _bookings_text(self, type_id: str | None, organization: str | None) -> str:
        types = self._types.texts(type_id)
        if organization is None:
            texts = types
        else:
            texts = [f"{type_}@{scope}" for type_, scope in product(types, self._scopes.texts(organization))]
        return next((text for text in texts if list(self._meanings(text)) == [(type_id, organization)]), texts[-1])


def _in_column(column: str, find: Callable[[str], _Found], value: str) -> _Found:
    if not value.strip():
        raise of_column(column, value, "the value is missing; write a name or an id.")
    if len(value) > LONGEST_VALUE:
        raise of_column(column, value, f"{quoted(value)} is longer than any name; write a name or an id.")
    try:
        return find(value)
    except AmbiguousNameError as error:
        raise of_column(column, value, str(error)) from None


def of_column(column: str, value: str, sentence: str) -> MappingError:
    """The error for a value in a column; `sentence` says what is wrong and what to write."""
    return MappingError(LineProblem(f"column {column}: {sentence}", 0, column, value[:LONGEST_VALUE]))


def _agent(row: Agent) -> NamedItem[str]:
    return NamedItem(row.id, tuple(filter(None, (row.email, row.login, row.name))), "" if row.active else ", inactive")


def _of_source(row: ActivityType | Organization) -> NamedItem[str]:
    return NamedItem(row.id, (row.name,), "" if row.active else ", inactive")


def _user(row: TargetUser) -> NamedItem[int]:
    return NamedItem(row.id, tuple(filter(None, (row.username, row.email))), "" if row.enabled else ", disabled")


def _activity(row: Activity) -> NamedItem[int]:
    project = f", of project {row.project_id}" if row.project_id else ""
    return NamedItem(row.id, (row.name,), project + ("" if row.visible else ", hidden"))


def _customer(row: Customer) -> NamedItem[int]:
    number = f", number {row.number}" if row.number else ""
    return NamedItem(row.id, tuple(filter(None, (row.name, row.number))), number + ("" if row.visible else ", hidden"))
