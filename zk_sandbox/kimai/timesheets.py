"""Writing time entries: create, patch, delete and the other actions (docs/kimai.md §3, §4)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.datetimes import local, local_to_epoch
from zk_sandbox.kimai.errors import EntityError, Violation, bad_request, forbidden, internal_error, not_found
from zk_sandbox.kimai.forms import NOT_NULL, Form, scalar
from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.lockdown import relative
from zk_sandbox.kimai.model import Activity, Project, Timesheet
from zk_sandbox.kimai.rates import with_rates
from zk_sandbox.kimai.rounding import rounded_times
from zk_sandbox.kimai.rules import Draft, draft_of, violations
from zk_sandbox.kimai.selection import selectable_activity, selectable_project, selectable_user

DESCRIPTION_BYTES = 65_535
CANNOT_STOP = "You have an active time record which cannot be stopped automatically."


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry and the zone its answer is written in."""

    entry: Timesheet
    where: ZoneInfo


def readable(caller: Caller, entry_id: int) -> Timesheet:
    """An entry the caller may read; 404 or 403 otherwise. One's own stays readable behind foreign teams."""
    entry = caller.kimai.timesheets.get(entry_id)
    if entry is None:
        raise not_found()
    if not caller.may_for("view_{}_timesheet", entry.user):
        raise forbidden()
    own = entry.user == caller.user.id
    if not own and not (caller.may_access_user(entry.user) and caller.sees_assignment(entry)):
        raise forbidden()
    return entry


def changeable(caller: Caller, entry_id: int, action: str) -> Timesheet:
    """An entry the caller may `edit` or `delete`."""
    entry = readable(caller, entry_id)
    if not may_change(caller, entry, action):
        raise forbidden()
    return entry


def may_change(caller: Caller, entry: Timesheet, action: str) -> bool:
    """Whether the caller may `edit` or `delete` the entry; exported and locked ones need more permissions."""
    settings = caller.kimai.settings
    return (
        caller.may_for(action + "_{}_timesheet", entry.user)
        and (not entry.exported or caller.may("edit_exported_timesheet"))
        and settings.lockdown().allows(
            entry.begin, entry_zone=entry.zone, now=settings.clock(), permissions=caller.permissions
        )
    )


def is_startable(caller: Caller, entry: Timesheet) -> bool:
    """Whether project, customer and activity are visible and open to the caller, so that a copy may begin."""
    kimai = caller.kimai
    project = kimai.projects.rows[entry.project]
    visible = project.visible and kimai.customer_of(project).visible and kimai.activities.rows[entry.activity].visible
    return visible and caller.sees_assignment(entry)


def form_fields(caller: Caller, owner: int, *, with_user: bool) -> list[str]:
    """The fields this caller may send for an entry of this owner, in the order of `errors.children`."""
    settings = caller.kimai.settings
    fields: list[str] = []
    if settings.mode == "default" or caller.may("view_other_timesheet"):
        fields += ["begin", "end"]
    if settings.break_time:
        fields.append("break")
    fields += ["project", "activity", "description"]
    if caller.may_for("edit_rate_{}_timesheet", owner):
        fields += ["fixedRate", "hourlyRate"]
    if with_user:
        fields.append("user")
    fields.append("tags")
    if caller.may_for("edit_export_{}_timesheet", owner):
        fields.append("exported")
    if caller.may_for("edit_billable_{}_timesheet", owner):
        fields.append("billable")
    return fields


def create(caller: Caller, data: Mapping[str, Any]) -> Shown:
    """POST: times are read in the caller's zone, and answered in it."""
    caller.require("create_own_timesheet")
    if caller.kimai.settings.mode == "duration_only":
        raise internal_error()
    fields = form_fields(caller, caller.user.id, with_user=caller.may("create_other_timesheet"))
    blank = Timesheet(
        id=0,
        user=caller.user.id,
        project=0,
        activity=0,
        begin=_default_begin(caller),
        end=None,
        timezone=caller.user.timezone,
    )
    form = Form(fields, data)
    entry = _filled(caller, form, blank)
    if not form.sent("billable"):
        entry = _with_automatic_billable(caller.kimai, entry)
    else:  # unlike a checkbox, null, "" and 0 are false here
        entry = replace(entry, billable=scalar(form.raw("billable")) not in {"", "0"})
    if entry.end is None and entry.user != caller.user.id:
        caller.require("start_other_timesheet")
    if entry.end is None and not _make_room(caller, entry.user):
        form.finish([Violation("", CANNOT_STOP)])
    return Shown(_saved(caller.kimai, entry, caller.zone), caller.zone)


def patch(caller: Caller, entry_id: int, data: Mapping[str, Any]) -> Shown:
    """PATCH: only sent fields change; times are read in the zone stored on the entry."""
    stored = changeable(caller, entry_id, "edit")
    form = Form(form_fields(caller, stored.user, with_user=True), data)
    entry = _with_rates_reset(caller.kimai, stored, _filled(caller, form, stored))
    entry = replace(entry, timezone=caller.kimai.users.rows[entry.user].timezone)
    if entry == stored:
        return Shown(stored, stored.zone)
    if entry == replace(stored, tags=entry.tags):
        touched = replace(entry, modified_at=caller.kimai.now())
        return Shown(caller.kimai.timesheets.put(touched), stored.zone)
    return Shown(_saved(caller.kimai, entry, stored.zone), stored.zone)


def stop(caller: Caller, entry_id: int) -> Shown:
    """PATCH /stop: ends a running entry now; a stopped one stays as it is."""
    entry = readable(caller, entry_id)
    if not caller.may_for("stop_{}_timesheet", entry.user):
        raise forbidden()
    if entry.end is not None:
        return Shown(entry, entry.zone)
    stopped = replace(entry, end=caller.kimai.now())
    _check(caller, stopped)
    return Shown(_saved(caller.kimai, stopped, entry.zone), entry.zone)


def restart(caller: Caller, entry_id: int, *, begin: int | None, copy_all: bool) -> Shown:
    """PATCH /restart: a new running entry of the caller with the same project and activity."""
    original = readable(caller, entry_id)
    if not caller.may_for("start_{}_timesheet", original.user):
        raise forbidden()
    _require_startable(caller, original)
    entry = Timesheet(
        id=0,
        user=caller.user.id,
        project=original.project,
        activity=original.activity,
        begin=_default_begin(caller) if begin is None else begin,
        end=None,
        timezone=caller.user.timezone,
    )
    if copy_all:
        entry = replace(
            entry,
            description=original.description,
            tags=original.tags,
            meta=dict(original.meta),
            billable=original.billable,
        )
    else:
        entry = _with_automatic_billable(caller.kimai, entry)
    _check(caller, entry)
    if not _make_room(caller, entry.user):
        raise EntityError([Violation("", CANNOT_STOP)])
    return Shown(_saved(caller.kimai, entry, caller.zone), caller.zone)


def duplicate(caller: Caller, entry_id: int) -> Shown:
    """PATCH /duplicate: a clone of the same owner that carries description, tags and custom fields, any marker too."""
    original = readable(caller, entry_id)
    if not caller.may_for("create_{}_timesheet", original.user):
        raise forbidden()
    _require_startable(caller, original)
    entry = replace(original, id=0, exported=False, meta=dict(original.meta))
    _check(caller, entry)
    return Shown(_saved(caller.kimai, entry, entry.zone), entry.zone)


def toggle_export(caller: Caller, entry_id: int) -> Shown:
    """PATCH /export: flips `exported`; taking it back needs more."""
    entry = readable(caller, entry_id)
    if not caller.may_for("edit_export_{}_timesheet", entry.user):
        raise forbidden()
    if entry.exported:
        caller.require("edit_exported_timesheet")
    return Shown(_saved(caller.kimai, replace(entry, exported=not entry.exported), entry.zone), entry.zone)


def set_meta(caller: Caller, entry_id: int, data: Mapping[str, Any]) -> Shown:
    """PATCH /meta: sets one declared custom field; `modified_at` does not move."""
    entry = changeable(caller, entry_id, "edit")
    name, value = scalar(data.get("name")), data.get("value")
    if not name:
        raise bad_request()
    if name not in caller.kimai.settings.meta_fields and name not in entry.meta:
        raise not_found()
    if value is None:
        raise bad_request()
    changed = replace(entry, meta=entry.meta | {name: scalar(value)})
    return Shown(caller.kimai.timesheets.put(changed), entry.zone)


def edit(kimai: Installation, entry_id: int, columns: Mapping[str, Any]) -> Timesheet:
    """What a person saves in Kimai's own form, which has fields that the API lacks, such as the break."""
    stored = kimai.timesheets.rows[entry_id]
    return _saved(kimai, _with_rates_reset(kimai, stored, replace(stored, **columns)), stored.zone)


def delete(caller: Caller, entry_id: int) -> None:
    """DELETE: leaves no trace."""
    caller.kimai.timesheets.remove(changeable(caller, entry_id, "delete").id)


def _filled(caller: Caller, form: Form, stored: Timesheet) -> Timesheet:
    """The entry with the sent fields applied and all rules met; answers 400 otherwise."""
    if form.sent("begin") and not scalar(form.raw("begin")):
        raise internal_error()  # a time sheet without begin cannot even be built, so that no rule gets to refuse it
    begin = form.instant("begin", stored.begin, stored.zone)
    draft = _draft(caller, form, stored, _default_begin(caller) if begin is None else begin)
    filled = replace(
        stored,
        user=draft.user,
        begin=draft.begin,
        end=draft.end,
        pause=draft.pause,
        duration=stored.duration if draft.end is not None else 0,
        description=form.text("description", stored.description),
        tags=_tags(caller.kimai, form, stored.tags),
        fixed_rate=form.money("fixedRate", stored.fixed_rate),
        hourly_rate=form.money("hourlyRate", stored.hourly_rate),
        exported=form.flag("exported", present=stored.exported),
        billable=form.flag("billable", present=stored.billable),
    )
    form.finish(violations(caller, draft))
    if draft.project is None or draft.activity is None:
        raise internal_error()  # both are required: the rules have refused their absence
    return replace(filled, project=draft.project.id, activity=draft.activity.id)


def _draft(caller: Caller, form: Form, stored: Timesheet, begin: int) -> Draft:
    project, activity = _assignment(caller, form, stored)
    end = form.instant("end", stored.end, stored.zone)
    return Draft(
        id=stored.id or None,
        user=_owner(caller, form, stored),
        project=project,
        activity=activity,
        begin=begin,
        end=end,
        pause=form.seconds("break", stored.pause),
        where=stored.zone,
        reopened=stored.end is not None and end is None,
    )


def _owner(caller: Caller, form: Form, stored: Timesheet) -> int:
    users = caller.kimai.users
    present = stored.user if stored.id else None
    user = form.choice("user", users.rows[stored.user], lambda user_id: selectable_user(caller, user_id, present))
    if user is None:
        form.refuse("user", NOT_NULL)
        return stored.user
    return user.id


def _assignment(caller: Caller, form: Form, stored: Timesheet) -> tuple[Project | None, Activity | None]:
    kimai = caller.kimai
    project = form.choice(
        "project",
        kimai.projects.get(stored.project),
        lambda project_id: selectable_project(caller, project_id, stored.project),
    )
    activity = form.choice(
        "activity",
        kimai.activities.get(stored.activity),
        lambda activity_id: selectable_activity(caller, activity_id, project, stored.activity),
    )
    return project, activity


def _tags(kimai: Installation, form: Form, present: tuple[int, ...]) -> tuple[int, ...]:
    """Tag ids of a comma-separated text; unknown names are silently dropped, hidden tags are not."""
    if not form.sent("tags"):
        return present
    names = (form.text("tags") or "").split(",")
    tags = [kimai.tag_named(name.strip()) for name in names if name.strip()]
    return tuple(dict.fromkeys(tag.id for tag in tags if tag is not None))


def _with_automatic_billable(kimai: Installation, entry: Timesheet) -> Timesheet:
    project = kimai.projects.rows[entry.project]
    parts = (kimai.activities.rows[entry.activity], project, kimai.customer_of(project))
    return replace(entry, billable=all(part.billable for part in parts))


def _with_rates_reset(kimai: Installation, stored: Timesheet, entry: Timesheet) -> Timesheet:
    """The entry without what people set on it, if it moves to another user, project or activity.

    Nothing is reset if a rate changes at the same time. An unchanged rate that is sent is no change, and `billable` is
    then automatic, whatever was sent (docs/kimai.md §4).
    """
    moved = (entry.user, entry.project, entry.activity) != (stored.user, stored.project, stored.activity)
    priced = (entry.fixed_rate, entry.hourly_rate) != (stored.fixed_rate, stored.hourly_rate)
    if not moved or priced:
        return entry
    return _with_automatic_billable(kimai, replace(entry, fixed_rate=None, hourly_rate=None))


def _default_begin(caller: Caller) -> int:
    """Now, rounded at once, or today's configured begin (docs/kimai.md §5)."""
    settings = caller.kimai.settings
    now = settings.clock()
    if settings.mode == "duration_fixed_begin":
        naive: datetime = local(now, caller.zone).replace(tzinfo=None)
        return local_to_epoch(relative(settings.default_begin, naive), caller.zone)
    rule = settings.rounding()
    return rule.begin_of(now) if rule.active_on(now, caller.zone) else now


def _require_startable(caller: Caller, entry: Timesheet) -> None:
    if not is_startable(caller, entry):
        raise forbidden()


def _check(caller: Caller, entry: Timesheet) -> None:
    broken = violations(caller, draft_of(caller, entry))
    if broken:
        raise EntityError(broken)


def _make_room(caller: Caller, owner: int) -> bool:
    """Stop the owner's oldest running entries so that one more keeps the hard limit; False if one cannot be stopped."""
    kimai = caller.kimai
    running = sorted(kimai.timesheets.running(owner), key=lambda entry: (entry.begin, entry.id))
    surplus = len(running) + 1 - kimai.settings.hard_limit
    for entry in running[: max(surplus, 0)]:
        stopped = replace(entry, end=kimai.now())
        if violations(caller, draft_of(caller, stopped)):
            return False
        _saved(kimai, stopped, entry.zone)
    return True


def _saved(kimai: Installation, entry: Timesheet, where: ZoneInfo) -> Timesheet:
    """Round, price and store.

    The stored zone becomes the owner's, except where rounding moved the end: then it is the one that the times were
    read in, of a new entry the caller's (docs/kimai.md §3).
    """
    if entry.description is not None and len(entry.description.encode()) > DESCRIPTION_BYTES:
        raise internal_error()
    begin, end, duration = entry.begin, entry.end, 0
    if end is not None:
        begin, end, duration = rounded_times(
            kimai.settings.rounding(), begin=begin, end=end, pause=entry.pause, where=where
        )
    owner = kimai.users.rows[entry.user]
    entry = replace(
        entry,
        id=entry.id or kimai.timesheets.new_id(),
        timezone=owner.timezone if end == entry.end else where.key,
        begin=begin,
        end=end,
        duration=duration,
        modified_at=kimai.now(),
    )
    return kimai.timesheets.put(with_rates(kimai, entry))
