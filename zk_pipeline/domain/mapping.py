"""Mapping: which user, activity, customer and project of the target an entry belongs to, or why that is not known."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.names import PROJECT_NUMBER_LENGTH, clean_name, project_number
from zk_pipeline.domain.policy import Policies, Policy, ProjectStrategy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Activity, Customer, Organization, Project, TargetDirectory, TargetUser

_Numbered = TypeVar("_Numbered", Customer, Project)

OWN_CUSTOMER = 0
"""In `Mappings.customers`: the organization gets a customer of its own, whatever names exist already."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an entry cannot be carried over yet."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class Mappings:
    """The operator's mappings: e-mail (casefolded) to user, (type, organization) to activity, organization to customer.

    `None` stands for "no type" and "every organization".
    """

    users: Mapping[str, int] = field(default_factory=dict[str, int])
    activities: Mapping[tuple[int | None, int | None], int] = field(
        default_factory=dict[tuple[int | None, int | None], int]
    )
    customers: Mapping[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True, slots=True)
class CustomerPlan:
    """The customer to be used; without `id` it is created under its number."""

    id: int | None
    number: str
    name: str


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """The project to be used; without `id` it is created under its number."""

    id: int | None
    number: str
    name: str
    customer: CustomerPlan


@dataclass(frozen=True, slots=True)
class Assignment:
    """Person, activity and project of an entry in the target."""

    user: TargetUser
    activity: Activity
    project: ProjectPlan


class Resolver:
    """Finds the assignment of entries with one directory, the operator's mappings and the policy.

    `organizations` are those of the source: where several have one name, that name adopts no customer. `former` are
    the policies of earlier recorded settings: an entry that was derived under them keeps its project.
    """

    def __init__(
        self,
        directory: TargetDirectory,
        mappings: Mappings,
        policy: Policy,
        organizations: Iterable[Organization] = (),
        former: Mapping[int, Policy] | None = None,
    ) -> None:
        self._mappings = mappings
        self._policy = policy
        self._policies = Policies(policy, former or {})
        self._users = {user.id: user for user in directory.users}
        self._users_by_name = _users_by_name(directory)
        self._activities = {activity.id: activity for activity in directory.activities}
        self._customers = {customer.id: customer for customer in directory.customers}
        self._customers_by_number = {row.number: row for row in _newest_first(directory.customers) if row.number}
        self._projects = {project.id: project for project in directory.projects}
        self._projects_by_number = {row.number: row for row in _newest_first(directory.projects) if row.number}
        self._unclaimed = _unclaimed_by_name(directory, mappings.customers.values())
        self._organization_names = Counter(clean_name(row.name, "").casefold() for row in organizations)

    def resolve(self, entry: Entry) -> Assignment | Problem:
        """The assignment of an entry, or the first problem that stands in its way."""
        user = self.user(entry)
        if isinstance(user, Problem):
            return user
        activity = self.activity(entry)
        if isinstance(activity, Problem):
            return activity
        project = self.project(entry)
        if isinstance(project, Problem):
            return project
        return Assignment(user, activity, project)

    def user(self, entry: Entry) -> TargetUser | Problem:
        """The operator's mapping of the agent's e-mail, else the user of that e-mail or user name; never a default."""
        email = entry.user_email.casefold()
        mapped = self._mappings.users.get(email) if email else None
        user = self._users.get(mapped) if mapped is not None else self._users_by_name.get(email) if email else None
        if user is not None:
            return user
        if mapped is not None:
            return Problem(Reason.UNMAPPED_USER, f"{entry.user_email} is mapped to Kimai user {mapped}, who is gone.")
        who = entry.user_email or f"{entry.user_name} (no e-mail)"
        return Problem(
            Reason.UNMAPPED_USER, f"No Kimai user, or more than one, has the e-mail address or user name {who}."
        )

    def activity(self, entry: Entry) -> Activity | Problem:
        """The activity mapped to the entry's type for its organization, else for every organization."""
        of_type = self._mappings.activities
        mapped = of_type.get((entry.activity_type_id, entry.organization_id)) if entry.organization_id else None
        mapped = mapped if mapped is not None else of_type.get((entry.activity_type_id, None))
        kind = f"type {entry.activity_name or entry.activity_type_id}" if entry.activity_type_id else "no type"
        if mapped is None:
            return Problem(Reason.UNMAPPED_ACTIVITY, f"Bookings with {kind} have no Kimai activity.")
        activity = self._activities.get(mapped)
        if activity is None:
            return Problem(
                Reason.UNMAPPED_ACTIVITY, f"Bookings with {kind} go to Kimai activity {mapped}, which is gone."
            )
        return activity

    def project(self, entry: Entry) -> ProjectPlan | Problem:
        """The project by the strategy, found by its number, or the plan to create it."""
        policy = self._policies.of(entry.decided_id)
        if policy.project_strategy is ProjectStrategy.FIXED:
            return self._fixed_project(policy.fixed_project)
        if not entry.ticket_known:
            return Problem(
                Reason.UNKNOWN_TICKET, f"Ticket {entry.ticket_id} of booking {entry.source_id} is unreadable."
            )
        customer = self._customer(entry)
        if isinstance(customer, Problem):
            return customer
        number, name = _project_identity(policy.project_strategy, entry, customer)
        existing = self._projects_by_number.get(number)
        if existing is None:
            return _new_project(number, name, customer)
        if customer.id == existing.customer_id:
            return self._planned(existing)
        wanted = f"{customer.name} ({customer.id or 'new'})"
        text = f"Project {number} belongs to customer {existing.customer_id}, not to {wanted}: move it in Kimai."
        return Problem(Reason.UNMAPPED_CUSTOMER, text)

    def project_id(self, number: str) -> int | None:
        """The project that has this number, if it exists."""
        project = self._projects_by_number.get(number)
        return project.id if project else None

    def obstacles(self, assignment: Assignment, today: date) -> tuple[str, ...]:
        """Facts of the target that make it refuse a new time sheet (docs/kimai.md §3), as sentences with a remedy."""
        user, activity = assignment.user, assignment.activity
        found: list[str] = []
        if not user.enabled:
            found.append(
                f"Kimai user {user.username} is disabled: enable the account, or map the agent to another user."
            )
        if not activity.visible:
            found.append(f"Activity {activity.name} is hidden: make it visible, or map the type to another activity.")
        if activity.project_id not in {None, assignment.project.id}:
            found.append(f"Activity {activity.name} belongs to another project: map the type to a global activity.")
        customer = self._customers.get(assignment.project.customer.id or 0)
        if customer is not None and not customer.visible:
            found.append(f"Customer {customer.name} is hidden: make it visible.")
        project = self._projects.get(assignment.project.id or 0)
        return (*found, *_project_obstacles(project, activity, today)) if project else tuple(found)

    def _fixed_project(self, wanted: str) -> ProjectPlan | Problem:
        project = self._projects_by_number.get(wanted)
        if project is None and wanted.isdecimal():
            project = self._projects.get(int(wanted))
        if project is None:
            return Problem(
                Reason.UNMAPPED_CUSTOMER, f"ZK_FIXED_PROJECT={wanted!r} is no project number or id in Kimai."
            )
        return self._planned(project)

    def _planned(self, project: Project) -> ProjectPlan:
        customer = self._customers.get(project.customer_id)
        plan = CustomerPlan(
            project.customer_id, (customer.number if customer else None) or "", customer.name if customer else ""
        )
        return ProjectPlan(project.id, project.number or "", project.name, plan)

    def _customer(self, entry: Entry) -> CustomerPlan | Problem:
        organization = entry.organization_id or 0
        number = f"zammad-org-{organization}"
        mapped = self._mappings.customers.get(organization)
        if mapped:
            customer = self._customers.get(mapped)
            if customer is None:
                text = f"{entry.organization_name or organization} is mapped to customer {mapped}, which is gone."
                return Problem(Reason.UNMAPPED_CUSTOMER, text)
            return CustomerPlan(customer.id, customer.number or "", customer.name)
        existing = self._customers_by_number.get(number)
        if existing is not None:
            return CustomerPlan(existing.id, number, existing.name)
        name = entry.organization_name if organization else self._policy.fallback_customer
        name = clean_name(name or "", f"Organization {organization}")
        namesakes = self._unclaimed.get(name.casefold(), [])
        if len(namesakes) != 1 or mapped == OWN_CUSTOMER:
            return CustomerPlan(None, number, name)
        if self._policy.adopt_by_name and self._organization_names[name.casefold()] <= 1:
            return CustomerPlan(namesakes[0].id, namesakes[0].number or "", namesakes[0].name)
        text = f"Kimai has a customer {name} (id {namesakes[0].id}) that is not ours yet: take that one, or a new one?"
        return Problem(Reason.UNMAPPED_CUSTOMER, text)


def _project_identity(strategy: ProjectStrategy, entry: Entry, customer: CustomerPlan) -> tuple[str, str]:
    organization = entry.organization_id or 0
    if strategy is ProjectStrategy.PER_TICKET:
        name = f"{entry.ticket_number} {entry.ticket_title}"
        return project_number("ZT", entry.ticket_id), clean_name(name, f"Ticket {entry.ticket_id}")
    if strategy is ProjectStrategy.PER_GROUP:
        group = entry.group_name or f"Group {entry.group_id}"
        number = project_number(f"G{entry.group_id or 0}O", organization)
        return number, clean_name(f"{customer.name} {group}", f"Group {entry.group_id}")
    return project_number("ZO", organization), customer.name


def _project_obstacles(project: Project, activity: Activity, today: date) -> Iterator[str]:
    if not project.visible:
        yield f"Project {project.name} is hidden: make it visible."
    if project.end is not None and project.end < today:
        yield f"Project {project.name} ended on {project.end}: extend its end date for the time of the sync."
    if project.start is not None and project.start > today:
        yield f"Project {project.name} begins on {project.start}: set an earlier start date."
    if activity.project_id is None and not project.global_activities:
        yield f"Project {project.name} allows no global activities: allow them, or map a project activity."


def _new_project(number: str, name: str, customer: CustomerPlan) -> ProjectPlan | Problem:
    if len(number) <= PROJECT_NUMBER_LENGTH:
        return ProjectPlan(None, number, name, customer)
    limit = f"Kimai takes {PROJECT_NUMBER_LENGTH} characters"
    return Problem(
        Reason.UNMAPPED_CUSTOMER, f"Project number {number} is too long ({limit}): choose another ZK_PROJECT_STRATEGY."
    )


def _newest_first(rows: Iterable[_Numbered]) -> list[_Numbered]:
    """For tables by number, in which the last one stays: of several, that is the oldest."""
    return sorted(rows, key=lambda row: row.id, reverse=True)


def _users_by_name(directory: TargetDirectory) -> dict[str, TargetUser]:
    by_username = _unique((user.username, user) for user in directory.users)
    by_email = _unique((user.email, user) for user in directory.users)
    taken = {(user.email or "").casefold() for user in directory.users}
    return {name: user for name, user in by_username.items() if name not in taken} | by_email


def _unique(named: Iterable[tuple[str | None, TargetUser]]) -> dict[str, TargetUser]:
    """By casefolded name, without those that fit several users: time is never given to one of them by chance."""
    users: dict[str, list[TargetUser]] = {}
    for name, user in named:
        if name:
            users.setdefault(name.casefold(), []).append(user)
    return {name: found[0] for name, found in users.items() if len(found) == 1}


def _unclaimed_by_name(directory: TargetDirectory, mapped: Collection[int]) -> dict[str, list[Customer]]:
    by_name: dict[str, list[Customer]] = {}
    for customer in directory.customers:
        if not (customer.number or "").startswith("zammad-org-") and customer.id not in mapped:
            by_name.setdefault(customer.name.casefold(), []).append(customer)
    return by_name
