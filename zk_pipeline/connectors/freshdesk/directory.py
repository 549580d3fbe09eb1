"""People, companies, groups, and what tells the kind of work, each list read once in a run."""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import TypeVar

from zk_pipeline.connectors.answer import RowReader, run_concurrently
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError
from zk_pipeline.connectors.freshdesk import rows as freshdesk_rows
from zk_pipeline.connectors.freshdesk.client import FreshdeskClient
from zk_pipeline.domain.names import fold_text
from zk_pipeline.domain.records import ActivityType, Agent, Organization, SourceDirectory, Unreadable

FEW = 3
"""So many are asked for one by one; of more, the whole list is read."""

Record = TypeVar("Record", Agent, Organization, ActivityType)


class DirectoryReader:
    """Reads the directory. Thread-safe; it belongs to one run."""

    def __init__(self, api: FreshdeskClient) -> None:
        self._api = api

    def agents(self, ids: Collection[str]) -> SourceDirectory:
        """These people and nobody else; a deleted agent is found among the contacts."""
        found, unreadable = self._agents if len(ids) > FEW else ([], [])
        known = {row.id for row in (*found, *unreadable)}
        alone = run_concurrently(self._agent, sorted(set(ids) - known))
        directory = SourceDirectory(tuple(found), unreadable=tuple(unreadable)).joined(*alone)
        return SourceDirectory(
            tuple(row for row in directory.agents if row.id in ids),
            unreadable=tuple(row for row in directory.unreadable if row.id is None or row.id in ids),
        )

    def activity_types(self) -> SourceDirectory:
        """The types of tickets and the products."""
        fields = [row for page in self._api.pages("ticket_fields", "ticket field") for row in page.rows("ticket field")]
        products, unreadable = self._list("products", "product", freshdesk_rows.product)
        return SourceDirectory(activity_types=(*freshdesk_rows.types(fields), *products), unreadable=tuple(unreadable))

    def company_names(self, ids: Collection[str]) -> dict[str, str]:
        """The names of these companies; those that no longer exist are left out."""
        if len(ids) > FEW:
            names = {row.id: row.name for row in self._companies[0]}
            ids = set(ids) - names.keys()
        else:
            names = {}
        return names | {row.id: row.name for found in run_concurrently(self._company, sorted(ids)) for row in found}

    @cached_property
    def group_names(self) -> dict[str, str]:
        """All groups by id; empty if the key may not read them."""
        try:
            items = self._api.rows("groups", "group")
        except PermissionDeniedError:
            return {}
        named = [item for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]
        return {str(item.get("id")): item["name"] for item in named}

    def of_id(self, number: str) -> SourceDirectory:
        """The agent or company of an id."""
        return self._agent(number).joined(SourceDirectory(organizations=tuple(self._company(number))))

    def search(self, text: str) -> SourceDirectory:
        """Agents by a part of name or address, and companies by a part of the name, of the whole lists."""
        wanted = fold_text(text)
        agents = [row for row in self._agents[0] if wanted in fold_text(row.name) or wanted in fold_text(row.email)]
        companies = [row for row in self._companies[0] if wanted in fold_text(row.name)]
        return SourceDirectory(tuple(agents), tuple(companies))

    @cached_property
    def _agents(self) -> tuple[list[Agent], list[Unreadable]]:
        return self._list("agents", "agent", freshdesk_rows.agent)

    @cached_property
    def _companies(self) -> tuple[list[Organization], list[Unreadable]]:
        return self._list("companies", "company", freshdesk_rows.company)

    def _list(self, path: str, what: str, read: Callable[[RowReader], Record]) -> tuple[list[Record], list[Unreadable]]:
        rows: dict[str, Record] = {}
        unreadable: list[Unreadable] = []
        for page in self._api.pages(path, what):
            good, bad = page.readable(what, read)
            rows |= {row.id: row for row in good}
            unreadable += bad
        return list(rows.values()), unreadable

    def _agent(self, agent_id: str) -> SourceDirectory:
        for path, read in (("agents", freshdesk_rows.agent), ("contacts", freshdesk_rows.former_agent)):
            try:
                answer = self._api.get(f"{path}/{agent_id}", needs=("access to agents and contacts",))
            except NotFoundError:
                continue
            agents, unreadable = answer.readable("agent", read, [answer.data])
            return SourceDirectory(tuple(agents), unreadable=unreadable)
        return SourceDirectory()

    def _company(self, company_id: str) -> list[Organization]:
        try:
            answer = self._api.get(f"companies/{company_id}", needs=("access to companies",))
        except NotFoundError:
            return []
        return answer.readable("company", freshdesk_rows.company, [answer.data])[0]
