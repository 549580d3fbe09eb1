"""Lines of a plan: what becomes of an entry, a copy or a stray time sheet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from zk_pipeline.domain.decision import Action, Decision, Owned, Status, owned
from zk_pipeline.domain.entries import Entry, stable_hash
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.ledger import LedgerRow, PushState
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.matching import Candidate, Match, Matches, Tier
from zk_pipeline.domain.normalize import TimeSpan
from zk_pipeline.domain.plan import DayInputs, Draft, PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.write_protection import WriteProtection

# Copies: time sheets with the marker of a booking that has another time sheet, asked about on the day of the copy.
# Duplicating and restarting keep the description, so a marker can end up on any day (docs/kimai.md §4).

_WITHIN_REACH = timedelta(days=1)
"""How far from its day a booking is searched by its marker."""


@dataclass(frozen=True, slots=True)
class TimesheetCopy:
    """A time sheet, and the booking whose marker it carries."""

    source_id: str
    sheet: Timesheet


def of_day(matches: Matches, inputs: DayInputs, zone: ZoneInfo) -> list[TimesheetCopy]:
    """The copies on the day, each once: of the day's own bookings and of those of other days.

    A copy whose begin is unreadable is asked about together with its booking.
    """
    found: dict[int, TimesheetCopy] = {}
    for source_id, match in matches.by_source.items():
        for row in match.clones:
            if "begin" in row.faults or local_day(row.begin, zone) == inputs.day:
                found.setdefault(row.id, TimesheetCopy(source_id, row))
    for source_id, row in matches.strays:
        if local_day(row.begin, zone) == inputs.day and _is_copy(row, source_id, inputs):
            found.setdefault(row.id, TimesheetCopy(source_id, row))
    return [found[id_] for id_ in sorted(found)]


def days_elsewhere(inputs: DayInputs, connector: str, zone: ZoneInfo) -> dict[int, date]:
    """The other days on which copies among the day's time sheets lie, by time sheet."""
    owned = {row.bound for row in inputs.ledger.values()}
    days = {row.id: local_day(row.begin, zone) for row in inputs.timesheets if row.id not in owned}
    return {
        row.id: days[row.id]
        for row in inputs.timesheets
        if row.id in days
        and days[row.id] != inputs.day
        and any(_is_copy(row, source_id, inputs) for source_id in marked_ids(row.description, connector))
    }


def _is_copy(row: Timesheet, source_id: str, inputs: DayInputs) -> bool:
    """Whether the booking whose marker a time sheet carries exists and has another time sheet.

    If the original was deleted within reach of the booking's day, the booking takes this one instead.
    """
    original = inputs.originals.get(source_id)
    if original is None or original.kimai_id == row.id or source_id not in inputs.known_sources:
        return False
    return not (original.gone and abs(inputs.day - original.day) <= _WITHIN_REACH) and "begin" not in row.faults


NAMED = 3
"""At most this many candidates are named in a sentence."""


def excluded(entry: Entry) -> Reason:
    """Why an entry needs no time sheet."""
    if entry.booked_minutes < 0:
        return Reason.CORRECTION
    return Reason.CORRECTED_TO_ZERO if entry.booked_minutes else Reason.ZERO


def decided(entry: Entry, decision: Decision, ours: Timesheet, draft: Draft | None) -> PlanLine:
    """An entry with its time sheet, as `decide` says."""
    facts = {"entry": entry.owned_hash, "diff": decision.diff, "kimai": facts_of(ours)}
    return PlanLine(
        entry.entry_date,
        entry.source_id,
        ours.id,
        decision.status,
        decision.action,
        entry.time_minutes,
        decision.reason,
        shortened(ours) if "break" in decision.diff else "",
        diff=decision.diff,
        draft=in_place(draft, ours, decision) if draft else None,
        facts_hash=draft.facts_hash if draft and decision.action is Action.UPDATE else stable_hash(facts),
    )


def changed_after_billing(entry: Entry, decision: Decision, ours: Timesheet, draft: Draft, before: Owned) -> PlanLine:
    """An entry whose time sheet changed since it was billed or closed, with the difference in minutes."""
    minutes = Decimal(ours.duration_seconds - before[2]) / 60
    text = f"Changed after billing: {minutes.normalize():+f} min." if minutes else "Its minutes are the same."
    line = decided(entry, decision, ours, draft)
    return replace(line, text=" ".join(filter(None, (text, line.text))))


def unless_unreadable(veiled: Iterable[Timesheet], line: PlanLine, entry: Entry) -> PlanLine:
    """The line, unless it would create a time sheet that may exist already as an unreadable one of that person."""
    if line.action is not Action.CREATE or line.draft is None:
        return line
    user_id = line.draft.desired.user_id
    row = next((row for row in veiled if "user" in row.faults or row.user_id == user_id), None)
    if row is None:
        return line
    text = f"{unread(row)} It is unknown whether it belongs to this booking."
    return review(entry, Status.MISSING, Reason.MALFORMED_TIMESHEET, text, draft=line.draft)


def unread(row: Timesheet) -> str:
    """The sentence for an unreadable time sheet."""
    faults = "; ".join(f"{name}: {why}" for name, why in sorted(row.faults.items()))
    return f"Time sheet {row.id} cannot be read: {faults}."


def shortened(row: Timesheet) -> str:
    """The sentence for a time sheet with a break."""
    return f"A break of {row.break_seconds / 60:g} minutes shortens time sheet {row.id}." if row.break_seconds else ""


def facts_of(row: Timesheet) -> list[str]:
    """What a decision about a time sheet depends on: its id, and the fields that we own."""
    return [str(row.id), *map(str, owned(row))]


def in_place(draft: Draft, ours: Timesheet, decision: Decision) -> Draft:
    """The draft with the time sheet's own begin, unless its placement is what changes."""
    if decision.action is not Action.UPDATE or "begin" in decision.diff:
        return draft
    return replace(draft, span=TimeSpan(ours.begin, ours.begin + timedelta(seconds=draft.desired.seconds)))


def is_parked(ledger: LedgerRow | None, draft: Draft) -> bool:
    """Whether exactly this write was refused before."""
    return ledger is not None and ledger.state is PushState.PARKED and ledger.facts_hash == draft.facts_hash


def refused(entry: Entry, status: Status, message: str, draft: Draft, *, kimai_id: int | None = None) -> PlanLine:
    """A write that the target refused or will refuse, with its reason."""
    result = review(entry, status, Reason.REFUSED_BY_KIMAI, message, kimai_id=kimai_id, draft=draft)
    # A known obstacle is waited for. The target's own rules are unknown, so each run tries once.
    return replace(result, facts_hash=draft.facts_hash, again=not draft.obstacles)


def tried_again(line: PlanLine) -> PlanLine:
    """The line of a refused write, to be sent again: a rule of the target may have changed."""
    if line.action is not Action.REVIEW or not line.again or line.draft is None:
        return line
    return replace(line, action=Action.UPDATE if line.status is Status.MISMATCH else Action.CREATE)


def offered(entry: Entry, found: Match, draft: Draft) -> PlanLine:
    """A time sheet typed by hand fits: a person decides whether it belongs to this booking."""
    reason = Reason.DUPLICATE if found.tier is Tier.SAME else Reason.FUZZY_CANDIDATE
    reason = Reason.AMBIGUOUS if found.ambiguous else reason
    status = Status.MISSING if reason is Reason.FUZZY_CANDIDATE else Status.DUPLICATE
    chosen = found.timesheet.id if found.timesheet else None
    return review(entry, status, reason, named(found), kimai_id=chosen, draft=draft, candidates=found.candidates)


def named(found: Match) -> str:
    """The time sheets that may belong to the booking, as a sentence; empty if there are none."""
    names = ", ".join(f"time sheet {pair.timesheet_id} (score {pair.score})" for pair in found.candidates[:3])
    return f"Candidates: {names}." if names else ""


def review(
    entry: Entry,
    status: Status,
    reason: Reason,
    text: str = "",
    *,
    kimai_id: int | None = None,
    draft: Draft | None = None,
    candidates: tuple[Candidate, ...] = (),
) -> PlanLine:
    """An entry that waits for a person; a decision about it depends on its facts."""
    facts: dict[str, Any] = {
        "reason": reason,
        "entry": entry.owned_hash,
        "desired": draft.desired.hash if draft else None,
        "kimai": kimai_id,
        "candidates": [candidate.timesheet_id for candidate in candidates],
    }
    return PlanLine(
        entry.entry_date,
        entry.source_id,
        kimai_id,
        status,
        Action.REVIEW,
        entry.time_minutes,
        reason,
        text,
        candidates=candidates,
        draft=draft,
        facts_hash=stable_hash(facts),
    )


def open_correction(entry: Entry, reducible: Sequence[str]) -> PlanLine:
    """A negative booking that could not be netted completely; people say which booking it reduces."""
    text = f"{entry.open_minutes.normalize():f} minutes of the correction are open."
    named = "; ".join(reducible[:NAMED])
    more = f" and {len(reducible) - NAMED} more" if len(reducible) > NAMED else ""
    text += f" It may be about booking {named}{more}." if named else " No booking around it has minutes left."
    line = review(entry, Status.EXCLUDED, Reason.UNMATCHED_CORRECTION, text)
    # A decision made when nothing could be reduced stays valid, whatever bookings there are now.
    partly = entry.open_minutes != -entry.booked_minutes
    facts = {"line": line.facts_hash, "open": f"{entry.open_minutes.normalize():f}"}
    return replace(line, facts_hash=stable_hash(facts) if partly else line.facts_hash, reducible=bool(reducible))


def copy_line(found: TimesheetCopy, inputs: DayInputs, locks: WriteProtection) -> PlanLine:
    """A copy of a booking's time sheet; a billed one, or one on a closed day, can only be kept."""
    sheet, original = found.sheet, inputs.originals.get(found.source_id)
    locked = locks.why(sheet) or locks.why_day(inputs.day)
    text = f"Time sheet {sheet.id} carries the marker of booking {found.source_id}"
    if original is not None and original.day != inputs.day:
        text = f"{text} of {original.day}"
    if original is not None and original.kimai_id != sheet.id:
        text = f"{text}, which has time sheet {original.kimai_id}"
    return PlanLine(
        inputs.day,
        found.source_id,
        sheet.id,
        Status.DUPLICATE,
        Action.REVIEW,
        Decimal(0),
        Reason.BILLED_COPY if locked else Reason.MARKER_CLONED,
        f"{text}. {locked}".strip(),
        facts_hash=stable_hash({"clone": facts_of(sheet)}),
    )


def stray_line(source_id: str, row: Timesheet, decision: Decision, day: date) -> PlanLine:
    """One of our time sheets whose booking is not in the source."""
    return PlanLine(
        day,
        None,
        row.id,
        decision.status,
        decision.action,
        Decimal(0),
        decision.reason,
        f"Time sheet {row.id} belongs to booking {source_id}, which is not in Zammad.",
        facts_hash=stable_hash({"stray": facts_of(row), "reason": decision.reason}),
    )
