"""Keeping the mirror of a Jira's worklogs up to date: which there are, when they count, and which were deleted.

Jira cannot be asked for the worklogs of a day. But its feeds tell every change in order, from the first one on.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from zk_pipeline.connectors.jira.feeds import DELETED, UPDATED, FeedPage, Worklogs
from zk_pipeline.connectors.jira.rows import Worklog, milliseconds, moment_of
from zk_pipeline.connectors.mirror import Mirror
from zk_pipeline.domain.records import MirroredBooking, TimeAccounting, Window

OVERLAP = timedelta(minutes=10)
"""Read again of what was read: a change becomes visible at its commit, but has the time of its save."""

WALK_EVERY = timedelta(days=7)
"""After this time all worklogs are walked again: a new member of a role or group sees old ones, unannounced."""

DELETIONS_BEFORE = timedelta(days=1)
CLOCKS_DIFFER = timedelta(minutes=5)

_log = logging.getLogger(__name__)


LOST_PROJECT_REMEDY = (
    "Its bookings stay as they are. Give the account the permission Browse Projects there again, or archive the "
    "project."
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Our account, the projects that it may browse, and those that were archived or deleted, all by id."""

    account: str
    projects: Mapping[str, str]
    retired: Collection[str] = ()

    def lost(self, seen: Mapping[str, str]) -> dict[str, str]:
        """The projects that were visible once and neither are now nor were retired."""
        return {id_: name for id_, name in seen.items() if id_ not in self.projects and id_ not in self.retired}


class WorklogIndex:
    """The mirror of one Jira, brought up to date by its feeds. Thread-safe.

    `look_around` reads who we are and which projects there are, given those that were visible before.
    """

    def __init__(
        self, worklogs: Worklogs, mirror: Mirror, look_around: Callable[[Mapping[str, str]], Surroundings]
    ) -> None:
        self._worklogs = worklogs
        self._look_around = look_around
        self._lock = threading.Lock()
        self.mirror = mirror

    def catch_up(self) -> None:
        """Read what changed since the last time.

        All worklogs are walked at first, then weekly, and whenever other ones may have become visible: to another
        account, or in a project that was not visible before. A walk that was cut off continues where it was.
        """
        with self._lock:
            now = datetime.now(UTC)
            state = self._after_a_look_around(self.mirror.state(), now)
            state.setdefault("deleted", milliseconds(now - DELETIONS_BEFORE))
            self._walk_updated(state, now)
            self._walk_deleted(state)

    def catch_up_with_deletions(self) -> None:
        """Read only the deletions since the last time."""
        with self._lock:
            state = self.mirror.state()
            state.setdefault("deleted", milliseconds(datetime.now(UTC) - DELETIONS_BEFORE))
            self._walk_deleted(state)

    def note_places(self, found: Iterable[TimeAccounting]) -> None:
        """Note where bookings are that were just read."""
        rows = list(found)
        known = self.mirror.known([row.id for row in rows])
        moved = [
            MirroredBooking(row.id, row.ticket_id, row.counts_at, known[row.id].changed_at)
            for row in rows
            if row.id in known and (known[row.id].counts_at, known[row.id].ticket_id) != (row.counts_at, row.ticket_id)
        ]
        if moved:
            self.mirror.save(moved, {})

    def note(self, found: Iterable[TimeAccounting], changes: Mapping[str, int], gone: Mapping[str, int]) -> None:
        """Note what the feeds said elsewhere, so that it need not be read again. Where the next read begins stays."""
        rows = [mirrored(row, changes) for row in found]
        self.mirror.save(rows, {id_: moment_of(at) for id_, at in gone.items()})

    def within(self, window: Window) -> list[MirroredBooking]:
        """The bookings that count within the window, oldest first, as they were read last."""
        return self.mirror.within(window)

    def _after_a_look_around(self, state: dict[str, Any], now: datetime) -> dict[str, Any]:
        seen: dict[str, str] = state.get("projects", {})
        around = self._look_around(seen)
        for id_, name in around.lost(seen).items():
            _log.warning("%s %s", lost_project(id_, name), LOST_PROJECT_REMEDY)
        walked = datetime.fromisoformat(state["walked_at"]) if "walked_at" in state else None
        stale = walked is None or not timedelta(0) <= now + CLOCKS_DIFFER - walked < WALK_EVERY
        sees_more = state.get("account") != around.account or not around.projects.keys() <= seen.keys()
        if (stale or sees_more) and ("walk" not in state or sees_more):
            state["walk"] = 0
        kept = {id_: name for id_, name in seen.items() if id_ not in around.retired}
        return {**state, "account": around.account, "projects": {**kept, **around.projects}}

    def _walk_updated(self, state: dict[str, Any], now: datetime) -> None:
        walking = "walk" in state
        since = state["walk"] if walking else max(0, state["updated"] - _milliseconds(OVERLAP))
        for page in self._worklogs.feed(UPDATED, since):
            rows = self._fresh(page)
            state["walk" if walking else "updated"] = page.until
            self.mirror.save(rows, {}, state)
        if walking:
            state["updated"] = state.pop("walk")
            state["walked_at"] = now.isoformat()
            self.mirror.save((), {}, state)

    def _walk_deleted(self, state: dict[str, Any]) -> None:
        for page in self._worklogs.feed(DELETED, max(0, state["deleted"] - _milliseconds(OVERLAP))):
            state["deleted"] = max(state["deleted"], page.until)
            self.mirror.save((), {id_: moment_of(at) for id_, at in page.changes.items()}, state)

    def _fresh(self, page: FeedPage) -> list[MirroredBooking]:
        """The rows of a page that are new or have changed since they were read."""
        known = self.mirror.known(page.changes)
        ids = [id_ for id_, at in page.changes.items() if id_ not in known or known[id_].changed_at != moment_of(at)]
        found = self._worklogs.listed(ids)
        report_unlisted(ids, found)
        return [mirrored(row.booking, page.changes) for row in found]


def lost_project(project_id: str, name: str) -> str:
    """What is said of a project that was visible once."""
    return f"The project {name} ({project_id}) is no longer visible."


def mirrored(row: TimeAccounting, changes: Mapping[str, int]) -> MirroredBooking:
    """A booking as the index knows it, with the change that a feed named."""
    return MirroredBooking(row.id, row.ticket_id, row.counts_at, moment_of(changes[row.id]))


def report_unlisted(ids: Collection[str], found: Iterable[Worklog]) -> None:
    """Say how many worklogs a feed names and Jira does not show: they are hidden from us, or gone already."""
    missing = len(set(ids) - {row.booking.id for row in found})
    if missing:
        _log.info("Jira names %d worklogs that it does not show: they are hidden from the account, or gone.", missing)


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
