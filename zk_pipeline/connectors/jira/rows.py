"""Jira's JSON as plain rows (docs/jira.md)."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from zk_pipeline.connectors.answer import ApiResponse, RowReader
from zk_pipeline.connectors.jira.text import plain_comment
from zk_pipeline.domain.records import Agent, TimeAccounting

NO_ID = "0"
"""The id of a row whose own is unreadable: it cannot be stored."""

UNKNOWN_ACCOUNT = "unknown"
"""The account id that Jira gives for a user whose record is damaged."""

APP = "app"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LONGEST_SECONDS = 10**8
LONGEST_ID = 128

_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


def milliseconds(moment: datetime) -> int:
    """The instant as the feeds count: whole milliseconds since 1970, rounded down."""
    return (moment - EPOCH) // MILLISECOND


def moment_of(number: int) -> datetime:
    """The instant of a number of milliseconds since 1970."""
    return EPOCH + number * MILLISECOND


@dataclass(frozen=True, slots=True)
class Person:
    """The author of a worklog. Of a `nameless` one, Jira withholds who it is, as while its user service is down."""

    agent: Agent
    account_type: str
    nameless: bool


@dataclass(frozen=True, slots=True)
class Worklog:
    """A booking and its author, whom only the worklog names for sure."""

    booking: TimeAccounting
    author: Person | None


def worklogs(answer: ApiResponse, items: list[Any] | None = None) -> list[Worklog]:
    """The worklogs of a list, including those with faults. Raises `ProtocolError` if they are no rows at all."""
    rows, unreadable = answer.readable("worklog", lambda row: worklog(row).booking, items)
    if unreadable or (rows and all(row.id == NO_ID for row in rows)):
        raise answer.fault(unreadable[0].why if unreadable else "Worklogs without ids came.")
    raw = answer.items("worklog") if items is None else items
    return [worklog(RowReader(answer, item, "worklog")) for item in raw]


def worklog(row: RowReader) -> Worklog:
    """One worklog; no field needs to be readable.

    It counts when the work began, which may be edited, and has exact seconds. One of unreadable begin counts when it
    was created.
    """
    faults: dict[str, str] = {}
    begin = row.spare(faults, "started", row.instant, None)
    seconds = row.spare(faults, "timeSpentSeconds", row.integer, 0)
    if not 0 <= seconds <= LONGEST_SECONDS:
        faults["timeSpentSeconds"], seconds = f"{seconds} is no possible number of seconds", 0
    author = _author(row, faults)
    updated_at = row.spare(faults, "updated", row.instant, EPOCH)
    created_at = row.spare(faults, "created", row.instant, updated_at)
    if "created" in faults:
        faults["created_at"] = faults.pop("created")
    return Worklog(
        TimeAccounting(
            id=row.spare(faults, "id", lambda name: number(row, name), NO_ID),
            ticket_id=row.spare(faults, "issueId", lambda name: number(row, name), NO_ID),
            article_id=None,
            units=Decimal(0),
            type_id=None,
            agent_id=author.agent.id if author else NO_ID,
            created_at=created_at,
            updated_at=updated_at,
            raw=row.raw,
            faults=faults,
            worked_at=begin,
            worked_until=begin + timedelta(seconds=seconds) if begin else None,
            seconds=seconds,
            note=plain_comment(row.raw.get("comment")),
        ),
        author,
    )


def number(row: RowReader, name: str) -> str:
    """An id: a whole number, written as one or as text."""
    value = row.raw.get(name)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return value
    return str(row.integer(name))


def person(row: RowReader) -> Person:
    """One user: by account id on Cloud, where name and address may be withheld; by key on Data Center."""
    name = _shown(row, "displayName")
    login, email = _shown(row, "name"), _shown(row, "emailAddress")
    id_ = row.text("accountId") if "accountId" in row.raw else row.text("key")
    id_ = id_ if 0 < len(id_) <= LONGEST_ID else UNKNOWN_ACCOUNT
    agent = Agent(
        id=id_, login=login or email or id_, email=email, name=name, active=row.raw.get("active") is not False
    )
    nameless = not name or id_ == UNKNOWN_ACCOUNT
    return Person(agent, _shown(row, "accountType"), nameless)


def with_type(booking: TimeAccounting, type_id: str | None) -> TimeAccounting:
    """The booking with the type of its issue."""
    return replace(booking, type_id=type_id)


def _author(row: RowReader, faults: dict[str, str]) -> Person | None:
    """The author, who did the work, and not whoever edited it."""
    problem = "created_by_id"
    if not isinstance(row.raw.get("author"), dict):
        faults[problem] = "it has no author"
        return None
    found: dict[str, str] = {}
    author = row.spare(found, "author", lambda name: person(row.row(name, "author")), None)
    if author is None or author.agent.id == UNKNOWN_ACCOUNT:
        faults[problem] = found.get("author", "Jira does not know its author")
        return None
    return author


def _shown(row: RowReader, name: str) -> str:
    value = row.raw.get(name)
    return value if isinstance(value, str) else ""
