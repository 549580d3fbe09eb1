"""Sending new time sheets: bounded concurrency, one attempt each, every request recorded, an outcome for each."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from itertools import zip_longest
from types import TracebackType
from typing import Self

from sqlalchemy import Connection

from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.connectors.errors import ConnectorError, PermissionDeniedError, ValidationFailedError
from zk_pipeline.connectors.request_records import listening
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.requests import RequestRecord
from zk_pipeline.runtime import logs
from zk_pipeline.store import request_log
from zk_pipeline.store.database import Database

# The requests of a run and their answers, recorded per booking and committed together with the ledger. They have no
# commit of their own. A process that dies between a request and that commit leaves no record of it; the intent in the
# ledger then says that one may have been sent.


class RequestRecorder:
    """Records what one run sends to one target. Any thread may send; one thread commits."""

    def __init__(self, database: Database, target_name: str, run_id: str) -> None:
        self._database = database
        self._target = target_name
        self._run_id = run_id
        # Threads append while the recorder takes from the front: both are atomic on a list.
        self._waiting: list[tuple[str | None, RequestRecord]] = []

    @contextmanager
    def of(self, source_id: str | None, *, in_doubt: bool = False) -> Iterator[None]:
        """Record what is sent within the block for this booking; with `in_doubt`, its look-ups too.

        `source_id` is `None` if it is for no single booking, such as a new customer.
        """
        about = {} if source_id is None else {"entry_id": source_id}
        with (
            logs.log_context(**about),
            listening(lambda record: self._waiting.append((source_id, record)), in_doubt=in_doubt),
        ):
            yield

    @contextmanager
    def committed(self) -> Iterator[Connection]:
        """A transaction that includes everything recorded until its end; if it fails, the next one includes it."""
        with self._database.transaction() as connection:
            yield connection
            heard = self._waiting[:]
            request_log.append(connection, self._target, heard, self._run_id)
        del self._waiting[: len(heard)]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """At the end of the block, in any case, commit what no transaction included, such as a doubtful request."""
        try:
            yield
        finally:
            if self._waiting:
                with self.committed():
                    pass


# Sending new time sheets: bounded concurrency, one attempt each, and a classified outcome for each.


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one line of the plan.

    `row` is the time sheet that the target has for it now, `before` what it was before; `written` is false if it was
    already so. `base` is the row as it was written, if it was edited since. Without a row, the target refused the
    content (`refusal`), or it is unknown whether it was written (`doubt`). With none of them it certainly was not.
    """

    line: PlanLine
    row: Timesheet | None = None
    before: Timesheet | None = None
    written: bool = True
    base: Timesheet | None = None
    refusal: ConnectorError | None = None
    doubt: ConnectorError | None = None

    @property
    def timesheet(self) -> Timesheet:
        """The row. Raises `ValueError` if there is none."""
        if self.row is None:
            raise ValueError(f"Nothing is known to be written for booking {self.line.key}.")
        return self.row


class WriteSender:
    """Sends writes with a pool of threads; the caller keeps the ledger. Use it as a context manager."""

    def __init__(self, target: TargetConnector, request_recorder: RequestRecorder, concurrency: int) -> None:
        self._target = target
        self._request_recorder = request_recorder
        self._concurrency = concurrency
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="push")
        self.stopped_by: ConnectorError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def stop(self, error: ConnectorError) -> None:
        """Send nothing more because of this error; requests in progress still get their outcome."""
        self.stopped_by = self.stopped_by or error

    def send(
        self, lines: Sequence[PlanLine], announce: Callable[[Sequence[PlanLine]], None], chunk: int
    ) -> Iterator[list[Outcome]]:
        """Send all writes and yield their outcomes in batches, one outcome for each announced write.

        `announce` is called with each chunk before its first write is sent; the next chunk is announced while the last
        writes of the previous one are in progress, so that sending never pauses. An error that stops everything (an
        expired token, no connection) is in `stopped_by` afterwards.
        """
        waiting = iter([lines[start : start + chunk] for start in range(0, len(lines), chunk)])
        pending: dict[Future[Outcome], PlanLine] = {}
        while True:
            if len(pending) <= self._concurrency and self.stopped_by is None:
                following = next(waiting, ())
                if following:
                    announce(following)
                    pending |= {self._pool.submit(copy_context().run, self._create, line): line for line in following}
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            outcomes = [self._outcome(future, pending.pop(future)) for future in done]
            if self.stopped_by is not None:
                unsent = [future for future in pending if future.cancel()]
                outcomes += [Outcome(pending.pop(future)) for future in unsent]
            yield outcomes

    def _outcome(self, future: Future[Outcome], line: PlanLine) -> Outcome:
        error = future.exception()
        if error is None:
            return future.result()
        if not isinstance(error, ConnectorError):
            raise error
        self.stop(error)
        return Outcome(line)

    def _create(self, line: PlanLine) -> Outcome:
        try:
            with self._request_recorder.of(line.entry_id):
                return Outcome(line, self._target.create(line.to_write.timesheet()))
        except (ValidationFailedError, PermissionDeniedError) as error:
            return Outcome(line, refusal=error)
        except ConnectorError as error:
            if not error.outcome_unknown:
                raise
            return Outcome(line, doubt=error)


def rounds(lines: Sequence[PlanLine], *, serial_users: bool) -> list[list[PlanLine]]:
    """All writes at once, or, if overlaps are forbidden, rounds in which no user appears twice."""
    if not serial_users:
        return [list(lines)]
    by_user: dict[int, list[PlanLine]] = {}
    for line in lines:
        by_user.setdefault(line.to_write.desired.user_id, []).append(line)
    return [[line for line in turn if line is not None] for turn in zip_longest(*by_user.values())]
