"""Writing into Zammad's tickets: tags, and internal notes (docs/zammad.md §14)."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from zk_pipeline.connectors.answer import RowReader
from zk_pipeline.connectors.checks import Checks, Finding
from zk_pipeline.connectors.contract import ChangedTicket
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.write_back import TicketWriter
from zk_pipeline.connectors.zammad import rows as zammad_rows
from zk_pipeline.connectors.zammad.window import ACCOUNTINGS, NEEDS
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.domain.write_back import WriteKind

AGENT = ("ticket.agent",)
SUBJECT = "write back"
LOOKED_AT = 200
"""The tickets booked last, by whose groups the rights are judged."""

_CHANGES = frozenset({"change", "full"})
_ID = re.compile(r"[0-9]{1,18}", re.ASCII)
_REMEDY = (
    "Give the token and a role of its owner the permission ticket.agent, and the owner the right 'change' on the group "
    "of the ticket."
)
_NEW_TAGS = " Or let agents make new tags ('New Tags' under Manage, Tags), if it is a new one."


class ZammadTicketWriter(TicketWriter):
    """Mixed into the connector, whose client it uses."""

    writes = frozenset(WriteKind)
    _http: HttpClient

    def writing_findings(self, kinds: Collection[WriteKind]) -> tuple[Finding, ...]:
        """The rights on the groups of the tickets booked last, the token's, and whether new tags may be made."""
        checks = Checks()
        if kinds:
            _examine(self._http, kinds, checks)
        return checks.findings

    def ticket_now(self, ticket_id: str) -> ChangedTicket:
        """The ticket with its sum."""
        answer = self._http.get(f"/api/v1/tickets/{_number(ticket_id)}", {"expand": "true"}, needs=AGENT)
        return zammad_rows.changed_ticket(answer.row("ticket"))

    def tags_of(self, ticket_id: str) -> frozenset[str]:
        """The tags, which the ticket itself does not have."""
        answer = self._http.get("/api/v1/tags", {"object": "Ticket", "o_id": _number(ticket_id)}, needs=AGENT)
        found = answer.row("tags").raw.get("tags")
        if not isinstance(found, list):
            raise answer.fault("The tags of a ticket came in another form than a list.")
        return frozenset(str(name) for name in found)

    def add_tag(self, ticket_id: str, tag: str) -> None:
        """Adding a tag twice has no further effect, so it is retried."""
        with _explained(_REMEDY + _NEW_TAGS):
            self._http.write("POST", "/api/v1/tags/add", _tag(ticket_id, tag), repeatable=True, needs=AGENT)

    def remove_tag(self, ticket_id: str, tag: str) -> None:
        """Removing a tag twice has no further effect, so it is retried."""
        with _explained(_REMEDY):
            self._http.write("DELETE", "/api/v1/tags/remove", _tag(ticket_id, tag), repeatable=True, needs=AGENT)

    def find_note(self, ticket_id: str, marker: str) -> str | None:
        """By the articles of the ticket, which need no search engine."""
        path = f"/api/v1/ticket_articles/by_ticket/{_number(ticket_id)}"
        articles = self._http.get(path, needs=AGENT).rows("article")
        found = [row.integer("id") for row in articles if marker in str(row.raw.get("body"))]
        return str(min(found)) if found else None

    def add_note(self, ticket_id: str, text: str) -> str:
        """An internal note, which reopens no ticket."""
        body = {
            "ticket_id": _number(ticket_id),
            "body": text,
            "type": "note",
            "internal": True,
            "content_type": "text/plain",
        }
        with _explained(_REMEDY):
            return str(
                self._http.write("POST", "/api/v1/ticket_articles", body, needs=AGENT).row("article").integer("id")
            )

    def delete_note(self, note_id: str) -> None:
        """Zammad lets the author alone delete a note."""
        with _explained("Delete it in Zammad as its author, whose token wrote it."):
            try:
                self._http.write("DELETE", f"/api/v1/ticket_articles/{_number(note_id)}", repeatable=True, needs=AGENT)
            except NotFoundError:
                return


def _number(text: str) -> int:
    if not _ID.fullmatch(text):
        raise RuntimeError(f"{text!r} is no id of Zammad.")
    return int(text)


def _tag(ticket_id: str, tag: str) -> dict[str, Any]:
    return {"object": "Ticket", "o_id": _number(ticket_id), "item": tag}


@contextmanager
def _explained(remedy: str) -> Iterator[None]:
    """Zammad's refusals of a write do not say what is missing."""
    try:
        yield
    except PermissionDeniedError as error:
        error.remedy = remedy
        raise


def _examine(http: HttpClient, kinds: Collection[WriteKind], checks: Checks) -> None:
    me = checks.attempt(SUBJECT, lambda: http.get("/api/v1/users/me").row("user"), Level.WARN)
    tickets = checks.attempt(SUBJECT, lambda: _tickets_booked_last(http), Level.WARN)
    if me is None or tickets is None:
        return
    if not tickets:
        checks.passed(
            SUBJECT, "No ticket with bookings can be seen yet, so whether tickets may be changed is untested."
        )
    elif _token_opens(http, tickets[0], checks):
        _groups(me, tickets, checks)
    if WriteKind.TAG in kinds:
        _new_tags(http, checks)


def _tickets_booked_last(http: HttpClient) -> list[RowReader]:
    newest = {"sort_by": "created_at,id", "order_by": "desc,desc", "per_page": LOOKED_AT}
    booked = zammad_rows.accountings(http.get(ACCOUNTINGS, newest, needs=NEEDS))
    ids = sorted({row.ticket_id for row in booked if "ticket_id" not in row.faults})
    if not ids:
        return []
    condition = {"ticket.id": {"operator": "is", "value": [str(ticket_id) for ticket_id in ids]}}
    body = {"condition": condition, "expand": True, "per_page": LOOKED_AT}
    return http.search("/api/v1/tickets/search", body, needs=AGENT).rows("ticket")


def _token_opens(http: HttpClient, ticket: RowReader, checks: Checks) -> bool:
    """Whether the token itself may be used for tickets: lists and searches ask its owner alone."""
    path = f"/api/v1/ticket_articles/by_ticket/{ticket.integer('id')}"
    return checks.attempt(SUBJECT, lambda: http.get(path, needs=AGENT).items("article"), Level.WARN) is not None


def _groups(me: RowReader, tickets: list[RowReader], checks: Checks) -> None:
    rights = me.raw.get("group_ids")
    held = rights if isinstance(rights, dict) else {}
    named = {row.integer("group_id"): str(row.raw.get("group") or row.integer("group_id")) for row in tickets}
    lacking = sorted(name for group, name in named.items() if not _CHANGES & set(held.get(str(group), ())))
    if lacking:
        checks.warned(
            SUBJECT,
            f"Tickets of these groups cannot be written to: {', '.join(lacking)}.",
            "Give the account the right 'change' on them in Zammad, or leave ZK_WRITE_BACK off.",
        )
    else:
        checks.passed(SUBJECT, f"The tickets booked last may be changed (groups: {', '.join(sorted(named.values()))}).")


def _new_tags(http: HttpClient, checks: Checks) -> None:
    """The setting shows to administrators of tags alone; a refused tag names it as well."""
    rows = checks.attempt(SUBJECT, lambda: http.get("/api/v1/settings", needs=NEEDS).rows("setting"), Level.WARN)
    states = [row.raw.get("state_current") for row in rows or () if row.raw.get("name") == "tag_new"]
    if any(isinstance(state, dict) and state.get("value") is False for state in states):
        checks.warned(
            SUBJECT,
            "Agents may not make new tags, so a month's tag is refused unless it is there already.",
            "Switch on 'New Tags' in Zammad under Manage, Tags, or make the tag of each month there beforehand.",
        )
