"""Responses: the JSON of every entity, alone, in a collection and embedded (docs/kimai.md §6-§9)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.datetimes import local, written, zone
from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.model import Activity, Customer, Invoice, Project, Rate, Tag, Team, Timesheet, User
from zk_sandbox.kimai.timesheets import Shown

Json = dict[str, Any]

_PALETTE = ("#d2d6de", "#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22")
"""Colours for what has none: an installation picks one by the name."""

_WORK_CONTRACT: Json = {
    "work_contract_type": "none",
    **{f"work_{day}": "0" for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")},
    "public_holiday_group": None,
    "holidays": "0",
    "work_start_day": None,
    "work_last_day": None,
}
_RATE_PREFERENCES: Json = {"hourly_rate": "0", "internal_rate": None}
_PERSONAL_PREFERENCES: Json = {"first_weekday": "monday", "favorite_routes": ""}
PREFERENCES = frozenset(_WORK_CONTRACT | _RATE_PREFERENCES | _PERSONAL_PREFERENCES)
"""Names of the preferences that can be set."""
RATE_PREFERENCES = frozenset(_RATE_PREFERENCES)

_BUDGET: Json = {"budget": 0.0, "timeBudget": 0, "budgetType": None}


def _color(color: str | None, name: str) -> str:
    return color or _PALETTE[crc32(name.encode()) % len(_PALETTE)]


def _picked(details: Mapping[str, Any], *names: str) -> Json:
    return {name: details.get(name) for name in names}


def user_row(kimai: Installation, user: User) -> Json:
    """A user in a collection or inside an expanded entry; the e-mail address is shown since 2.45."""
    row: Json = {
        "apiToken": user.api_password is not None,
        "locale": user.locale,
        "timezone": user.timezone,
        "language": user.language,
        "initials": _initials(user),
        "color-safe": _color(user.color, user.username),
        "id": user.id,
        "alias": user.alias,
        "title": user.title,
        "avatar": None,
        "username": user.username,
        "email": user.email,
        "accountNumber": user.account_number,
        "enabled": user.enabled,
        "systemAccount": user.system_account,
        "color": user.color,
    }
    if not kimai.settings.at_least(2, 45):
        del row["email"]
    return row


def _initials(user: User) -> str:
    words = (user.alias or user.username).split()
    letters = words[0][0] + words[-1][0] if len(words) > 1 else words[0][:2]
    return letters.upper()


def user_entity(caller: Caller, user: User, *, loaded: bool = True) -> Json:
    """A user with preferences, teams and roles; `loaded` = with preferences that have never been saved."""
    teams = [team for team in caller.kimai.teams if any(member == user.id for member, _ in team.members)]
    return user_row(caller.kimai, user) | {
        "preferences": _preferences(caller, user, loaded=loaded or user.id == caller.user.id),
        "teams": [team_row(team) for team in teams],
        "memberships": [{"team": team_row(team), "teamlead": (user.id, True) in team.members} for team in teams],
        "roles": list(user.roles),
        "supervisor": None,
    }


def _preferences(caller: Caller, user: User, *, loaded: bool) -> list[Json]:
    shown = _WORK_CONTRACT
    if loaded or user.preferences:
        own = user.id == caller.user.id
        rates = caller.may("hourly-rate_own_profile" if own else "hourly-rate_other_profile")
        shown = shown | (_RATE_PREFERENCES if rates else {}) | _PERSONAL_PREFERENCES
    return [{"name": name, "value": user.preferences.get(name, value)} for name, value in shown.items()]


def team_row(team: Team) -> Json:
    """A team in a collection."""
    return {"id": team.id, "name": team.name, "color": None, "color-safe": _color(None, team.name)}


def team_entity(kimai: Installation, team: Team) -> Json:
    """A team with its members."""
    members = [{"user": user_row(kimai, kimai.users.rows[user]), "teamlead": lead} for user, lead in team.members]
    return team_row(team) | {
        "members": members,
        "customers": list(team.customers),
        "projects": list(team.projects),
        "activities": list(team.activities),
    }


def _teams_of(kimai: Installation, kind: str, row_id: int) -> list[Json]:
    return [team_row(team) for team in kimai.teams if row_id in getattr(team, kind)]


def _customer(customer: Customer) -> Json:
    return {
        "color-safe": _color(customer.color, customer.name),
        "id": customer.id,
        "name": customer.name,
        "number": customer.number,
        "comment": customer.comment,
        "visible": customer.visible,
        "billable": customer.billable,
        **_picked(customer.details, "company"),
        "country": customer.country,
        "language": customer.details.get("language") or "en",
        "currency": customer.currency,
        **_picked(customer.details, "phone", "fax", "mobile", "homepage"),
        "timezone": customer.timezone,
        "metaFields": [],
        "color": customer.color,
    }


def customer_row(kimai: Installation, customer: Customer) -> Json:
    """A customer in a collection."""
    return _customer(customer) | {"teams": _teams_of(kimai, "customers", customer.id)}


_ADDRESS = ("vatId", "addressLine1", "addressLine2", "addressLine3", "postCode", "city")


def customer_row_with_address(kimai: Installation, customer: Customer) -> Json:
    """A customer in a collection asked for with `full`."""
    return customer_row(kimai, customer) | _picked(customer.details, *_ADDRESS)


def customer_entity(kimai: Installation, customer: Customer) -> Json:
    """A customer by itself."""
    contact = ("contact", "address", "email", "invoiceEmail", "buyerReference")
    return customer_row_with_address(kimai, customer) | _picked(customer.details, *contact) | _budget(customer.details)


def _budget(details: Mapping[str, Any]) -> Json:
    return {name: details.get(name, default) for name, default in _BUDGET.items()}


def _project(project: Project) -> Json:
    where = zone(project.timezone)
    return {
        "color-safe": _color(project.color, project.name),
        "id": project.id,
        "name": project.name,
        **_picked(project.details, "orderNumber", "orderDate"),
        "start": None if project.start is None else local(project.start, where).date().isoformat(),
        "end": None if project.end is None else local(project.end, where).date().isoformat(),
        "comment": project.comment,
        "visible": project.visible,
        "billable": project.billable,
        "metaFields": [],
        "globalActivities": project.global_activities,
        "number": project.number,
        "color": project.color,
    }


def project_row(kimai: Installation, project: Project) -> Json:
    """A project in a collection."""
    return _project(project) | {
        "parentTitle": kimai.customer_of(project).name,
        "customer": project.customer,
        "teams": _teams_of(kimai, "projects", project.id),
    }


def project_entity(kimai: Installation, project: Project) -> Json:
    """A project by itself."""
    return project_row(kimai, project) | _budget(project.details)


def _activity(activity: Activity) -> Json:
    return {
        "color-safe": _color(activity.color, activity.name),
        "id": activity.id,
        "project": activity.project,
        "name": activity.name,
        "comment": activity.comment,
        "visible": activity.visible,
        "billable": activity.billable,
        "metaFields": [],
        "number": activity.number,
        "color": activity.color,
    }


def activity_row(kimai: Installation, activity: Activity) -> Json:
    """An activity in a collection; `parentTitle` is its project's name."""
    project = kimai.projects.get(activity.project)
    return _activity(activity) | {
        "parentTitle": None if project is None else project.name,
        "teams": _teams_of(kimai, "activities", activity.id),
    }


def activity_entity(kimai: Installation, activity: Activity) -> Json:
    """An activity by itself."""
    return activity_row(kimai, activity) | _budget(activity.details)


def tag_row(tag: Tag) -> Json:
    """A tag."""
    return {
        "color-safe": _color(tag.color, tag.name),
        "id": tag.id,
        "name": tag.name,
        "visible": tag.visible,
        "color": tag.color,
    }


def rate_row(kimai: Installation, rate: Rate) -> Json:
    """An hourly or fixed rate."""
    user = kimai.users.get(rate.user)
    return {
        "id": rate.id,
        "user": None if user is None else user_row(kimai, user),
        "rate": _float(rate.rate),
        "internalRate": _float(rate.internal_rate),
        "isFixed": rate.is_fixed,
    }


def invoice_row(kimai: Installation, invoice: Invoice) -> Json:
    """An invoice, alike by itself and in a collection: neither the time sheets on it nor a period."""
    return {
        "id": invoice.id,
        "invoiceNumber": invoice.number,
        "comment": invoice.comment,
        "customer": _customer(kimai.customers.rows[invoice.customer]),
        "user": user_row(kimai, kimai.users.rows[invoice.user]),
        "createdAt": written(invoice.created_at, zone(invoice.timezone)),
        "total": _float(invoice.total),
        "tax": _float(invoice.tax),
        "currency": invoice.currency,
        "dueDays": invoice.due_days,
        "vat": _float(invoice.vat),
        "status": invoice.status,
        "paymentDate": invoice.payment_date,
        "metaFields": [],
    }


def _float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def entry_row(caller: Caller, entry: Timesheet, *, expanded: bool = False) -> Json:
    """An entry in a collection, in the zone stored on it."""
    return _entry(caller, entry, entry.zone, expanded=expanded)


def entry_entity(caller: Caller, shown: Shown, *, expanded: bool = False) -> Json:
    """An entry by itself, with the rates it was given."""
    entry = shown.entry
    body = _entry(caller, entry, shown.where, expanded=expanded)
    if "rate" in body:
        body |= {"fixedRate": _float(entry.fixed_rate), "hourlyRate": _float(entry.hourly_rate)}
    return body


def _entry(caller: Caller, entry: Timesheet, where: ZoneInfo, *, expanded: bool) -> Json:
    kimai = caller.kimai
    body: Json = {
        "activity": entry.activity,
        "project": entry.project,
        "user": entry.user,
        "tags": [kimai.tags.rows[tag].name for tag in entry.tags],
        "id": entry.id,
        "begin": written(entry.begin, where),
        "end": None if entry.end is None else written(entry.end, where),
        "duration": entry.duration,
        "break": entry.pause,
        "description": entry.description,
        "exported": entry.exported,
        "billable": entry.billable,
        "metaFields": [{"name": name, "value": value} for name, value in entry.meta.items()],
    }
    if not kimai.settings.at_least(2, 66) or caller.may_for("view_rate_{}_timesheet", entry.user):
        body |= {"rate": float(entry.rate), "internalRate": float(entry.internal_rate)}
    if expanded:
        body |= _expansion(kimai, entry)
    return body


def _expansion(kimai: Installation, entry: Timesheet) -> Json:
    project = kimai.projects.rows[entry.project]
    return {
        "user": user_row(kimai, kimai.users.rows[entry.user]),
        "project": _project(project) | {"customer": _customer(kimai.customer_of(project))},
        "activity": _activity(kimai.activities.rows[entry.activity]),
    }
