"""All tables of a simulated Jira, their id sequences, and the snapshot of the whole."""

from typing import Any

from zk_sandbox.jira.records import Issue, Organization, Project, Token, Tombstone, User, Webhook, Worklog, dump, load

_TABLES: dict[str, type] = {
    "projects": Project,
    "issues": Issue,
    "worklogs": Worklog,
    "organizations": Organization,
    "webhooks": Webhook,
    "users": User,
}
FIRST_ID = 10000


class State:
    """The tables by id; ids of deleted rows are never given again."""

    def __init__(self) -> None:
        self.projects: dict[int, Project] = {}
        self.issues: dict[int, Issue] = {}
        self.worklogs: dict[int, Worklog] = {}
        self.organizations: dict[int, Organization] = {}
        self.webhooks: dict[int, Webhook] = {}
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.tombstones: list[Tombstone] = []
        self._last_ids: dict[str, int] = {}
        self._last_keys: dict[str, int] = {}

    def next_id(self, table: str, wanted: int | None = None) -> int:
        """The next id of a table, or the wanted one if it is still ahead; ValueError if it is not."""
        last = self._last_ids.get(table, FIRST_ID)
        if wanted is not None and wanted <= last:
            raise ValueError(f"The id {wanted} of {table} was given already (last id {last}); take a higher one.")
        self._last_ids[table] = wanted or last + 1
        return self._last_ids[table]

    def next_key(self, project: Project) -> str:
        """The next key of an issue in a project."""
        number = self._last_keys.get(project.key, 0) + 1
        self._last_keys[project.key] = number
        return f"{project.key}-{number}"

    def worklogs_of(self, issue_id: int) -> list[Worklog]:
        """The worklogs of an issue in the order of their creation."""
        found = [row for row in self.worklogs.values() if row.issue_id == issue_id]
        return sorted(found, key=lambda row: (row.created, row.id))

    def issue(self, id_or_key: str) -> Issue | None:
        """The issue with this id, key or former key."""
        if id_or_key.isascii() and id_or_key.isdigit():
            return self.issues.get(int(id_or_key))
        rows = self.issues.values()
        return next((row for row in rows if id_or_key == row.key or id_or_key in row.old_keys), None)

    def dump(self) -> dict[str, Any]:
        """All rows as JSON."""
        tables = {name: [dump(row) for row in getattr(self, name).values()] for name in _TABLES}
        return {
            **tables,
            "tokens": [dump(row) for row in self.tokens.values()],
            "tombstones": [dump(row) for row in self.tombstones],
            "last_ids": self._last_ids,
            "last_keys": self._last_keys,
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> "State":
        """The state that `dump` wrote."""
        state = cls()
        for name, kind in _TABLES.items():
            rows = [load(kind, row) for row in data[name]]
            setattr(state, name, {row.id: row for row in rows})
        state.tokens = {row["value"]: load(Token, row) for row in data["tokens"]}
        state.tombstones = [load(Tombstone, row) for row in data["tombstones"]]
        state._last_ids = dict(data["last_ids"])
        state._last_keys = dict(data["last_keys"])
        return state
