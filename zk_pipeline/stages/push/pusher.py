"""The push of one day: the write limits, and its plan carried out exactly once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import partial
from http import HTTPStatus

import httpx
from sqlalchemy import Connection

from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.approval import ApprovalCheck, Limits, limit_violation, permitted, writes
from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.ledger import LedgerRow, PushState
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.stages.push.amendments import Adoption, Amendment, Removal
from zk_pipeline.stages.push.delivery import Outcome, RequestRecorder, WriteSender, rounds
from zk_pipeline.stages.push.masterdata import MasterData
from zk_pipeline.stages.push.outcomes import OutcomeRecorder, PushReport, refusal_of
from zk_pipeline.stages.push.unknown_outcomes import (
    ANSWERED_500,
    LookupGuard,
    OutcomeResolver,
    UnknownOutcome,
    adopted,
    as_sent,
)
from zk_pipeline.stages.systems import push_lock
from zk_pipeline.store import approvals, ledger, plans, target
from zk_pipeline.store.approvals import ApprovedLine
from zk_pipeline.store.database import Database, HeldLock

# The push of one day carries out its plan so that each entry is in the target exactly once. The intent is committed
# before a write and the outcome after it, so a process may die at any line. If the outcome of a create is unknown, its
# marker is looked up before anything is sent again, and looked up until the server's own time limit has passed, because
# a slow request may still take effect (docs/kimai.md §12).

CHUNK = 32
"""Intents per commit: few, so that a crash leaves little unknown, but enough to keep commits cheap."""

_TAKEN_OVER = {
    Action.CREATE: "kimai.timesheet.adopted",
    Action.UPDATE: "kimai.timesheet.updated",
    Action.LINK: "kimai.timesheet.linked",
}


@dataclass(frozen=True, slots=True)
class PushSettings:
    """The options of a push.

    `time_limit` is the target's own limit for one request, in seconds. `locks` says what may not be written at the
    moment of the push.
    """

    source: str
    locks: Callable[[Connection], WriteProtection]
    concurrency: int
    time_limit: float
    serial_users: bool
    needs_approval: bool = False
    lookup_guard: LookupGuard = field(default_factory=LookupGuard)


class OutdatedPlanError(Exception):
    """The plan of a day was made before an undo; carrying it out would write again what was undone."""


class Pusher:
    """Pushes days to one target, for one run."""

    def __init__(
        self,
        database: Database,
        target: TargetConnector,
        settings: PushSettings,
        run_id: str,
    ) -> None:
        self._database = database
        self._target = target
        self._name = target.endpoint.name
        self._settings = settings
        self._run_id = run_id
        self._request_recorder = RequestRecorder(database, self._name, run_id)
        self._recorder = OutcomeRecorder(database, self._request_recorder, settings.source, self._name, run_id)
        self._master = MasterData(target, database, self._request_recorder, run_id)
        self._resolver = OutcomeResolver(
            target, self._request_recorder, settings.source, settings.time_limit, settings.lookup_guard
        )
        self._unknown_in_a_row = 0

    def days_to_push(self, first: date, last: date) -> set[date]:
        """The days of this range that `day` has anything to do on: to write, to refuse, or approvals to end.

        Whoever plans another day meanwhile pushes it too, so that one may be left out.
        """
        with self._database.transaction() as connection:
            return {
                *plans.taken_back(connection, self._name, first, last),
                *(line.entry_date for line in plans.writes_of_days(connection, self._name, first, last)),
                *approvals.of_days(connection, self._name, first, last),
            }

    def day(self, day: date) -> PushReport:
        """Carry out the plan of one day. Only one run at a time does; another waits and then finds it done.

        Raises `OutdatedPlanError`, and the connector's errors for what stops the run; what was done until then is in
        the ledger.
        """
        made_before = self._master.created
        with self._database.lock(push_lock(self._name, day)) as turn, self._request_recorder.kept():
            with self._database.transaction() as connection:
                if plans.taken_back(connection, self._name, day, day):
                    raise OutdatedPlanError(
                        f"The plan of {day} is from before an undo, so nothing of it was written. Sync the day again."
                    )
                plan = plans.writes_of_day(connection, self._name, day)
                given = approvals.of_days(connection, self._name, day, day).get(day, {})
                allowed = self._permitted(plan, given)
                locks = self._settings.locks(connection)
                closed = [line for line in allowed.lines if _is_shut(line, locks)]
                lines = [line for line in allowed.lines if not _is_shut(line, locks)]
                known = ledger.rows_of(connection, self._name, [line.source_id or "" for line in lines])
            report = self._links(lines, known, locks)
            report += self._updates(lines, known, locks)
            report += self._deletes(lines, locks)
            report += self._creates(lines, known, turn)
            with self._database.transaction() as connection:
                # Approvals given while this run works are for the next one.
                approvals.lapse(connection, [line.id for line in given.values()], self._run_id)
        made = self._master.created
        return replace(
            report,
            customers=made.customers - made_before.customers,
            projects=made.projects - made_before.projects,
            left=report.left + len(allowed.changed) + len(closed),
            unapproved=len(allowed.waiting),
            problems=report.problems
            + tuple(self._master.take_warnings())
            + _changed_since(allowed.changed)
            + _closed_since(closed, locks),
        )

    def _permitted(self, plan: Sequence[PlanLine], given: Mapping[str, ApprovedLine]) -> ApprovalCheck:
        if not self._settings.needs_approval:
            return ApprovalCheck(tuple(plan))
        return permitted(plan, {key: line.line_hash for key, line in given.items()})

    def _links(self, lines: Sequence[PlanLine], known: Mapping[str, LedgerRow], locks: WriteProtection) -> PushReport:
        """Link time sheets in the ledger; those typed by hand that a person chose get the marker first."""
        wanted = _unsettled(lines, Action.LINK, known)
        chosen = [line for line in wanted if line.decided == Choice.LINK]
        report = PushReport()
        adoption = Adoption(self._target, self._recorder, self._settings.source, locks)
        for line in chosen:
            with self._request_recorder.of(line.entry_id):
                report += self._row_alone(line, partial(adoption.carry_out, line))
        plain = [line for line in wanted if line.decided != Choice.LINK]
        with self._database.transaction() as connection:
            found = target.timesheets_by_id(connection, self._name, [line.kimai_id or 0 for line in plain])
        there = [line for line in plain if line.kimai_id in found]
        taken: dict[Action, list[Outcome]] = {Action.CREATE: [], Action.UPDATE: [], Action.LINK: []}
        amendment = Amendment(self._target, self._recorder, locks)
        for line in there:
            row = known.get(line.entry_id)
            if row is not None and row.by_hand and row.state is PushState.INTENDED and not line.decided:
                with self._request_recorder.of(line.entry_id, in_doubt=True):
                    kept = amendment.kept(line, row)
                found |= {kept.id: kept} if kept else {}
            operation, done = _taken_over(line, found[line.kimai_id or 0], row)
            taken[operation].append(done)
        for operation, done in taken.items():
            self._recorder.confirm(done, _TAKEN_OVER[operation], operation)
        return report + PushReport(linked=len(there), left=len(plain) - len(there))

    def _deletes(self, lines: Sequence[PlanLine], locks: WriteProtection) -> PushReport:
        wanted = [line for line in lines if line.action is Action.DELETE]
        with self._database.transaction() as connection:
            bound = ledger.rows_of_timesheets(connection, self._name, [line.kimai_id or 0 for line in wanted])
        by_timesheet = {row.kimai_id: row for row in bound.values()}
        removal = Removal(self._target, self._recorder, locks)
        report = PushReport()
        for line in wanted:
            owner = by_timesheet.get(line.kimai_id)
            with self._request_recorder.of(owner.source_id if owner else line.source_id):
                report += self._row_alone(line, partial(removal.carry_out, line, owner))
        return report

    def _updates(self, lines: Sequence[PlanLine], known: Mapping[str, LedgerRow], locks: WriteProtection) -> PushReport:
        wanted = _unsettled(lines, Action.UPDATE, known)
        report, ready = self._ready(wanted, Action.UPDATE)
        amendment = Amendment(self._target, self._recorder, locks)
        for line in ready:
            row = known.get(line.entry_id)
            with self._request_recorder.of(line.entry_id, in_doubt=row is not None and row.state is PushState.INTENDED):
                report += self._row_alone(line, partial(amendment.carry_out, line, row))
        return report

    def _row_alone(self, line: PlanLine, carry_out: Callable[[], PushReport]) -> PushReport:
        """Carry out the line of one time sheet. A single 500 of Kimai's concerns that row; the others are carried out.

        Raises the connector's errors for everything else, and for so many consecutive 500s that the system is at fault.
        """
        try:
            report = carry_out()
        except ConnectorError as error:
            self._unknown_in_a_row += 1
            if error.status != ANSWERED_500 or self._is_the_systems():
                raise
            return PushReport(failed=1, problems=(f"Booking {line.key}: {error}",))
        self._unknown_in_a_row = 0
        return report

    def _is_the_systems(self) -> bool:
        """Whether so many consecutive rows failed that the system is at fault."""
        return self._unknown_in_a_row > 2 * self._settings.concurrency

    def _creates(self, lines: Sequence[PlanLine], known: Mapping[str, LedgerRow], turn: HeldLock) -> PushReport:
        planned = _unsettled(lines, Action.CREATE, known)
        wanted = [line for line in planned if not _is_bound(known.get(line.entry_id), line)]
        unknown, new = self._resolver.split(wanted, known)
        report, absent = self._settle(unknown)
        sent, unknown = self._send([*new, *absent], turn)
        settled, absent = self._settle(unknown)
        again, unknown = self._send(absent, turn)
        left = PushReport(left=len(planned) - len(wanted))
        return report + sent + settled + again + self._give_up(unknown) + left

    def _settle(self, unknown: Sequence[UnknownOutcome]) -> tuple[PushReport, Sequence[PlanLine]]:
        found, absent = self._resolver.settle(unknown)
        self._recorder.confirm(found, "kimai.timesheet.adopted", Action.CREATE)
        return PushReport(adopted=len(found)), absent

    def _send(self, lines: Sequence[PlanLine], turn: HeldLock) -> tuple[PushReport, list[UnknownOutcome]]:
        """Send creates; returns the report and the unknown outcomes. Once all is recorded, raises what stopped it.

        What the ledger says about them is only true while we hold the day's lock.
        """

        def announce(chunk: Sequence[PlanLine]) -> None:
            turn.require()
            self._recorder.intend(chunk, Action.CREATE)

        report, ready = self._ready(lines, Action.CREATE)
        unknown: list[UnknownOutcome] = []
        with WriteSender(self._target, self._request_recorder, self._settings.concurrency) as delivery:
            for batch in rounds(ready, serial_users=self._settings.serial_users):
                for outcomes in delivery.send(batch, announce, CHUNK):
                    report += self._book_outcomes(outcomes, delivery)
                    unknown += [self._resolver.about(out.line, out.doubt) for out in outcomes if out.doubt is not None]
        if delivery.stopped_by is not None:
            raise delivery.stopped_by
        return report, unknown

    def _ready(self, lines: Sequence[PlanLine], operation: Action) -> tuple[PushReport, list[PlanLine]]:
        """The writes with the ids of their projects; those whose project was refused are parked."""
        self._master.prepare([line.to_write for line in lines])
        ready: list[PlanLine] = []
        for line in lines:
            refusal = self._master.refusal(line.to_write)
            if refusal is None:
                ready.append(replace(line, draft=self._master.with_project(line.to_write)))
            else:
                self._recorder.refuse(line, operation, refusal)
        return PushReport(parked=len(lines) - len(ready)), ready

    def _book_outcomes(self, outcomes: Sequence[Outcome], delivery: WriteSender) -> PushReport:
        done = [outcome for outcome in outcomes if outcome.row is not None]
        refused = [(outcome.line, outcome.refusal) for outcome in outcomes if outcome.refusal is not None]
        doubted = [outcome.doubt for outcome in outcomes if outcome.doubt is not None]
        unsent = [out.line for out in outcomes if not (out.row or out.refusal or out.doubt)]
        self._recorder.confirm(done, "kimai.timesheet.created", Action.CREATE)
        for line, error in refused:
            self._recorder.refuse(line, Action.CREATE, refusal_of(error))
        self._recorder.fail(unsent, Action.CREATE, f"Not sent: {delivery.stopped_by}")
        self._unknown_in_a_row = 0 if done or refused else self._unknown_in_a_row + len(doubted)
        if doubted and self._is_the_systems():
            delivery.stop(doubted[-1])
        minutes = sum((item.line.minutes for item in done), Decimal(0))
        return PushReport(created=len(done), parked=len(refused), minutes=minutes)

    def _give_up(self, unknown: Sequence[UnknownOutcome]) -> PushReport:
        """Sent twice without a good answer: reported now, looked up again by the next run."""
        broken = [each.line for each in unknown if each.cause is not None and each.cause.status == ANSWERED_500]
        self._recorder.fail(broken, Action.CREATE, "Kimai answered 500 twice.")
        problems = tuple(f"Booking {each.line.entry_id}: {each.cause}" for each in unknown)
        return PushReport(failed=len(unknown), problems=problems)


def _changed_since(lines: Sequence[PlanLine]) -> tuple[str, ...]:
    return tuple(f"Booking {line.key} changed since its plan was approved, so it is left out." for line in lines)


def _is_shut(line: PlanLine, locks: WriteProtection) -> bool:
    """Whether the line would write to a day that was closed since it was planned."""
    return writes(line) and locks.is_closed(line.entry_date)


def _closed_since(lines: Sequence[PlanLine], locks: WriteProtection) -> tuple[str, ...]:
    return tuple(f"Booking {line.key} is left out. {locks.why_day(line.entry_date)}" for line in lines)


def _taken_over(line: PlanLine, row: Timesheet, known: LedgerRow | None) -> tuple[Action, Outcome]:
    """A time sheet that is already as planned: by our own write whose answer was lost, or by somebody else's.

    A lost write is recorded as a write, so that it can be undone and counts as an example of the target's rounding.
    """
    if known is not None and known.state is PushState.INTENDED and not line.decided:
        if known.base is None:
            return Action.CREATE, adopted(as_sent(line, known), row)
        return Action.UPDATE, Outcome(line, row, known.base)
    return Action.LINK, Outcome(line, row, written=False)


def _is_bound(row: LedgerRow | None, line: PlanLine) -> bool:
    """Whether another run created the entry since it was planned, with other values than this plan's."""
    if row is None or row.bound is None:
        return False
    # A person decided to create it again in place of a deleted one.
    return not (line.reason is Reason.DELETED_IN_KIMAI and line.kimai_id == row.kimai_id)


def _unsettled(lines: Sequence[PlanLine], action: Action, known: Mapping[str, LedgerRow]) -> list[PlanLine]:
    """The lines of an action that no other run has carried out since they were planned.

    Raises `ValueError`, before anything is sent, if the plan has no draft for one of them.
    """
    wanted = [line for line in lines if line.action is action and not _is_settled(line, known)]
    for line in wanted:
        _ = line.to_write
    return wanted


def _is_settled(line: PlanLine, known: Mapping[str, LedgerRow]) -> bool:
    """Whether another run carried the line out since it was planned."""
    row = known.get(line.source_id or "")
    if row is None or line.draft is None or row.state is not PushState.CONFIRMED:
        return False
    if line.decided or (line.action is Action.LINK and row.kimai_id != line.kimai_id):
        return False
    return row.asked.hash == line.draft.desired.hash


# The write limits: a run that would delete or change unusually much stops before its first write and says what to do.
# Also whether the target is a simulated system.

SANDBOX = "/_sandbox/requests"
"""A route that only the simulated systems have."""


class WriteLimitError(SetupError):
    """The plan is larger than the operator's limits; the message says where they can be overridden."""


def check_write_limits(runtime: Runtime, target_name: str, days: Sequence[date], *, override: bool) -> None:
    """Raise `WriteLimitError` when the plan of these days exceeds the limits, unless somebody overrides them."""
    if override:
        return
    with runtime.database.transaction() as connection:
        reason = objection_to(connection, target_name, runtime.settings, days)
    if reason is None:
        return
    raise WriteLimitError(
        f"Stopped before the first write. {reason} Look at the preview of {days[0]} to {days[-1]}; if it is right, "
        "an admin can override the limits there."
    )


def objection_to(connection: Connection, target_name: str, settings: Settings, days: Sequence[date]) -> str | None:
    """Why a run over these days, as planned now, would be stopped; `None` if it would not."""
    window = days_window(days[0], days[-1], settings.zone)
    lines = [line for day in days for line in plans.writes_of_day(connection, target_name, day)]
    timesheets = target.count_within(connection, target_name, window)
    return limit_violation(lines, timesheets, Limits(settings.max_changes, settings.max_deletes))


def is_sandbox(base_url: str) -> bool:
    """Whether a simulated system answers at this URL."""
    try:
        answer = httpx.get(f"{base_url}{SANDBOX}", timeout=5, follow_redirects=False)
        return answer.status_code == HTTPStatus.OK and "by_route" in answer.json()
    except (httpx.HTTPError, ValueError):
        return False
