"""Kimai's refusals as typed errors, each with the operator's next step (docs/kimai.md §1, §3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
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

# Remedies for the sentences with which Kimai refuses a write; it sends no error codes (docs/kimai.md §3).

ANY_FIELD = None
LOCKED_PERIOD = "period is locked"
RULES = "Kimai's settings under System > Settings > Timesheet"


@dataclass(frozen=True, slots=True)
class Remedy:
    """The next step after a refusal of `field` (`ANY_FIELD`: any) whose sentence matches this pattern."""

    field: str | None
    pattern: str
    text: str

    def fits(self, field: str, sentence: str) -> bool:
        """Whether it applies to this refusal."""
        return self.field in {ANY_FIELD, field} and re.search(self.pattern, sentence, re.IGNORECASE) is not None


REMEDIES = (
    Remedy(
        ANY_FIELD,
        "project is locked",
        "Unlock the project in Kimai, or adjust the booking, so that its minutes are billed in the open period.",
    ),
    Remedy(
        ANY_FIELD,
        LOCKED_PERIOD,
        "Open the period in Kimai's lockdown, or give a role of the account the permission "
        "lockdown_override_timesheet. Or adjust the booking, so that its minutes are billed in the open period.",
    ),
    Remedy(
        ANY_FIELD,
        "already have an entry for this time",
        f"Move or shorten the user's other time sheet of that time, or allow overlapping entries in {RULES}.",
    ),
    Remedy(
        ANY_FIELD, "budget", "Raise the budget of the project, activity or customer, or allow to exceed it in Kimai."
    ),
    Remedy(
        ANY_FIELD,
        r"maximum (duration|\S+ hours)",
        "Split the booking in Zammad into shorter ones, or correct it there if it is a typing error; "
        f"or raise the longest duration in {RULES}.",
    ),
    Remedy(
        ANY_FIELD,
        "empty duration",
        f"Give the booking its minutes in Zammad, or allow empty durations in {RULES}.",
    ),
    Remedy(
        ANY_FIELD,
        "cannot be in the future",
        f"Wait until the time has come, or allow future times in {RULES}.",
    ),
    Remedy(
        ANY_FIELD,
        "project is finished|project has not started",
        "Change the begin and end of the project in Kimai, or map the organization to another customer.",
    ),
    Remedy(
        ANY_FIELD,
        "disabled (project|activity)|deactivated",
        "Make the project, its customer and the activity visible in Kimai, or change the mapping.",
    ),
    Remedy(
        "user",
        "choice is invalid",
        "Enable the user in Kimai, or map the agent to another.",
    ),
    Remedy(
        "project",
        "choice is invalid",
        "Make the project and its customer visible in Kimai, see that its dates contain today and that the account's "
        "teams may use it. Or map the organization to another customer.",
    ),
    Remedy(
        "activity",
        "choice is invalid",
        "Make the activity visible in Kimai and usable in the project. Or map the type to another.",
    ),
    Remedy(
        ANY_FIELD,
        "project mismatch",
        "Map the type to a global activity or to one of that project.",
    ),
    Remedy(
        ANY_FIELD,
        "cannot be stopped automatically",
        "Stop the user's running time sheet in Kimai.",
    ),
    Remedy(
        ANY_FIELD,
        "extra fields",
        "The checks of the installation (Settings, Health) name the permissions that a role of the account lacks.",
    ),
)
"""The first match wins."""


def remedy_of(fields: Mapping[str, tuple[str, ...]]) -> str:
    """The next steps for a refusal, each once; empty if no remedy is known."""
    refused = [(field, sentence) for field, sentences in fields.items() for sentence in sentences]
    found = (next((remedy.text for remedy in REMEDIES if remedy.fits(*refusal)), "") for refusal in refused)
    return " ".join(dict.fromkeys(text for text in found if text))


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
    """Kimai refused a probe, as it must. `offered` are the fields of the form, `fields` the messages about them."""

    def __init__(self, problem: str, *, offered: frozenset[str], fields: Fields, **where: Any) -> None:
        self.offered = offered
        super().__init__(problem, fields=fields, **where)


class KimaiDialect:
    """How Kimai takes the token, and what its 4xx responses mean."""

    product = "Kimai"

    def authorization(self, token: str) -> str:
        """The header of an API token; the scheme word is case-sensitive."""
        return f"Bearer {token}"

    def refusal(self, call: Call, status: int, data: Any, headers: Mapping[str, str]) -> ConnectorError:  # noqa: ARG002
        """The typed error for a 4xx response. 401 has an empty body; 403 never gives its reason."""
        if status == 401:
            remedy = "Make a new API token in the profile of an active user and store it for this connector."
            return call.error(AuthenticationError, "The token is unknown or expired.", status=401, remedy=remedy)
        if not isinstance(data, dict) or str(data.get("code")) != str(status):
            # Another JSON service at this URL must not pass for Kimai: a 404 would mean "deleted".
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

    def distrust(self, headers: Mapping[str, str]) -> str | None:
        """Nothing to distrust: Kimai refuses an unknown token by its status."""
        del headers
        return None


def _forbidden(call: Call) -> PermissionDeniedError:
    needed = " and ".join(("api_access", *call.needs))
    if call.method in {"PATCH", "DELETE"} and call.path.startswith(TIMESHEETS):
        # Kimai says only "Forbidden" for all of these (docs/kimai.md §4).
        return call.error(
            PermissionDeniedError,
            "Its period or its project may be locked in Kimai, or a permission is missing, or the time sheet belongs "
            "to a team of others: Kimai does not say which.",
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
    """Kimai leaves fields that the caller may not set out of the form, and then reports them as unknown."""
    problem = f"The account may not set the field {', '.join(names)}."
    known = FIELD_PERMISSIONS if call.path.startswith(TIMESHEETS) else {}
    permissions = sorted({known[name] for name in names if name in known})
    if permissions:
        remedy = f"Give a role of the account the permission {' and '.join(permissions)}."
        return call.error(WithheldError, problem, fields=frozenset(names), status=400, remedy=remedy)
    return call.error(ValidationFailedError, problem, status=400, fields=dict.fromkeys(names, (EXTRA_FIELDS,)))


def _form_fields(data: Any) -> frozenset[str]:
    """The fields of the form behind a 400 response: those that the caller may send."""
    errors = data.get("errors") if isinstance(data, dict) else None
    children = errors.get("children") if isinstance(errors, dict) else None
    return frozenset(children) if isinstance(children, dict) else frozenset()


def _messages(data: Any) -> Fields:
    """Messages by field; those for the whole form, or of a response without a form, are under ""."""
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
