"""Schedules: showing and changing when catch-up and deep check run, and reloading Dagster."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zk_pipeline.identity.actors import Actor, OperationError
from zk_pipeline.runtime import dagster_internals, schedules
from zk_pipeline.runtime.dagster_server import DagsterServer, DagsterServerError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.schedules import (
    FIELDS,
    NAMES,
    PRESETS,
    ScheduleError,
    SchedulePlan,
    as_switched,
    plan_of,
    setting,
)
from zk_pipeline.store import audit, stored_settings

LOADED = ("cron", "on")
"""Fields in Dagster's definitions; the others are read at each tick."""

IN_EFFECT = "In effect."
_NOTHING = "Give preset, cron, days, on, when_busy or reset: there is nothing to change."


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """The plan of a schedule before and after a change.

    `was_switched` where the change is to end what somebody switched in Dagster.
    """

    before: SchedulePlan
    after: SchedulePlan
    was_switched: bool = False

    @property
    def differs(self) -> bool:
        """Whether anything changed."""
        return self.was_switched or self.before != self.after

    @property
    def needs_reload(self) -> bool:
        """Whether Dagster must reload its definitions."""
        return any(getattr(self.before, field) != getattr(self.after, field) for field in LOADED)


@dataclass(frozen=True, slots=True)
class ChangeEffect:
    """The effect of a change as a sentence, and whether it is in effect `now`."""

    text: str
    now: bool = True


def list_plans(runtime: Runtime) -> list[SchedulePlan]:
    """The plans of all schedules, on or off as Dagster has them. Raises `ScheduleError` for wrong settings."""
    switched = _switched(runtime)
    with runtime.database.transaction() as connection:
        stored = stored_settings.load(connection)
    return [as_switched(plan_of(runtime.settings, name, stored), switched) for name in NAMES]


def change(
    runtime: Runtime,
    actor: Actor,
    name: str,
    given: Mapping[str, Any],
    *,
    preset: str | None = None,
    reset: bool = False,
) -> ScheduleChange:
    """Store fields of a schedule; `None` resets one to the environment's value, `reset` all others.

    Raises `ScheduleError` for an invalid value, and `OperationError` without any change or with both preset and cron;
    then nothing is stored.
    """
    if preset is not None and "cron" in given:
        raise OperationError("preset: give either a preset or a cron.")
    values: dict[str, Any] = dict.fromkeys(FIELDS) if reset else {}
    values |= {**(PRESETS[preset] if preset else {}), **given}
    if not values:
        raise OperationError(_NOTHING)
    switched = _switched(runtime)
    with runtime.database.transaction() as connection:
        stored_settings.lock(connection)
        stored = stored_settings.load(connection)
        before = as_switched(plan_of(runtime.settings, name, _without_wrong(runtime, name, stored)), switched)
        changed = {setting(name, field): value for field, value in values.items()}
        kept = {key: value for key, value in (stored | changed).items() if value is not None}
        after = plan_of(runtime.settings, name, kept)
        if "on" not in values:
            after = as_switched(after, switched)
        if after != before:
            for key, value in changed.items():
                stored_settings.save(connection, key, value, actor.name)
            detail = {"before": origins(before), "after": origins(after)}
            audit.append(connection, [actor.audit_event("schedule.set", f"schedule:{name}", detail)])
    return ScheduleChange(before, after, was_switched="on" in values and name in switched)


def apply_change(changed: ScheduleChange, server: DagsterServer) -> ChangeEffect:
    """Reload the definitions of a running Dagster if the change needs that, which takes some seconds."""
    if not changed.differs:
        return ChangeEffect("Nothing changed.")
    try:
        if changed.needs_reload:
            server.reload()
        if changed.was_switched:
            server.reset_schedule(changed.after.name)
    except DagsterServerError as error:
        return ChangeEffect(f"Stored. It takes effect when Dagster has loaded it. {error}", now=False)
    return ChangeEffect(IN_EFFECT)


def preview(runtime: Runtime, cron: str, after: datetime, number: int) -> list[datetime]:
    """When a cron would run in the business zone. Raises `ScheduleError` for an invalid one."""
    return schedules.preview(cron, runtime.settings.zone, after, number)


def origins(plan: SchedulePlan) -> dict[str, Any]:
    """The fields of a plan, each with its value and where it comes from: stored, the environment, or Dagster."""
    found = {field: "stored" if field in plan.stored else "environment" for field in FIELDS}
    if plan.in_dagster:
        found["on"] = "dagster"
    return {field: {"value": getattr(plan, field), "from": origin} for field, origin in found.items()}


def _switched(runtime: Runtime) -> dict[str, bool]:
    """The schedules that somebody started or stopped in Dagster's UI."""
    url = runtime.settings.dagster_url
    if url is None:
        return {}
    with dagster_internals.opened(url.get_secret_value()) as database, database.transaction() as connection:
        return dagster_internals.switched_schedules(connection)


def _without_wrong(runtime: Runtime, name: str, stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stored values, or none if they are invalid, so that they can be corrected."""
    try:
        plan_of(runtime.settings, name, stored)
    except ScheduleError:
        return {}
    return stored
