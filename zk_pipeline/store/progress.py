"""How far it is carried out what people decided, mapped and wanted to be tried again."""

from sqlalchemy import Connection, func, select, tuple_

from zk_pipeline.domain.reasons import Reason
from zk_pipeline.store import day_requests
from zk_pipeline.store.tables import conflicts
from zk_pipeline.store.tables import day_requests as requests

_TRIED = (Reason.UNMAPPED_USER, Reason.UNMAPPED_ACTIVITY, Reason.UNMAPPED_CUSTOMER, Reason.REFUSED_BY_KIMAI)
"""Reasons of conflicts that end without a decision, by another try after a mapping or a mend."""

_BY_PEOPLE = (day_requests.MAPPING, day_requests.PERSON)


def carried_out_so_far(connection: Connection) -> int:
    """How many conflicts are done of each decision, mapping and other try of which a part is not done yet."""
    return _decided_and_done(connection) + _tried_and_done(connection)


def _decided_and_done(connection: Connection) -> int:
    decision = tuple_(conflicts.c.decided_by, conflicts.c.decided_at)
    unfinished = select(conflicts.c.decided_by, conflicts.c.decided_at).where(
        conflicts.c.resolution_status == "decided"
    )
    query = select(func.count()).where(conflicts.c.resolution_status == "carried_out", decision.in_(unfinished))
    return connection.execute(query).scalar_one()


def _tried_and_done(connection: Connection) -> int:
    """The conflicts that ended since a request of their day which is not answered for all of its days yet.

    All days of one request have the same instant. A conflict ends while its day is planned, the day's request after
    all is written.
    """
    unfinished = select(requests.c.requested_at).where(
        requests.c.claimed_by_run.is_(None), requests.c.reason.in_(_BY_PEOPLE), ~day_requests.is_held()
    )
    while_asked = conflicts.c.opened_at <= requests.c.requested_at, conflicts.c.closed_at >= requests.c.requested_at
    query = (
        select(func.count(conflicts.c.id.distinct()))
        .join_from(conflicts, requests, requests.c.day == conflicts.c.entry_date)
        .where(requests.c.requested_at.in_(unfinished), requests.c.left_by.is_(None), *while_asked)
        .where(conflicts.c.resolution_status == "expired", conflicts.c.reason.in_(_TRIED))
    )
    return connection.execute(query).scalar_one()
