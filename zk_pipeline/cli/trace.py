"""`zk trace`: the history of a booking, of a ticket's bookings, or of a time sheet."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from zk_pipeline.audit import traces, trail
from zk_pipeline.audit.traces import ConnectorNames, Fields, Trace, TraceError
from zk_pipeline.cli.output import AsJson, environment, explained, out, show_json, show_table
from zk_pipeline.languages.actors import called
from zk_pipeline.processes.programs import HOST, reachable_url
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import spoken

LONGEST_CELL = 400
ADJUSTMENT = ("id", "state", "minutes", "entry_date", "original_day", "kimai_id", "decided_by", "reason")
TIMESHEET = ("user_id", "begin", "duration_seconds", "project_id", "activity_id", "description", "tags", "exported")


def trace(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="ZAMMAD_ID|aID|#TICKET|kimai:ID", help="A booking, an adjustment, a ticket, or a time sheet."
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show all that is known: rows, policy, plan, decisions, ledger, writes, requests, audit trail and runs."""
    with environment() as ready, explained(TraceError):
        runtime = ready.runtime
        systems = ConnectorNames(runtime.stored("source").name, runtime.stored("target").name)
        with runtime.database.transaction() as connection:
            found = traces.read_traces(connection, systems, reference)
            names = trail.names_of(connection, _actors(found))
    shown = [_to_json(trace_, runtime) for trace_ in found]
    if as_json:
        show_json({"reference": reference, "stories": shown})
        return
    for story in shown:
        _show(story, names)


def _actors(found: Iterable[Trace]) -> set[str]:
    """Everybody who did something in these stories."""
    rows = [row for story in found for row in (*story.conflicts, *story.adjustments)]
    return {row["decided_by"] or "" for row in rows} | {row["actor"] for story in found for row in story.audit}


def _to_json(story: Trace, runtime: Runtime) -> Fields:
    """The trace, with the address of each run in Dagster's UI."""
    dagster = reachable_url(HOST, runtime.settings.port)
    runs = [{**run, "url": f"{dagster}/runs/{run['run_id']}"} for run in story.runs]
    return {**asdict(story), "runs": runs}


def _show(story: Mapping[str, Any], names: Mapping[str, str]) -> None:
    out.rule(f"Booking {story['source_id']}" if story["source_id"] else "A time sheet without booking", align="left")
    _show_source(story)
    _table(
        "Adjustments",
        ("id", "state", "minutes", "booked on", "of", "time sheet", "who", "why"),
        [[_cell_of(row, name, names) for name in ADJUSTMENT] for row in story["adjustments"]],
    )
    _show_plan(story, names)
    _show_ledger(story["ledger"])
    _show_writes(story["writes"])
    _show_requests(story["requests"])
    events = [
        (row["created_at"], _cell_of(row, "actor", names), row["event"], row["subject"], _pairs(row["detail"]))
        for row in story["audit"]
    ]
    _table("Audit", ("at", "who", "what", "about", "detail"), events)
    _table(
        "Runs", ("started", "run", "address"), [(run["started_at"], run["run_id"], run["url"]) for run in story["runs"]]
    )


def _show_source(story: Mapping[str, Any]) -> None:
    bookings = [row for row in (story["booking"], *story["corrections"]) if row]
    unique = {row["id"]: row for row in bookings}.values()
    seen = ("id", "units", "type_id", "agent_id", "work_day", "first_seen_at", "last_seen_at", "gone_at")
    _table("Zammad: the booking and its corrections", seen, [[row[name] for name in seen] for row in unique])
    if story["ticket"]:
        _show_fields(
            "Zammad: the ticket, as it is today", story["ticket"], ("number", "title", "organization_id", "group_name")
        )
    entry = story["entry"]
    if entry:
        names = ("entry_date", "begin_at", "user_email", "activity_name", "organization_name")
        minutes = ("booked_minutes", "time_minutes", "open_minutes", "sync_status", "tags", "description")
        _show_fields("The unified entry", entry, (*names, *minutes))
        _table("By which policy", ("field", "rule"), sorted(entry["trace"].items()))


def _show_plan(story: Mapping[str, Any], names: Mapping[str, str]) -> None:
    lines = [
        (
            row["entry_date"],
            row["status"],
            row["action"],
            row["reason"],
            row["kimai_id"],
            row["decided"],
            _diff(row["diff"]),
        )
        for row in story["plan"]
    ]
    _table("The plan", ("day", "status", "action", "reason", "time sheet", "decided", "wanted and found"), lines)
    disputes = [
        (
            row["id"],
            row["opened_at"],
            row["reason"],
            row["resolution_status"],
            row["decision"],
            _cell_of(row, "decided_by", names),
            row["decided_at"],
        )
        for row in story["conflicts"]
    ]
    _table("Conflicts and decisions", ("id", "opened", "reason", "state", "decision", "by", "at"), disputes)
    sheets = [
        [row["id"], row["begin_at"], row["duration_seconds"], row["last_seen_at"], row["gone_at"], row["description"]]
        for row in story["timesheets"]
    ]
    _table(
        "Kimai: time sheets, as they were read last", ("id", "begin", "seconds", "last seen", "gone", "text"), sheets
    )


def _show_ledger(ledger: Fields | None) -> None:
    if ledger is None:
        return
    names = ("state", "operation", "kimai_id", "attempts", "message", "intended_at", "updated_at", "run_id")
    _show_fields("The ledger", ledger, names)
    _table("Asked for", ("field", "value"), ledger["asked"].items())
    base = ledger["base"] or {}
    _table("What Kimai returned", ("field", "value"), [(name, base[name]) for name in TIMESHEET if name in base])


def _show_writes(rows: Iterable[Fields]) -> None:
    lines = [
        (
            row["written_at"],
            row["operation"],
            row["kimai_id"],
            row["run_id"][:8],
            "yes" if row["undone_by"] else "",
            _changes(row),
        )
        for row in rows
    ]
    _table("Writes", ("at", "operation", "time sheet", "run", "undone", "before → after"), lines)


def _show_requests(rows: Iterable[Fields]) -> None:
    lines = [
        (
            row["sent_at"],
            f"{row['method']} {row['path']}",
            _beginning(row["asked"]),
            row["status"] or "none",
            "\n".join(part for part in (row["error"], _beginning(row["answered"])) if part),
            row["seconds"],
        )
        for row in rows
    ]
    columns = ("at", "request", "asked", "status", "answered, or the error", "seconds")
    _table("Requests and answers (in full with --json)", columns, lines)


def _beginning(value: Any) -> str:
    """JSON, shortened for a table."""
    text = "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]} …"


def _changes(row: Fields) -> str:
    before, after = row["before"] or {}, row["after"] or {}
    changed = [name for name in TIMESHEET if before.get(name) != after.get(name)]
    return "\n".join(f"{name}: {_cell(before.get(name))} → {_cell(after.get(name))}" for name in changed)


def _diff(diff: Mapping[str, Any]) -> str:
    return "\n".join(f"{field}: {wanted} / {found}" for field, (wanted, found) in diff.items())


def _pairs(detail: Mapping[str, Any] | None) -> str:
    if detail is None:
        return "(erased)"
    return ", ".join(f"{name}: {value}" for name, value in detail.items() if value not in (None, "", {}))


def _show_fields(title: str, row: Fields, names: Iterable[str]) -> None:
    _table(title, ("field", "value"), [(name, row[name]) for name in names])


def _table(title: str, columns: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> None:
    lines = [[_cell(value) for value in row] for row in rows]
    if lines:
        show_table(title, columns, lines)


def _cell_of(row: Fields, field: str, names: Mapping[str, str]) -> Any:
    """A value of a row, with the name of a person for their number."""
    value = row[field]
    return called(names.get(value, value), spoken()) if value and field in {"actor", "decided_by"} else value


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value.normalize():f}"
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)
