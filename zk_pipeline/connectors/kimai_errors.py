"""Kimai's refusals as typed errors, each with the operator's next step (docs/kimai.md §1, §3)."""

from collections.abc import Mapping
from typing import Any

from zk_pipeline.connectors.answer import Call
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    ValidationFailedError,
    WithheldError,
)
from zk_pipeline.connectors.kimai_remedies import remedy_of

TIMESHEETS = "/api/timesheets"
EXTRA_FIELDS = "This form should not contain extra fields."
LONGEST_TEXT = 300

FIELD_PERMISSIONS: Mapping[str, str] = {
    "user": "create_other_timesheet",
    "begin": "view_other_timesheet",
    "end": "view_other_timesheet",
    "billable": "edit_billable_other_timesheet",
    "exported": "edit_export_other_timesheet",
    "hourlyRate": "edit_rate_other_timesheet",
    "fixedRate": "edit_rate_other_timesheet",
}
"""The permission without which a field is not in the form (docs/kimai.md §1, §5)."""

PROBE_FIELD = "zk_probe"
"""A field that no form has: a form with it is refused, and the refusal shows which fields the account may send."""

Fields = dict[str, tuple[str, ...]]


class ProbeRefusedError(ValidationFailedError):
    """Kimai refused a probe, as it must. `offered` are the fields of the form, `fields` what it said about them."""

    def __init__(self, problem: str, *, offered: frozenset[str], fields: Fields, **where: Any) -> None:
        self.offered = offered
        super().__init__(problem, fields=fields, **where)


class KimaiDialect:
    """How Kimai takes the token and what its 4xx answers mean."""

    product = "Kimai"

    def authorization(self, token: str) -> str:
        """The header of an API token; the scheme word is case-sensitive."""
        return f"Bearer {token}"

    def refusal(self, call: Call, status: int, data: Any, headers: Mapping[str, str]) -> ConnectorError:  # noqa: ARG002
        """The typed error for a 4xx answer. That of 401 has an empty body; 403 never tells its reason."""
        if status == 401:
            remedy = "Make a new API token in the profile of an active user and store it for this connector."
            return call.error(AuthenticationError, "The token is unknown or expired.", status=401, remedy=remedy)
        if not isinstance(data, dict) or str(data.get("code")) != str(status):
            # Another JSON service at this address must not pass for Kimai: a 404 would read as "deleted".
            return call.error(
                ProtocolError,
                "The refusal is not one of Kimai's.",
                status=status,
                remedy="Check the base URL and what a proxy in front of Kimai refuses.",
            )
        if status == 403:
            return _forbidden(call)
        if status == 404:
            return call.error(NotFoundError, "There is no such record.", status=404)
        if status == 400 and call.writes:
            return _invalid(call, data)
        return call.error(
            ProtocolError,
            "Kimai does not understand the call.",
            status=status,
            remedy="Use Kimai 2.14 or newer, and not older than this connector knows.",
        )


def _forbidden(call: Call) -> PermissionDeniedError:
    needed = " and ".join(("api_access", *call.needs))
    if call.method in {"PATCH", "DELETE"} and call.path.startswith(TIMESHEETS):
        # Kimai says no more than "Forbidden" for all of these (docs/kimai.md §4).
        return call.error(
            PermissionDeniedError,
            "Its period or its project may be locked in Kimai, or a permission is missing, or the time sheet belongs "
            "to a team of others: Kimai does not tell which.",
            status=403,
            remedy="Open the period in Kimai's lockdown or unlock the project, or give a role of the account the "
            f"permission lockdown_override_timesheet. If neither is locked, give it {needed}; view_all_data lifts the "
            "limits of teams. Or adjust the booking, so that its minutes are billed in the open period.",
        )
    return call.error(
        PermissionDeniedError,
        "A permission is missing, or the record belongs to a team of others.",
        status=403,
        remedy=f"Give a role of the account the permissions {needed}; view_all_data lifts the limits of teams.",
    )


def _invalid(call: Call, data: Any) -> ConnectorError:
    messages = _messages(data)
    offered = _form_fields(data)
    if PROBE_FIELD in call.fields and offered:
        problem = "The probe was refused, as it should be."
        return call.error(ProbeRefusedError, problem, status=400, offered=offered, fields=messages)
    withheld = sorted(call.fields - offered)
    if EXTRA_FIELDS in messages.get("", ()) and offered and withheld:
        return _withheld(call, withheld)
    listed = "; ".join(f"{name or 'as a whole'}: {' '.join(texts)}" for name, texts in messages.items())
    problem = f"The content was refused ({listed})."
    return call.error(ValidationFailedError, problem, status=400, fields=messages, remedy=remedy_of(messages))


def _withheld(call: Call, names: list[str]) -> ConnectorError:
    """Kimai leaves fields that the caller may not set out of the form and then takes them for unknown ones."""
    problem = f"The account may not set the field {', '.join(names)}."
    known = FIELD_PERMISSIONS if call.path.startswith(TIMESHEETS) else {}
    permissions = sorted({known[name] for name in names if name in known})
    if permissions:
        remedy = f"Give a role of the account the permission {' and '.join(permissions)}."
        return call.error(WithheldError, problem, fields=frozenset(names), status=400, remedy=remedy)
    return call.error(ValidationFailedError, problem, status=400, fields=dict.fromkeys(names, (EXTRA_FIELDS,)))


def _form_fields(data: Any) -> frozenset[str]:
    """The fields of the form behind a 400 answer: those that the caller may send."""
    errors = data.get("errors") if isinstance(data, dict) else None
    children = errors.get("children") if isinstance(errors, dict) else None
    return frozenset(children) if isinstance(children, dict) else frozenset()


def _messages(data: Any) -> Fields:
    """Messages by field; those for the form as a whole, or of an answer without a form, are under ""."""
    errors = data.get("errors") if isinstance(data, dict) else None
    if not isinstance(errors, dict):
        return {"": (_cut(data.get("message", "Bad Request")),)}
    messages: Fields = {}
    if errors.get("errors"):
        messages[""] = _texts(errors["errors"])
    children = errors.get("children")
    for name, child in children.items() if isinstance(children, dict) else ():
        if isinstance(child, dict) and child.get("errors"):
            messages[name] = _texts(child["errors"])
    return messages


def _texts(items: Any) -> tuple[str, ...]:
    return tuple(_cut(item) for item in items) if isinstance(items, list) else (_cut(items),)


def _cut(text: Any) -> str:
    return str(text)[:LONGEST_TEXT]
