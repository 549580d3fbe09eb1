"""Normalization: bookings become unified entries by the policy, including their placement on the day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from zk_pipeline.domain.attributes import ORGANIZATION, TYPE, Decision, Value, decide, looks_at
from zk_pipeline.domain.corrections import ZERO, CorrectionGroup, NettingInput, NettingResult
from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.domain.instants import day_start, duration, floor_to_grid, local_day
from zk_pipeline.domain.markers import marker, without_markers
from zk_pipeline.domain.names import plain_text
from zk_pipeline.domain.policy import Placement, Policies, Policy
from zk_pipeline.domain.records import (
    ActivityType,
    Agent,
    Faults,
    Organization,
    SourceDirectory,
    Ticket,
    TimeAccounting,
    Window,
)
from zk_pipeline.domain.source_ids import source_id_order

# Placement: where on its day a booking goes. The source knows when it was typed, not when the work was done.


class TimeSpan(NamedTuple):
    """A begin and an end, in UTC."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """A booking to be placed. Bookings of one agent and work day may influence each other.

    With `begin_known`, the work began at `counts_at`; otherwise that is when it was typed.
    """

    id: str
    agent_id: str
    counts_at: datetime
    length: timedelta
    begin_known: bool = False


def place(bookings: Iterable[PlacementRequest], policy: Policy) -> Mapping[str, TimeSpan]:
    """Place each booking by the policy; the result does not depend on the order of the input.

    Sequential placement needs all bookings of an agent's day in one call.
    """
    ordered = sorted(bookings, key=lambda booking: (booking.counts_at, source_id_order(booking.id)))
    if policy.placement is Placement.SEQUENTIAL:
        return _one_after_another(ordered, policy)
    if policy.placement is Placement.END:
        return {
            booking.id: (_starting_on_grid if booking.begin_known else _ending_at_booking)(booking, policy)
            for booking in ordered
        }
    return {booking.id: _starting_on_grid(booking, policy) for booking in ordered}


def free_span(
    wanted: TimeSpan, taken: Sequence[TimeSpan], within: Window, latest_end: datetime | None
) -> TimeSpan | None:
    """The free span of the same length nearest to the wanted one, for a target that forbids overlaps or future times.

    Later spans are preferred unless `latest_end`, rounded down to its minute, forbids them. The search stays `within`
    one day; `None` if the day is full. Adjacent spans do not overlap (docs/kimai.md §3).
    """
    length = wanted.end - wanted.begin
    bound = min(within.end, latest_end.replace(second=0, microsecond=0)) if latest_end else within.end
    begins = [
        min(max(wanted.begin, gap.begin), gap.end - length)
        for gap in _gaps(taken, within.start, bound)
        if gap.end - gap.begin >= length
    ]
    begin = min(begins, key=lambda begin: (begin < wanted.begin, abs(begin - wanted.begin)), default=None)
    return None if begin is None else TimeSpan(begin, begin + length)


def _gaps(taken: Sequence[TimeSpan], start: datetime, end: datetime) -> Iterator[TimeSpan]:
    """The free spans between `start` and `end`, in order."""
    for span in sorted(taken):
        if span.end <= start:
            continue
        if span.begin >= end:
            break
        if span.begin > start:
            yield TimeSpan(start, span.begin)
        start = span.end
    if start < end:
        yield TimeSpan(start, end)


def _starting_on_grid(booking: PlacementRequest, policy: Policy) -> TimeSpan:
    begin = floor_to_grid(booking.counts_at, policy.grid_minutes, policy.zone)
    return TimeSpan(begin, begin + booking.length)


def _ending_at_booking(booking: PlacementRequest, policy: Policy) -> TimeSpan:
    end = booking.counts_at.astimezone(UTC).replace(second=0, microsecond=0)
    begin = max(end - booking.length, day_start(local_day(booking.counts_at, policy.zone), policy.zone))
    return TimeSpan(begin, begin + booking.length)


def _one_after_another(ordered: Sequence[PlacementRequest], policy: Policy) -> dict[str, TimeSpan]:
    """From the start of the working day on; what would begin after midnight goes to the end of its work day instead."""
    cursors: dict[tuple[str, date], datetime] = {}
    spans: dict[str, TimeSpan] = {}
    for booking in ordered:
        day = local_day(booking.counts_at, policy.zone)
        opening = datetime.combine(day, policy.day_start, tzinfo=policy.zone).astimezone(UTC)
        latest = max(day_start(day + timedelta(days=1), policy.zone) - booking.length, opening)
        begin = min(cursors.get((booking.agent_id, day), opening), latest)
        spans[booking.id] = TimeSpan(begin, begin + booking.length)
        cursors[booking.agent_id, day] = begin + booking.length
    return spans


UNREADABLE = "unreadable"
"""The key in an entry's trace that says why its booking is unreadable."""
RUNNING = "running"
"""The key in an entry's trace that says that its booking is not complete yet."""


class Normalizer:
    """Turns bookings into entries, with the directory and policy of one run. `source` is the connector's name.

    Bookings that were closed or billed when the settings changed keep their former policy.
    """

    def __init__(self, source: str, policy: Policy | Policies, directory: SourceDirectory) -> None:
        self._source = source
        self._policies = policy if isinstance(policy, Policies) else Policies(policy)
        self._agents: Mapping[str, Agent] = {agent.id: agent for agent in directory.agents}
        self._organizations: Mapping[str, Organization] = {row.id: row for row in directory.organizations}
        self._types: Mapping[str, ActivityType] = {kind.id: kind for kind in directory.activity_types}

    def entries(
        self,
        bookings: Sequence[TimeAccounting],
        tickets: Mapping[str, Ticket],
        netted: Mapping[str, NettingResult],
        moved: Mapping[str, str] | None = None,
    ) -> list[Entry]:
        """The entries of these bookings, one each, in order of their ids.

        `netted` has what corrections left of a booking; bookings that are not in it were not netted. For sequential
        placement pass the bookings of whole days. `moved` maps bookings of merged tickets to the tickets where people
        want them counted.
        """
        left = {row.id: netted.get(row.id) or self._uncorrected(row) for row in bookings}
        unplaced: dict[Policy, list[PlacementRequest]] = {}
        for row in bookings:
            length = duration(left[row.id].minutes)
            one = PlacementRequest(row.id, row.agent_id, row.counts_at, length, row.worked_at is not None)
            unplaced.setdefault(self._policies.of(row.decided_id), []).append(one)
        spans = {id_: span for policy, rows in unplaced.items() for id_, span in place(rows, policy).items()}
        ordered = sorted(bookings, key=lambda row: source_id_order(row.id))
        found: list[Entry] = []
        for row in ordered:
            ticket_id = (moved or {}).get(row.id, row.ticket_id)
            found.append(self._entry(row, ticket_id, tickets.get(ticket_id), left[row.id], spans[row.id]))
        return found

    def named(self, entry: Entry) -> Entry:
        """An old entry, or one stored without names, with today's names."""
        agent = self._agents.get(entry.agent_id)
        organization = self._organizations.get(entry.organization_id or "")
        kind = self._types.get(entry.activity_type_id or "")
        return replace(
            entry,
            user_email=agent.email if agent else "",
            user_name=agent.name if agent else f"agent {entry.agent_id}",
            organization_name=organization.name if organization else entry.organization_name,
            activity_name=kind.name if kind else entry.activity_name,
        )

    def _uncorrected(self, row: TimeAccounting) -> NettingResult:
        minutes = minutes_of(row, self._policies.of(row.decided_id))
        return NettingResult(max(minutes, ZERO), max(-minutes, ZERO))

    def _entry(
        self, row: TimeAccounting, ticket_id: str, ticket: Ticket | None, left: NettingResult, span: TimeSpan
    ) -> Entry:
        policy = self._policies.of(row.decided_id)
        agent = self._agents.get(row.agent_id)
        activity, customer = self._decided(row, ticket, policy)
        kind, organization = activity.value, customer.value
        number = f"#{ticket.number}" if ticket else f"id {ticket_id}"
        waits = _waits(row, ticket_id, ticket, _faults(policy, ticket, activity, customer))
        facts = {
            "ticket_number": number,
            "title": ticket.title.strip() if ticket else "",
            "organization": organization.name if organization else "",
            "customer": (ticket.customer_name or "") if ticket else "",
            "activity": kind.name if kind else "",
            "agent": agent.name if agent else "",
            "source_id": row.id,
            "note": row.note.strip(),
        }
        return Entry(
            source=self._source,
            source_id=row.id,
            ticket_number=number,
            ticket_id=ticket_id,
            ticket_title=facts["title"],
            description=self._description(policy.description, facts, row.id),
            booked_minutes=minutes_of(row, policy),
            time_minutes=left.minutes,
            open_minutes=left.open_minutes,
            activity_type_id=kind.id if kind else None,
            activity_name=(kind.name or None) if kind else None,
            agent_id=row.agent_id,
            user_email=agent.email if agent else "",
            user_name=agent.name if agent else f"agent {row.agent_id}",
            organization_id=organization.id if organization else None,
            organization_name=(organization.name or None) if organization else None,
            customer_name=ticket.customer_name if ticket else None,
            group_id=ticket.group_id if ticket else None,
            group_name=ticket.group_name if ticket else None,
            ticket_known=ticket is not None,
            entry_date=row.work_day or local_day(row.counts_at, policy.zone),
            begin_at=span.begin,
            end_at=span.end,
            created_at=row.created_at,
            updated_at=row.updated_at,
            tags=policy.tags,
            sync_status=SyncStatus.UNREADABLE if waits else _status(left),
            trace=_trace(row, ticket_id, left, policy) | _rules_traced(activity, customer) | waits,
            decided_id=row.decided_id,
        )

    def _decided(self, row: TimeAccounting, ticket: Ticket | None, policy: Policy) -> tuple[Decision, Decision]:
        """Activity and customer, by the rules. A name is empty where the directory does not have it."""
        kind = self._types.get(row.type_id) if row.type_id is not None else None
        organization_id = ticket.organization_id if ticket else None
        organization = self._organizations.get(organization_id) if organization_id else None
        own = {
            TYPE: Value(row.type_id, kind.name if kind else "") if row.type_id is not None else None,
            ORGANIZATION: Value(organization_id, organization.name if organization else "")
            if organization_id is not None
            else None,
        }
        activity = decide(policy.activity_rules, ticket, own, TYPE)
        return activity, decide(policy.customer_rules, ticket, own, ORGANIZATION)

    def _description(self, template: str, facts: Mapping[str, str], row_id: str) -> str:
        # Cleaned first: removing a value must not join two halves of a marker.
        plain = plain_text(template.format_map(facts))
        text = without_markers(plain).strip().rstrip(":").rstrip()
        return f"{text} {marker(self._source, row_id)}".strip()


def _waits(row: TimeAccounting, ticket_id: str, ticket: Ticket | None, faults: Faults) -> dict[str, str]:
    """Why nothing can be written for the booking yet, as a sentence in the trace; empty if that is not so.

    `faults` are those of the ticket.
    """
    if row.faults:
        number = ticket.number if ticket else row.ticket_id
        return {UNREADABLE: f"Booking {row.id} of ticket {number} cannot be read: {_wrong(row.faults)}."}
    if not row.is_final:
        return {RUNNING: f"Booking {row.id} is not complete: its timer still runs."}
    if faults:
        return {UNREADABLE: f"Ticket {ticket_id} of booking {row.id} cannot be read: {_wrong(faults)}."}
    return {}


def _faults(policy: Policy, ticket: Ticket | None, activity: Decision, customer: Decision) -> Faults:
    """What is wrong with the ticket. Its organization may be, if nothing depends on it."""
    faults = dict(ticket.faults) if ticket is not None else {}
    decided = ((policy.activity_rules, activity), (policy.customer_rules, customer))
    if not any(looks_at(ORGANIZATION, rules, decision) for rules, decision in decided):
        faults.pop("organization_id", None)
    return faults | {
        name: each.problem for name, each in (("activity", activity), ("customer", customer)) if each.problem
    }


def _rules_traced(activity: Decision, customer: Decision) -> dict[str, str]:
    """By which attribute of the ticket activity and customer were decided, if not by the source's own."""
    named = (("activity_type_id", TYPE, activity), ("organization_id", ORGANIZATION, customer))
    return {
        name: f"by the ticket's {decision.rule}"
        for name, own, decision in named
        if decision.rule is not None and decision.rule.attribute != own
    }


def _wrong(faults: Faults) -> str:
    return "; ".join(
        "its time is no number" if name == "time_unit" else f"{name.replace('_', ' ')}: {why}"
        for name, why in sorted(faults.items())
    )


def minutes_of(row: TimeAccounting, policy: Policy) -> Decimal:
    """The minutes of a booking, exact seconds first; negative for a correction."""
    if row.seconds is not None:
        return Decimal(row.seconds) / 60
    return row.units * policy.minutes_per_unit


def movement(row: TimeAccounting, policy: Policy) -> NettingInput:
    """The booking as input for netting."""
    group = CorrectionGroup(row.ticket_id, row.agent_id, row.type_id)
    return NettingInput(row.id, group, row.created_at, minutes_of(row, policy))


def _status(left: NettingResult) -> SyncStatus:
    if left.minutes > 0:
        return SyncStatus.PENDING
    return SyncStatus.CORRECTION_OPEN if left.open_minutes else SyncStatus.EXCLUDED


def _trace(row: TimeAccounting, ticket_id: str, left: NettingResult, policy: Policy) -> dict[str, str]:
    trace = {
        "booked_minutes": _amount(row, policy),
        "entry_date": _day_rule(row, policy),
        "begin_at": _placement_rule(row, policy),
    }
    if left.corrected_by:
        trace["time_minutes"] = f"reduced by correction {_ids(left.corrected_by)}"
    elif left.corrects:
        trace["time_minutes"] = f"a correction of {_ids(left.corrects)}"
    elif left.open_minutes:
        trace["time_minutes"] = "a correction without an earlier booking to reduce"
    if ticket_id != row.ticket_id:
        trace["ticket_id"] = f"moved here by a person: the booking's own ticket {row.ticket_id} was merged into another"
    return trace


def _amount(row: TimeAccounting, policy: Policy) -> str:
    if row.seconds is not None:
        return f"{row.seconds} seconds"
    return f"{row.units} units of {policy.minutes_per_unit} minutes"


def _day_rule(row: TimeAccounting, policy: Policy) -> str:
    if row.worked_at is not None:
        return f"local day of worked_at in {policy.zone.key}"
    return f"local day of created_at in {policy.zone.key}"


def _placement_rule(row: TimeAccounting, policy: Policy) -> str:
    on_grid = f"created_at, down to the {policy.grid_minutes} minute grid"
    if row.worked_at is not None:
        on_grid = f"worked_at, down to the {policy.grid_minutes} minute grid"
    rules = {
        "start": on_grid,
        "end": "created_at less the duration, within the day" if row.worked_at is None else on_grid,
        "sequential": f"after the agent's earlier entries of the day, from {policy.day_start:%H:%M}",
    }
    return f"{policy.placement}: {rules[policy.placement]}"


def _ids(ids: Iterable[str]) -> str:
    return ", ".join(ids)
