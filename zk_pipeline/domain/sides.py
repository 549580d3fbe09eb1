"""Both sides of a line of the plan for people: field by field what the booking wants and what the time sheet says."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.ledger import Desired
from zk_pipeline.domain.plan import Draft
from zk_pipeline.domain.records import TargetDirectory, Timesheet


@dataclass(frozen=True, slots=True)
class Side:
    """One field; `differs` only where both sides are known and the field is ours."""

    field: str
    wanted: str
    found: str
    differs: bool = False


class Names:
    """The target's names for ids, each with its id; times in the business zone."""

    def __init__(self, directory: TargetDirectory | None, zone: ZoneInfo) -> None:
        self._zone = zone
        self._users = {row.id: row.username for row in directory.users} if directory else {}
        self._projects = {row.id: row.name for row in directory.projects} if directory else {}
        self._activities = {row.id: row.name for row in directory.activities} if directory else {}

    def of_desired(self, desired: Desired) -> dict[str, str]:
        """The fields that are ours, as they were or would be asked for."""
        project = self._projects.get(desired.project_id or 0, "a new project")
        return {
            "user": _named(self._users.get(desired.user_id), desired.user_id),
            "begin": self._time(desired.begin),
            "duration": _duration(desired.seconds),
            "project": _named(project, desired.project_id or desired.project_number),
            "activity": _named(self._activities.get(desired.activity_id), desired.activity_id),
        }

    def of_draft(self, draft: Draft) -> dict[str, str]:
        """A time sheet as it would be written."""
        return {
            **self.of_desired(draft.desired),
            "begin": self._time(draft.span.begin),
            "description": draft.description,
            "tags": ", ".join(draft.tags),
        }

    def of_entry(self, entry: Entry) -> dict[str, str]:
        """What a booking says in the source's words, while nothing of the target stands for it."""
        return {
            "user": f"{entry.user_name} <{entry.user_email}>",
            "begin": self._time(entry.begin_at),
            "duration": f"{entry.time_minutes.normalize():f} min",
            "project": entry.organization_name or "(no organization)",
            "activity": entry.activity_name or "(no type)",
            "description": entry.description,
            "tags": ", ".join(entry.tags),
        }

    def of_timesheet(self, row: Timesheet) -> dict[str, str]:
        """A time sheet as it is."""
        return {
            "user": _named(self._users.get(row.user_id), row.user_id),
            "begin": self._time(row.begin),
            "duration": _duration(row.duration_seconds),
            "project": _named(self._projects.get(row.project_id), row.project_id),
            "activity": _named(self._activities.get(row.activity_id), row.activity_id),
            "description": row.description,
            "tags": ", ".join(row.tags),
            "exported": "yes" if row.exported else "no",
        } | ({"break": _duration(row.break_seconds)} if row.break_seconds else {})

    def _time(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")


def compared(wanted: Mapping[str, str], found: Mapping[str, str], differing: Collection[str]) -> list[Side]:
    """The two sides beside each other; `differing` are the fields of ours that are not the same."""
    fields = dict.fromkeys((*wanted, *found))
    return [Side(field, wanted.get(field, ""), found.get(field, ""), field in differing) for field in fields]


def _named(name: str | None, number: int | str) -> str:
    return f"{name or 'unknown'} ({number})"


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
