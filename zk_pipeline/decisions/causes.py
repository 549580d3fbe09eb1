"""Causes: why conflicts wait, by whom or what they are about, and what solves all conflicts of a cause at once.

Two causes under one reason are two: each unmapped customer, each ended project, each disabled person. A cause is found
from what is stored now: what was mended or mapped meanwhile is no cause any more.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sqlalchemy import Row

from zk_pipeline.decisions import lists
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.decisions.mapping_files import (
    Suggestion,
    activity_candidates,
    customer_candidates,
    suggest,
    user_candidates,
)
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.mapping import OWN_CUSTOMER, Mappings, Obstacle, ObstacleKind, obstacles
from zk_pipeline.domain.mapping_lines import NOTHING, Kind
from zk_pipeline.domain.names import name_keys
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.records import Activity, Customer, MasterDataKind, Project, TargetDirectory, TargetUser
from zk_pipeline.domain.source_ids import NO_ORGANIZATION
from zk_pipeline.identity.actors import UnknownError
from zk_pipeline.runtime import links
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.push.mending import Mend
from zk_pipeline.store import day_requests, target
from zk_pipeline.store import mappings as stored_mappings
from zk_pipeline.store.connectors import active_connectors

PROJECT_UNCLEAR = "project_unclear"
"""The kind of a cause: the customer is known, and its project in the target does not fit."""

_MAPPED_KINDS = {
    Reason.UNMAPPED_USER: Kind.USER,
    Reason.UNMAPPED_ACTIVITY: Kind.ACTIVITY,
    Reason.UNMAPPED_CUSTOMER: Kind.CUSTOMER,
}
_MAPPABLE = {
    ObstacleKind.USER_DISABLED: Kind.USER,
    ObstacleKind.ACTIVITY_HIDDEN: Kind.ACTIVITY,
    ObstacleKind.ACTIVITY_ELSEWHERE: Kind.ACTIVITY,
    ObstacleKind.GLOBALS_FORBIDDEN: Kind.ACTIVITY,
    ObstacleKind.CUSTOMER_HIDDEN: Kind.CUSTOMER,
}
"""Obstacles that another mapping goes around."""


_MENDS = {
    ObstacleKind.PROJECT_ENDED: Mend.EXTEND_PROJECT,
    ObstacleKind.PROJECT_HIDDEN: Mend.SHOW_PROJECT,
    ObstacleKind.ACTIVITY_HIDDEN: Mend.SHOW_ACTIVITY,
    ObstacleKind.CUSTOMER_HIDDEN: Mend.SHOW_CUSTOMER,
}

_TITLES: Mapping[str, str] = {
    Reason.UNMAPPED_USER: "{name} has no Kimai user",
    Reason.UNMAPPED_ACTIVITY: "{name} has no Kimai activity",
    Reason.UNMAPPED_CUSTOMER: "{name} has no Kimai customer",
    PROJECT_UNCLEAR: "{name}: the project in Kimai does not fit",
    Reason.UNKNOWN_TICKET: "Ticket not readable",
    Reason.MALFORMED_BOOKING: "Booking unreadable",
    Reason.RUNNING_TIMER: "Timer running",
    Reason.MALFORMED_TIMESHEET: "Time sheet unreadable",
    Reason.DUPLICATE: "Probably a duplicate",
    Reason.AMBIGUOUS: "More than one match",
    Reason.FUZZY_CANDIDATE: "Very similar to a time sheet",
    Reason.KIMAI_EDITED: "Changed in Kimai",
    Reason.BOTH_CHANGED: "Changed on both sides",
    Reason.DELETED_IN_KIMAI: "Deleted in Kimai",
    Reason.UNSEEN_IN_KIMAI: "Not visible in Kimai",
    Reason.DELETED_IN_ZAMMAD: "Deleted in Zammad",
    Reason.BILLED: "Changed after it was billed",
    Reason.CHANGED_AFTER_BILLING: "Changed in Kimai after it was billed",
    Reason.LOCKED_PERIOD: "The period is closed",
    Reason.NO_FREE_PLACE: "No free place on the day",
    Reason.UNMATCHED_CORRECTION: "Correction fits nothing",
    Reason.REFUSED_BY_KIMAI: "Refused by Kimai",
    Reason.MARKER_CLONED: "Duplicated in Kimai",
    Reason.BILLED_COPY: "Duplicated in Kimai and billed",
    Reason.MERGED_TICKET: "Ticket was merged",
    ObstacleKind.USER_DISABLED: "{name} is disabled in Kimai",
    ObstacleKind.ACTIVITY_HIDDEN: "Activity {name} is hidden in Kimai",
    ObstacleKind.ACTIVITY_ELSEWHERE: "Activity {name} belongs to another project",
    ObstacleKind.CUSTOMER_HIDDEN: "Customer {name} is hidden in Kimai",
    ObstacleKind.PROJECT_LOCKED: "Project {name} is locked in Kimai",
    ObstacleKind.PROJECT_HIDDEN: "Project {name} is hidden in Kimai",
    ObstacleKind.PROJECT_ENDED: "Project {name} ended on {ended}",
    ObstacleKind.PROJECT_AHEAD: "Project {name} has not begun in Kimai",
    ObstacleKind.GLOBALS_FORBIDDEN: "Project {name} allows no global activities",
}
"""What a cause is called, by its kind."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Conflicts with one cause. `kind` is their reason, or what in the target made it refuse the write.

    `key` identifies it as long as it lasts. `name` is whom or what it is about; `target_id` is its id in the target,
    `ended` the day on which a project ended. `zammad` is what a mapping, of kind `maps`, would be set for; empty if no
    single one solves it. `suggestions` are what it could lead to, best first; `mend` is what can be changed in the
    target instead, `url` its page there. `asked` of the conflicts are tried again by the next run, as
    after a mapping or a mend; they wait for nobody.
    """

    key: str
    kind: str
    reason: str
    title: str
    name: str
    text: str
    conflicts: int
    minutes: Decimal
    days: tuple[date, ...]
    asked: int
    target_id: int | None = None
    ended: date | None = None
    maps: Kind | None = None
    zammad: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    mend: Mend | None = None
    url: str | None = None
    ids: tuple[int, ...] = field(default=(), repr=False)


def causes(runtime: Runtime, wanted: ConflictFilter) -> tuple[Cause, ...]:
    """The conflicts that match a filter by cause, most minutes first."""
    today = local_day(datetime.now(UTC), runtime.settings.zone)
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        facts = lists.cause_facts(connection, names, wanted)
        directory = target.load_directory(connection, names.target) if facts else None
        mapped = stored_mappings.load(connection, names.source) if facts else Mappings()
        soon = {request.day for request in day_requests.unclaimed(connection)} if facts else set[date]()
    finder = _Finder(directory, mapped, names.target_url, today, soon)
    found: dict[str, Cause] = {}
    for row in facts:
        cause = finder.cause(row)
        before = found.get(cause.key)
        found[cause.key] = _joined(before, cause) if before else cause
    ordered = sorted(found.values(), key=lambda cause: (-cause.minutes, -cause.conflicts, cause.key))
    return tuple(finder.with_suggestions(cause) for cause in ordered)


def of_cause(runtime: Runtime, wanted: ConflictFilter, key: str) -> ConflictFilter:
    """The filter, narrowed to one cause. Raises `UnknownError` if nothing that matches has this cause."""
    for cause in causes(runtime, wanted):
        if cause.key == key:
            return replace(wanted, ids=frozenset(cause.ids))
    raise UnknownError(f"No conflict has the cause {key[:80]!r}. It may be solved: look at the list of causes again.")


def _joined(one: Cause, other: Cause) -> Cause:
    """Both parts of a cause. A mapping solves it only if all of it is about the same agent, type or organization."""
    return replace(
        one,
        conflicts=one.conflicts + other.conflicts,
        minutes=one.minutes + other.minutes,
        days=tuple(sorted({*one.days, *other.days})),
        asked=one.asked + other.asked,
        zammad=one.zammad if one.zammad == other.zammad else "",
        ids=(*one.ids, *other.ids),
    )


class _Finder:
    """Finds the cause of conflicts from the target as last read, and from the mappings."""

    def __init__(
        self, directory: TargetDirectory | None, mapped: Mappings, base_url: str, today: date, soon: Container[date]
    ) -> None:
        self._directory, self._mapped, self._base_url = directory, mapped, base_url
        self._today, self._soon = today, soon
        self._users: dict[int, TargetUser] = {row.id: row for row in directory.users} if directory else {}
        self._activities: dict[int, Activity] = {row.id: row for row in directory.activities} if directory else {}
        self._projects: dict[int, Project] = {row.id: row for row in directory.projects} if directory else {}
        self._customers: dict[int, Customer] = {row.id: row for row in directory.customers} if directory else {}
        self._names = {key for row in self._customers.values() for key in name_keys(row.name)}

    def cause(self, row: Row[Any]) -> Cause:
        """The cause of a group of conflicts, without what could be mapped instead."""
        reason = Reason(row.reason)
        if reason in _MAPPED_KINDS:
            found, can_be_written = self._unmapped(row, reason, _MAPPED_KINDS[reason]), self._is_mapped(row, reason)
        elif reason is not Reason.REFUSED_BY_KIMAI:
            return _cause(row, reason)
        else:
            found = self._refused(row)
            can_be_written = found.kind == reason
        # The day may be requested for another cause, which changes nothing about this one.
        is_tried = can_be_written and row.entry_date in self._soon
        return replace(found, asked=found.conflicts) if is_tried else found

    def with_suggestions(self, cause: Cause) -> Cause:
        """The cause with what in the target has a similar name."""
        if self._directory is None or not cause.zammad or cause.maps is None:
            return cause
        match cause.maps:
            case Kind.USER:
                candidates = user_candidates(self._directory.users)
            case Kind.ACTIVITY:
                candidates = activity_candidates(self._directory.activities)
            case Kind.CUSTOMER:
                candidates = customer_candidates(self._directory.customers)
        found = [one for one in suggest([cause.name], candidates) if one.id != cause.target_id]
        return replace(cause, suggestions=tuple(found))

    def _unmapped(self, row: Row[Any], reason: Reason, maps: Kind) -> Cause:
        zammad, name = _mapped_side(row, maps)
        subject = zammad.removeprefix("id:")
        cause = _cause(row, reason, subject, name=name, text=EXPLANATIONS[reason].meaning, maps=maps, zammad=zammad)
        if maps is Kind.CUSTOMER and not self._lacks_customer(row, name):
            text = row.text.removeprefix(EXPLANATIONS[reason].meaning).removesuffix(EXPLANATIONS[reason].next_step)
            return replace(cause, kind=PROJECT_UNCLEAR, title=_title(PROJECT_UNCLEAR, name), text=text.strip())
        return cause

    def _is_mapped(self, row: Row[Any], reason: Reason) -> bool:
        """Whether somebody set the mapping since the booking was found to lack it."""
        match _MAPPED_KINDS[reason]:
            case Kind.USER:
                return row.agent_id in self._mapped.users
            case Kind.ACTIVITY:
                keys = ((row.type_id, row.organization_id), (row.type_id, None))
                return any(key in self._mapped.activities for key in keys)
            case Kind.CUSTOMER:
                return row.organization_id in self._mapped.customers

    def _lacks_customer(self, row: Row[Any], name: str) -> bool:
        """Whether it is the customer that is not clear, and not a project: it was not mapped, and has namesakes."""
        mapped = self._mapped.customers.get(row.organization_id or NO_ORGANIZATION)
        if mapped is None or mapped == OWN_CUSTOMER or row.entry_date in self._soon:
            return not name_keys(name).isdisjoint(self._names)
        return mapped not in self._customers

    def _refused(self, row: Row[Any]) -> Cause:
        obstacle = next(iter(self._obstacles(row)), None)
        if obstacle is not None:
            return self._hindered(row, obstacle)
        meant = EXPLANATIONS[Reason.REFUSED_BY_KIMAI]
        text = row.refusal.removeprefix(meant.meaning).removesuffix(meant.next_step).strip()
        return _cause(row, Reason.REFUSED_BY_KIMAI, sha256(text.encode()).hexdigest()[:8], text=text)

    def _hindered(self, row: Row[Any], obstacle: Obstacle) -> Cause:
        kind, name, ended = _MAPPABLE.get(obstacle.kind), obstacle.name, None
        project = self._projects.get(obstacle.id)
        if project is not None and not obstacle.kind.startswith(("user_", "activity_", "customer_")):
            customer = self._customers.get(project.customer_id)
            name = f"{project.name} ({customer.name})" if customer and customer.name != project.name else project.name
            ended = project.end
        return _cause(
            row,
            obstacle.kind,
            str(obstacle.id),
            name=name,
            text=obstacle.text,
            target_id=obstacle.id,
            ended=ended,
            maps=kind,
            zammad=_mapped_side(row, kind)[0] if kind else "",
            mend=_MENDS.get(obstacle.kind),
            url=self._page(obstacle),
        )

    def _page(self, obstacle: Obstacle) -> str | None:
        if not self._base_url:
            return None
        if obstacle.kind is ObstacleKind.USER_DISABLED:
            return links.kimai_user(self._base_url, self._users[obstacle.id].username)
        kind = next((kind for kind in MasterDataKind if obstacle.kind.startswith(kind)), MasterDataKind.PROJECT)
        return links.master_data(self._base_url, kind, obstacle.id)

    def _obstacles(self, row: Row[Any]) -> Iterable[Obstacle]:
        project = self._projects.get(row.project_id or 0)
        return obstacles(
            self._users.get(row.user_id or 0),
            self._activities.get(row.activity_id or 0),
            project,
            self._customers.get(project.customer_id) if project else None,
            today=self._today,
            day=row.entry_date,
        )


def _cause(row: Row[Any], kind: str, subject: str = "", *, name: str = "", text: str = "", **more: Any) -> Cause:
    """The cause of one group of conflicts; `subject` distinguishes it from others of its kind."""
    return Cause(
        key=f"{kind}:{subject}" if subject else kind,
        kind=kind,
        reason=row.reason,
        title=_title(kind, name, more.get("ended")),
        name=name,
        text=text or EXPLANATIONS[Reason(row.reason)].meaning,
        conflicts=len(row.ids),
        minutes=row.minutes,
        days=(row.entry_date,),
        asked=0,
        ids=tuple(row.ids),
        **more,
    )


def _title(kind: str, name: str, ended: date | None = None) -> str:
    return _TITLES[kind].format(name=name, ended=ended)


def _mapped_side(row: Row[Any], maps: Kind) -> tuple[str, str]:
    """What a mapping would be set for, as in an import file, and its name."""
    id_, name, nobody = {
        Kind.USER: (row.agent_id, row.agent, ""),
        Kind.ACTIVITY: (row.type_id, row.type, "Bookings without type"),
        Kind.CUSTOMER: (row.organization_id, row.organization, "Tickets without organization"),
    }[maps]
    return (f"id:{id_}", name or f"id {id_}") if id_ else (NOTHING, nobody)
