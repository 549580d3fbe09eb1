"""What is written back into tickets: which tickets of a month are billed, what they should say of it, and why.

A ticket is billed for a month when the month is closed, or when all its billable time sheets of the month are exported.
It then bears the tag of that month and, once, a note. Only what we wrote ourselves is ever taken off again.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.domain.periods import in_hours, month_name

DEFAULT_TAG = "billed:{month}"
LONGEST_TAG = 100
LONGEST_PAUSE = timedelta(days=1)
FIRST_PAUSE = timedelta(minutes=1)


class WriteKind(StrEnum):
    """What can be written into a ticket."""

    TAG = "tag"
    NOTE = "note"


class WriteBackMode(StrEnum):
    """Whether something is never written, only after approval, or at once within the limits."""

    OFF = "off"
    PROPOSE = "propose"
    AUTO = "auto"


Modes = Mapping[WriteKind, WriteBackMode]


def write_back_modes(text: str) -> dict[WriteKind, WriteBackMode]:
    """The mode of each kind: `propose` for all, or `tag=auto,note=propose`; a kind that is not named is off.

    Raises `ValueError` for anything else.
    """
    said = text.strip().lower()
    if said in set(WriteBackMode):
        return dict.fromkeys(WriteKind, WriteBackMode(said))
    modes = dict.fromkeys(WriteKind, WriteBackMode.OFF)
    for part in said.split(","):
        kind, _, mode = (word.strip() for word in part.partition("="))
        if kind not in set(WriteKind) or mode not in set(WriteBackMode):
            raise ValueError("is neither off, propose or auto, nor one of these for each kind: tag=auto,note=propose")
        modes[WriteKind(kind)] = WriteBackMode(mode)
    return modes


def checked_template(template: str) -> str:
    """The name of the tag with the field {month}. Raises `ValueError` if a ticket could not bear it."""
    try:
        name = template.format_map({"month": "2025-10"})
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise ValueError("is not a template of the field {month}") from error
    if "{month}" not in template:
        raise ValueError("does not name the {month}, so all months would have the same tag")
    if "," in name or name != " ".join(name.split()) or len(name) > LONGEST_TAG or not name.isprintable():
        raise ValueError(f"is no tag; use up to {LONGEST_TAG} characters, without commas and outer blanks")
    return template


class WriteOperation(StrEnum):
    """Whether something is put into a ticket or taken off again."""

    ADD = "add"
    REMOVE = "remove"


class WriteBackState(StrEnum):
    """How far a write is: approved, intended (perhaps sent), there, refused, never sent, or no longer there.

    What is no longer there was `removed` because it was no longer true, or `undone` by a person.
    """

    APPROVED = "approved"
    INTENDED = "intended"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    LAPSED = "lapsed"
    REMOVED = "removed"
    UNDONE = "undone"


class Because(StrEnum):
    """Why something is written back."""

    CLOSED = "closed"
    EXPORTED = "exported"
    NOT_BILLED = "not_billed"
    ANOTHER_NAME = "another_name"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class TicketMonth:
    """The time of a ticket in a month, by the work day of its bookings.

    `minutes` are those of the `sheets`, its billable time sheets, of which some are `exported`. `waiting` counts its
    bookings without time sheet that nobody left out. `closing` is the hash of the statement of a closed month, else
    empty, and `closing_id` its closing. `invoice` is the number of the invoice, where it is certain.
    """

    ticket_id: str
    number: str
    month: date
    minutes: Decimal
    sheets: int
    exported: int
    waiting: int
    closing: str = ""
    closing_id: int = 0
    invoice: str = ""

    @property
    def billed(self) -> Because | None:
        """Why the ticket is billed for the month, or `None` if it is not."""
        if not self.sheets:
            return None
        if self.closing:
            return Because.CLOSED
        return Because.EXPORTED if self.exported == self.sheets and not self.waiting else None


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in a ticket by the journal. `ours` is false for a tag that was there before."""

    id: int
    ticket_id: str
    number: str
    month: date
    kind: WriteKind
    content: str
    ours: bool


@dataclass(frozen=True, slots=True)
class WriteBackLine:
    """One thing to write into a ticket, and why. `content` is the tag, or the text of the note.

    `facts_hash` identifies what it was decided by: approvals and undone writes hold for these facts. `replaces` is the
    journal's row of what is taken off.
    """

    ticket_id: str
    number: str
    month: date
    kind: WriteKind
    operation: WriteOperation
    content: str
    because: Because
    minutes: Decimal
    facts_hash: str
    replaces: int | None = None

    @property
    def key(self) -> tuple[str, WriteKind, date, str]:
        """What it is about: no two lines of a plan have the same."""
        about = "" if self.kind is WriteKind.NOTE else self.content
        return self.ticket_id, self.kind, self.month, about


def note_marker(month: date) -> str:
    """The word in a note by which it is found again; one ticket has one note of a month."""
    return f"[zk-billed-{month_name(month)}]"


_NOTES = {
    "en": ("Billed {month}: {hours}", "statement {hash}", "invoice {invoice}"),
    "de": ("Abgerechnet {month}: {hours}", "Nachweis {hash}", "Rechnung {invoice}"),
    "fr": ("Facturé {month} : {hours}", "relevé {hash}", "facture {invoice}"),
}
_SHOWN_OF_HASH = 12


def note_text(billed: TicketMonth, language: str) -> str:
    """The note of a billed ticket, with its marker; what is not known is left out."""
    parts = _NOTES[language]
    known = [parts[0], *([parts[1]] if billed.closing else []), *([parts[2]] if billed.invoice else [])]
    said = ", ".join(known).format(
        month=month_name(billed.month),
        hours=in_hours(billed.minutes),
        hash=billed.closing[:_SHOWN_OF_HASH],
        invoice=billed.invoice,
    )
    return f"{said}. {note_marker(billed.month)}"


def planned(
    facts: Iterable[TicketMonth],
    standing: Collection[Standing],
    kinds: Collection[WriteKind],
    *,
    template: str = DEFAULT_TAG,
    language: str = "en",
) -> list[WriteBackLine]:
    """What the tickets lack and what they bear wrongly, for these kinds; newest month first.

    A note is written once for a ticket and month, and stays: the statement says what changed afterwards.
    """
    billed = {(row.ticket_id, row.month): row for row in facts if row.billed}
    lines: list[WriteBackLine] = []
    if WriteKind.TAG in kinds:
        lines += _tags(billed, [row for row in standing if row.kind is WriteKind.TAG], template)
    if WriteKind.NOTE in kinds:
        noted = {(row.ticket_id, row.month) for row in standing if row.kind is WriteKind.NOTE}
        missing = [row for key, row in billed.items() if key not in noted]
        lines += [_line(row, WriteKind.NOTE, note_text(row, language)) for row in missing]
    return sorted(
        lines, key=lambda line: (-line.month.toordinal(), line.number, line.ticket_id, line.kind, line.content)
    )


def _tags(
    billed: Mapping[tuple[str, date], TicketMonth], standing: Collection[Standing], template: str
) -> list[WriteBackLine]:
    there = {(row.ticket_id, row.month, row.content) for row in standing}
    lines: list[WriteBackLine] = []
    for row in billed.values():
        name = template.format(month=month_name(row.month))
        if (row.ticket_id, row.month, name) not in there:
            lines.append(_line(row, WriteKind.TAG, name))
    for row in standing:
        fact, name = billed.get((row.ticket_id, row.month)), template.format(month=month_name(row.month))
        if row.ours and (fact is None or name != row.content):
            why = Because.NOT_BILLED if fact is None else Because.ANOTHER_NAME
            lines.append(taken_off(row, why, fact.minutes if fact else Decimal(0)))
    return lines


def _line(row: TicketMonth, kind: WriteKind, content: str) -> WriteBackLine:
    why = row.billed
    if why is None:
        raise RuntimeError(f"Ticket {row.number} is not billed for {month_name(row.month)}.")
    # A month that is closed again is another fact. An amount that changes is not.
    about = content if kind is WriteKind.TAG else note_marker(row.month)
    facts = stable_hash([row.ticket_id, str(kind), month_name(row.month), about, str(why), row.closing_id])
    return WriteBackLine(
        row.ticket_id, row.number, row.month, kind, WriteOperation.ADD, content, why, row.minutes, facts
    )


def taken_off(row: Standing, why: Because, minutes: Decimal = Decimal(0)) -> WriteBackLine:
    """The line that takes off what stands in a ticket."""
    facts = stable_hash([row.id, "remove", str(why)])
    return WriteBackLine(
        row.ticket_id,
        row.number,
        row.month,
        row.kind,
        WriteOperation.REMOVE,
        row.content,
        why,
        minutes,
        facts,
        row.id,
    )


@dataclass(frozen=True, slots=True)
class WriteBackLimits:
    """How much one run writes without approval."""

    changes: int
    removals: int

    def exceeded(self, lines: Collection[WriteBackLine]) -> bool:
        """Whether these lines are too many to write without a person."""
        removals = sum(line.operation is WriteOperation.REMOVE for line in lines)
        return len(lines) > self.changes or removals > self.removals


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A write in the journal: what, how far it is, and who approved it; instants are in UTC.

    `remote_id` is the note.
    """

    id: int
    line: WriteBackLine
    state: WriteBackState
    ours: bool
    remote_id: str | None
    approved_by: str | None
    message: str
    attempts: int
    run_id: str | None
    intended_at: datetime | None
    updated_at: datetime


def due_again(attempts: int, tried_at: datetime) -> datetime:
    """When a write that a system refused is tried again: later and later, at least once a day."""
    return tried_at + min(FIRST_PAUSE * 2 ** min(attempts, 20), LONGEST_PAUSE)
