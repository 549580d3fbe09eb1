"""The rules that a time entry must meet to be saved (docs/kimai.md §3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.errors import Violation
from zk_sandbox.kimai.model import Activity, Project, Timesheet

BEGIN, END, DURATION = "begin_date", "end_date", "duration"
"""Properties that are no form fields: their errors are global in a form, and named outside one."""

LONGEST_SECONDS = 31_536_000


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry about to be saved; project and activity may still be missing."""

    id: int | None
    user: int
    project: Project | None
    activity: Activity | None
    begin: int
    end: int | None
    pause: int
    where: ZoneInfo
    """The zone the times were read in."""
    reopened: bool = False
    """Whether a finished entry becomes a running one."""

    @property
    def seconds(self) -> int:
        """The duration before rounding; 0 while it runs."""
        return 0 if self.end is None else self.end - self.begin - self.pause


def draft_of(caller: Caller, entry: Timesheet) -> Draft:
    """A stored entry as a draft, for saves outside a form."""
    return Draft(
        id=entry.id or None,
        user=entry.user,
        project=caller.kimai.projects.get(entry.project),
        activity=caller.kimai.activities.get(entry.activity),
        begin=entry.begin,
        end=entry.end,
        pause=entry.pause,
        where=entry.zone,
    )


def violations(caller: Caller, draft: Draft) -> list[Violation]:
    """Every broken rule, in the order Kimai reports them."""
    return [
        *_times(draft),
        *_assignment(caller, draft),
        *_project_period(draft),
        *_future(caller, draft),
        *_zero(caller, draft),
        *_overlap(caller, draft),
        *_too_long(caller, draft),
        *_lockdown(caller, draft),
    ]


def _times(draft: Draft) -> Iterator[Violation]:
    if draft.end is not None and draft.end < draft.begin:
        yield Violation(END, "The end date must not be earlier than the start date.")
    if draft.seconds < 0:
        yield Violation(DURATION, "Duration cannot be negative.")


def _assignment(caller: Caller, draft: Draft) -> Iterator[Violation]:
    project, activity = draft.project, draft.activity
    if project is None:
        yield Violation("project", "A project needs to be selected.")
        yield Violation("project", "This value should not be null.")
    if activity is None:
        if caller.kimai.settings.require_activity:
            yield Violation("activity", "An activity needs to be selected.")
        yield Violation("activity", "This value should not be null.")
    if project and activity and activity.project not in {None, project.id}:
        yield Violation("project", "Project mismatch, project specific activity and timesheet project are different.")
    if draft.reopened:
        yield from _disabled(project, activity)


def _disabled(project: Project | None, activity: Activity | None) -> Iterator[Violation]:
    for _ in range(2):  # two constraints say the same
        if project and not project.visible:
            yield Violation("project", "Cannot start a disabled project.")
        if activity and not activity.visible:
            yield Violation("activity", "Cannot start a disabled activity.")


def _project_period(draft: Draft) -> Iterator[Violation]:
    if draft.project is None:
        return
    start, end = draft.project.start, draft.project.end
    for path, instant in ((BEGIN, draft.begin), (END, draft.end)):
        if instant is None:
            continue
        if start is not None and instant < start:
            yield Violation(path, "The project has not started at that time.")
        if end is not None and instant > end:
            yield Violation(path, "The project is finished at that time.")


def _future(caller: Caller, draft: Draft) -> Iterator[Violation]:
    settings = caller.kimai.settings
    if settings.future_times:
        return
    soon = settings.clock() + 60
    if draft.begin > soon + settings.rounding_begin * 60:
        yield Violation(BEGIN, "The begin date cannot be in the future.")
    if draft.end is not None and draft.end > soon + settings.rounding_end * 60:
        yield Violation(END, "The end date cannot be in the future.")


def _zero(caller: Caller, draft: Draft) -> Iterator[Violation]:
    if not caller.kimai.settings.zero_duration and draft.end is not None and draft.seconds == 0:
        yield Violation(DURATION, "An empty duration is not allowed.")


def _overlap(caller: Caller, draft: Draft) -> Iterator[Violation]:
    """Only stopped entries of the owner count; a second on each side lets adjacent entries pass."""
    kimai = caller.kimai
    if kimai.settings.overlapping:
        return
    begin = draft.begin + 1
    end = begin if draft.end is None else draft.end - 1
    for entry_id in kimai.timesheets.by_begin(frozenset({draft.user}), end=max(begin, end)):
        entry = kimai.timesheets.rows[entry_id]
        if entry_id == draft.id or entry.end is None:
            continue
        if entry.begin <= end and entry.end >= begin:
            yield Violation(BEGIN, "You already have an entry for this time.")
            return


def _too_long(caller: Caller, draft: Draft) -> Iterator[Violation]:
    minutes = caller.kimai.settings.long_running
    if draft.seconds > LONGEST_SECONDS:
        yield Violation(DURATION, "Maximum duration exceeded.")
    elif 0 < minutes * 60 < draft.seconds:
        yield Violation(DURATION, f"Maximum {minutes // 60}:{minutes % 60:02} hours allowed.")


def _lockdown(caller: Caller, draft: Draft) -> Iterator[Violation]:
    settings = caller.kimai.settings
    open_ = settings.lockdown().allows(
        draft.begin, entry_zone=draft.where, now=settings.clock(), permissions=caller.permissions
    )
    if not open_:
        yield Violation(BEGIN, "This period is locked. Please choose a later date.")
