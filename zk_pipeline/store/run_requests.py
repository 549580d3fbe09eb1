"""Requests of ours by which a run may pass limits, take back, tag, delete history or restore: each is spent once.

Whoever has such a run started adds a request here and gives its token to the run in a tag. The run spends it before it
does anything; without one that is for its job and for what it is about, it does nothing, whoever launched it.
"""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import Connection, func, insert, or_, update

from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.request_tables import run_requests

LIFE = timedelta(hours=24)
"""For so long a run may wait for its turn with its request unspent."""

SCHEDULE = "schedule"
"""Who asks where a schedule does."""

EVENT = "run.authorized"

_row = run_requests.c


def ask(connection: Connection, actor: str, job: str, about: str) -> str:
    """A request for one run of a job, in somebody's name; returns its token, of which a hash is kept."""
    token = secrets.token_urlsafe(32)
    row = {"token_hash": _hash(token), "actor": actor, "job": job, "about": about}
    connection.execute(insert(run_requests).values(row))
    return token


def spend(connection: Connection, token: str, job: str, about: str, run_id: str) -> str | None:
    """Who asked for this run; `None` without a request for just this job and this, or where another run has spent it.

    The same run may ask again. The first time the audit trail names the person with the run.
    """
    mine = (_row.token_hash == _hash(token), _row.job == job, _row.about == about)
    unspent = or_(_row.run_id.is_(None), _row.run_id == run_id)
    fresh = _row.asked_at > func.now() - LIFE
    statement = update(run_requests).where(*mine, unspent, fresh).values(run_id=run_id)
    found = connection.execute(statement.returning(_row.actor, _row.spent_at)).first()
    if found is None:
        return None
    if found.spent_at is None:
        spent = update(run_requests).where(_row.token_hash == _hash(token)).values(spent_at=func.now())
        connection.execute(spent)
        if found.actor != SCHEDULE:
            detail = {"job": job, "about": about}
            audit.append(connection, [AuditEvent(EVENT, found.actor, f"run:{run_id}", detail, run_id)])
    return found.actor


def _hash(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()
