"""One Kimai installation: its settings, its tables, and what is derived from both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from zk_sandbox.kimai.model import Activity, Customer, Invoice, Project, Rate, Tag, Team, User
from zk_sandbox.kimai.permissions import permissions_of
from zk_sandbox.kimai.search import fold
from zk_sandbox.kimai.settings import Settings
from zk_sandbox.kimai.tables import Table, TimesheetTable


@dataclass
class Installation:
    """Settings and tables; every request works on one of these."""

    settings: Settings = field(default_factory=Settings)
    users: Table[User] = field(default_factory=lambda: Table(User))
    teams: Table[Team] = field(default_factory=lambda: Table(Team))
    customers: Table[Customer] = field(default_factory=lambda: Table(Customer))
    projects: Table[Project] = field(default_factory=lambda: Table(Project))
    activities: Table[Activity] = field(default_factory=lambda: Table(Activity))
    tags: Table[Tag] = field(default_factory=lambda: Table(Tag))
    rates: Table[Rate] = field(default_factory=lambda: Table(Rate))
    invoices: Table[Invoice] = field(default_factory=lambda: Table(Invoice))
    timesheets: TimesheetTable = field(default_factory=TimesheetTable)

    _cells: Mapping[str, Mapping[str, bool]] | None = field(default=None, init=False, repr=False)
    _permissions: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict, init=False, repr=False)
    """Permissions by roles, as long as the cells stay the same."""

    @cached_property
    def tables(self) -> dict[str, Table[Any]]:
        """All tables by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Table)}

    def now(self) -> int:
        """The current UTC epoch second."""
        return self.settings.clock()

    def permissions_of(self, user: User) -> frozenset[str]:
        """What a user may do."""
        cells = self.settings.permissions
        if cells is not self._cells:
            self._cells, self._permissions = cells, {}
        if user.roles not in self._permissions:
            self._permissions[user.roles] = permissions_of(user.roles, cells)
        return self._permissions[user.roles]

    def user_with_token(self, token: str) -> User | None:
        """The enabled owner of a Bearer token."""
        return next((user for user in self.users if token in user.tokens and user.enabled), None)

    def user_named(self, username: str) -> User | None:
        """The user of that name."""
        return next((user for user in self.users if user.username == username), None)

    def tag_named(self, name: str) -> Tag | None:
        """The tag of that name, by collation: case and accents do not matter."""
        folded = fold(name)
        return next((tag for tag in self.tags if fold(tag.name) == folded), None)

    def customer_of(self, project: Project) -> Customer:
        """The customer a project belongs to."""
        return self.customers.rows[project.customer]
