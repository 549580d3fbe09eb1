"""The statements that closings kept: a month as it was closed, whether today's is another, names erased."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection, Row

from zk_pipeline.domain.closing import Closing, fingerprint, month_name
from zk_pipeline.domain.statement import Statement
from zk_pipeline.operations.errors import StaleError
from zk_pipeline.operations.statement_files.kept import read_back, statement_hash, without_invoicing
from zk_pipeline.store import periods, trail


@dataclass(frozen=True, slots=True)
class Rehashed:
    """A kept statement in which names were replaced, and its hashes before and after."""

    month: str
    was: str
    now: str


def as_closed(connection: Connection, month: date) -> Statement:
    """The statement as the last closing of a month kept it, also once the month was opened again.

    Raises `StaleError` where there is none, and where it is no longer what was kept.
    """
    row, name = periods.last(connection, month), month_name(month)
    if row is None:
        raise StaleError(f"{name} was never closed. Leave out --closed to see its statement of today.")
    if row.content is None:
        raise StaleError(f"The closing of {name} kept no statement, only its hash {row.statement_hash}.")
    if not _is_whole(row):
        raise StaleError(
            f"The statement that the closing of {name} kept was changed: its hash is no longer {row.hash}. Compare it "
            "with a backup, and find out who can write to the database."
        )
    return replace(read_back(row.content), closing=replace(_closing(connection, row), shown=True))


def beside(connection: Connection, whole: Statement, found: Statement) -> Closing | None:
    """What today's statement says of the closing of its month; nothing while that is open.

    `found` is the part of the `whole` that is shown.
    """
    row = periods.last(connection, whole.month)
    if row is None or row.reopened_at is not None:
        return None
    differs = row.content is not None and _differs(read_back(row.content), whole, found)
    return replace(_closing(connection, row), differs=differs)


def hashes(connection: Connection) -> dict[int, str]:
    """The hashes of the kept statements that are what was kept, by the ids of their closings."""
    return {row.id: statement_hash(row.content) for row in periods.kept_statements(connection) if _is_whole(row)}


def follow_erasure(connection: Connection, before: Mapping[int, str]) -> list[Rehashed]:
    """Have each statement that was whole before names in it were replaced be whole again; returns the changed ones."""
    changed: list[Rehashed] = []
    for row in periods.kept_statements(connection):
        if row.id in before and not _is_whole(row):
            periods.set_hash(connection, row.id, fingerprint(row.content))
            changed.append(Rehashed(month_name(row.month), before[row.id], statement_hash(row.content)))
    return changed


def _is_whole(row: Row) -> bool:
    return fingerprint(row.content) == row.hash


def _differs(closed: Statement, whole: Statement, found: Statement) -> bool:
    """Whether other lines, days or items are shown than were closed, of one customer where one is shown.

    What was exported or invoiced since is no difference, nor what older versions did not keep.
    """
    if len(found.accounts) == 1 and len(whole.accounts) > 1:
        asked = found.accounts[0].customer
        accounts = tuple(
            account
            for account in closed.accounts
            if (account.customer.id == asked.id if asked.id else account.customer == asked)
        )
        closed = replace(closed, accounts=accounts)
    lines, today = (set(map(without_invoicing, each.lines)) for each in (closed, found))
    others = any(account.items for account in closed.accounts) and _placed(closed) != _placed(found)
    return others or (lines, set(closed.days)) != (today, set(found.days))


def _placed(statement: Statement) -> Counter[tuple[object, ...]]:
    """On which days and tickets the minutes of its items are; names and amounts may change."""
    return Counter(
        (item.customer.id, item.origin, item.day, item.booking, item.minutes)
        for account in statement.accounts
        for item in account.items
    )


def _closing(connection: Connection, row: Row) -> Closing:
    names = {row.closed_by: row.closed_by, **trail.names_of(connection, {row.closed_by})}
    kept = row.content is not None
    return Closing(
        at=row.closed_at,
        by=names[row.closed_by],
        hash=row.statement_hash,
        reopened_at=row.reopened_at,
        kept=kept,
        pseudonymized=kept and statement_hash(row.content) != row.statement_hash,
    )
