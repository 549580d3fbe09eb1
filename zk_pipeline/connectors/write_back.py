"""The optional part of a source: writing into its tickets what became of their time.

A source that can do it also subclasses `TicketWriter`; one that does not is only read, and `zk doctor` says so.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.contract import ChangedTicket, SourceConnector
from zk_pipeline.domain.write_back import WriteKind


class TicketWriter(ABC):
    """Writes tags and notes into tickets. Tickets and notes are named by their id in the source, as text.

    `writes` says what it can write; the methods of other kinds are never called. Every method raises only the typed
    errors of `connectors.errors`: `NotFoundError` if the ticket is gone, `PermissionDeniedError` if the account may not
    write there, and an error with `outcome_unknown` if a write may have taken effect. Each write is one attempt, unless
    it may be repeated without a further effect.
    """

    writes: ClassVar[frozenset[WriteKind]] = frozenset()

    @abstractmethod
    def writing_findings(self, kinds: Collection[WriteKind]) -> tuple[Finding, ...]:
        """Whether the account may write these kinds, found out by reads alone, each lack with its remedy."""

    @abstractmethod
    def ticket_now(self, ticket_id: str) -> ChangedTicket:
        """A ticket as it is at this moment, and the sum of its bookings."""

    @abstractmethod
    def tags_of(self, ticket_id: str) -> frozenset[str]:
        """The tags of a ticket."""

    @abstractmethod
    def add_tag(self, ticket_id: str, tag: str) -> None:
        """Tag a ticket; no error if it has the tag."""

    @abstractmethod
    def remove_tag(self, ticket_id: str, tag: str) -> None:
        """Take a tag off a ticket; no error if it does not have it."""

    @abstractmethod
    def find_note(self, ticket_id: str, marker: str) -> str | None:
        """The oldest note of a ticket whose text has this marker, or `None`."""

    @abstractmethod
    def add_note(self, ticket_id: str, text: str) -> str:
        """Write a note that customers do not see, in one attempt; returns its id."""

    @abstractmethod
    def delete_note(self, note_id: str) -> None:
        """Delete a note of ours; no error if it is gone."""


def writer_of(source: SourceConnector) -> TicketWriter | None:
    """What writes into the tickets of a source, or `None` if it is only read."""
    return source if isinstance(source, TicketWriter) else None


def writable_kinds(kind: type[SourceConnector]) -> frozenset[WriteKind]:
    """What sources of a kind can write; nothing if it is only read."""
    return kind.writes if issubclass(kind, TicketWriter) else frozenset()
