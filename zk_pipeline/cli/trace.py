"""`zk trace`: the history of a booking, of a ticket's bookings, or of a time sheet."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any

import typer

from zk_pipeline.audit import traces, trail
from zk_pipeline.audit.traces import ConnectorNames, Fields, Trace, TraceError
from zk_pipeline.cli.output import (
    AsJson,
    called,
    environment,
    explained,
    hours,
    out,
    said,
    show_json,
    show_table,
    words,
)
from zk_pipeline.processes.programs import HOST, reachable_url
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.console import details, marks

LONGEST_CELL = 120
SECONDS_OF_MINUTE = 60
ENTRY = ("entry_date", "begin_at", "user_name", "activity_name", "organization_name")
AMOUNTS = ("booked_minutes", "time_minutes", "open_minutes")
TIMESHEET = ("user_id", "begin", "duration", "project_id", "activity_id", "description", "tags", "exported")


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
        names = trail.names(runtime, {mark for story in found for mark in _marks(story)})
    shown = [_to_json(trace_, runtime) for trace_ in found]
    if as_json:
        show_json({"reference": reference, "stories": shown})
        return
    for story in shown:
        _Story(story, names).show()


def _marks(story: Trace) -> Iterable[str]:
    """Whom and what a story names by number."""
    for row in (*story.conflicts, *story.adjustments):
        yield row["decided_by"] or ""
    for row in story.audit:
        yield from (row["actor"], row["subject"], *details.marks_of(row["detail"] or {}))
    ledger = story.ledger or {}
    sheets = [ledger.get("asked"), ledger.get("base")]
    sheets += [row[side] for row in story.writes for side in ("before", "after")]
    sheets += [row["diff"] for row in story.plan]
    for sheet in sheets:
        yield from details.marks_of(sheet or {})


def _to_json(story: Trace, runtime: Runtime) -> Fields:
    """The trace, with the address of each run in Dagster's UI."""
    dagster = reachable_url(HOST, runtime.settings.port)
    runs = [{**run, "url": f"{dagster}/runs/{run['run_id']}"} for run in story.runs]
    return {**asdict(story), "runs": runs}


class _Story:
    """Shows a story; `names` has the names of whom and what it names by number."""

    def __init__(self, story: Fields, names: Mapping[str, str]) -> None:
        self._story, self._names, self._words = story, names, words()

    def show(self) -> None:
        """Print it chapter by chapter."""
        story = self._story
        title = f"Booking {story['source_id']}" if story["source_id"] else "A time sheet without booking"
        out.print(f"[bold]{said(title)}[/]\n")
        self._source()
        self._adjustments()
        self._plan()
        self._conflicts()
        self._timesheets()
        self._ledger()
        self._writes()
        self._requests()
        self._audit()
        _table("Runs", ("started", "address"), [(run["started_at"], run["url"]) for run in story["runs"]])

    def _source(self) -> None:
        story, entry = self._story, self._story["entry"]
        bookings = [row for row in (story["booking"], *story["corrections"]) if row]
        unique = {row["id"]: row for row in bookings}.values()
        seen = ("id", "units", "work_day", "first_seen_at", "last_seen_at", "gone_at")
        columns = ("booking", "units", "day", "first seen", "last seen", "gone")
        rows = [[row[name] for name in seen] for row in unique]
        _table("Zammad: the booking and its corrections", columns, rows)
        if story["ticket"]:
            ticket = {"ticket_number": story["ticket"]["number"], "ticket_title": story["ticket"]["title"]}
            self._fields("Zammad: the ticket, as it is today", ticket)
        if entry:
            facts = {name: entry[name] for name in ENTRY}
            facts |= {name: hours(entry[name]) for name in AMOUNTS}
            facts |= {"status": called("value", entry["sync_status"])}
            self._fields("The unified entry", {**facts, "tags": entry["tags"], "description": entry["description"]})
            rules = [(self._field(name), rule) for name, rule in sorted(entry["trace"].items())]
            _table("By which policy", ("field", "rule"), rules)

    def _adjustments(self) -> None:
        rows = [
            (
                row["id"],
                self._words.known(f"fact.state.{row['state']}", called("value", row["state"])),
                hours(row["minutes"]),
                row["entry_date"],
                row["original_day"],
                row["kimai_id"],
                self._person(row["decided_by"]),
                row["reason"],
            )
            for row in self._story["adjustments"]
        ]
        _table("Adjustments", ("id", "state", "hours", "booked on", "of", "time sheet", "who", "why"), rows)

    def _plan(self) -> None:
        rows = [
            (
                row["entry_date"],
                called("value", row["status"]),
                called("value", row["action"]),
                called("reason", row["reason"]),
                row["kimai_id"],
                called("choice", row["decided"]),
                self._in_words({"changed": row["diff"]}),
            )
            for row in self._story["plan"]
        ]
        _table("The plan", ("day", "status", "action", "reason", "time sheet", "decided", "found → wanted"), rows)

    def _conflicts(self) -> None:
        rows = [
            (
                row["id"],
                row["opened_at"],
                called("reason", row["reason"]),
                called("value", row["resolution_status"]),
                called("choice", row["decision"]),
                self._person(row["decided_by"]),
                row["decided_at"],
            )
            for row in self._story["conflicts"]
        ]
        _table("Conflicts and decisions", ("id", "opened", "reason", "state", "decision", "by", "at"), rows)

    def _timesheets(self) -> None:
        rows = [
            (
                row["id"],
                row["begin_at"],
                _duration(row["duration_seconds"]),
                row["last_seen_at"],
                row["gone_at"],
                row["description"],
            )
            for row in self._story["timesheets"]
        ]
        columns = ("id", "begin", "hours", "last seen", "gone", "text")
        _table("Kimai: time sheets, as they were read last", columns, rows)

    def _ledger(self) -> None:
        ledger = self._story["ledger"]
        if ledger is None:
            return
        states = {"state": called("value", ledger["state"]), "operation": self._operation(ledger["operation"])}
        facts = {"kimai_id": ledger["kimai_id"], "message": ledger["message"], "written_at": ledger["updated_at"]}
        self._fields("The ledger", states | facts)
        self._fields("Asked for", _sheet(ledger["asked"]))
        self._fields("What Kimai returned", _sheet(ledger["base"]))

    def _writes(self) -> None:
        rows = [
            (
                row["written_at"],
                self._operation(row["operation"]),
                row["kimai_id"],
                marks.shortened(row["run_id"]),
                "yes" if row["undone_by"] else "",
                self._changes(row),
            )
            for row in self._story["writes"]
        ]
        _table("Writes", ("at", "operation", "time sheet", "run", "undone", "before → after"), rows)

    def _requests(self) -> None:
        rows = [
            (
                row["sent_at"],
                f"{row['method']} {row['path']}",
                _beginning(row["asked"]),
                row["status"] or "none",
                "\n".join(part for part in (row["error"], _beginning(row["answered"])) if part),
                row["seconds"],
            )
            for row in self._story["requests"]
        ]
        columns = ("at", "request", "asked", "status", "answered, or the error", "seconds")
        _table("Requests and answers (in full with --json)", columns, rows, right=("status", "seconds"))

    def _audit(self) -> None:
        rows = [
            (
                row["created_at"],
                self._person(row["actor"]),
                called("event", row["event"]),
                marks.named(self._words, row["subject"], self._names),
                "(erased)" if row["detail"] is None else self._in_words(row["detail"]),
            )
            for row in self._story["audit"]
        ]
        _table("Audit", ("at", "who", "what", "about", "detail"), rows)

    def _fields(self, title: str, row: Fields) -> None:
        _table(title, ("field", "value"), [(self._field(name), self._value(name, row[name])) for name in row])

    def _field(self, name: str) -> str:
        known = (f"trace.{name}", f"fact.{name}", f"field.{name}")
        return next((text for key in known if (text := self._words.known(key, ""))), name.replace("_", " "))

    def _value(self, name: str, value: Any) -> Any:
        facts = details.facts(self._words, {name: value}, self._names) if isinstance(value, int | str | list) else ()
        return facts[0][1] if facts else value

    def _in_words(self, detail: Fields) -> str:
        return "\n".join(f"{name}: {value}" for name, value in details.facts(self._words, detail, self._names))

    def _changes(self, row: Fields) -> str:
        """What a write changed; all of a time sheet that it created or deleted."""
        before, after = _sheet(row["before"]), _sheet(row["after"])
        if not (before and after):
            return self._in_words(before or after)
        changed = {
            name: [after.get(name), before.get(name)] for name in TIMESHEET if before.get(name) != after.get(name)
        }
        return self._in_words({"changed": changed})

    def _person(self, mark: str | None) -> str:
        return marks.named(self._words, mark, self._names) if mark else ""

    def _operation(self, code: str) -> str:
        return self._words.known(f"fact.operation.{code}", called("value", code))


def _sheet(row: Fields | None) -> Fields:
    """The fields of a time sheet that people know, of a stored one or of what was asked for."""
    row = row or {}
    seconds = row.get("duration_seconds", row.get("seconds"))
    row = {**row, "duration": None if seconds is None else f"{seconds} s"}
    return {name: row[name] for name in TIMESHEET if row.get(name) is not None}


def _duration(seconds: int) -> str:
    return hours(Decimal(seconds) / SECONDS_OF_MINUTE)


def _beginning(value: Any) -> str:
    """JSON, shortened for a table."""
    text = "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]} …"


def _table(title: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    if rows:
        show_table(title, columns, rows, right=right)
