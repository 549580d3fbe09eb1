"""Mapping: which user, activity, customer and project of the target an entry belongs to, or why that is not known."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeVar

from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.names import clean_name, name_keys
from zk_pipeline.domain.numbers import (
    PROJECT_NUMBER_LENGTH,
    customer_number,
    group_project,
    organization_project,
    ticket_project,
)
from zk_pipeline.domain.people import AgentKey, UserMatcher
from zk_pipeline.domain.policy import Policies, Policy, ProjectStrategy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Activity, Customer, Project, SourceDirectory, TargetDirectory, TargetUser
from zk_pipeline.domain.source_ids import NO_ORGANIZATION

NO_GROUP = "0"
_Numbered = TypeVar("_Numbered", Customer, Project)

OWN_CUSTOMER = 0
"""In `Mappings.customers`: the organization gets a customer of its own, even if names exist already."""


@dataclass(frozen=True, slots=True)
class AssignmentProblem:
    """Why an entry cannot be carried over yet."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class Mappings:
    """The operator's mappings: agent to user, (type, organization) to activity, organization to customer.

    An agent is an id, or the address of one who was unknown when the mapping was set. `None` stands for "no type" and
    "every organization". `carried` is not a mapping: it says which user an unmapped agent's time was last
    written for.
    """

    users: Mapping[AgentKey, int] = field(default_factory=dict[AgentKey, int])
    activities: Mapping[tuple[str | None, str | None], int] = field(
        default_factory=dict[tuple[str | None, str | None], int]
    )
    customers: Mapping[str, int] = field(default_factory=dict[str, int])
    carried: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class CustomerPlan:
    """The customer to use; without `id` it is created with its number."""

    id: int | None
    number: str
    name: str


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """The project to use; without `id` it is created with its number."""

    id: int | None
    number: str
    name: str
    customer: CustomerPlan


@dataclass(frozen=True, slots=True)
class Assignment:
    """User, activity and project of an entry in the target."""

    user: TargetUser
    activity: Activity
    project: ProjectPlan


class ObstacleKind(StrEnum):
    """A state of the target in which it refuses a time sheet (docs/kimai.md §3, §4)."""

    USER_DISABLED = "user_disabled"
    ACTIVITY_HIDDEN = "activity_hidden"
    ACTIVITY_ELSEWHERE = "activity_elsewhere"
    CUSTOMER_HIDDEN = "customer_hidden"
    PROJECT_LOCKED = "project_locked"
    PROJECT_HIDDEN = "project_hidden"
    PROJECT_ENDED = "project_ended"
    PROJECT_AHEAD = "project_ahead"
    GLOBALS_FORBIDDEN = "globals_forbidden"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What would make the target refuse a time sheet: whom or what it is about, and a sentence with the remedy."""

    kind: ObstacleKind
    id: int
    name: str
    text: str


def obstacles(
    user: TargetUser | None,
    activity: Activity | None,
    project: Project | None,
    customer: Customer | None,
    *,
    today: date,
    day: date,
) -> Iterator[Obstacle]:
    """What would make the target refuse a time sheet of this day; what is not known is no obstacle."""
    if user is not None and not user.enabled:
        text = f"Kimai user {user.username} is disabled: enable the account, or map the agent to another user."
        yield Obstacle(ObstacleKind.USER_DISABLED, user.id, user.name or user.username, text)
    if activity is not None and not activity.visible:
        text = f"Activity {activity.name} is hidden: make it visible, or map the type to another activity."
        yield Obstacle(ObstacleKind.ACTIVITY_HIDDEN, activity.id, activity.name, text)
    if activity is not None and activity.project_id not in {None, project.id if project else None}:
        text = f"Activity {activity.name} belongs to another project: map the type to a global activity."
        yield Obstacle(ObstacleKind.ACTIVITY_ELSEWHERE, activity.id, activity.name, text)
    if customer is not None and not customer.visible:
        text = f"Customer {customer.name} is hidden: make it visible."
        yield Obstacle(ObstacleKind.CUSTOMER_HIDDEN, customer.id, customer.name, text)
    if project is not None:
        if project.locked_until is not None and day <= project.locked_until:
            text = (
                f"Project {project.name} is locked until {project.locked_until}: unlock it in Kimai, or adjust the "
                "booking, so that its minutes are billed in the open period."
            )
            yield Obstacle(ObstacleKind.PROJECT_LOCKED, project.id, project.name, text)
        yield from _project_obstacles(project, activity, today)


class Resolver:
    """Finds the assignment of entries from both directories, the operator's mappings and the policy.

    Anything that would be created next to something of the same name waits for a person (`names.fold`). `former` are
    the policies of earlier recorded settings: an entry derived with them keeps its project. `space` is that of the
    source's numbers.
    """

    def __init__(
        self,
        directory: TargetDirectory,
        mappings: Mappings,
        policy: Policy,
        source: SourceDirectory | None = None,
        former: Mapping[int, Policy] | None = None,
        *,
        space: str,
    ) -> None:
        self._space = space
        self._mappings = mappings
        self._policy = policy
        self._policies = Policies(policy, former or {})
        organizations = source.organizations if source else ()
        self._people = UserMatcher(directory.users, source.agents if source else (), mappings.users, mappings.carried)
        self._activities = {activity.id: activity for activity in directory.activities}
        self._customers = {customer.id: customer for customer in directory.customers}
        self._customers_by_number = {row.number: row for row in _newest_first(directory.customers) if row.number}
        self._projects = {project.id: project for project in directory.projects}
        self._projects_by_number = {row.number: row for row in _newest_first(directory.projects) if row.number}
        # A customer we created for an organization that is gone counts like any other of that name.
        ours = {customer_number(space, id_) for id_ in (NO_ORGANIZATION, *(row.id for row in organizations))}
        mapped = set(mappings.customers.values())
        self._unclaimed = _by_name(
            row for row in directory.customers if row.number not in ours and row.id not in mapped
        )
        self._projects_by_name = _by_name(directory.projects)
        self._organization_names = Counter(key for row in organizations for key in name_keys(row.name))

    def resolve(self, entry: Entry) -> Assignment | AssignmentProblem:
        """The assignment of an entry, or the first problem that prevents it."""
        user = self.user(entry)
        if isinstance(user, AssignmentProblem):
            return user
        activity = self.activity(entry)
        if isinstance(activity, AssignmentProblem):
            return activity
        project = self.project(entry)
        if isinstance(project, AssignmentProblem):
            return project
        return Assignment(user, activity, project)

    def user(self, entry: Entry) -> TargetUser | AssignmentProblem:
        """The user mapped to the agent, or with the agent's address; never a default (`UserMatcher`)."""
        found = self._people.user(entry.agent_id, entry.user_email, entry.user_name)
        return AssignmentProblem(Reason.UNMAPPED_USER, found) if isinstance(found, str) else found

    def activity(self, entry: Entry) -> Activity | AssignmentProblem:
        """The activity mapped to the entry's type for its organization, else for every organization."""
        of_type = self._mappings.activities
        mapped = of_type.get((entry.activity_type_id, entry.organization_id)) if entry.organization_id else None
        mapped = mapped if mapped is not None else of_type.get((entry.activity_type_id, None))
        kind = f"type {entry.activity_name or entry.activity_type_id}" if entry.activity_type_id else "no type"
        if mapped is None:
            return AssignmentProblem(Reason.UNMAPPED_ACTIVITY, f"Bookings with {kind} have no Kimai activity.")
        activity = self._activities.get(mapped)
        if activity is None:
            return AssignmentProblem(
                Reason.UNMAPPED_ACTIVITY, f"Bookings with {kind} go to Kimai activity {mapped}, which is gone."
            )
        return activity

    def project(self, entry: Entry) -> ProjectPlan | AssignmentProblem:
        """The project by the strategy, found by its number, or the plan to create it."""
        policy = self._policies.of(entry.decided_id)
        if policy.project_strategy is ProjectStrategy.FIXED:
            return self._fixed_project(policy.fixed_project)
        if not entry.ticket_known:
            return AssignmentProblem(
                Reason.UNKNOWN_TICKET, f"Ticket {entry.ticket_id} of booking {entry.source_id} is unreadable."
            )
        customer = self.customer(entry.organization_id or NO_ORGANIZATION, entry.organization_name)
        if isinstance(customer, AssignmentProblem):
            return customer
        number, name = _project_identity(self._space, policy.project_strategy, entry, customer)
        existing = self._projects_by_number.get(number)
        if existing is None:
            return self._new_project(number, name, customer)
        if customer.id == existing.customer_id:
            return self._planned(existing)
        wanted = f"{customer.name} ({customer.id or 'new'})"
        text = f"Project {number} belongs to customer {existing.customer_id}, not to {wanted}: move it in Kimai."
        return AssignmentProblem(Reason.UNMAPPED_CUSTOMER, text)

    def project_id(self, number: str) -> int | None:
        """The id of the project with this number, if it exists."""
        project = self._projects_by_number.get(number)
        return project.id if project else None

    def obstacles(self, assignment: Assignment, today: date, day: date) -> tuple[Obstacle, ...]:
        """What would make the target refuse a time sheet of this day."""
        project, customer = assignment.project.id or 0, assignment.project.customer.id or 0
        return tuple(
            obstacles(
                assignment.user,
                assignment.activity,
                self._projects.get(project),
                self._customers.get(customer),
                today=today,
                day=day,
            )
        )

    def _fixed_project(self, wanted: str) -> ProjectPlan | AssignmentProblem:
        project = self._projects_by_number.get(wanted)
        if project is None and wanted.isdecimal():
            project = self._projects.get(int(wanted))
        if project is None:
            return AssignmentProblem(
                Reason.UNMAPPED_CUSTOMER, f"ZK_FIXED_PROJECT={wanted!r} is not a project number or id in Kimai."
            )
        return self._planned(project)

    def _planned(self, project: Project) -> ProjectPlan:
        customer = self._customers.get(project.customer_id)
        plan = CustomerPlan(
            project.customer_id, (customer.number if customer else None) or "", customer.name if customer else ""
        )
        return ProjectPlan(project.id, project.number or "", project.name, plan)

    def customer(self, organization: str, organization_name: str | None) -> CustomerPlan | AssignmentProblem:
        """The customer for an organization, or for tickets without one, regardless of the project."""
        number = customer_number(self._space, organization)
        mapped = self._mappings.customers.get(organization)
        if mapped:
            customer = self._customers.get(mapped)
            if customer is None:
                text = f"{organization_name or organization} is mapped to customer {mapped}, which is gone."
                return AssignmentProblem(Reason.UNMAPPED_CUSTOMER, text)
            return CustomerPlan(customer.id, customer.number or "", customer.name)
        existing = self._customers_by_number.get(number)
        if existing is not None:
            return CustomerPlan(existing.id, number, existing.name)
        given = (self._policy.fallback_customer if organization == NO_ORGANIZATION else organization_name) or ""
        name = clean_name(given, f"Organization {organization}")
        namesakes = _namesakes(self._unclaimed, given or name)
        if not namesakes or mapped == OWN_CUSTOMER:
            return CustomerPlan(None, number, name)
        unique = max((self._organization_names[key] for key in name_keys(given)), default=0) <= 1
        if self._policy.adopt_by_name and unique and len(namesakes) == 1:
            return CustomerPlan(namesakes[0].id, namesakes[0].number or "", namesakes[0].name)
        which = "a customer" if len(namesakes) == 1 else f"{len(namesakes)} customers"
        text = f"Kimai has {which} of the name {name} already: {_listed(namesakes)}. Take one of them, or a new one?"
        return AssignmentProblem(Reason.UNMAPPED_CUSTOMER, text)

    def _new_project(self, number: str, name: str, customer: CustomerPlan) -> ProjectPlan | AssignmentProblem:
        if len(number) > PROJECT_NUMBER_LENGTH:
            limit = f"Kimai takes {PROJECT_NUMBER_LENGTH} characters"
            text = f"Project number {number} is too long ({limit}): choose another ZK_PROJECT_STRATEGY."
            return AssignmentProblem(Reason.UNMAPPED_CUSTOMER, text)
        namesakes = [row for row in _namesakes(self._projects_by_name, name) if row.customer_id == customer.id]
        if namesakes:
            remedy = f"give it the number {number} in Kimai to use it, or rename it to create another one."
            text = f"Customer {customer.name} already has a project of this name: {_listed(namesakes)}; {remedy}"
            return AssignmentProblem(Reason.UNMAPPED_CUSTOMER, text)
        return ProjectPlan(None, number, name, customer)


def _project_identity(space: str, strategy: ProjectStrategy, entry: Entry, customer: CustomerPlan) -> tuple[str, str]:
    organization = entry.organization_id or NO_ORGANIZATION
    if strategy is ProjectStrategy.PER_TICKET:
        name = f"{entry.ticket_number} {entry.ticket_title}"
        return ticket_project(space, entry.ticket_id), clean_name(name, f"Ticket {entry.ticket_id}")
    if strategy is ProjectStrategy.PER_GROUP:
        group = entry.group_name or f"Group {entry.group_id}"
        number = group_project(space, entry.group_id or NO_GROUP, organization)
        return number, clean_name(f"{customer.name} {group}", f"Group {entry.group_id}")
    return organization_project(space, organization), customer.name


def _project_obstacles(project: Project, activity: Activity | None, today: date) -> Iterator[Obstacle]:
    if not project.visible:
        text = f"Project {project.name} is hidden: make it visible."
        yield Obstacle(ObstacleKind.PROJECT_HIDDEN, project.id, project.name, text)
    if project.end is not None and project.end < today:
        text = f"Project {project.name} ended on {project.end}: extend its end date for the time of the sync."
        yield Obstacle(ObstacleKind.PROJECT_ENDED, project.id, project.name, text)
    if project.start is not None and project.start > today:
        text = f"Project {project.name} begins on {project.start}: set an earlier start date."
        yield Obstacle(ObstacleKind.PROJECT_AHEAD, project.id, project.name, text)
    if activity is not None and activity.project_id is None and not project.global_activities:
        text = f"Project {project.name} allows no global activities: allow them, or map a project activity."
        yield Obstacle(ObstacleKind.GLOBALS_FORBIDDEN, project.id, project.name, text)


def _newest_first(rows: Iterable[_Numbered]) -> list[_Numbered]:
    """For tables by number, in which the last row wins: the oldest one."""
    return sorted(rows, key=lambda row: row.id, reverse=True)


def _by_name(rows: Iterable[_Numbered]) -> dict[str, list[_Numbered]]:
    found: dict[str, list[_Numbered]] = {}
    for row in rows:
        for key in name_keys(row.name):
            found.setdefault(key, []).append(row)
    return found


def _namesakes(by_name: Mapping[str, list[_Numbered]], name: str) -> list[_Numbered]:
    """Everything with the same folded name, hidden or not, by id."""
    found = {row.id: row for key in name_keys(name) for row in by_name.get(key, ())}
    return [found[id_] for id_ in sorted(found)]


def _listed(rows: Iterable[Customer | Project]) -> str:
    return ", ".join(
        f"{row.name} (id {row.id}, {f'number {row.number}' if row.number else 'no number'}"
        f"{'' if row.visible else ', hidden'})"
        for row in rows
    )
