"""The caller, and whose data the caller may see (docs/kimai.md §1)."""

from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.errors import forbidden
from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.model import Activity, Customer, Project, Team, Timesheet, User

Restricted = Literal["customers", "projects", "activities"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of the token, and what that user may do."""

    kimai: Installation
    user: User
    permissions: frozenset[str]

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which POSTed times and query parameters are read."""
        return self.user.zone

    @property
    def sees_all(self) -> bool:
        """Whether no team restricts this caller."""
        return "view_all_data" in self.permissions

    def may(self, permission: str) -> bool:
        """Whether the caller holds a permission."""
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """Answer 403 unless the caller holds a permission."""
        if permission not in self.permissions:
            raise forbidden()

    def may_for(self, pattern: str, owner: int) -> bool:
        """Whether the caller holds `pattern` with {} replaced by `own` or `other`, as the owner demands."""
        return self.may(pattern.format("own" if owner == self.user.id else "other"))

    def led_members(self) -> frozenset[int]:
        """Users in the teams this caller leads."""
        return frozenset(
            member for team in self.kimai.teams if _leads(team, self.user.id) for member, _ in team.members
        )

    def may_access_user(self, user: int) -> bool:
        """Whether the caller may read this user's entries: users in no team are open to every team lead."""
        if self.sees_all or user == self.user.id:
            return True
        teams = [team for team in self.kimai.teams if any(member == user for member, _ in team.members)]
        return not teams or any(_leads(team, self.user.id) for team in teams)

    def sees_customer(self, customer: Customer) -> bool:
        """Whether no foreign team owns the customer."""
        return self._open("customers", customer.id)

    def sees_project(self, project: Project) -> bool:
        """Whether no foreign team owns the project or its customer."""
        return self._open("projects", project.id) and self._open("customers", project.customer)

    def sees_activity(self, activity: Activity) -> bool:
        """Whether no foreign team owns the activity or its project."""
        project = self.kimai.projects.get(activity.project)
        return self._open("activities", activity.id) and (project is None or self.sees_project(project))

    def sees_assignment(self, entry: Timesheet) -> bool:
        """Whether no foreign team owns the entry's project, customer or activity."""
        if self.sees_all or not len(self.kimai.teams):
            return True
        return self.sees_project(self.kimai.projects.rows[entry.project]) and self.sees_activity(
            self.kimai.activities.rows[entry.activity]
        )

    def _open(self, kind: Restricted, row_id: int) -> bool:
        if self.sees_all:
            return True
        teams = [team for team in self.kimai.teams if row_id in getattr(team, kind)]
        return not teams or any(_belongs(team, self.user.id) for team in teams)


def _leads(team: Team, user: int) -> bool:
    return (user, True) in team.members


def _belongs(team: Team, user: int) -> bool:
    return any(member == user for member, _ in team.members)
