"""Mending in Kimai what refuses time sheets: asking for the run that does it, and the days that it helps."""

from datetime import UTC, date, datetime

from zk_pipeline.decisions import causes
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import last_day, month_of
from zk_pipeline.identity.actors import Actor, OperationError
from zk_pipeline.operate.runs import launch_once
from zk_pipeline.runtime.run_tags import MEND_TAG, REASON_TAG
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.push.mending import Mend, MendRequest
from zk_pipeline.stages.push.tagging import WritesDisabledError, require_writing
from zk_pipeline.store import audit, day_requests

JOB = "mend"


def proposed(runtime: Runtime, mend: Mend, record_id: int) -> MendRequest:
    """The request with the proposed end of a project: that of this month, since Kimai compares it with today."""
    today = local_day(datetime.now(UTC), runtime.settings.zone)
    return MendRequest(mend, record_id, last_day(month_of(today)) if mend is Mend.EXTEND_PROJECT else None)


def launch(runtime: Runtime, actor: Actor, mend: Mend, record_id: int, until: date | None = None) -> str:
    """Start a run that mends something in Kimai, and then requests the days that wait for it; returns its id.

    Raises `OperationError` if nothing may be written, and `DagsterServerError` if Dagster does not answer.
    """
    request = record_request(runtime, actor, MendRequest(mend, record_id, until))
    tags = {REASON_TAG: day_requests.PERSON, MEND_TAG: request}
    return launch_once(runtime, actor, JOB, tags, key=f"mend:{request}", about=request)


def record_request(runtime: Runtime, actor: Actor, request: MendRequest) -> str:
    """Record who requests a mend, before its run begins; returns its text, by which the run knows it.

    Raises `OperationError` in push mode `off`, and for a project without a new end.
    """
    try:
        require_writing(runtime.settings.push_mode)
    except WritesDisabledError as error:
        raise OperationError(
            "ZK_PUSH_MODE is off, so nothing is written to Kimai. Set it to review or auto."
        ) from error
    if request.mend is Mend.EXTEND_PROJECT and request.until is None:
        raise OperationError("Say until when the project lasts: a day (until).")
    subject = f"kimai:{request.mend.kind}:{request.record_id}"
    detail = {"mend": str(request.mend), "until": str(request.until) if request.until else None}
    with runtime.database.transaction() as connection:
        audit.append(connection, [actor.audit_event("mend.requested", subject, detail)])
    return str(request)


def days_helped(runtime: Runtime, request: MendRequest) -> tuple[date, ...]:
    """The days whose bookings wait for this mend."""
    waiting = causes.causes(runtime, ConflictFilter())
    return tuple(
        day
        for cause in waiting
        if cause.mend is request.mend and cause.target_id == request.record_id
        for day in cause.days
    )


def try_again(runtime: Runtime, actor: Actor, wanted: ConflictFilter) -> tuple[date, ...]:
    """Request the days of all conflicts that match a filter, to try again what waits there; returns them."""
    days = sorted({day for cause in causes.causes(runtime, wanted) for day in cause.days})
    if not days:
        raise OperationError("Nothing of this waits any more. Look at the list again.")
    with runtime.database.transaction() as connection:
        day_requests.ask(connection, days, day_requests.PERSON)
        subject = f"days:{days[0]}..{days[-1]}"
        audit.append(connection, [actor.audit_event("days.requested", subject, {"days": [str(day) for day in days]})])
    return tuple(days)
