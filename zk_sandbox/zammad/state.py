"""All tables of a simulated Zammad, their id sequences, and the snapshot of the whole."""

from typing import Any

from zk_sandbox.zammad.accountings import Accountings
from zk_sandbox.zammad.records import (
    Accounting,
    ActivityType,
    Article,
    Group,
    Organization,
    Ticket,
    Token,
    User,
    dump,
    load,
)

_TABLES: dict[str, type] = {
    "organizations": Organization,
    "groups": Group,
    "users": User,
    "types": ActivityType,
    "tickets": Ticket,
}


class State:
    """The tables by id; ids of deleted rows are never given again."""

    def __init__(self) -> None:
        self.organizations: dict[int, Organization] = {}
        self.groups: dict[int, Group] = {}
        self.users: dict[int, User] = {}
        self.types: dict[int, ActivityType] = {}
        self.tickets: dict[int, Ticket] = {}
        self.articles: dict[int, Article] = {}
        self.tokens: dict[str, Token] = {}
        self.accountings = Accountings()
        self.tag_names: set[str] = set()
        """Tags that were ever given; without the setting `tag_new` agents cannot add others."""
        self._articles_by_ticket: dict[int, set[int]] = {}
        self._last_ids: dict[str, int] = {}

    def next_id(self, table: str, wanted: int | None = None) -> int:
        """The next id of a table, or the wanted one if it is still ahead; ValueError if it is not."""
        last = self._last_ids.get(table, 0)
        if wanted is not None and wanted <= last:
            raise ValueError(f"The id {wanted} of {table} was given already (last id {last}); take a higher one.")
        self._last_ids[table] = wanted or last + 1
        return self._last_ids[table]

    def skip_ids(self, table: str, next_id: int) -> None:
        """Use up the ids of a table before that one, as rows do that were refused or deleted again."""
        self._last_ids[table] = max(self._last_ids.get(table, 0), next_id - 1)

    def add_article(self, article: Article) -> None:
        """Insert an article."""
        self.articles[article.id] = article
        self._articles_by_ticket.setdefault(article.ticket_id, set()).add(article.id)

    def remove_article(self, article_id: int) -> Article:
        """Take an article out and give it."""
        article = self.articles.pop(article_id)
        self._articles_by_ticket[article.ticket_id].discard(article_id)
        return article

    def move_article(self, article: Article, ticket_id: int) -> None:
        """Put an article onto another ticket."""
        self.remove_article(article.id)
        article.ticket_id = ticket_id
        self.add_article(article)

    def articles_of(self, ticket_id: int) -> list[Article]:
        """The articles of a ticket, by id."""
        return [self.articles[article_id] for article_id in sorted(self._articles_by_ticket.get(ticket_id, ()))]

    def dump(self) -> dict[str, Any]:
        """The whole state as JSON."""
        tables = {name: [dump(row) for row in getattr(self, name).values()] for name in (*_TABLES, "articles")}
        return tables | {
            "accountings": [dump(row) for row in self.accountings],
            "tokens": [dump(token) for token in self.tokens.values()],
            "tag_names": sorted(self.tag_names),
            "last_ids": self._last_ids,
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> "State":
        """The state that `dump` wrote; what older ones lack is filled in."""
        state = cls()
        for name, kind in _TABLES.items():
            rows = [load(kind, row) for row in data[name]]
            setattr(state, name, {row.id: row for row in rows})
        for row in data["articles"]:
            state.add_article(load(Article, row))
        for row in data["tickets"]:
            if "article_count" not in row:
                state.tickets[row["id"]].article_count = len(state.articles_of(row["id"]))
        state.accountings = Accountings(load(Accounting, row) for row in data["accountings"])
        state.tokens = {row["value"]: load(Token, row) for row in data["tokens"]}
        state.tag_names = set(data.get("tag_names", ()))
        state._last_ids = dict(data["last_ids"])
        return state
