"""An example of every request and answer, made from the description itself: a value goes by the name of its field."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

UNKNOWN = "…"
"""What a text without an example would be."""

_WHEN = {"date": "2025-10-07", "date-time": "2025-10-07T16:11:00Z"}
_HASH = "9f2c" * 16
_AMOUNTS = (
    *("minutes", "minutes_today", "minutes_this_month", "minutes_waiting", "booked", "synced", "amount", "difference"),
    *("waiting", "excluded", "rounding", "corrections_open", "netted", "agreed", "adjusted", "billable", "billed"),
    *("to_be_billed", "unexplained", "credits_open", "kimai_in_all", "exported", "invoiced", "tax"),
    *("exported_in_all", "invoiced_in_all", "now"),
)
VALUES: Mapping[str, tuple[Any, ...]] = {
    # Amounts are exact, so they are texts.
    **dict.fromkeys(_AMOUNTS, ("45.00",)),
    "total": ("45.00", 1),
    "page": (1,),
    "pages": (1,),
    # People and how they come in.
    "email": ("anna.berger@example.com",),
    "name": ("Anna Berger",),
    "password": ("correct horse battery staple",),
    "current_password": ("correct horse battery",),
    "access_token": ("zk_a_V2hhdCBvcGVucyB0aGUgZG9vcg",),
    "refresh_token": ("zk_r_V2hhdCBrZWVwcyBpdCBvcGVu",),
    "token": ("zk_t_SGFuZGxlIHdpdGggY2FyZQ",),
    "secret": ("JBSWY3DPEHPK3PXP",),
    "address": ("otpauth://totp/zk_pipeline:anna.berger@example.com?secret=JBSWY3DPEHPK3PXP",),
    "code": ("123456",),
    "recovery_code": ("k7fq-2mzp-9xwd",),
    "role": ("operator",),
    "actor": ("user:7",),
    "actor_name": ("Anna Berger",),
    "approved_by": ("Anna Berger",),
    "decided_by": ("Anna Berger",),
    "closed_by": ("Anna Berger",),
    "reviewed_by": ("Anna Berger",),
    "reopened_by": ("Anna Berger",),
    "settled_by": ("Anna Berger",),
    "cancelled_by": ("Anna Berger",),
    "taken_back_by": ("Anna Berger",),
    "InvitationView.password": ("k7fq-2mzp-9xwd-ab3c",),
    "by": ("customer",),
    "NewToken.name": ("Month-end script",),
    "FreshToken.name": ("Month-end script",),
    "TokenRow.name": ("Month-end script",),
    "FreshToken.revoked_at": (None,),
    "TokenRow.revoked_at": (None,),
    # The two systems.
    "kind": ("zammad",),
    "ConnectorRecord.name": ("zammad",),
    "ConnectorRecord.role": ("source",),
    "ConnectorActivity.name": ("Remote support",),
    "connector": ("kimai",),
    "base_url": ("https://support.example.com",),
    "version": ("6.5.2",),
    "account": ("zk@example.com",),
    "subject": ("permissions",),
    "remedy": ("Give the token the permission ticket.agent.",),
    "Finding.text": ("The account reads every group.",),
    "text": ("Somebody changed the time sheet in Kimai.",),
    # Who is who.
    "zammad": ("Remote support",),
    "zammad_id": ("3",),
    "kimai": ("Support",),
    "note": ("agreed with Hartmann AG",),
    "kimai_note": ("a.berger",),
    "organization": ("Hartmann AG",),
    "shared_with": (["Tim Reuter"],),
    "key": ("17",),
    "states": ({"open": 1, "check": 0, "automatic": 7, "hand": 2, "alone": 1},),
    "before": ("Consulting",),
    "warnings": ([],),
    "column": ("kimai",),
    "value": ("Suport",),
    "licence": ("MIT",),
    "python": ("3.12.4",),
    "About.version": ("0.2.0",),
    "Component.name": ("httpx",),
    "Component.version": ("0.28.1",),
    "SectionView.name": ("Zammad",),
    "problem": ("",),
    "AddressView.kind": ("mailto",),
    "AddressTest.kind": ("mailto",),
    "ReportView.counts": ({"pass": 31, "warn": 1, "fail": 0},),
    "score": (92,),
    "Suggestion.name": ("Support",),
    "UnmappedItem.name": ("Remote support",),
    "PartnerView.name": ("Remote support",),
    "PartnerView.note": ("",),
    "PartnerView.kimai_note": ("",),
    "PartnerView.shared_with": ([],),
    "PartnerView.organization": (None,),
    "MappingRow.email": (None,),
    "MappingRow.key": ("3@",),
    "MappingRow.organization": (None,),
    "MappingRow.organization_id": (None,),
    "LineProblem.text": ("Line 3, column kimai: no activity in Kimai fits 'Suport'; the nearest: Support.",),
    # Schedules.
    "zone": ("Europe/Berlin",),
    "timezone": ("Europe/Berlin",),
    "cron": ("0 */6 * * *",),
    "origins": ({"cron": "stored", "days": "environment", "on": "environment", "when_busy": "environment"},),
    "preset": ("every-6-hours",),
    "ScheduleView.name": ("catch_up",),
    "ScheduleView.days": (7,),
    "PresetView.name": ("every-6-hours",),
    "ChangedView.text": ("In effect.",),
    # Bookings and time sheets.
    "source_id": ("4711",),
    "booking": ("4711",),
    "booking_id": ("4711",),
    "decision_booking_id": (None,),
    "ticket_id": ("50",),
    "entry": ("4711",),
    "ticket": ("50001",),
    "ticket_number": ("50001",),
    "ticket_title": ("Printer does not print",),
    "title": ("Printer does not print",),
    "ticket_url": ("https://support.example.com/#ticket/zoom/1",),
    "timesheet_url": ("https://kimai.example.com/en/timesheet/108/edit",),
    "day_url": ("https://kimai.example.com/en/team/timesheet/?daterange=2025-10-07",),
    "agent": ("Anna Berger",),
    "agent_email": ("anna.berger@example.com",),
    "user": ("anna.berger",),
    "user_name": ("Anna Berger",),
    "user_email": ("anna.berger@example.com",),
    "customer": ("Hartmann AG",),
    "customer_name": ("Hartmann AG",),
    "organization_name": ("Hartmann AG",),
    "project": ("Support",),
    "activity": ("Support",),
    "description": ("#50001 Printer does not print [zk-zammad-4711]",),
    "currency": ("EUR",),
    "month": ("2025-10",),
    # What is planned, decided and done.
    "status": ("conflict",),
    "RunDetails.status": ("SUCCESS",),
    "item": ("The plan deletes 12 time sheets; ZK_MAX_DELETES allows 10.",),
    "action": ("create",),
    "reason": ("kimai_edited", "Forgotten bookings of the last week"),
    "reopened_reason": ("Forgotten bookings of the last week",),
    "resolution_status": ("open",),
    "decision_why": ("Agreed with the customer.",),
    "billed_to": ("Hartmann AG",),
    "decided_by_name": ("Anna Berger",),
    "left_out": ("45.00",),
    "decision": ("keep",),
    "decided": ("",),
    "operation": ("create",),
    "undo": ("delete",),
    "why": ("The plan changed since it was seen.",),
    "meaning": ("Somebody changed the time sheet in Kimai.",),
    "next_step": ("Keep Kimai's version, or write Zammad's again.",),
    "suggested_action": ("Keep Kimai's version, or write Zammad's again.",),
    "choice": ("keep",),
    "effect": ("The time sheet is written again.",),
    "differing": (["minutes"],),
    "field": ("minutes",),
    "wanted": ("45",),
    "found": ("60",),
    "fields": ({"minutes": "45"},),
    "changes": ({"minutes": ["45", "60"]},),
    "counts": ({"created": 12, "updated": 1, "conflicts": 3},),
    "days": (["2025-10-07"], {"2025-10-07": 12}, 1),
    "run_id": ("5f1c2a9e-3d64-4a0b-9d0c-7b1f7f0c2b3d",),
    "tag_run_id": ("5f1c2a9e-3d64-4a0b-9d0c-7b1f7f0c2b3d",),
    "undoes": ("0a6e4b1c-8f2d-4f35-8f5e-2c9d1b7a6e54",),
    "url": ("https://zk.example.com/dagster/runs/5f1c2a9e",),
    "failure": ("",),
    "tag_problem": ("",),
    "invoices_problem": ("",),
    "question": ("Is 15 min of 7 October to be billed?",),
    "hash": (_HASH,),
    "plan_hash": (_HASH,),
    "facts_hash": (_HASH,),
    "statement_hash": (_HASH,),
    "audit_head": (_HASH,),
    "head": (_HASH,),
    "digest": (_HASH,),
    "invoices": (["2025/017"],),
    "number": ("2025/017", 5),
    "accepted": ("A discount was agreed.",),
    "accepted_by": ("Anna Berger",),
    # Errors.
    "Problem.detail": ("query.reson: there is no such parameter here. Did you mean reason?",),
    "status_code": (422,),
    "request_id": ("0d2c7e1f9a4b4c5d8e6f7a8b9c0d1e2f",),
    # The trail and privacy.
    "event": ("conflict.decided",),
    "detail": ({"choice": "keep"},),
    "table": ("sync.normalized_entries",),
    "pseudonym": ("person-3f9a",),
}
"""Values by the name of a field; of several, the first that has the type of the field."""

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


class Examples:
    """Makes examples of what a document describes."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def operation(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """The operation with an example of each parameter that is needed, of the body, and of the answer."""
        shown = dict(operation)
        if "parameters" in operation:
            shown["parameters"] = [self._parameter(row) for row in operation["parameters"]]
        if "requestBody" in operation:
            body = operation["requestBody"]
            shown["requestBody"] = {**body, "content": self._content(body["content"], asked=True)}
        shown["responses"] = {
            status: {**row, "content": self._content(row["content"], asked=False)} if "content" in row else row
            for status, row in operation["responses"].items()
        }
        return shown

    def _parameter(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if not row.get("required") or "example" in row:
            return row
        return {**row, "example": self._value(row["name"], row["schema"], asked=True)}

    def _content(self, content: Mapping[str, Any], *, asked: bool) -> dict[str, Any]:
        return {
            media: {**row, "example": self._value("", row["schema"], asked=asked)}
            if media == "application/json" and row.get("schema")
            else row
            for media, row in content.items()
        }

    def _value(self, name: str, schema: Schema, *, asked: bool, of: str = "") -> Any:
        """A value of a field of an object; a request leaves out what it may."""
        if "$ref" in schema:
            return self._value(name, self._schemas[schema["$ref"].rpartition("/")[2]], asked=asked)
        values = (*VALUES.get(f"{of}.{name}", ()), *VALUES.get(name, ()))
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                if None in values and {"type": "null"} in schema[key]:
                    return None
                meant = next(one for one in schema[key] if one.get("type") != "null")
                return self._value(name, meant, asked=asked, of=of)
        if "examples" in schema:
            return schema["examples"][0]
        if "const" in schema or "enum" in schema:
            allowed = schema.get("enum") or [schema["const"]]
            return next((value for value in values if value in allowed), allowed[0])
        kind = schema.get("type", "object")
        plain = "$ref" not in schema.get("items", {}) and schema.get("format") not in _WHEN
        for value in values if plain else ():
            if isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "boolean"):
                return value
        return self._of_kind(kind, name, schema, asked=asked)

    def _of_kind(self, kind: str, name: str, schema: Schema, *, asked: bool) -> Any:
        match kind:
            case "array":
                return [self._value(name.removesuffix("s"), schema.get("items", {}), asked=asked)]
            case "object":
                return self._object(schema, asked=asked)
            case "string":
                return _WHEN.get(schema.get("format", ""), UNKNOWN)
            case _:
                return {"boolean": True, "integer": 3, "number": 3}.get(kind)

    def _object(self, schema: Schema, *, asked: bool) -> dict[str, Any]:
        fields: Mapping[str, Schema] = schema.get("properties", {})
        shown = (schema.get("required") if asked else None) or fields
        return {name: self._value(name, fields[name], asked=asked, of=schema.get("title", "")) for name in shown}
