"""Checks of Jira and our account: kind, permissions, projects, hidden worklogs, and Tempo (docs/jira.md)."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from zk_pipeline.connectors.answer import RowReader
from zk_pipeline.connectors.checks import Checks, Finding, Validation, version_numbers
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.jira import rows as jira_rows
from zk_pipeline.connectors.jira.feeds import UPDATED, Worklogs
from zk_pipeline.connectors.jira.index import LOST_PROJECT_REMEDY, Surroundings, lost_project
from zk_pipeline.connectors.jira.issues import Issues
from zk_pipeline.connectors.jira.rows import Worklog, milliseconds
from zk_pipeline.connectors.mirror import Mirror
from zk_pipeline.domain.vital_figures import Level

OLDEST_VERSION = (8, 14)
"""The first Data Center with personal access tokens."""

LOOKED_BACK = timedelta(days=30)
LOOKED_AT = 1000
MOST_APPS = 0.1
"""The share of worklogs by apps from which they are taken to come from Tempo."""


def validate(http: HttpClient, worklogs: Worklogs, issues: Issues, mirror: Mirror, *, is_cloud: bool) -> Validation:
    """Check everything that the connector needs."""
    checks = Checks()
    root = f"/rest/api/{3 if is_cloud else 2}"
    me = checks.attempt("account", lambda: http.get(f"{root}/myself").row("account"))
    if me is None:
        return Validation(version=None, account=None, timezone=None, findings=checks.findings)
    account = jira_rows.person(me)
    shown = account.agent.email or account.agent.name or account.agent.id
    checks.passed("account", f"The token belongs to {shown}.")
    version = _version(http, root, checks, is_cloud=is_cloud)
    if is_cloud:
        checks.passed("token", "Jira does not tell when the token expires; it is valid for a year at most.")
    _account(mirror, account.agent.id, checks)
    _projects(issues, mirror, account.agent.id, checks)
    _newest_worklogs(worklogs, checks)
    _customers(issues, checks)
    _people(http, root, checks)
    zone = me.raw.get("timeZone")
    return Validation(version, shown, zone if isinstance(zone, str) and zone else None, checks.findings)


def version_findings(http: HttpClient, root: str, *, is_cloud: bool) -> tuple[Finding, ...]:
    """Check only kind and version."""
    checks = Checks()
    _version(http, root, checks, is_cloud=is_cloud)
    return checks.findings


def _version(http: HttpClient, root: str, checks: Checks, *, is_cloud: bool) -> str | None:
    try:
        server = http.get(f"{root}/serverInfo").row("server")
        version, kind = server.text("version"), server.raw.get("deploymentType", "Server")
    except ConnectorError as error:
        checks.refused("version", error, Level.WARN)
        return None
    if (kind == "Cloud") != is_cloud:
        form = "e-mail:token" if kind == "Cloud" else "the personal access token alone"
        checks.failed("version", f"This is Jira {kind}.", f"Store its token in the form that it needs: {form}.")
    elif not is_cloud and version_numbers(version) < OLDEST_VERSION:
        checks.failed("version", f"Jira {version} has no personal access tokens.", "Update Jira to 8.14 or newer.")
    else:
        checks.passed("version", f"Jira {kind} {version}.")
    return version


def _account(mirror: Mirror, account: str, checks: Checks) -> None:
    before = mirror.state().get("account")
    if before is not None and before != account:
        checks.warned(
            "account",
            "The token belongs to another account than the one that read the worklogs before.",
            "Check that it has the same permissions; the next read walks through all worklogs again.",
        )


def _projects(issues: Issues, mirror: Mirror, account: str, checks: Checks) -> None:
    visible = checks.attempt("projects", issues.projects)
    if visible is None:
        return
    if not visible:
        remedy = "Give the account the permission Browse Projects in every project in which time is logged."
        checks.failed("projects", "The account sees no project.", remedy)
        return
    checks.passed("projects", f"{len(visible)} projects can be browsed.")
    seen: dict[str, str] = mirror.state().get("projects", {})
    lost = Surroundings(account, visible).lost(seen)
    if lost:
        archived = checks.attempt("projects", lambda: issues.projects("archived"), Level.WARN) or {}
        deleted = checks.attempt("projects", lambda: issues.projects("deleted"), Level.WARN) or {}
        lost = Surroundings(account, visible, {*archived, *deleted}).lost(seen)
    for id_, name in lost.items():
        checks.warned("projects", lost_project(id_, name), LOST_PROJECT_REMEDY)


def _newest_worklogs(worklogs: Worklogs, checks: Checks) -> None:
    """Whether the feeds can be read, what they name and Jira hides, and whether an app logs the work."""
    subject = "worklogs"
    since = milliseconds(datetime.now(UTC) - LOOKED_BACK)
    page = checks.attempt(subject, lambda: next(iter(worklogs.feed(UPDATED, since))))
    if page is None:
        return
    newest = sorted(page.changes, key=lambda id_: page.changes[id_])[-LOOKED_AT:]
    found = checks.attempt(subject, lambda: worklogs.listed(newest))
    if found is None:
        return
    hidden = len(newest) - len(found)
    if hidden:
        checks.warned(
            subject,
            f"{hidden} of {len(newest)} worklogs of the last {LOOKED_BACK.days} days are not shown.",
            "They are gone, or restricted to projects, groups or roles in which the account is not. Make it a member "
            "of each.",
        )
    else:
        checks.passed(subject, f"All {len(newest)} worklogs of the last {LOOKED_BACK.days} days can be read.")
    _tempo(found, checks)


def _tempo(found: Iterable[Worklog], checks: Checks) -> None:
    authors = [row.author.account_type for row in found if row.author]
    apps = authors.count(jira_rows.APP)
    if authors and apps > MOST_APPS * len(authors):
        checks.failed(
            "authors",
            f"{apps} of {len(authors)} worklogs were logged by an app, so who did the work is unknown here. Tempo is "
            "in use, or a similar app.",
            "Connect Tempo itself with a connector of its own; billable time and accounts are only there.",
        )


def _customers(issues: Issues, checks: Checks) -> None:
    field = checks.attempt("customers", issues.organizations_field, Level.WARN)
    if field:
        text = "The customer is the organization of an issue; without a service desk, the project."
        checks.passed("customers", text)
    elif field is not None:
        checks.passed("customers", "There are no organizations here, so each project is a customer.")


def _people(http: HttpClient, root: str, checks: Checks) -> None:
    """Without this permission, people are known by their worklogs only, which is enough."""
    name = "USER_PICKER"
    asked = {"permissions": name}
    answer = checks.attempt("people", lambda: http.get(f"{root}/mypermissions", asked).row("permissions"), Level.WARN)
    if answer is not None and not _holds(answer, name):
        checks.warned(
            "people",
            "The account may not search for people; they are known once they have logged time.",
            "Give it the global permission Browse users and groups.",
        )


def _holds(answer: RowReader, name: str) -> bool:
    held = answer.raw.get("permissions")
    row = held.get(name) if isinstance(held, dict) else None
    return isinstance(row, dict) and row.get("havePermission") is True
