"""Checks of Zammad's system and account: version, permissions, groups, unit and zone.

Only reads (docs/zammad.md §1, §4, §9).
"""

from typing import Any

from zk_pipeline.connectors.answer import RowReader
from zk_pipeline.connectors.checks import Checks, Finding, Validation, version_numbers
from zk_pipeline.connectors.errors import ConnectorError, PermissionDeniedError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.zammad import rows as zammad_rows
from zk_pipeline.connectors.zammad.window import ACCOUNTINGS, NEEDS
from zk_pipeline.domain.vital_figures import Level

OLDEST_VERSION = (6, 1)
NEWEST_BOOKINGS = 200

Settings = dict[str, Any]


def validate(http: HttpClient) -> Validation:
    """Check everything that the connector needs."""
    checks = Checks()
    me = checks.attempt("account", lambda: http.get("/api/v1/users/me").row("user"))
    if me is None:
        return Validation(version=None, account=None, timezone=None, findings=checks.findings)
    account = me.raw.get("email") or me.raw.get("login")
    checks.passed("account", f"The token belongs to {account}.")
    version = _version(http, checks)
    organized = False
    if _time_accountings(http, checks):
        _activity_types(http, checks)
        organized = _groups(http, checks)
    _directory(http, checks, organized=organized)
    settings = _settings(http, checks)
    _feature(settings, checks)
    zone = settings.get("timezone_default")
    return Validation(
        version=version,
        account=account,
        timezone=zone if isinstance(zone, str) and zone else None,
        findings=checks.findings,
    )


def version_findings(http: HttpClient) -> tuple[Finding, ...]:
    """Check only the version."""
    checks = Checks()
    _version(http, checks)
    return checks.findings


def _version(http: HttpClient, checks: Checks) -> str | None:
    """Only a full administrator may read the version; for others, the routes are tried."""
    try:
        version = http.get("/api/v1/version", needs=("admin",)).row("version").text("version")
    except PermissionDeniedError:
        checks.passed("version", "Zammad shows its version only to full administrators; its routes were tried instead.")
        return None
    except ConnectorError as error:
        checks.refused("version", error, Level.WARN)
        return None
    if version_numbers(version) < OLDEST_VERSION:
        checks.failed(
            "version", f"Zammad {version} cannot list all time accountings.", "Update Zammad to 6.1 or newer."
        )
    else:
        checks.passed("version", f"Zammad {version}.")
    return version


def _time_accountings(http: HttpClient, checks: Checks) -> bool:
    subject = "time accountings"
    if checks.attempt(subject, lambda: http.get(ACCOUNTINGS, {"per_page": 1}, needs=NEEDS).items("booking")) is None:
        return False
    checks.passed(subject, "All time accountings can be read (admin.time_accounting).")
    return True


def _activity_types(http: HttpClient, checks: Checks) -> None:
    subject = "activity types"
    path = "/api/v1/time_accounting/types"
    rows = checks.attempt(subject, lambda: http.get(path, needs=NEEDS).rows("activity type"))
    if rows is not None:
        checks.passed(subject, f"{len(rows)} activity types.")


def _groups(http: HttpClient, checks: Checks) -> bool:
    """Every search silently leaves out tickets of groups that the account may not read.

    Returns whether a recently booked ticket belongs to an organization.
    """
    subject = "groups"
    newest = {"sort_by": "created_at,id", "order_by": "desc,desc", "per_page": NEWEST_BOOKINGS}
    rows = checks.attempt(
        subject, lambda: zammad_rows.accountings(http.get(ACCOUNTINGS, newest, needs=NEEDS)), Level.WARN
    )
    ids = {row.ticket_id for row in rows or ()}
    if not ids:
        return False
    condition = {"ticket.id": {"operator": "is", "value": [str(ticket_id) for ticket_id in sorted(ids)]}}
    body = {"condition": condition, "expand": True, "per_page": NEWEST_BOOKINGS}
    found = checks.attempt(
        subject,
        lambda: http.search("/api/v1/tickets/search", body, needs=("ticket.agent",)).rows("ticket"),
        Level.WARN,
    )
    if found is None:
        return False
    hidden = len(ids) - len(found)
    if hidden:
        checks.warned(
            subject,
            f"{hidden} of the {len(ids)} tickets booked last are in groups that the account may not read; their data"
            " comes from the monthly report, without the name of the group.",
            "Give the account the right 'read' on every group, and on each new one.",
        )
    else:
        checks.passed(subject, f"All {len(ids)} tickets booked last can be read.")
    return any(row.raw.get("organization_id") for row in found)


def _directory(http: HttpClient, checks: Checks, *, organized: bool) -> None:
    users = checks.attempt(
        "users", lambda: http.get("/api/v1/users", {"per_page": 2}, needs=("ticket.agent",)).rows("user")
    )
    if users is not None and len(users) < 2:
        checks.failed(
            "users",
            "The account sees no user but itself, so nobody's e-mail address is known.",
            "Give the account and its token the permission ticket.agent.",
        )
    elif users is not None:
        checks.passed("users", "Users can be read.")
    organizations = checks.attempt(
        "organizations",
        lambda: http.get("/api/v1/organizations", {"per_page": 1}, needs=("ticket.agent",)).rows("organization"),
    )
    if organizations:
        checks.passed("organizations", "Organizations can be read.")
    elif organizations is not None and organized:
        # Zammad returns an empty list to an account that may not see them (docs/zammad.md §1).
        checks.failed(
            "organizations",
            "No organization came, although tickets have one: the account may not see them.",
            "Give both the token and a role of its owner the permission ticket.agent.",
        )
    elif organizations is not None:
        text = (
            "No organization came and no ticket booked last has one, so whether the account may see them is untested."
        )
        checks.passed("organizations", text)


def _settings(http: HttpClient, checks: Checks) -> Settings:
    """The settings that the account may see, by name."""
    rows = checks.attempt("settings", lambda: http.get("/api/v1/settings", needs=NEEDS).rows("setting"), Level.WARN)
    return {row.text("name"): _setting(row) for row in rows or ()}


def _setting(row: RowReader) -> Any:
    current = row.raw.get("state_current")
    return current.get("value") if isinstance(current, dict) else None


def _feature(settings: Settings, checks: Checks) -> None:
    if settings.get("time_accounting") is False:
        checks.warned(
            "time accounting",
            "Time accounting is switched off in Zammad: agents cannot book; old bookings are still carried over.",
            "Switch it on in Zammad's admin area under Manage, Time Accounting.",
        )
    if "time_accounting_unit" not in settings:
        return
    unit = settings["time_accounting_unit"] or "none"
    if unit == "custom":
        unit = f"custom: {settings.get('time_accounting_unit_custom') or 'without name'}"
    # Only a label: changing it never converts the stored numbers (docs/zammad.md §4).
    checks.passed("unit", f"Zammad labels its numbers with the unit {unit!r}; minutes per unit are a setting of ours.")
