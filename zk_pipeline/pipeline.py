"""The pipeline on one page: read both systems, normalize, reconcile, push. Nothing here knows Dagster.

Each stage works through the days of one run and returns what it did, day by day. The assets in `defs` call one stage
each and show what it returned; `Pipeline.run` calls them all, one after the other.

    read_source_directory, read_bookings      activity types, agents, bookings of the days      schema zammad
    read_target_directory, read_timesheets    customers … users, time sheets around the days    schema kimai
    normalize     bookings in one form: minutes, day, place, corrections      sync.normalized_entries
    reconcile     what each booking and time sheet is, and what to do         sync.reconciliation_results, conflicts
    push          the plan carried out in Kimai, each line exactly once       sync.pushes, the ledger

Every stage can be repeated at any time. Days that a stage finds changed outside of its run, such as those whose
bookings a correction reduces, are asked for (`sync.day_requests`), and another run carries them out.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from zk_pipeline.connectors.contract import Connector, SweepReport
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.approval import writes
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.runtime import logs, tracing
from zk_pipeline.runtime.runtime import Role, Runtime, SetupError
from zk_pipeline.runtime.settings import PushMode, SettingsError
from zk_pipeline.stages import last_read, read_source, read_target
from zk_pipeline.stages.push.outcomes import PushReport
from zk_pipeline.stages.push.pusher import OutdatedPlanError, Pusher, PushSettings, check_write_limits, is_sandbox
from zk_pipeline.stages.push.unknown_outcomes import lookup_guard_now
from zk_pipeline.stages.read_source import Confirmed
from zk_pipeline.stages.reconcile import Normalization, NormalizedDay, Reconciliation
from zk_pipeline.stages.systems import ConnectedSystems, RunContext, locks_now
from zk_pipeline.stages.target_changes import TargetChanges, look_for_changes
from zk_pipeline.store import cancellations, day_requests, plans, runs, sweeps, target
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError

Done = TypeVar("Done")

SYSTEM_ERRORS = (ConnectorError, DatabaseUnavailableError, SetupError, SettingsError, EncryptionError)
"""Errors of a system: the following days would fail too, so the run stops."""

DAY_ERRORS = (SQLAlchemyError, ValueError, LookupError, TypeError, ArithmeticError)
"""Errors of one day's rows: the other days continue."""


class DayFailedError(Exception):
    """Some rows of a day could not be written for now; the others were."""


class RunCancelledError(Exception):
    """Somebody cancelled this run while it continues; it writes no further day."""


class DaysFailedError(Exception, Generic[Done]):
    """Some days of a stage failed: `bad` has the reasons, `good` the other results. The message has all reasons."""

    def __init__(self, good: Mapping[date, Done], bad: Mapping[date, Exception]) -> None:
        super().__init__(" ".join(f"{day}: {_sentence(error)}" for day, error in bad.items()))
        self.good, self.bad = good, bad


@dataclass(frozen=True, slots=True)
class Pushed:
    """The result of pushing one day, by kind. If nothing may be written, `mode` says why."""

    counts: Mapping[str, int]
    carried_out: int
    minutes: Decimal
    mode: str


class Pipeline:
    """The stages for the days of one run. `log` gets warnings that stop nothing."""

    def __init__(self, systems: ConnectedSystems, run: RunContext, days: Sequence[date], log: logging.Logger) -> None:
        self._systems, self._run, self._days, self._log = systems, run, days, log
        self._runtime = systems.runtime

    def run(self, *, push: bool = True) -> None:
        """Run all stages, without the push if only the plan is wanted. The first failing stage ends it."""
        self.read_source_directory()
        self.read_target_directory()
        self.read_bookings()
        self.read_timesheets()
        self.normalize()
        self.reconcile()
        if push:
            self.push()

    # ---- Read ----

    def read_source_directory(self) -> Mapping[str, int]:
        """Activity types, and agents with bookings that are not known yet; returns how many of each are stored."""
        self._systems.read_directories.add("source")
        with self._counting_requests(self._systems.source):
            return read_source.extract_directory(self._runtime, self._systems.source)

    def read_target_directory(self) -> Mapping[str, int]:
        """Customers, projects, activities, users and server settings; returns how many of each are stored."""
        self._systems.read_directories.add("target")
        # Nothing new is written in a month that both confirm, so the server's settings do not matter.
        both = self._confirmed("source") and self._confirmed("target")
        server = last_read.server_of(self._runtime) if both else None
        with self._counting_requests(self._systems.target):
            return read_target.extract_directory(self._runtime, self._systems.target, server)

    def read_bookings(self) -> read_source.SourceRead:
        """All bookings of these days, in one sweep, unless the source confirms them as they were last read.

        The directory is read first, unless this run has read it: a backfill reads it once and has many runs.
        """
        if "source" not in self._systems.read_directories:
            self.read_source_directory()
        confirmed, span = self._confirmed("source"), (self._days[0], self._days[-1])
        with self._counting_requests(self._systems.source):
            if confirmed:
                return read_source.keep_bookings(self._runtime, self._systems.source, span, self._run.id, confirmed)
            read = read_source.extract_bookings(self._runtime, self._systems.source, *span, self._run.id)
        self._warn_of_gaps(read.report)
        return read

    def read_timesheets(self) -> read_target.TargetRead:
        """The time sheets of all users from one day before to one day after, in one sweep. The directory first.

        They are not read again where the target confirms them as they were last read.
        """
        if "target" not in self._systems.read_directories:
            self.read_target_directory()
        confirmed, span = self._confirmed("target"), (self._days[0], self._days[-1])
        with self._counting_requests(self._systems.target):
            kept = confirmed and read_target.keep_timesheets(
                self._runtime, self._systems.target, span, self._run.id, confirmed
            )
            if kept:
                return kept
            read = read_target.extract_timesheets(self._runtime, self._systems.target, *span, self._run.id)
        self._warn_of_gaps(read.report)
        return read

    def _confirmed(self, role: Role) -> Confirmed | None:
        """What a system confirms of the run's days; it is asked once in a run."""
        known, span = self._systems.confirmed, self._run.span
        if span is None or self._run.reads_all:
            return None
        if role not in known:
            with self._counting_requests(self._systems.source if role == "source" else self._systems.target):
                known[role] = last_read.confirmed(self._systems, role, *span)
        return known[role]

    def look_for_changes(self, checked: tuple[date, date] | None) -> TargetChanges:
        """Request the days of our time sheets that were edited in Kimai, except `checked` ones, which run anyway."""
        source = self._runtime.stored("source").name
        with self._counting_requests(self._systems.target):
            return look_for_changes(self._runtime, self._systems.target, source, self._systems.now(), checked)

    def compare_invoices(self) -> str:
        """Compare everything exported and billable with Kimai's invoices; returns the result as a sentence."""
        with self._counting_requests(self._systems.target):
            found, problem = read_target.check_invoices(self._runtime, self._systems.target)
        differing = sum(bool(row.difference) for row in found)
        return problem or f"{len(found)} compared, {differing} do not match"

    # ---- Decide ----

    def normalize(self) -> Mapping[date, NormalizedDay]:
        """The bookings of each day as entries. Other days that a correction changes are requested."""
        normalization = Normalization(self._runtime, self._days[0], self._days[-1])

        def work(day: date) -> NormalizedDay:
            done = normalization.day(day)
            self._count({"entries": done.entries})
            return done

        done = self._each_day(work)
        if asked := normalization.ask_for_moved_days(self._days[0], self._days[-1]):
            self._log.info(
                "Corrections changed bookings of other days, which are requested: %s", ", ".join(map(str, asked))
            )
        return done

    def reconcile(self) -> Mapping[date, Sequence[PlanLine]]:
        """The plan of each day. People's decisions are applied, and open questions become conflicts.

        A day that was never read fails, because its plan would be empty.
        """
        reconciliation = Reconciliation(self._runtime, self._systems.now())
        unread = unread_days(self._runtime, self._days[0], self._days[-1])

        def work(day: date) -> Sequence[PlanLine]:
            _require_read(day, unread)
            lines = reconciliation.day(day, self._run.id)
            in_sync = sum(line.status is Status.IN_SYNC for line in lines)
            asked = sum(line.action is Action.REVIEW for line in lines)
            self._count({"in_sync": in_sync, "planned": sum(map(writes, lines)), "conflicts": asked})
            return lines

        return self._each_day(work)

    # ---- Write ----

    def push(self) -> Mapping[date, Pushed]:
        """Carry out the plan of each day, as far as ZK_PUSH_MODE allows.

        A write that Kimai refuses is parked with its reason, and the others continue. A plan beyond the write limits
        stops before the first write. Days held after a cancelled run are skipped, unless a person started this run.
        Requests for the days carried out are completed. A day that was never read fails.
        """
        mode, name = self._push_mode(), self._systems.target.endpoint.name
        if mode is PushMode.AUTO:
            days = self._days if self._run.by_person else self._days_not_held()
            check_write_limits(self._runtime, name, days, override=self._run.overrides_limits)
        pusher = Pusher(self._runtime.database, self._systems.target, self._push_settings(), self._run.id)
        to_push = pusher.days_to_push(self._days[0], self._days[-1])
        unread = unread_days(self._runtime, self._days[0], self._days[-1])

        def work(day: date) -> Pushed:
            _require_read(day, unread)
            cancelled = self._cancelled_run_of(day)
            if cancelled and not self._run.by_person:
                return self._withheld(day, "held", f"held: run {cancelled} was cancelled")
            if mode is PushMode.OFF:
                pushed = self._withheld(day, "withheld", "off: nothing is written")
            else:
                pushed = self._push(pusher if day in to_push else None, day)
            with self._runtime.database.transaction() as connection:
                plans.mark_carried_out(connection, name, day)
                day_requests.complete(connection, day, self._run.id)
            return pushed

        with self._counting_requests(self._systems.target):
            return self._each_day(work)

    def _push_mode(self) -> PushMode:
        """ZK_PUSH_MODE, but off in `dagster dev`, which has no sign-in, unless the systems are simulated."""
        mode, endpoint = self._runtime.settings.push_mode, self._systems.target.endpoint
        if mode is PushMode.OFF or not self._run.in_development or is_sandbox(endpoint.base_url):
            return mode
        self._log.warning(
            "Nothing is written to %s: this is `dagster dev`, and no sandbox is behind it. Use `zk up`, or set "
            "ZK_DEV_PUSH=true.",
            endpoint.base_url,
        )
        return PushMode.OFF

    def _push(self, pusher: Pusher | None, day: date) -> Pushed:
        """Without a pusher, the day has nothing to push."""
        try:
            report = pusher.day(day) if pusher else PushReport()
        except OutdatedPlanError as error:
            raise DayFailedError(str(error)) from error
        self._count(report.counts())
        for problem in report.problems:
            self._log.warning("%s: %s", day, problem)
        if report.failed:
            raise DayFailedError(f"{report.failed} entries could not be written for now: {'; '.join(report.problems)}")
        return Pushed(report.counts(), report.carried_out, report.minutes, self._runtime.settings.push_mode.value)

    def _withheld(self, day: date, kind: str, mode: str) -> Pushed:
        """Count what is not written, so that the run does not look complete."""
        with self._runtime.database.transaction() as connection:
            planned = plans.writes_of_day(connection, self._systems.target.endpoint.name, day)
        counts = {kind: sum(map(writes, planned))}
        self._count(counts)
        return Pushed(counts, 0, Decimal(0), mode)

    def _days_not_held(self) -> list[date]:
        with self._runtime.database.transaction() as connection:
            held = {day for run in cancellations.held(connection) for day in run.days}
        return [day for day in self._days if day not in held]

    def _cancelled_run_of(self, day: date) -> str | None:
        """The cancelled run that holds a day. Raises `RunCancelledError` if it is this one."""
        with self._runtime.database.transaction() as connection:
            run_id = cancellations.holder(connection, day)
        if run_id == self._run.id:
            raise RunCancelledError(
                "Somebody cancelled this run. Run the day again, or leave it, when that is decided."
            )
        return run_id

    def _push_settings(self) -> PushSettings:
        settings, now = self._runtime.settings, self._systems.now
        name = self._systems.target.endpoint.name
        with self._runtime.database.transaction() as connection:
            server = target.load_server(connection, name)
            lookup_guard = lookup_guard_now(connection, name, now())
        return PushSettings(
            source=self._runtime.stored("source").name,
            locks=lambda connection: locks_now(connection, settings, now()),
            concurrency=settings.kimai_concurrency,
            time_limit=settings.kimai_time_limit,
            serial_users=server is not None and not server.allow_overlapping,
            needs_approval=settings.push_mode is PushMode.REVIEW,
            lookup_guard=lookup_guard,
        )

    # ---- What the stages have in common ----

    def _each_day(self, work: Callable[[date], Done]) -> Mapping[date, Done]:
        """Do the work day by day. Raises `DaysFailedError` once all good days are done."""
        good: dict[date, Done] = {}
        bad: dict[date, Exception] = {}
        for day in self._days:
            try:
                with logs.log_context(day=day.isoformat()), tracing.span("day", {"zk.day": day.isoformat()}):
                    good[day] = work(day)
            except DayFailedError as error:
                self._log.error("%s: %s", day, error)
                bad[day] = error
            except DAY_ERRORS as error:
                self._log.exception("%s failed.", day)
                bad[day] = error
            except (*SYSTEM_ERRORS, RunCancelledError) as error:
                bad[day] = error
                break
        if bad:
            raise DaysFailedError(good, bad) from next(iter(bad.values()))
        return good

    @contextmanager
    def _counting_requests(self, connector: Connector) -> Iterator[None]:
        """Add the requests sent meanwhile to the run's counts, even if the stage fails."""
        before, name = connector.requests, connector.endpoint.name
        try:
            yield
        finally:
            after = connector.requests
            self._count({f"{name}_read": after.reads - before.reads, f"{name}_write": after.writes - before.writes})

    def _count(self, counts: Mapping[str, int]) -> None:
        """Add to the counts of this run, unless there is nothing to add."""
        added = {name: number for name, number in counts.items() if number}
        if added:
            first, last = min(self._days, default=None), max(self._days, default=None)
            with self._runtime.database.transaction() as connection:
                runs.add(connection, self._run.id, first, last, added)

    def _warn_of_gaps(self, report: SweepReport) -> None:
        if not report.complete:
            self._log.warning("The sweep is not complete, so nothing counts as deleted: %s", report.reason)


def unread_days(runtime: Runtime, first: date, last: date) -> Mapping[date, str]:
    """The days that were never read from a system, each with a sentence that says so, and what to do."""
    found: dict[date, str] = {}
    with runtime.database.transaction() as connection:
        for role in ("source", "target"):
            name = runtime.stored(role).name
            sentence = f"This day was not read from {name}: materialize what is upstream too, or launch the job sync."
            days = sweeps.unread_days(connection, name, first, last, runtime.settings.zone)
            found |= dict.fromkeys(sorted(days), sentence)
    return found


def _require_read(day: date, unread: Mapping[date, str]) -> None:
    if day in unread:
        raise DayFailedError(unread[day])


def _sentence(error: Exception) -> str:
    """The error for people: a database error without the statement, which may contain names."""
    if not isinstance(error, DBAPIError):
        return str(error)
    reason = str(error.orig).strip().splitlines()[0]
    return f"The database failed ({reason}). Run the day again; if it fails again, see PostgreSQL's log."
