"""Settings of the installation, under Kimai's own configuration keys, and the clock."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Self

from zk_sandbox.kimai.datetimes import to_epoch, zone
from zk_sandbox.kimai.lockdown import Lockdown, relative
from zk_sandbox.kimai.permissions import DEFAULTS, KNOWN
from zk_sandbox.kimai.rounding import MODES, WEEKDAYS, RoundingRule

TRACKING_MODES = ("default", "punch", "duration_fixed_begin", "duration_only")
_SOME_MOMENT = datetime(2026, 1, 31)  # noqa: DTZ001 - relative dates are tried on a wall-clock time


def _flag(value: Any) -> bool:
    if value in {0, 1, "0", "1"}:  # True and False equal 1 and 0
        return bool(int(value))
    raise ValueError("it must be true, false, 0 or 1")


def _minutes(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdecimal():
        raise ValueError("it must be a whole number, zero or more")
    return int(value)


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"it must be one of {', '.join(allowed)}")
        return value

    return check


def _weekdays(value: Any) -> str:
    for day in str(value).split(","):
        _one_of(WEEKDAYS)(day)
    return str(value)


def _zone_name(value: Any) -> str:
    return zone(str(value)).key


def _optional(check: Callable[[Any], str]) -> Callable[[Any], str | None]:
    return lambda value: None if value in {None, ""} else check(value)


def _relative_date(value: Any) -> str:
    relative(str(value), _SOME_MOMENT)
    return str(value)


def _instant(value: Any) -> str:
    if datetime.fromisoformat(str(value)).tzinfo is None:
        raise ValueError("it must carry an offset, such as 2026-11-21T00:00:00Z")
    return str(value)


def _version(value: Any) -> str:
    parts = str(value).split(".")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise ValueError("it must be of the form 2.65.0")
    return str(value)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ValueError("it must be a list of names")  # noqa: TRY004 - every bad value is one
    return tuple(str(name) for name in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _cells(value: Any) -> dict[str, dict[str, bool]]:
    cells: dict[str, dict[str, bool]] = {}
    for role, changes in dict(value).items():
        _one_of(tuple(DEFAULTS))(role)
        for permission in changes:
            _one_of(tuple(sorted(KNOWN)))(permission)
        cells[role] = {permission: _flag(allowed) for permission, allowed in changes.items()}
    return cells


def _setting(key: str, default: Any, check: Callable[[Any], Any]) -> Any:
    metadata = {"key": key, "check": check}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an administrator decides; minutes unless said otherwise. The defaults are Kimai's own."""

    version: str = _setting("version", "2.65.0", _version)
    now: str | None = _setting("now", None, _optional(_instant))
    """The instant the server believes it is, in ISO form; None = the real one."""
    permissions: Mapping[str, Mapping[str, bool]] = field(
        default_factory=dict, metadata={"key": "permissions", "check": _cells}
    )
    """Changed cells of the permission table: role, then permission."""
    meta_fields: tuple[str, ...] = _setting("meta_fields", (), _names)
    """Custom fields a plugin has declared for timesheets."""

    mode: str = _setting("timesheet.mode", "default", _one_of(TRACKING_MODES))
    default_begin: str = _setting("timesheet.default_begin", "now", _relative_date)
    hard_limit: int = _setting("timesheet.active_entries.hard_limit", 1, _minutes)

    rounding_mode: str = _setting("timesheet.rounding.default.mode", "default", _one_of(MODES))
    rounding_begin: int = _setting("timesheet.rounding.default.begin", 1, _minutes)
    rounding_end: int = _setting("timesheet.rounding.default.end", 1, _minutes)
    rounding_duration: int = _setting("timesheet.rounding.default.duration", 0, _minutes)
    rounding_days: str = _setting("timesheet.rounding.default.days", ",".join(WEEKDAYS), _weekdays)

    future_times: bool = _setting("timesheet.rules.allow_future_times", True, _flag)  # noqa: FBT003
    overlapping: bool = _setting("timesheet.rules.allow_overlapping_records", True, _flag)  # noqa: FBT003
    zero_duration: bool = _setting("timesheet.rules.allow_zero_duration", True, _flag)  # noqa: FBT003
    require_activity: bool = _setting("timesheet.rules.require_activity", True, _flag)  # noqa: FBT003
    break_time: bool = _setting("timesheet.rules.break_time_active", False, _flag)  # noqa: FBT003
    long_running: int = _setting("timesheet.rules.long_running_duration", 0, _minutes)

    lockdown_start: str | None = _setting("timesheet.rules.lockdown_period_start", None, _optional(_relative_date))
    lockdown_end: str | None = _setting("timesheet.rules.lockdown_period_end", None, _optional(_relative_date))
    lockdown_grace: str | None = _setting("timesheet.rules.lockdown_grace_period", None, _optional(_relative_date))
    lockdown_timezone: str | None = _setting("timesheet.rules.lockdown_period_timezone", None, _optional(_zone_name))

    customer_numbers_repeat: bool = _setting("customer.rules.allow_duplicate_number", False, _flag)  # noqa: FBT003
    project_numbers_repeat: bool = _setting("project.allow_duplicate_number", False, _flag)  # noqa: FBT003
    activity_numbers_repeat: bool = _setting("activity.allow_duplicate_number", False, _flag)  # noqa: FBT003

    user_timezone: str = _setting("defaults.user.timezone", "Europe/Berlin", _zone_name)
    customer_timezone: str = _setting("defaults.customer.timezone", "Europe/Berlin", _zone_name)
    customer_country: str = _setting("defaults.customer.country", "DE", str)
    customer_currency: str = _setting("defaults.customer.currency", "EUR", str)

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These settings with some changed, by key. ValueError names an unknown key or a bad value."""
        known = {setting.metadata["key"]: setting for setting in fields(self)}
        values: dict[str, Any] = {}
        for key, value in changes.items():
            if key not in known:
                raise ValueError(f"Kimai has no setting {key!r}; known are {', '.join(sorted(known))}.")
            try:
                values[known[key].name] = known[key].metadata["check"](value)
            except (ValueError, TypeError) as error:
                raise ValueError(f"Setting {key!r} cannot be {value!r}: {error}.") from error
        return replace(self, **values)

    def as_json(self) -> dict[str, Any]:
        """All settings by key; `changed` takes them back."""
        values = {setting.metadata["key"]: getattr(self, setting.name) for setting in fields(self)}
        return values | {"permissions": {role: dict(cells) for role, cells in self.permissions.items()}}

    def clock(self) -> int:
        """The current UTC epoch second."""
        return int(time.time()) if self.now is None else to_epoch(datetime.fromisoformat(self.now))

    def at_least(self, major: int, minor: int) -> bool:
        """Whether the version is this release or a later one."""
        return tuple(int(part) for part in self.version.split(".")[:2]) >= (major, minor)

    def rounding(self) -> RoundingRule:
        """The rounding rule set."""
        return RoundingRule(
            mode=self.rounding_mode,
            begin=self.rounding_begin,
            end=self.rounding_end,
            duration=self.rounding_duration,
            days=tuple(self.rounding_days.split(",")),
        )

    def lockdown(self) -> Lockdown:
        """The lockdown of past periods."""
        return Lockdown(self.lockdown_start, self.lockdown_end, self.lockdown_grace, self.lockdown_timezone)
