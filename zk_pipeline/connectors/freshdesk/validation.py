"""Checks of Freshdesk's account and of the key: its agent's scope, the plan, the zone, what can be read. Only reads."""

from urllib.parse import urlsplit

from zk_pipeline.connectors.checks import Checks, Validation
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError
from zk_pipeline.connectors.freshdesk.client import FreshdeskClient
from zk_pipeline.connectors.freshdesk.zones import iana_zone
from zk_pipeline.domain.vital_figures import Level

GLOBAL_SCOPE = 1
_SCOPES = {2: "tickets of its groups (ticket_scope 2)", 3: "its own tickets (ticket_scope 3)"}
ADDRESS = ".freshdesk.com"
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def seen_by(scope: object) -> str:
    """The tickets that a narrow scope leaves."""
    return _SCOPES.get(scope, "some tickets") if isinstance(scope, int) else "some tickets"


def validate(api: FreshdeskClient, base_url: str) -> Validation:
    """Check everything that the connector needs."""
    checks = Checks()
    me = checks.attempt("account", lambda: api.get("agents/me").row("agent"))
    if me is None:
        return Validation(version=None, account=None, timezone=None, findings=checks.findings)
    contact = me.raw.get("contact")
    account = contact.get("email") if isinstance(contact, dict) else None
    account = account if isinstance(account, str) and account else f"agent {me.raw.get('id')}"
    checks.passed("account", f"The key belongs to {account}.")
    _address(base_url, checks)
    _scope(me.raw.get("ticket_scope"), checks)
    _entries(api, checks)
    for path, what in (("companies", "companies"), ("agents", "agents"), ("ticket_fields", "ticket types")):
        _readable(api, checks, path, what)
    return Validation(version=None, account=account, timezone=_zone(api, checks), findings=checks.findings)


def _address(base_url: str, checks: Checks) -> None:
    host = urlsplit(base_url).hostname or ""
    if not host.endswith(ADDRESS) and host not in _HERE:
        checks.warned(
            "address",
            f"{host} is not an address of Freshdesk itself; whether its API answers there for good is unknown.",
            "Use https://NAME.freshdesk.com.",
        )


def _scope(scope: object, checks: Checks) -> None:
    if scope == GLOBAL_SCOPE:
        checks.passed("scope", "The key's agent sees all tickets.")
        return
    checks.failed(
        "scope",
        f"The key's agent sees only {seen_by(scope)}, so that the entries of all others would be missing.",
        "Give the agent access to all tickets (global access) in Freshdesk's admin area under Agents.",
    )


def _entries(api: FreshdeskClient, checks: Checks) -> None:
    answer = checks.attempt("time entries", lambda: api.get("time_entries", {"per_page": 1}))
    if answer is not None:
        checks.passed("time entries", "Time entries can be read.")


def _readable(api: FreshdeskClient, checks: Checks, path: str, what: str) -> None:
    rows = checks.attempt(what, lambda: api.get(path, {"per_page": 1}).items(what), Level.WARN)
    if rows is not None:
        checks.passed(what, f"The {what} can be read.")


def _zone(api: FreshdeskClient, checks: Checks) -> str | None:
    """The account's zone; only administrators may read it, and its name is one of Rails."""
    try:
        name = api.get("account").row("account").raw.get("timezone")
    except (NotFoundError, PermissionDeniedError):
        checks.passed("zone", "The key may not read the account's time zone.")
        return None
    if not isinstance(name, str) or not name:
        return None
    zone = iana_zone(name)
    if zone is None:
        checks.warned(
            "zone", f"The account's zone is {name!r}, a name that is not known here.", "Set ZK_TIMEZONE yourself."
        )
    return zone
