"""Reconciliation: the plan, which says what to do about every entry and every time sheet of ours."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from zk_pipeline.domain import plan_lines
from zk_pipeline.domain.billing_balances import BillingBalances, with_owed
from zk_pipeline.domain.decision import Action, Decision, Status, changed_since, decide, decide_unwanted
from zk_pipeline.domain.entries import Entry, SyncStatus, stable_hash
from zk_pipeline.domain.instants import days_window, local_day, whole_seconds
from zk_pipeline.domain.ledger import Desired, LedgerRow
from zk_pipeline.domain.mapping import Assignment, AssignmentProblem, ProjectPlan, Resolver
from zk_pipeline.domain.matching import Match, Matches, MatchRequest, OwnershipIndex, Tier, match
from zk_pipeline.domain.normalize import RUNNING, UNREADABLE, TimeSpan, free_span
from zk_pipeline.domain.plan import DayInputs, Draft, PlanLine, SurvivingTicket
from zk_pipeline.domain.plausibility import typing_error
from zk_pipeline.domain.policy import Policy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.resolutions import Resolution, resolved
from zk_pipeline.domain.source_ids import hashed_id, source_id_order
from zk_pipeline.domain.write_protection import WriteProtection

# Merged tickets: the source leaves bookings on the merged ticket; people can have them counted on the surviving one.


def on_survivor(entry: Entry, survivor: SurvivingTicket) -> Entry:
    """The entry as it would be billed on the surviving ticket."""
    return replace(
        entry,
        ticket_id=survivor.ticket_id,
        ticket_number=f"#{survivor.number}",
        ticket_title=survivor.title,
        organization_id=survivor.organization_id,
        organization_name=survivor.organization_name,
        customer_name=survivor.customer_name,
        group_id=survivor.group_id,
        group_name=survivor.group_name,
        ticket_known=True,
    )


def offer_survivor(
    entry: Entry, there: Entry, survivor: SurvivingTicket, *projects: ProjectPlan | AssignmentProblem
) -> PlanLine | None:
    """The question whether to move a booking, next to the booking's own line; `None` if it would be billed the same.

    `projects` are those of its own ticket and of the surviving one. Another ticket number alone is no reason, because
    texts in Kimai are never rewritten.
    """
    here, beyond = map(_billed_as, projects)
    if here == beyond:
        return None
    text = (
        f"Ticket #{survivor.merged_number} was merged into #{survivor.number}: article {survivor.article_id}, with "
        f"which time was booked, lies there now. {entry.time_minutes.normalize():f} minutes of this booking are booked "
        f"on {entry.ticket_number} for {_owner(entry)}; #{survivor.number} belongs to {_owner(there)}."
    )
    ids = (entry.ticket_id, entry.organization_id, there.ticket_id, there.organization_id)
    facts = [hashed_id(id_) for id_ in ids]
    return PlanLine(
        entry.entry_date,
        entry.source_id,
        None,
        Status.EXCLUDED,
        Action.REVIEW,
        Decimal(0),
        Reason.MERGED_TICKET,
        text,
        facts_hash=stable_hash({"merge": facts}),
    )


def _billed_as(project: ProjectPlan | AssignmentProblem) -> tuple[int | str, int | str]:
    if isinstance(project, AssignmentProblem):
        return ("", project.text)
    return (project.customer.id or project.customer.number, project.id or project.number)


def _owner(entry: Entry) -> str:
    return entry.organization_name or entry.customer_name or "nobody"


DESCRIPTION_BYTES = 65_535
"""Kimai answers 500 to a longer description (docs/kimai.md §3)."""


class Reconciler:
    """Reconciles days of one source with one target, by the resolver's mappings and the policy."""

    def __init__(self, connector: str, resolver: Resolver, policy: Policy) -> None:
        self._connector = connector
        self._resolver = resolver
        self._policy = policy
        self._accounts = BillingBalances(resolver, policy)

    def day(self, inputs: DayInputs, resolutions: Collection[Resolution] = ()) -> list[PlanLine]:
        """The plan of one day: a line for each entry, then for each copy and stray time sheet of the day.

        People's decisions are applied before new time sheets are placed, and again to those that found no free span.
        """
        locks = self._locks(inputs)
        lines = [plan_lines.tried_again(line) for line in resolved(self._lines(inputs), resolutions, locks)]
        return resolved(self._placed(lines, inputs), resolutions, locks)

    def _lines(self, inputs: DayInputs) -> list[PlanLine]:
        assignments = {entry.source_id: self._resolver.resolve(entry) for entry in inputs.entries}
        wanted = [self._wanted(entry, assignments[entry.source_id]) for entry in inputs.entries]
        bound = {row.source_id: row.kimai_id for row in inputs.ledger.values() if row.kimai_id is not None}
        matches = match(wanted, inputs.timesheets, OwnershipIndex(self._connector, bound), self._policy.zone)
        # A time sheet without owner and with an unreadable marker may belong to any booking.
        veiled = [row for row in inputs.timesheets if "description" in row.faults and row.id not in bound.values()]
        lines: list[PlanLine] = []
        for entry in sorted(inputs.entries, key=lambda entry: (entry.created_at, source_id_order(entry.source_id))):
            found = matches.by_source[entry.source_id]
            line = self._entry(entry, assignments[entry.source_id], found, inputs)
            lines.append(plan_lines.unless_unreadable(veiled, line, entry) if veiled else line)
            lines.extend(self._moves(entry, inputs))
        of_day = plan_lines.of_day(matches, inputs, self._policy.zone)
        lines.extend(plan_lines.copy_line(found, inputs, self._locks(inputs)) for found in of_day)
        lines.extend(self._strays(matches, inputs))
        lines.extend(self._vanished(inputs))
        return lines

    def _wanted(self, entry: Entry, assignment: Assignment | AssignmentProblem) -> MatchRequest:
        user = assignment.user if isinstance(assignment, Assignment) else self._resolver.user(entry)
        return MatchRequest(
            source_id=entry.source_id,
            user_id=None
            if isinstance(user, AssignmentProblem) or entry.sync_status is not SyncStatus.PENDING
            else user.id,
            ticket_number=entry.ticket_number,
            day=entry.entry_date,
            seconds=whole_seconds(entry.time_minutes),
            text=f"{entry.ticket_number} {entry.ticket_title}",
        )

    def _entry(
        self, entry: Entry, assignment: Assignment | AssignmentProblem, found: Match, inputs: DayInputs
    ) -> PlanLine:
        ours = found.timesheet if found.tier is Tier.OURS else None
        bound = inputs.bound_to(entry.source_id)
        if bound is not None and bound not in inputs.gone and (ours is None or ours.id != bound):
            return plan_lines.review(
                entry, Status.MISSING, Reason.UNSEEN_IN_KIMAI, f"Time sheet {bound}.", kimai_id=bound
            )
        if entry.sync_status is SyncStatus.UNREADABLE:
            status, running = Status.MISMATCH if ours else Status.MISSING, entry.trace.get(RUNNING, "")
            reason = Reason.RUNNING_TIMER if running else Reason.MALFORMED_BOOKING
            why = running or entry.trace.get(UNREADABLE, "")
            return plan_lines.review(entry, status, reason, why, kimai_id=ours.id if ours else None)
        if ours is not None and ours.faults:
            return plan_lines.review(
                entry, Status.MISMATCH, Reason.MALFORMED_TIMESHEET, plan_lines.unread(ours), kimai_id=ours.id
            )
        if entry.sync_status is not SyncStatus.PENDING:
            return self._unwanted(entry, ours, inputs)
        if isinstance(assignment, AssignmentProblem):
            status = Status.MISMATCH if ours else Status.MISSING
            return plan_lines.review(
                entry, status, assignment.reason, assignment.text, kimai_id=ours.id if ours else None
            )
        draft = self._draft(entry, assignment, inputs)
        if entry.source_id in inputs.adjusted:
            status = Status.MISMATCH if ours else Status.MISSING
            line = plan_lines.review(entry, status, Reason.BILLED, kimai_id=ours.id if ours else None, draft=draft)
            return self._billed(line, entry, ours, inputs)
        if ours is not None:
            return self._existing(entry, ours, draft, inputs)
        return self._unmatched(entry, draft, found, inputs)

    def _unmatched(self, entry: Entry, draft: Draft, found: Match, inputs: DayInputs) -> PlanLine:
        """A booking without time sheet. Nothing is created if its time sheet was deleted or may be unreadable."""
        ledger = inputs.ledger.get(entry.source_id)
        bound = inputs.bound_to(entry.source_id)
        if self._locks(inputs).is_closed(entry.entry_date):
            # The day takes no writes, links or deletions any more; its time can be booked elsewhere.
            text = plan_lines.named(found) if bound is None else f"Time sheet {bound} was deleted in Kimai."
            line = plan_lines.review(
                entry, Status.MISSING, Reason.LOCKED_PERIOD, text, draft=draft, candidates=found.candidates
            )
            return self._billed(line, entry, None, inputs)
        if bound is not None:
            return plan_lines.review(entry, Status.MISSING, Reason.DELETED_IN_KIMAI, kimai_id=bound, draft=draft)
        if found.ambiguous or found.timesheet is not None:
            return plan_lines.offered(entry, found, draft)
        return self._adjustable(self._missing(entry, draft, ledger), entry, None, inputs)

    def _existing(self, entry: Entry, ours: Timesheet, draft: Draft, inputs: DayInputs) -> PlanLine:
        ledger = inputs.ledger.get(entry.source_id)
        locked = self._is_locked(ours, inputs, entry.entry_date)
        rounding = inputs.rounding_of(entry.source_id)
        decision = decide(ledger, draft.desired, ours, locked=locked, rounding=rounding)
        if decision.reason is Reason.BILLED:
            return self._billed(plan_lines.decided(entry, decision, ours, draft), entry, ours, inputs)
        before = inputs.locked_as.get(ours.id) if locked and decision.status is Status.IN_SYNC else None
        if before is not None and (changed := changed_since(before, ours)):
            return plan_lines.changed_after_billing(entry, changed, ours, draft, before)
        mistyped = typing_error(entry.time_minutes)
        if decision.action is Action.UPDATE and mistyped:
            refused = plan_lines.refused(entry, Status.MISMATCH, mistyped, draft, kimai_id=ours.id)
            return replace(refused, diff=decision.diff, draft=None)
        if decision.action is Action.UPDATE and plan_lines.is_parked(ledger, draft):
            line = plan_lines.refused(entry, Status.MISMATCH, ledger.message if ledger else "", draft, kimai_id=ours.id)
            line = replace(line, diff=decision.diff, draft=plan_lines.in_place(draft, ours, decision))
            return self._adjustable(line, entry, ours, inputs)
        return plan_lines.decided(entry, decision, ours, draft)

    def _unwanted(self, entry: Entry, ours: Timesheet | None, inputs: DayInputs) -> PlanLine:
        if ours is not None:
            decision = self._decide_unwanted(entry.source_id, ours, inputs)
            line = plan_lines.decided(entry, decision, ours, None)
            return self._billed(line, entry, ours, inputs) if decision.reason is Reason.BILLED else line
        if entry.source_id in inputs.adjusted:
            line = self._billed(plan_lines.review(entry, Status.ORPHANED, Reason.BILLED), entry, None, inputs)
            if line.action is Action.REVIEW:
                return line
        if entry.sync_status is SyncStatus.CORRECTION_OPEN:
            return plan_lines.open_correction(entry, inputs.reducible.get(entry.source_id, ()))
        return PlanLine(
            entry.entry_date,
            entry.source_id,
            None,
            Status.EXCLUDED,
            Action.NONE,
            entry.time_minutes,
            plan_lines.excluded(entry),
        )

    def _missing(self, entry: Entry, draft: Draft, ledger: LedgerRow | None) -> PlanLine:
        mistyped = typing_error(entry.time_minutes)
        if mistyped:
            return replace(plan_lines.refused(entry, Status.MISSING, mistyped, draft), draft=None)
        if plan_lines.is_parked(ledger, draft):
            return plan_lines.refused(entry, Status.MISSING, ledger.message if ledger else "", draft)
        size = len(draft.description.encode())
        if size > DESCRIPTION_BYTES:
            limit = f"Kimai takes {DESCRIPTION_BYTES}"
            text = f"The description has {size} bytes, {limit}: shorten the ticket's title or ZK_DESCRIPTION."
            # Without draft: no decision can make Kimai accept it.
            return replace(plan_lines.refused(entry, Status.MISSING, text, draft), draft=None)
        return PlanLine(
            entry.entry_date,
            entry.source_id,
            None,
            Status.MISSING,
            Action.CREATE,
            entry.time_minutes,
            text=draft.obstacles,
            draft=draft,
            facts_hash=draft.facts_hash,
        )

    def _draft(self, entry: Entry, assignment: Assignment, inputs: DayInputs) -> Draft:
        seconds = whole_seconds(entry.time_minutes)
        desired = Desired(
            user_id=assignment.user.id,
            activity_id=assignment.activity.id,
            project_id=assignment.project.id,
            project_number=assignment.project.number,
            begin=entry.begin_at,
            seconds=seconds,
        )
        span = TimeSpan(entry.begin_at, entry.begin_at + timedelta(seconds=seconds))
        found = self._resolver.obstacles(assignment, inputs.today, entry.entry_date)
        obstacles = " ".join(obstacle.text for obstacle in found)
        return Draft(desired, span, assignment.project, entry.description, entry.tags, obstacles)

    def _moves(self, entry: Entry, inputs: DayInputs) -> Iterable[PlanLine]:
        """The offer to count a booking on the ticket that its own was merged into; its own line does not wait."""
        survivor = inputs.survivors.get(entry.source_id)
        if survivor is None or entry.sync_status is not SyncStatus.PENDING:
            return
        there = on_survivor(entry, survivor)
        offer = offer_survivor(entry, there, survivor, self._resolver.project(entry), self._resolver.project(there))
        if offer is not None:
            yield offer

    def _strays(self, matches: Matches, inputs: DayInputs) -> Iterable[PlanLine]:
        """Time sheets of this day whose bookings are not in the store, each once."""
        in_use = {row.id for source_id, row in matches.strays if source_id in inputs.known_sources}
        strays = {row.id: (source_id, row) for source_id, row in reversed(matches.strays) if row.id not in in_use}
        for _, (source_id, row) in sorted(strays.items()):
            if local_day(row.begin, self._policy.zone) == inputs.day:
                decision = self._decide_unwanted(source_id, row, inputs)
                if row.faults:
                    decision = Decision(Status.ORPHANED, Action.REVIEW, Reason.MALFORMED_TIMESHEET)
                line = plan_lines.stray_line(source_id, row, decision, inputs.day)
                if decision.reason is Reason.BILLED:
                    line = with_owed(line, self._accounts.owed(source_id, inputs.day, row, inputs), inputs)
                yield line

    def _vanished(self, inputs: DayInputs) -> Iterable[PlanLine]:
        """Adjusted bookings of this day of which neither booking nor time sheet is left, only the adjustments."""
        present = {entry.source_id for entry in inputs.entries}
        for source_id, made in sorted(inputs.adjusted.items()):
            bound = inputs.bound_to(source_id)
            of_day = made[0].original_day == inputs.day
            if not of_day or source_id in present or (bound is not None and bound not in inputs.gone):
                continue
            owed = self._accounts.owed(source_id, inputs.day, None, inputs)
            if owed.amounts:
                line = PlanLine(inputs.day, source_id, None, Status.ORPHANED, Action.REVIEW, Decimal(0), Reason.BILLED)
                yield with_owed(line, owed, inputs)

    def _billed(self, line: PlanLine, entry: Entry, ours: Timesheet | None, inputs: DayInputs) -> PlanLine:
        """The line of a booking that may not be written any more, with what it owes."""
        wanted = (entry, line.draft.desired) if line.draft is not None else None
        owed = self._accounts.owed(entry.source_id, entry.entry_date, ours, inputs, wanted)
        return with_owed(line, owed, inputs)

    def _adjustable(self, line: PlanLine, entry: Entry, ours: Timesheet | None, inputs: DayInputs) -> PlanLine:
        """The line of a refused write with what it owes, so that it can be booked where the target accepts it."""
        if line.reason is not Reason.REFUSED_BY_KIMAI or line.draft is None:
            return line
        wanted = (entry, line.draft.desired)
        return replace(line, owed=self._accounts.owed(entry.source_id, entry.entry_date, ours, inputs, wanted))

    def _decide_unwanted(self, source_id: str, row: Timesheet, inputs: DayInputs) -> Decision:
        locked = self._is_locked(row, inputs) or source_id in inputs.adjusted
        ledger = inputs.ledger.get(source_id)
        return decide_unwanted(ledger, row, locked=locked, delete=self._policy.delete_unwanted)

    def _is_locked(self, row: Timesheet, inputs: DayInputs, day: date | None = None) -> bool:
        """Whether the time sheet is billed or closed, or the day of its booking is closed."""
        locks = self._locks(inputs)
        return bool(locks.why(row)) or (day is not None and locks.is_closed(day))

    def _locks(self, inputs: DayInputs) -> WriteProtection:
        return WriteProtection(self._policy.zone, inputs.locked_before, inputs.closed_months)

    def _placed(self, lines: Iterable[PlanLine], inputs: DayInputs) -> list[PlanLine]:
        """Move creates to free spans that the target's rules allow; existing time sheets stay."""
        server = inputs.server
        if server.allow_overlapping and server.allow_future_times:
            return list(lines)
        within = days_window(inputs.day, inputs.day, self._policy.zone)
        created = {entry.source_id: entry.created_at for entry in inputs.entries}
        day_is_over = inputs.day < inputs.today
        taken = _taken(inputs.timesheets) if not server.allow_overlapping else {}
        placed: list[PlanLine] = []
        for line in lines:
            if line.action is not Action.CREATE or line.draft is None:
                placed.append(line)
                continue
            spans = taken.setdefault(line.draft.desired.user_id, [])
            latest = None if server.allow_future_times or day_is_over else created[line.source_id or ""]
            span = free_span(line.draft.span, spans, within, latest)
            if span is None:
                placed.append(replace(line, action=Action.REVIEW, reason=Reason.NO_FREE_PLACE, text="", decided=""))
                continue
            if not server.allow_overlapping:
                spans.append(span)
            placed.append(replace(line, draft=replace(line.draft, span=span)))
        return placed


def _taken(timesheets: Iterable[Timesheet]) -> dict[int, list[TimeSpan]]:
    spans: dict[int, list[TimeSpan]] = {}
    for row in timesheets:
        if row.end is not None:
            spans.setdefault(row.user_id, []).append(TimeSpan(row.begin, row.end))
    return spans
