"""Sending new time sheets: bounded concurrency, one attempt each, and a sorted outcome for every one."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from itertools import zip_longest
from types import TracebackType
from typing import Self

from zk_pipeline.connectors.base import TargetConnector
from zk_pipeline.connectors.errors import ConnectorError, PermissionDeniedError, ValidationFailedError
from zk_pipeline.domain.plan import Draft, Result
from zk_pipeline.domain.records import Timesheet, TimesheetDraft
from zk_pipeline.stages.push.exchanges import Exchanges


@dataclass(frozen=True, slots=True)
class Parcel:
    """A line of the plan with the draft that is sent for it."""

    line: Result
    draft: Draft

    @property
    def source_id(self) -> str:
        """The entry it is for."""
        return self.line.source_id or ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one parcel.

    Either the row as the target returned it, or a refusal of the content, or doubt whether it was written. With none of
    them it certainly was not written.
    """

    parcel: Parcel
    timesheet: Timesheet | None = None
    refusal: ConnectorError | None = None
    doubt: ConnectorError | None = None


class Delivery:
    """Sends parcels with a pool of threads; the caller keeps the ledger. Use it as a context manager."""

    def __init__(self, target: TargetConnector, exchanges: Exchanges, concurrency: int) -> None:
        self._target = target
        self._exchanges = exchanges
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
        """Send nothing more because of this error; what is under way still gets its outcome."""
        self.stopped_by = self.stopped_by or error

    def send(
        self, parcels: Sequence[Parcel], announce: Callable[[Sequence[Parcel]], None], chunk: int
    ) -> Iterator[list[Outcome]]:
        """Send all parcels and yield their outcomes in batches as they come, one for each announced parcel.

        `announce` is called with each chunk before its first parcel is sent; the next chunk is announced while the last
        parcels of the former are under way, so that the line never idles. An error that stops everything (an expired
        token, no connection) stands in `stopped_by` afterwards.
        """
        waiting = iter([parcels[start : start + chunk] for start in range(0, len(parcels), chunk)])
        pending: dict[Future[Outcome], Parcel] = {}
        while True:
            if len(pending) <= self._concurrency and self.stopped_by is None:
                following = next(waiting, ())
                if following:
                    announce(following)
                    pending |= {
                        self._pool.submit(copy_context().run, self._create, parcel): parcel for parcel in following
                    }
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            outcomes = [self._outcome(future, pending.pop(future)) for future in done]
            if self.stopped_by is not None:
                unsent = [future for future in pending if future.cancel()]
                outcomes += [Outcome(pending.pop(future)) for future in unsent]
            yield outcomes

    def _outcome(self, future: Future[Outcome], parcel: Parcel) -> Outcome:
        error = future.exception()
        if error is None:
            return future.result()
        if not isinstance(error, ConnectorError):
            raise error
        self.stop(error)
        return Outcome(parcel)

    def _create(self, parcel: Parcel) -> Outcome:
        draft = parcel.draft
        body = TimesheetDraft(
            user_id=draft.desired.user_id,
            project_id=draft.desired.project_id or 0,
            activity_id=draft.desired.activity_id,
            begin=draft.span.begin,
            end=draft.span.end,
            description=draft.description,
            tags=draft.tags,
        )
        try:
            with self._exchanges.of(parcel.source_id):
                return Outcome(parcel, timesheet=self._target.create(body))
        except (ValidationFailedError, PermissionDeniedError) as error:
            return Outcome(parcel, refusal=error)
        except ConnectorError as error:
            if not error.outcome_unknown:
                raise
            return Outcome(parcel, doubt=error)


def rounds(parcels: Sequence[Parcel], *, serial_users: bool) -> list[list[Parcel]]:
    """All parcels at once, or rounds in which no user appears twice: where overlaps are forbidden, in turn for each."""
    if not serial_users:
        return [list(parcels)]
    by_user: dict[int, list[Parcel]] = {}
    for parcel in parcels:
        by_user.setdefault(parcel.draft.desired.user_id, []).append(parcel)
    return [[parcel for parcel in turn if parcel is not None] for turn in zip_longest(*by_user.values())]
