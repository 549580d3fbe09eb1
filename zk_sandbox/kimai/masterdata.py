"""Creating, changing and deleting customers, projects, activities, tags and rates (docs/kimai.md §7, §9)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.datetimes import end_of, local, parse_date, parse_html5, start_of, zone_names
from zk_sandbox.kimai.errors import internal_error
from zk_sandbox.kimai.forms import NOT_NULL, Form, scalar
from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.model import Activity, Customer, Project, Rate, Tag
from zk_sandbox.kimai.selection import INVALID_CHOICE, selectable_customer
from zk_sandbox.kimai.tables import Table

NOT_BLANK = "This value should not be blank."
ALREADY_USED = "This value is already used."
TAG_COLORS = frozenset({
    "#000000", "#000080", "#0000ff", "#008000", "#008080", "#00bfff", "#00ff00", "#00ffff", "#1e90ff", "#800000",
    "#800080", "#808000", "#808080", "#9acd32", "#a52a2a", "#add8e6", "#c0c0c0", "#e6e6fa", "#ee82ee", "#f0e68c",
    "#ff0000", "#ff00ff", "#ffa500", "#ffd700", "#ffdab9", "#ffe4e1", "#ffff00",
})  # fmt: skip

_CONTACT = ("phone", "fax", "mobile", "email", "homepage")
_ADDRESS = ("addressLine1", "addressLine2", "addressLine3", "postCode", "city")
_CUSTOMER_TEXTS = (
    *("company", "vatId", "contact", *_ADDRESS, "language", *_CONTACT),
    *("invoiceText", "invoiceTemplate", "invoiceEmail", "buyerReference"),
)
_BUDGET = ("budget", "timeBudget", "budgetType")
CUSTOMER_FIELDS = (
    *("name", "number", "comment", "company", "vatId", "contact", *_ADDRESS, "country", "language", "currency"),
    *(*_CONTACT, "timezone", "invoiceText", "invoiceTemplate", "invoiceEmail", "buyerReference"),
    *("teams", "color", *_BUDGET, "visible", "billable"),
)
PROJECT_FIELDS = (
    *("name", "number", "comment", "invoiceText", "orderNumber", "orderDate", "start", "end", "customer"),
    *("teams", "color", *_BUDGET, "globalActivities", "visible", "billable"),
)
ACTIVITY_FIELDS = (
    *("name", "number", "comment", "invoiceText", "project", "teams", "color"),
    *(*_BUDGET, "visible", "billable"),
)

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_FORBIDDEN = re.compile(r'[<>"=]')
_ASSIGNABLE_COUNTRY = re.compile(r"(?!AA|Q[M-Z]|X|ZZ)[A-Z]{2}")
"""Two letters outside the ranges ISO 3166 leaves to users."""
_CURRENCY = re.compile(r"[A-Z]{3}")

Named = TypeVar("Named", Customer, Project, Activity)


def save_customer(caller: Caller, data: Mapping[str, Any], stored: Customer | None) -> Customer:
    """POST (`stored` None) or PATCH a customer; country, currency and zone come from the settings if absent."""
    kimai, settings = caller.kimai, caller.kimai.settings
    form = Form(_fields(CUSTOMER_FIELDS, stored), data)
    base = stored or Customer(
        id=0,
        name="",
        number=generated_number(kimai.customers),
        timezone=settings.customer_timezone,
        country=settings.customer_country,
        currency=settings.customer_currency,
    )
    changed = replace(
        _common(kimai, form, base, kimai.customers, repeat=settings.customer_numbers_repeat, longest=50),
        name=_name(form, base.name, [NOT_BLANK, _TOO_SHORT]),
        country=_one_of_kind(form, "country", base.country, _ASSIGNABLE_COUNTRY),
        currency=_one_of_kind(form, "currency", base.currency, _CURRENCY),
        timezone=zone_name(form, base.timezone),
        details=_details(form, base.details, _CUSTOMER_TEXTS),
    )
    form.finish()
    return _put(kimai, kimai.customers, changed, form)


def save_project(caller: Caller, data: Mapping[str, Any], stored: Project | None) -> Project:
    """POST (`stored` None) or PATCH a project; its period is stored in the caller's zone."""
    kimai = caller.kimai
    form = Form(_fields(PROJECT_FIELDS, stored), data)
    if stored is not None and form.sent("name") and not scalar(form.raw("name")):
        raise internal_error()
    base = stored or Project(
        id=0, name="", number=generated_number(kimai.projects), customer=0, timezone=caller.user.timezone
    )
    changed = replace(
        _common(kimai, form, base, kimai.projects, repeat=kimai.settings.project_numbers_repeat, longest=10),
        name=_name(form, base.name, [NOT_NULL]),
        customer=_customer_id(caller, form, base),
        global_activities=form.flag("globalActivities", present=base.global_activities),
        details=_details(form, base.details, ("invoiceText", "orderNumber", "orderDate")),
    )
    changed = _with_period(caller, form, changed)
    form.finish()
    return _put(kimai, kimai.projects, changed, form)


def save_activity(caller: Caller, data: Mapping[str, Any], stored: Activity | None) -> Activity:
    """POST (`stored` None) or PATCH an activity; a global one cannot be given a project later."""
    kimai = caller.kimai
    fields = _fields(ACTIVITY_FIELDS, stored)
    if stored is not None and stored.project is None:
        fields = [name for name in fields if name != "project"]
    form = Form(fields, data)
    base = stored or Activity(id=0, name="", number=generated_number(kimai.activities))
    project = form.choice(
        "project", kimai.projects.get(base.project), lambda project_id: _open_project(caller, project_id, base)
    )
    changed = replace(
        _common(kimai, form, base, kimai.activities, repeat=kimai.settings.activity_numbers_repeat, longest=10),
        name=_name(form, base.name, [NOT_BLANK]),
        project=None if project is None else project.id,
        details=_details(form, base.details, ("invoiceText",)),
    )
    form.finish()
    return _put(kimai, kimai.activities, changed, form)


def create_tag(caller: Caller, data: Mapping[str, Any]) -> Tag:
    """POST a tag; without `visible` it is hidden."""
    caller.require("create_tag")
    form = Form(("name", "color", "visible"), data)
    name = form.text("name") or ""
    for message in _tag_name_errors(caller.kimai, name):
        form.break_rule("name", message)
    color = form.text("color")
    if color is not None and color not in TAG_COLORS:
        form.refuse("color", INVALID_CHOICE)
    form.finish()
    tags = caller.kimai.tags
    return tags.put(Tag(tags.new_id(), name, color, form.flag("visible", present=False)))


def create_rate(caller: Caller, kind: str, owner: int, data: Mapping[str, Any]) -> Rate:
    """POST a rate of a customer, project or activity."""
    form = Form(("user", "rate", "internalRate", "isFixed"), data)
    user = form.choice("user", None, caller.kimai.users.get)
    amount = form.money("rate", None)
    if amount is None:
        form.refuse("rate", NOT_NULL)
    internal = form.money("internalRate", None)
    form.finish()
    rates = caller.kimai.rates
    return rates.put(
        Rate(
            id=rates.new_id(),
            kind=kind,
            owner=owner,
            rate=amount or Decimal(0),
            user=None if user is None else user.id,
            internal_rate=internal,
            is_fixed=form.flag("isFixed", present=False),
        )
    )


def delete_tag(kimai: Installation, tag_id: int) -> None:
    """Delete a tag and take it off all entries."""
    for entry in [entry for entry in kimai.timesheets if tag_id in entry.tags]:
        kimai.timesheets.put(replace(entry, tags=tuple(tag for tag in entry.tags if tag != tag_id)))
    kimai.tags.remove(tag_id)


def delete_customer(kimai: Installation, customer_id: int) -> None:
    """Delete a customer with its projects and their entries."""
    for project_id in [project.id for project in kimai.projects if project.customer == customer_id]:
        delete_project(kimai, project_id)
    kimai.customers.remove(customer_id)


def delete_project(kimai: Installation, project_id: int) -> None:
    """Delete a project with its activities and all their entries."""
    for entry_id in [entry.id for entry in kimai.timesheets if entry.project == project_id]:
        kimai.timesheets.remove(entry_id)
    for activity_id in [activity.id for activity in kimai.activities if activity.project == project_id]:
        delete_activity(kimai, activity_id)
    kimai.projects.remove(project_id)


def delete_activity(kimai: Installation, activity_id: int) -> None:
    """Delete an activity with its entries."""
    for entry_id in [entry.id for entry in kimai.timesheets if entry.activity == activity_id]:
        kimai.timesheets.remove(entry_id)
    kimai.activities.remove(activity_id)


def generated_number(table: Table[Any]) -> str:
    """The number given when none is sent: four digits, counting from the number of rows."""
    taken = {row.number for row in table}
    count = len(table) + 2
    while f"{count:04}" in taken:
        count += 1
    return f"{count:04}"


def zone_name(form: Form, present: str) -> str:
    """An IANA zone from the field `timezone`."""
    name = form.text("timezone", present)
    if name in zone_names():
        return str(name)
    form.refuse("timezone", "Please select a valid timezone.")
    return present


_TOO_SHORT = "This value is too short. It should have 2 characters or more."


def _too_long(longest: int) -> str:
    return f"This value is too long. It should have {longest} characters or less."


def _fields(fields: Sequence[str], stored: object) -> list[str]:
    """All fields for POST; teams can be given at creation only."""
    return [name for name in fields if stored is None or name != "teams"]


def _name(form: Form, present: str, when_empty: Sequence[str]) -> str:
    name = form.text("name", present) or ""
    for message in _name_errors(name, 150, when_empty):
        form.break_rule("name", message)
    return name


def _name_errors(name: str, longest: int, when_empty: Sequence[str]) -> Sequence[str]:
    if not name:
        return when_empty
    if len(name) < 2:
        return [_TOO_SHORT]
    if len(name) > longest:
        return [_too_long(longest)]
    return ['The following characters are not allowed: < > " ='] if _FORBIDDEN.search(name) else []


def _tag_name_errors(kimai: Installation, name: str) -> Sequence[str]:
    if "," in name:
        return ["Tag name cannot contain comma"]
    if kimai.tag_named(name) is not None:
        return [ALREADY_USED]
    return _name_errors(name, 100, [NOT_BLANK])


def _common(kimai: Installation, form: Form, base: Named, table: Table[Named], *, repeat: bool, longest: int) -> Named:
    """The fields customers, projects and activities share."""
    number = form.text("number", base.number)
    if number is not None and len(number) > longest:
        form.break_rule("number", _too_long(longest))
    elif number is not None and not repeat and _is_taken(table, number, base.id):
        form.break_rule("number", f"The number {number} is already used.")
    if form.sent("teams") and not _are_teams(kimai, form.raw("teams")):
        form.refuse("teams", INVALID_CHOICE)
    color = form.text("color", base.color)
    if color is not None and not _COLOR.fullmatch(color):
        form.break_rule("color", "The given value is not a valid color.")
    return replace(
        base,
        number=number,
        color=color,
        comment=form.text("comment", base.comment),
        visible=form.flag("visible", present=base.visible),
        billable=form.flag("billable", present=base.billable),
    )


def _are_teams(kimai: Installation, ids: Any) -> bool:
    return isinstance(ids, list) and all(isinstance(team, int) and team in kimai.teams.rows for team in ids)  # pyright: ignore[reportUnknownVariableType]


def _is_taken(table: Table[Named], number: str, own_id: int) -> bool:
    return any(row.number == number and row.id != own_id for row in table)


def _details(form: Form, present: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    details = dict(present) | {name: form.text(name) for name in texts if form.sent(name)}
    if form.sent("budget"):
        details["budget"] = float(form.money("budget", None) or 0)
    if form.sent("timeBudget"):
        details["timeBudget"] = form.seconds("timeBudget", 0)
    if form.sent("budgetType"):
        details["budgetType"] = form.text("budgetType")
    return details


def _one_of_kind(form: Form, field: str, present: str, pattern: re.Pattern[str]) -> str:
    value = form.text(field, present)
    if value is not None and pattern.fullmatch(value):
        return value
    form.refuse(field, f"Please select a valid {field}.")
    return present


def _customer_id(caller: Caller, form: Form, base: Project) -> int:
    customer = form.choice(
        "customer",
        caller.kimai.customers.get(base.customer),
        lambda customer_id: selectable_customer(caller, customer_id, base.customer),
    )
    if customer is None and not form.refused("customer"):
        form.break_rule("customer", NOT_NULL)
    return base.customer if customer is None else customer.id


def _open_project(caller: Caller, project_id: int, base: Activity) -> Project | None:
    project = caller.kimai.projects.get(project_id)
    if project is None or project_id == base.project:
        return project
    shown = project.visible and caller.kimai.customer_of(project).visible
    return project if shown and caller.sees_project(project) else None


def _with_period(caller: Caller, form: Form, project: Project) -> Project:
    """First and last second of the period, from days; PATCH understands date-times only."""
    edges = {"start": project.start, "end": project.end}
    for edge, to_instant in (("start", start_of), ("end", end_of)):
        if not form.sent(edge):
            continue
        text = scalar(form.raw(edge))
        try:
            day = _day(text, caller, created=not project.id) if text else None
        except ValueError:
            form.refuse(edge, "Please enter a valid date.")
            continue
        edges[edge] = None if day is None else to_instant(day, caller.zone)
    start, end = edges["start"], edges["end"]
    if start is not None and end is not None and end < start:
        form.break_rule("end", "The end date must not be earlier than the start date.")
    where = caller.user.timezone if form.sent("start") or form.sent("end") else project.timezone
    return replace(project, start=start, end=end, timezone=where)


def _day(text: str, caller: Caller, *, created: bool) -> date:
    if created and len(text) == len("2026-01-31"):
        return parse_date(text)
    return local(parse_html5(text, caller.zone), caller.zone).date()


def _put(kimai: Installation, table: Table[Named], row: Named, form: Form) -> Named:
    saved = table.put(replace(row, id=row.id or table.new_id()))
    if form.sent("teams"):
        kind = next(name for name, candidate in kimai.tables.items() if candidate is table)
        for team in [kimai.teams.rows[team_id] for team_id in form.raw("teams")]:
            kimai.teams.put(replace(team, **{kind: (*getattr(team, kind), saved.id)}))
    return saved
