"""Checks of Kimai's server and account: version, role, missing permissions, zone and tracking mode.

Permissions to create are tested with forms that Kimai must refuse, because they have a field that no form has: the
refusal shows what the account may send. Those to change and delete are read from Kimai's menus. Nothing is created or
changed (docs/kimai.md §1, §3). The name of a role proves nothing, because permissions can be removed from any.
"""

from collections.abc import Sequence
from typing import Any

from zk_pipeline.connectors.checks import Checks, Finding, Validation, version_numbers
from zk_pipeline.connectors.errors import ConnectorError, NotFoundError, ProtocolError
from zk_pipeline.connectors.http import HttpClient, Params
from zk_pipeline.connectors.kimai import reading
from zk_pipeline.connectors.kimai.account import (
    ALL_USERS,
    ME,
    USERS,
    CurrentUser,
    allowed_actions,
    caller_in,
    sees_others,
)
from zk_pipeline.connectors.kimai.errors import LOCKED_PERIOD, PROBE_FIELD, TIMESHEETS, ProbeRefusedError
from zk_pipeline.connectors.kimai.masterdata import CUSTOMERS, PROJECTS, TAGS
from zk_pipeline.connectors.kimai.reading import VIEW, read_invoices
from zk_pipeline.domain.records import TargetUser, Timesheet
from zk_pipeline.domain.vital_figures import Level

OLDEST_VERSION = (2, 14)
NEWER_IS_BETTER = {
    (2, 18): "tags cannot be looked up",
    (2, 45): "users come without e-mail address, so they are matched by user name alone",
    (2, 63): "pages are only stable when sorted by id, as this connector does",
}

PROBE: dict[str, Any] = {PROBE_FIELD: True}
LONG_AGO = "2000-01-03T08:00:00"
"""In every locked period, however recent: a period is locked with all time before it (docs/kimai.md §4)."""

IMPOSSIBLE_TIMESHEET = {**PROBE, "user": 0, "project": 0, "activity": 0, "begin": LONG_AGO, "end": LONG_AGO}

IMPOSSIBLE_RECORD = {**PROBE, "name": ""}

CREATE_FIELDS = {"user": "create_other_timesheet", "begin": "view_other_timesheet", "end": "view_other_timesheet"}
FORMS = (
    ("create customers", CUSTOMERS.path, (CUSTOMERS.permission,)),
    ("create projects", PROJECTS.path, (PROJECTS.permission,)),
    ("create tags", TAGS, ("create_tag",)),
)

INVOICERS = frozenset({"ROLE_TEAMLEAD", "ROLE_ADMIN", "ROLE_SUPER_ADMIN"})
"""The roles that have create_invoice by default; people who may change permissions have one of them."""

OTHERS = "time sheets of others"
CHANGE = "change time sheets of others"
MENU = {"edit": "edit_other_timesheet", "trash": "delete_other_timesheet"}
"""What the menu of another person's time sheet only offers with a permission (docs/kimai.md §1)."""

NEWEST = 500


def validate(http: HttpClient) -> Validation:
    """Check everything that the connector needs."""
    checks = Checks()
    version = _version(http, checks)
    if version is None:
        return Validation(version=None, account=None, timezone=None, findings=checks.findings)
    answer = checks.attempt("account", lambda: http.get(ME))
    caller = checks.attempt("account", lambda: caller_in(answer)) if answer else None
    if answer is None or caller is None:
        return Validation(version=version, account=None, timezone=None, findings=checks.findings)
    account = str(answer.data.get("email") or answer.data.get("username"))
    roles = ", ".join(sorted(caller.roles - {"ROLE_USER"})) or "ROLE_USER"
    checks.passed("account", f"The token belongs to {account} ({roles}), time zone {caller.zone.key}.")
    _tracking_mode(http, checks)
    users = _users(http, checks, caller)
    _create(http, checks)
    for subject, path, needs in FORMS:
        if _probe(http, checks, subject, ("POST", path), IMPOSSIBLE_RECORD, needs) is not None:
            checks.passed(subject, "The account may do so.")
    _others(http, checks, caller, users)
    _invoices(http, checks)
    checks.passed(
        "untested",
        "Untested, because only a write would show it: to take runs back, deleting customers and projects "
        "(delete_customer, delete_project). Whether teams hide anything (view_all_data) is not shown either.",
    )
    return Validation(version=version, account=account, timezone=caller.zone.key, findings=checks.findings)


def version_findings(http: HttpClient) -> tuple[Finding, ...]:
    """Check only the version."""
    checks = Checks()
    _version(http, checks, Level.WARN)
    return checks.findings


def _version(http: HttpClient, checks: Checks, unknown: Level = Level.FAIL) -> str | None:
    version = checks.attempt("version", lambda: http.get("/api/version").row("version").text("version"), unknown)
    if version is None:
        return None
    numbers = version_numbers(version)
    if numbers < OLDEST_VERSION:
        checks.failed("version", f"Kimai {version} is too old.", "Update Kimai to 2.14 or newer.")
        return None
    checks.passed("version", f"Kimai {version}.")
    for newer, lack in NEWER_IS_BETTER.items():
        if numbers < newer:
            wanted = ".".join(map(str, newer))
            checks.warned("version", f"Before Kimai {wanted} {lack}.", f"Update Kimai to {wanted} or newer.")
    return version


def _tracking_mode(http: HttpClient, checks: Checks) -> None:
    subject = "tracking mode"
    mode = checks.attempt(subject, lambda: http.get("/api/config/timesheet").row("configuration").text("trackingMode"))
    if mode is not None:
        checks.passed(subject, f"Times are recorded in the mode {mode!r}.")


def _users(http: HttpClient, checks: Checks, caller: CurrentUser) -> list[TargetUser]:
    subject = "users"
    read = checks.attempt(
        subject, lambda: http.get(USERS, ALL_USERS, needs=("view_user",)).readable("user", reading.user)
    )
    if read is None:
        return []
    users, unreadable = read
    checks.passed(subject, f"{len(users)} users can be read (view_user).")
    for row in unreadable:
        checks.warned(subject, str(row), "Correct the user in Kimai; no time is given to one that cannot be read.")
    elsewhere = sorted({user.timezone for user in users if user.enabled} - {caller.zone.key})
    if elsewhere:
        # Kimai files a time sheet under the caller's calendar day, not the owner's (docs/kimai.md §3).
        checks.warned(
            "time zones",
            f"There are users in other zones than the account's {caller.zone.key}: {', '.join(elsewhere)}."
            " Kimai may count their entries near midnight for a neighbouring day; the times themselves are exact.",
            "Give the account the time zone that most users have.",
        )
        _invoicers(http, checks, caller)
    return users


def _invoicers(http: HttpClient, checks: Checks, caller: CurrentUser) -> None:
    """Users who may invoice, by their roles, and use another zone: an invoice follows the days of its creator."""
    answer = checks.attempt("invoicing", lambda: http.get(USERS, {**ALL_USERS, "full": 1}), Level.WARN)
    rows, _ = answer.readable("user", lambda row: (reading.user(row), row.texts("roles"))) if answer else ((), ())
    named = [
        f"{user.name} ({user.timezone})"
        for user, roles in rows
        if user.enabled and INVOICERS & set(roles) and user.timezone != caller.zone.key
    ]
    if named:
        checks.warned(
            "invoicing",
            f"Users who may make invoices live in other zones than {caller.zone.key}: {', '.join(sorted(named))}. "
            "Their invoices of a month take entries near midnight of its border from the month beside it, or leave "
            "them there.",
            f"Have them set {caller.zone.key} in their Kimai preferences, or have others make the invoices.",
        )


def _create(http: HttpClient, checks: Checks) -> None:
    subject, needs = "create time sheets", ("create_own_timesheet", "create_other_timesheet")
    refused = _probe(http, checks, subject, ("POST", TIMESHEETS), IMPOSSIBLE_TIMESHEET, needs)
    if refused is None:
        return
    missing = sorted({permission for field, permission in CREATE_FIELDS.items() if field not in refused.offered})
    for permission in missing:
        _lacks(checks, subject, "create time sheets for others", permission)
    if not missing:
        checks.passed(subject, "The account may do so, for others too (create_other_timesheet).")
    subject = "locked periods"
    if _is_locked(refused):
        checks.warned(
            subject,
            "Kimai's lockdown binds the account: lockdown_override_timesheet is missing, and lockdown_grace_timesheet "
            "opens the latest locked period alone. Bookings of locked days will be refused, and wait.",
            "Give a role of the account the permission lockdown_override_timesheet, or adjust what waits in an open "
            "period.",
        )
    else:
        checks.passed(subject, "No period is locked for the account (lockdown_override_timesheet, or no lockdown).")


def _others(http: HttpClient, checks: Checks, caller: CurrentUser, users: Sequence[TargetUser]) -> None:
    """Whether the account sees and may change other people's time: shown by one of their rows, never by a role.

    Kimai silently ignores `user=all` for accounts that may not see others (docs/kimai.md §2).
    """
    newest = checks.attempt(OTHERS, lambda: _newest(http, {"user": "all"}))
    if newest is None:
        return
    foreign = [row for row in newest if row.user_id != caller.id]
    if not foreign:
        _unseen(http, checks, caller, users)
        return
    checks.passed(OTHERS, f"Time sheets of others can be read (view_other_timesheet), such as {foreign[0].id}.")
    # The latest is the least likely to be in a locked period.
    open_rows = sorted((row for row in foreign if not row.exported), key=lambda row: row.begin)
    if open_rows and not _change(http, checks, open_rows[-1]):
        return
    exported = checks.attempt(OTHERS, lambda: _newest(http, {"user": "all", "exported": 1}), Level.WARN) or []
    billed = max((row for row in exported if row.user_id != caller.id), key=lambda row: row.begin, default=None)
    if billed is not None:
        _change_billed(http, checks, billed, "" if open_rows else f", or {' or '.join(MENU.values())}")


def _change(http: HttpClient, checks: Checks, row: Timesheet) -> bool:
    """Whether the account may change, and delete, another person's time sheet that is not exported."""
    missing = _refused_by_menu(http, checks, row)
    if missing is None:
        return False
    for action in missing:
        _lacks(checks, CHANGE, f"{'change' if action == 'edit' else 'delete'} time sheets of others", MENU[action])
    if "edit" in missing:
        return False
    if not missing:
        checks.passed(CHANGE, "The account may change and delete them (edit_other_timesheet, delete_other_timesheet).")
    needs = (MENU["edit"],)
    refused = _probe(http, checks, CHANGE, ("PATCH", f"{TIMESHEETS}/{row.id}"), PROBE, needs)
    if refused is not None and "billable" not in refused.offered:
        checks.warned(
            CHANGE,
            "The account may not set whether others' time is billable: edit_billable_other_timesheet is missing.",
            "Give a role of the account the permission edit_billable_other_timesheet.",
        )
    return True


def _change_billed(http: HttpClient, checks: Checks, row: Timesheet, or_others: str) -> None:
    """Billed time is never rewritten; the permission is for people who revert an export."""
    missing = _refused_by_menu(http, checks, row)
    if missing and "edit" in missing:
        _lacks(checks, CHANGE, "change exported time sheets", f"edit_exported_timesheet{or_others}", Level.WARN)
    elif missing is not None:
        checks.passed(CHANGE, "Exported ones too (edit_exported_timesheet).")


def _refused_by_menu(http: HttpClient, checks: Checks, row: Timesheet) -> list[str] | None:
    """Which of `MENU` the menu of a time sheet lacks; `None`, with a finding, if it proves nothing."""
    try:
        allowed = allowed_actions(http, "timesheet", row.id)
    except (NotFoundError, ProtocolError) as error:
        checks.warned(
            CHANGE,
            f"Whether the account may do so is untested: Kimai has no menu of time sheet {row.id}. {error.problem}",
            f"See that a role of the account has {', '.join(MENU.values())}.",
        )
        return None
    except ConnectorError as error:
        checks.refused(CHANGE, error)
        return None
    missing = [action for action in MENU if action not in allowed]
    if len(missing) < len(MENU):
        return missing
    begin = {**PROBE, "begin": row.begin.isoformat(), "end": row.begin.isoformat()}
    refused = _probe(http, checks, CHANGE, ("POST", TIMESHEETS), begin, ("create_own_timesheet",))
    if refused is None:
        return None
    if _is_locked(refused):
        checks.warned(
            CHANGE,
            f"Untested, since time sheet {row.id} lies in a period that is locked for the account.",
            "Test again when there is a later one of somebody else.",
        )
        return None
    return missing


def _lacks(checks: Checks, subject: str, deed: str, permission: str, level: Level = Level.FAIL) -> None:
    note = checks.failed if level is Level.FAIL else checks.warned
    remedy = f"Give a role of the account the permission {permission}."
    note(subject, f"The account may not {deed}: {permission} is missing.", remedy)


def _is_locked(refused: ProbeRefusedError) -> bool:
    return any(LOCKED_PERIOD in text for texts in refused.fields.values() for text in texts)


def _unseen(http: HttpClient, checks: Checks, caller: CurrentUser, users: Sequence[TargetUser]) -> None:
    """No other person's time sheet came: the account may not see them, or there is none."""
    remedy = (
        "Give a role of the account the permissions view_other_timesheet, view_all_data, edit_other_timesheet, "
        "delete_other_timesheet and edit_billable_other_timesheet"
    )
    sees = sees_others(http)
    if sees is None:
        other = next((user for user in users if user.id != caller.id), None)
        newest = checks.attempt(OTHERS, lambda: _newest(http, {"user": other.id}), Level.WARN) if other else None
        sees = False if newest and all(row.user_id == caller.id for row in newest) else None
    if sees is False:
        text = "The account sees its own time sheets only: view_other_timesheet is missing."
        checks.failed(OTHERS, f"{text} Time sheets would be created twice.", f"{remedy}, as far as they are missing.")
        return
    checks.warned(
        OTHERS,
        "No time sheet of anybody else came, so whether the account sees and may change them is untested.",
        f"{remedy}, and test again when others have time sheets.",
    )


def _invoices(http: HttpClient, checks: Checks) -> None:
    """Invoices are only compared with billed time: nothing fails without them."""
    found = checks.attempt("invoices", lambda: read_invoices(http), Level.WARN)
    if found is None:
        return
    if found.problem:
        remedy = f"Give a role of the account the permission {VIEW}, with Kimai 2.22 or newer."
        checks.warned("invoices", f"{found.problem} What is billed is not compared with invoices.", remedy)
        return
    checks.passed("invoices", f"{len(found.rows)} invoices can be read ({VIEW}).")


def _newest(http: HttpClient, filters: Params) -> list[Timesheet]:
    """The most recent time sheets, without unreadable ones."""
    params = {"orderBy": "id", "order": "DESC", "size": NEWEST, **filters}
    rows, _ = http.get(TIMESHEETS, params, needs=("view_other_timesheet",)).readable("time sheet", reading.timesheet)
    return [row for row in rows if not row.faults]


def _probe(
    http: HttpClient,
    checks: Checks,
    subject: str,
    call: tuple[str, str],
    form: dict[str, Any],
    needs: tuple[str, ...],
) -> ProbeRefusedError | None:
    """Kimai's refusal of a form that it must refuse; `None`, with a finding, if the account may not send it at all."""
    method, path = call
    try:
        http.write(method, path, form, needs=needs)
    except ProbeRefusedError as error:
        return error
    except ConnectorError as error:
        checks.refused(subject, error)
    else:
        checks.failed(
            subject, "A form that cannot be right was accepted.", "Check that the base URL is a Kimai server."
        )
    return None
