"""Creates with unknown outcome: looked up by their marker until it is certain whether they took effect."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain import decision
from zk_pipeline.domain.ledger import LedgerRow, PushState
from zk_pipeline.domain.markers import marker
from zk_pipeline.domain.normalize import TimeSpan
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.stages.push.delivery import Outcome, RequestRecorder
from zk_pipeline.store import ledger, target

LONGEST_PAUSE = 5.0
ANSWERED_500 = 500
"""Kimai's own 500 ends the request without a row (docs/kimai.md §3); a proxy's 502 or 504 proves nothing."""


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """A write that may be in the target; until `certain_at` (monotonic seconds) a slow request may still take effect.

    `sent` is the ledger row of an earlier run that sent it; the booking may have changed since.
    """

    line: PlanLine
    certain_at: float
    cause: ConnectorError | None = None
    sent: LedgerRow | None = None

    @property
    def as_sent(self) -> PlanLine:
        """The write with the values that were sent."""
        return as_sent(self.line, self.sent) if self.sent else self.line


def as_sent(line: PlanLine, sent: LedgerRow) -> PlanLine:
    """The write with the values and placement that the ledger says were sent."""
    asked = sent.asked
    begin = sent.placed_at or asked.begin
    span = TimeSpan(begin, begin + timedelta(seconds=asked.seconds))
    return replace(line, draft=replace(line.to_write, desired=asked, span=span))


def adopted(line: PlanLine, row: Timesheet) -> Outcome:
    """The time sheet of a create whose answer was lost; the next run sees what was edited since."""
    draft = line.to_write
    return Outcome(line, row, base=decision.as_sent(draft.desired, draft.span.begin, row))


@dataclass(frozen=True, slots=True)
class LookupGuard:
    """Checks that must pass before an empty search counts as proof that nothing was written.

    `probe_timesheets` are time sheets of other people that we wrote before. To an account that may not read the time
    sheets of others, the target returns an empty list and no error (docs/kimai.md §2), so one of them must be readable.
    `restored_at` is when the ledger was restored from a backup: it does not know what was written after the backup.
    """

    probe_timesheets: tuple[int, ...] = ()
    restored_at: datetime | None = None


def lookup_guard_now(connection: Connection, target_name: str, now: datetime) -> LookupGuard:
    """The guard as of now."""
    server = target.load_server(connection, target_name)
    probe_timesheets = ledger.timesheets_of_others(connection, target_name, server.caller_id if server else 0)
    return LookupGuard(probe_timesheets, ledger.last(connection, now))


class OutcomeResolver:
    """Finds out whether creates took effect. `time_limit` is the target's own limit for one request, in seconds."""

    def __init__(
        self,
        target: TargetConnector,
        request_recorder: RequestRecorder,
        source_name: str,
        time_limit: float,
        lookup_guard: LookupGuard,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._target = target
        self._request_recorder = request_recorder
        self._source_name = source_name
        self._time_limit = time_limit
        self._probe_timesheets = lookup_guard.probe_timesheets
        self._pause = pause
        self._restored_at = lookup_guard.restored_at

    def split(
        self, lines: Sequence[PlanLine], known: Mapping[str, LedgerRow]
    ) -> tuple[list[UnknownOutcome], list[PlanLine]]:
        """Split writes into those that an earlier attempt may have sent, and those certainly never sent.

        No one else sends while the day is locked, so the wait counts from now. It cannot count from the intent, because
        a request may have been sent long after it.
        """
        now = time.monotonic()
        certain_at = {PushState.INTENDED: now + self._time_limit, PushState.FAILED: now}
        unknown: list[UnknownOutcome] = []
        new: list[PlanLine] = []
        for line in lines:
            row = known.get(line.entry_id)
            if row is not None and row.state in certain_at:
                unknown.append(UnknownOutcome(line, certain_at[row.state], sent=row))
            elif self._may_be_forgotten(line):
                unknown.append(UnknownOutcome(line, now + self._wait_after_restoration()))
            else:
                new.append(line)
        return unknown, new

    def _may_be_forgotten(self, line: PlanLine) -> bool:
        """Whether the booking is older than the restoration. No zone is a day or more ahead of UTC."""
        return self._restored_at is not None and line.entry_date <= self._restored_at.astimezone(
            UTC
        ).date() + timedelta(days=1)

    def _wait_after_restoration(self) -> float:
        """Seconds in which a request sent before the restoration may still take effect."""
        assert self._restored_at is not None  # noqa: S101 - only called after a restoration
        return max(0.0, self._time_limit - (datetime.now(UTC) - self._restored_at).total_seconds())

    def about(self, line: PlanLine, cause: ConnectorError) -> UnknownOutcome:
        """The unknown outcome of a create without answer."""
        wait = 0.0 if cause.status == ANSWERED_500 else self._time_limit
        return UnknownOutcome(line, time.monotonic() + wait, cause)

    def settle(self, unknown: Sequence[UnknownOutcome]) -> tuple[list[Outcome], list[PlanLine]]:
        """Look up the markers until each write was found, or was still missing after its time limit.

        Returns the outcomes of those that were found, and the lines that certainly did not take effect.
        Several hits are copies made by people: the lowest id is ours, the next reconciliation reports the others.
        Raises the connector's errors; the outcomes then stay unknown.
        """
        found: list[Outcome] = []
        absent: list[PlanLine] = []
        open_outcomes, pause = list(unknown), 0.25
        while open_outcomes:
            still_open: list[UnknownOutcome] = []
            for doubt in open_outcomes:
                looked_at = time.monotonic()
                hits = self._find(doubt.line.entry_id)
                if hits:
                    found.append(adopted(doubt.as_sent, hits[0]))
                elif looked_at >= doubt.certain_at:
                    absent.append(doubt.line)
                else:
                    still_open.append(doubt)
            open_outcomes = still_open
            if open_outcomes:
                remaining = max(doubt.certain_at for doubt in open_outcomes) - time.monotonic()
                self._pause(max(0.05, min(pause, remaining)))
                pause = min(pause * 2, LONGEST_PAUSE)
        if absent:
            self._require_sight()
        return found, absent

    def _find(self, source_id: str) -> Sequence[Timesheet]:
        with self._request_recorder.of(source_id, in_doubt=True):
            return self._target.find(marker(self._source_name, source_id))

    def _require_sight(self) -> None:
        """Raise `PermissionDeniedError` if the account cannot read other people's time sheets. Checked once."""
        for timesheet_id in self._probe_timesheets:
            if self._target.get(timesheet_id) is not None:
                break
        self._probe_timesheets = ()
