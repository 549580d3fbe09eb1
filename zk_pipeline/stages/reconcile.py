"""Normalization and reconciliation of stored rows, one transaction per day."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import Connection

from zk_pipeline.domain import plan_lines
from zk_pipeline.domain.adjustments import Adjustment, entry_of
from zk_pipeline.domain.corrections import NettingResult, net
from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.ledger import LedgerRow
from zk_pipeline.domain.mapping import Resolver
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.normalize import Normalizer, movement
from zk_pipeline.domain.periods import booking_day
from zk_pipeline.domain.plan import DayInputs, PlanLine
from zk_pipeline.domain.policy import Policies
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.reconcile import Reconciler
from zk_pipeline.domain.records import TargetDirectory, Timesheet
from zk_pipeline.domain.resolutions import Choice, Resolution
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.stages.read_target import around
from zk_pipeline.stages.systems import locks_now
from zk_pipeline.store import (
    adjustments,
    booking_decisions,
    conflicts,
    connectors,
    day_requests,
    entries,
    invoices,
    ledger,
    mappings,
    plans,
    source,
    target,
)
from zk_pipeline.store import tickets as stored_tickets
from zk_pipeline.store.adjustments import AdjustmentDecision


@dataclass(frozen=True, slots=True)
class NormalizedDay:
    """The result of normalizing one day."""

    day: date
    entries: int
    changed: int
    booked_minutes: Decimal
    minutes: Decimal


class DerivedEntries:
    """The entries of stored bookings, with directory and corrections as of one transaction.

    Each booking is derived with the settings it was recorded with, on its recorded day.
    """

    def __init__(self, connection: Connection, runtime: Runtime, name: str, first: date, last: date) -> None:
        policies = Policies(runtime.settings.policy, runtime.former_policies(connection))
        directory = source.load_directory(connection, name)
        self._source = name
        self._normalizer = Normalizer(name, policies, directory)
        self.corrected = source.bookings_with_corrections(connection, name, first, last)
        movements = [movement(row, policies.of(row.decided_id)) for row in self.corrected]
        self.netted: Mapping[str, NettingResult] = net(movements, booking_decisions.pairs(connection, name))

    def of_day(self, connection: Connection, day: date) -> list[Entry]:
        """The entries of one day, including adjustments that are booked on it."""
        bookings = source.bookings_of_days(connection, self._source, day, day)
        tickets = stored_tickets.tickets_of_days(connection, self._source, day, day)
        booked = adjustments.booked_on(connection, self._source, day)
        moved = booking_decisions.moved(connection, self._source, day)
        return self._normalizer.entries(bookings, tickets, self.netted, moved) + [
            self._normalizer.named(entry_of(row, row.original)) for row in booked if row.original is not None
        ]


class Normalization:
    """Normalizes days with the current directory and corrections."""

    def __init__(self, runtime: Runtime, first: date, last: date) -> None:
        self._runtime = runtime
        self._source = runtime.stored("source").name
        with runtime.database.transaction() as connection:
            runtime.decided(connection)
            self._derived = DerivedEntries(connection, runtime, self._source, first, last)

    def day(self, day: date) -> NormalizedDay:
        """Normalize one day: its entries are replaced in one transaction."""
        with self._runtime.database.transaction() as connection:
            rows = self._derived.of_day(connection, day)
            changed = entries.replace_day(connection, self._source, day, rows)
        return NormalizedDay(
            day, len(rows), changed, _booked(rows), sum((row.time_minutes for row in rows), Decimal(0))
        )

    def ask_for_moved_days(self, first: date, last: date) -> list[date]:
        """Request the other days whose entries are netted differently now; returns them.

        These are days of bookings that a correction reduces by another amount, and of corrections that can reduce more
        or less, because their open part waits for a person.
        """
        outside = [
            row.id for row in self._derived.corrected if row.work_day is not None and not first <= row.work_day <= last
        ]
        with self._runtime.database.transaction() as connection:
            stored = entries.minutes_of(connection, self._source, outside)
            changed = [
                found.entry_date
                for id_, found in stored.items()
                if found[1:] != (self._derived.netted[id_].minutes, self._derived.netted[id_].open_minutes)
            ]
            day_requests.ask(connection, changed, day_requests.CORRECTION)
        return sorted(set(changed))


class Reconciliation:
    """Reconciles days with the target's directory and the current mappings.

    Raises `SetupError` if the target's directory was never read.
    """

    def __init__(self, runtime: Runtime, now: datetime) -> None:
        self._runtime = runtime
        self._source, self._target = runtime.stored("source").name, runtime.stored("target").name
        settings = runtime.settings
        with runtime.database.transaction() as connection:
            directory = target.load_directory(connection, self._target)
            if directory is None:
                raise SetupError("Kimai's directory was never read: materialize kimai/directory first.")
            runtime.decided(connection)
            origin = source.load_directory(connection, self._source)
            former = runtime.former_policies(connection)
            space = connectors.number_space(connection, self._source)
            known = mappings.load(connection, self._source)
            resolver = Resolver(directory, known, settings.policy, origin, former, space=space)
            self._answers = ledger.newest_answers(connection, self._target)
        self._directory: TargetDirectory = directory
        self._reconciler = Reconciler(self._source, resolver, settings.policy)
        self._now, self._today = now, local_day(now, settings.zone)

    def day(self, day: date, run_id: str) -> list[PlanLine]:
        """Reconcile one day: its plan and its open conflicts are replaced in one transaction.

        Adjustments that people decided are stored in the same transaction, so that each is made exactly once.
        """
        with self._runtime.database.transaction() as connection:
            decisions = conflicts.resolutions_of_day(connection, self._target, day)
            of_day = ledger.rows_of_day(connection, self._target, day)
            locks = locks_now(connection, self._runtime.settings, self._now)
            inputs = self._inputs(connection, day, of_day, locks)
            lines = self._reconciler.day(inputs, decisions)
            conflicts.replace_day(connection, self._target, day, lines)
            self._remember_locked(connection, inputs, lines, locks)
            if self._adjust(connection, lines, decisions, run_id):
                adjusted = self._adjusted(connection, day, inputs.adjusted.keys() | inputs.ledger.keys())
                lines = self._made_up_for(lines, replace(inputs, adjusted=adjusted), decisions)
            self._ask_where_moved(connection, inputs, of_day.values())
            plans.replace_day(connection, self._target, day, lines, run_id)
        return lines

    def _made_up_for(
        self, lines: Iterable[PlanLine], inputs: DayInputs, decisions: Collection[Resolution]
    ) -> list[PlanLine]:
        """The plan after the adjustments, so that no minutes stay unexplained until the next run."""
        now = {line.key: line for line in self._reconciler.day(inputs, decisions)}
        return [
            replace(now[line.key], decided=line.decided) if line.decided == Choice.ADJUST and line.key in now else line
            for line in lines
        ]

    def _inputs(
        self, connection: Connection, day: date, of_day: dict[str, LedgerRow], locks: WriteProtection
    ) -> DayInputs:
        bound = [row.kimai_id for row in of_day.values() if row.kimai_id is not None]
        timesheets = target.timesheets_around(connection, self._target, around(day, day, self._runtime), bound)
        # Time sheets of other days' entries are around this day too; they already have an owner.
        of_neighbours = ledger.rows_of_timesheets(connection, self._target, [row.id for row in timesheets])
        marked = {id_ for row in timesheets for id_ in marked_ids(row.description, self._source)}
        looked_up = marked | of_neighbours.keys()
        bookings = source.known_bookings(connection, self._source, looked_up)
        of_the_day = entries.entries_of_day(connection, self._source, day)
        open_ids = [row.source_id for row in of_the_day if row.sync_status is SyncStatus.CORRECTION_OPEN]
        reducible = {id_: booking_decisions.reducible(connection, self._source, id_) for id_ in open_ids}
        return DayInputs(
            day=day,
            entries=of_the_day,
            timesheets=timesheets,
            ledger=of_neighbours | of_day,
            known_sources=bookings | adjustments.known(connection, self._source, looked_up),
            gone=target.gone_timesheets(connection, self._target, bound),
            server=self._directory.server,
            today=self._today,
            locked_before=locks.locked_before,
            closed_months=locks.closed_months,
            adjusted=self._adjusted(connection, day, looked_up | of_day.keys()),
            originals=ledger.originals(connection, self._target, marked),
            reducible={id_: [str(row) for row in rows] for id_, rows in reducible.items()},
            survivors=stored_tickets.survivors(connection, self._source, day),
            answers=self._answers,
            locked_as=invoices.locked_as(connection, self._target, [row.id for row in timesheets]),
        )

    def _remember_locked(
        self, connection: Connection, inputs: DayInputs, lines: Iterable[PlanLine], locks: WriteProtection
    ) -> None:
        """Remember time sheets as they were when first seen locked or kept by a person; forget unlocked ones."""
        kept = {line.kimai_id for line in lines if line.reason is Reason.CHANGED_AFTER_BILLING and line.decided}
        of_closed_days = {
            line.kimai_id for line in lines if line.kimai_id is not None and locks.is_closed(line.entry_date)
        }
        new: list[Timesheet] = []
        writable: list[int] = []
        for row in inputs.timesheets:
            known, locked = row.id in inputs.locked_as, bool(locks.why(row)) or row.id in of_closed_days
            if locked and not row.faults and (not known or row.id in kept):
                new.append(row)
            elif known and not locked and self._is_of_day(row, inputs):
                writable.append(row.id)
        if new:
            invoices.keep_locked(connection, self._target, new)
        if writable:
            invoices.forget_locked(connection, self._target, writable)

    def _is_of_day(self, row: Timesheet, inputs: DayInputs) -> bool:
        """Whether a time sheet is judged on this day: its booking's day, which may lock it wherever it lies."""
        bound = {ledger.kimai_id for ledger in inputs.ledger.values() if ledger.kimai_id is not None}
        of_day = {inputs.bound_to(entry.source_id) for entry in inputs.entries}
        lies_here = local_day(row.begin, self._runtime.settings.zone) == inputs.day
        return row.id in of_day or (lies_here and row.id not in bound)

    def _ask_where_moved(self, connection: Connection, inputs: DayInputs, of_day: Iterable[LedgerRow]) -> None:
        """Request the days to which people moved copies, and time sheets of the day whose bookings are gone.

        They are asked about in the plans of the days on which they lie now, which nothing else would request.
        """
        settings = self._runtime.settings
        orphans = {row.bound for row in of_day if row.source_id not in inputs.known_sources}
        moved = {row.id: local_day(row.begin, settings.zone) for row in inputs.timesheets if row.id in orphans}
        moved |= plan_lines.days_elsewhere(inputs, self._source, settings.zone)
        days = {
            day
            for id_, day in moved.items()
            if day != inputs.day
            and settings.start_date <= day <= self._today
            and plans.line_of(connection, self._target, day, f"kimai:{id_}") is None
        }
        day_requests.ask(connection, days, day_requests.MOVED)

    def _adjusted(
        self, connection: Connection, day: date, source_ids: Collection[str]
    ) -> dict[str, Sequence[Adjustment]]:
        """The adjustments of these bookings and of the day's, with current names in their entries.

        If one has a time sheet, its length in the target counts.
        """
        found = adjustments.by_booking(connection, self._source, day, source_ids)
        own_ids = [row.own_id for rows in found.values() for row in rows]
        named = entries.entries_of(connection, self._source, own_ids)
        written = ledger.rows_of(connection, self._target, own_ids)
        billed = {id_: row.base for id_, row in written.items() if row.bound and row.base}

        def as_billed(row: Adjustment) -> Adjustment:
            row, sheet = replace(row, original=named.get(row.own_id, row.original)), billed.get(row.own_id)
            if sheet is None:
                return row
            amount = sheet.rate if sheet.billable else Decimal(0)
            return replace(row, billed_seconds=sheet.duration_seconds, amount=amount)

        return {source_id: [as_billed(row) for row in rows] for source_id, rows in found.items()}

    def _adjust(
        self, connection: Connection, lines: Iterable[PlanLine], decisions: Iterable[Resolution], run_id: str
    ) -> bool:
        """Store the decided adjustments, and request the days they are booked on; returns whether any exist."""
        adjusted = [line for line in lines if line.decided == Choice.ADJUST]
        wanted = {(line.key, line.facts_hash): line.owed for line in adjusted if line.owed is not None}
        if not wanted:
            return False
        settings = self._runtime.settings
        day = booking_day(self._today, locks_now(connection, settings, self._now).is_closed)
        begin = datetime.combine(day, settings.day_start, tzinfo=settings.zone).astimezone(UTC)
        for decision in decisions:
            owed = wanted.get((decision.key, decision.facts_hash))
            if owed is not None and decision.choice is Choice.ADJUST:
                decided_at = decision.decided_at or self._now
                decided = AdjustmentDecision(decision.decided_by, decided_at, decision.facts_hash, day, begin)
                adjustments.make(connection, self._source, owed, decided, run_id)
        if any(amount.seconds > 0 for owed in wanted.values() for amount in owed.amounts):
            day_requests.ask(connection, [day], day_requests.ADJUSTMENT)
        return True


def _booked(rows: list[Entry]) -> Decimal:
    return sum((row.booked_minutes for row in rows), Decimal(0))
