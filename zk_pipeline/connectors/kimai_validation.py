"""What the Kimai connector says about server and account: version, role, missing permissions, zone and tracking mode.

Permissions to write are told by sending forms that Kimai must refuse: they hold a field that no form has, and ids that
no record has. The refusal shows what the account may send; nothing is created (docs/kimai.md §1, §3).
"""

from typing import Any

from zk_pipeline.connectors import kimai_rows
from zk_pipeline.connectors.base import Finding, Level, Validation
from zk_pipeline.connectors.checks import Checks, version_numbers
from zk_pipeline.connectors.errors import ConnectorError, ValidationFailedError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.kimai_account import ALL_USERS, ME, USERS, Caller, caller_in
from zk_pipeline.connectors.kimai_errors import TIMESHEETS
from zk_pipeline.connectors.kimai_registers import CUSTOMERS, PROJECTS, TAGS

OLDEST_VERSION = (2, 14)
NEWER_IS_BETTER = {
    (2, 18): "tags cannot be looked up",
    (2, 45): "users come without e-mail address, so they are matched by user name alone",
    (2, 63): "pages are only stable when sorted by id, as this connector does",
}

ADMINISTRATORS = frozenset({"ROLE_ADMIN", "ROLE_SUPER_ADMIN"})

UNKNOWN_FIELD = "zk_probe"
IMPOSSIBLE_TIMESHEET = {UNKNOWN_FIELD: True, "user": 0, "project": 0, "activity": 0, "begin": "x", "end": ""}
IMPOSSIBLE_RECORD = {UNKNOWN_FIELD: True, "name": ""}

FORMS: tuple[tuple[str, str, dict[str, Any], tuple[str, ...]], ...] = (
    ("create time sheets", TIMESHEETS, IMPOSSIBLE_TIMESHEET, ("create_own_timesheet",)),
    ("create customers", CUSTOMERS.path, IMPOSSIBLE_RECORD, (CUSTOMERS.permission,)),
    ("create projects", PROJECTS.path, IMPOSSIBLE_RECORD, (PROJECTS.permission,)),
    ("create tags", TAGS, IMPOSSIBLE_RECORD, ("create_tag",)),
)


def validate(http: HttpClient) -> Validation:
    """Look at everything that the connector will need."""
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
    _users(http, checks, caller)
    _others(http, checks, caller)
    for subject, path, form, needs in FORMS:
        _form(http, checks, subject, path, form, needs)
    _role(checks, caller)
    return Validation(version=version, account=account, timezone=caller.zone.key, findings=checks.findings)


def version_findings(http: HttpClient) -> tuple[Finding, ...]:
    """Look at the version alone."""
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


def _users(http: HttpClient, checks: Checks, caller: Caller) -> None:
    subject = "users"
    answer = checks.attempt(subject, lambda: http.get(USERS, ALL_USERS, needs=("view_user",)))
    users = checks.attempt(subject, lambda: list(map(kimai_rows.user, answer.rows("user")))) if answer else None
    if users is None:
        return
    checks.passed(subject, f"{len(users)} users can be read (view_user).")
    elsewhere = sorted({user.timezone for user in users if user.enabled} - {caller.zone.key})
    if elsewhere:
        # Kimai files an entry under the caller's calendar day, not the owner's (docs/kimai.md §3).
        checks.warned(
            "time zones",
            f"There are users in other zones than the account's {caller.zone.key}: {', '.join(elsewhere)}."
            " Kimai may count their entries near midnight for a neighbouring day; the times themselves are exact.",
            "Give the account the time zone that most users have.",
        )


def _others(http: HttpClient, checks: Checks, caller: Caller) -> None:
    """`user=all` is ignored silently for those who may not see others; more rows than the own ones disprove it."""
    subject = "time sheets of others"
    totals = [
        checks.attempt(subject, lambda: http.get(TIMESHEETS, params).header_number("X-Total-Count"))  # noqa: B023
        for params in ({"size": 1, "user": "all"}, {"size": 1})
    ]
    everybody, own = totals
    if everybody is None or own is None:
        return
    if everybody > own or not caller.is_plain:
        checks.passed(subject, f"{everybody} time sheets can be read.")
    else:
        checks.failed(
            subject,
            "The account sees its own time sheets only: time sheets would be created twice.",
            "Give a role of the account the permissions view_other_timesheet and view_all_data.",
        )


def _form(
    http: HttpClient, checks: Checks, subject: str, path: str, form: dict[str, Any], needs: tuple[str, ...]
) -> None:
    try:
        http.write("POST", path, form, needs=needs)
    except ValidationFailedError:
        checks.passed(subject, "The account may do so.")
    except ConnectorError as error:
        checks.refused(subject, error)
    else:
        checks.failed(
            subject, "A form that cannot be right was accepted.", "Check that the base URL is a Kimai server."
        )


def _role(checks: Checks, caller: Caller) -> None:
    """Permissions that only a change or deletion of a real time sheet would show."""
    if caller.roles & ADMINISTRATORS:
        checks.passed("role", "By its role the account may change and delete time sheets and is not limited to teams.")
        return
    checks.warned(
        "role",
        "The account is no administrator; whether it may change and delete everybody's time sheets cannot be told.",
        "Give its role view_all_data, edit_other_timesheet, delete_other_timesheet, edit_billable_other_timesheet.",
    )
