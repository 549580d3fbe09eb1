"""`zk conflicts`: what waits for a person, both sides of it, and the decisions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.markup import escape
from sqlalchemy import Connection, Row

from zk_pipeline.commands.console import AsJson, UsageError, actor, environment, explained, out, show_json, show_table
from zk_pipeline.commands.sync import DAY, WAITING_FOR_PEOPLE, day_given
from zk_pipeline.domain.decision import Status, difference
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.matching import Candidate, Tier
from zk_pipeline.domain.plan import Result
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.resolutions import EFFECTS, Choice, allowed
from zk_pipeline.domain.sides import Names, Side, compared
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import conflicts, entries, plans, target
from zk_pipeline.store.conflicts import LIFE, DecisionError, Filter

app = typer.Typer(help="What waits for a person, and the decisions about it.", no_args_is_help=True)

ReasonOption = Annotated[str, typer.Option("--reason", help="Only conflicts of this reason.")]
FromOption = Annotated[str, typer.Option("--from", metavar=DAY, help="Only from this day on.")]
ToOption = Annotated[str, typer.Option("--to", metavar=DAY, help="Only until this day.")]
AgentOption = Annotated[str, typer.Option("--agent", help="Only bookings of this agent: e-mail or full name.")]
CustomerOption = Annotated[str, typer.Option("--customer", help="Only this organization or customer, by full name.")]


@app.command("list")
def list_conflicts(
    reason: ReasonOption = "",
    first: FromOption = "",
    last: ToOption = "",
    agent: AgentOption = "",
    customer: CustomerOption = "",
    *,
    status: Annotated[str, typer.Option("--status", help=f"One of {', '.join(LIFE)}.")] = "open",
    as_json: AsJson = False,
) -> None:
    """List conflicts, the open ones by default, each with its next step."""
    with environment() as ready:
        wanted = _filter(status, reason, first, last, agent, customer)
        rows = _matching(ready.runtime, wanted)
    if as_json:
        show_json([row._asdict() for row in rows])
        return
    show_table(
        f"Conflicts ({status})",
        ("id", "day", "booking", "time sheet", "minutes", "reason", "what and what to do"),
        [
            (row.id, row.entry_date, row.source_id, row.kimai_id, _plain(row.minutes), row.reason, row.text)
            for row in rows
        ],
        right=("id", "booking", "time sheet", "minutes"),
    )
    counts = Counter(row.reason for row in rows)
    out.print(", ".join(f"{number} {name}" for name, number in counts.most_common()) or "Nothing waits for you.")


@app.command()
def show(conflict_id: Annotated[int, typer.Argument(metavar="ID")], *, as_json: AsJson = False) -> None:
    """Show one conflict: both sides, candidates, what may be decided and what each decision does, its history."""
    with environment() as ready, explained(DecisionError), ready.runtime.database.transaction() as connection:
        told = _told(connection, ready.runtime, conflict_id)
    if as_json:
        show_json(told)
    else:
        _show(told)


@app.command()
def resolve(
    words: Annotated[list[str], typer.Argument(metavar="[ID] CHOICE", help=f"CHOICE: {', '.join(Choice)}.")],
    reason: ReasonOption = "",
    first: FromOption = "",
    last: ToOption = "",
    agent: AgentOption = "",
    customer: CustomerOption = "",
    *,
    timesheet: Annotated[
        int | None, typer.Option("--timesheet", help="With link: the candidate that is meant.", min=1)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide about one conflict, or about all open ones that a filter names, each on its own.

    The pipeline carries decisions out: they ask for their days again. With a filter, exit code 3 says that some could
    not be decided; those are listed.
    """
    with environment() as ready, explained(DecisionError):
        wanted = _filter("open", reason, first, last, agent, customer)
        conflict_id, choice = _words(words)
        if (conflict_id is None) == (wanted == Filter()):
            raise UsageError("Name either one conflict by its id, or conflicts by --reason, --from, --to, …")
        if conflict_id is not None:
            with ready.runtime.database.transaction() as connection:
                row = conflicts.decide(connection, conflict_id, choice, actor=actor(), timesheet_id=timesheet)
            _show_decided([row], choice, [], as_json=as_json)
            return
        if timesheet is not None:
            raise UsageError("--timesheet goes with one conflict: name it by its id.")
        rows = _matching(ready.runtime, wanted)
        if not _agreed(rows, choice, yes=yes, as_json=as_json):
            return
        decided, left = _decide_each(ready.runtime, rows, choice)
        _show_decided(decided, choice, left, as_json=as_json)
    if left:
        raise typer.Exit(WAITING_FOR_PEOPLE)


def _filter(status: str, reason: str, first: str, last: str, agent: str, customer: str) -> Filter:
    if status not in LIFE:
        raise UsageError(f"--status {status!r} is none. Choose one of {', '.join(LIFE)}.")
    if reason and reason not in set(Reason):
        raise UsageError(f"--reason {reason!r} is none. Choose one of {', '.join(Reason)}.")
    return Filter(status, reason, day_given("--from", first), day_given("--to", last), agent, customer)


def _words(words: Sequence[str]) -> tuple[int | None, Choice]:
    *numbers, name = words
    if name not in set(Choice):
        raise UsageError(f"{name!r} is no decision. Choose one of {', '.join(Choice)}.")
    if len(numbers) > 1 or not all(number.isdecimal() for number in numbers):
        raise UsageError(f"{' '.join(numbers)!r} is no conflict: give one id, as zk conflicts list shows it.")
    return (int(numbers[0]) if numbers else None), Choice(name)


def _matching(runtime: Runtime, wanted: Filter) -> list[Row]:
    with runtime.database.transaction() as connection:
        return conflicts.matching(connection, runtime.stored("source").name, wanted)


def _agreed(rows: Sequence[Row], choice: Choice, *, yes: bool, as_json: bool) -> bool:
    """Show how many conflicts and minutes it is about; whether to go on."""
    total = _plain(_minutes(rows))
    if not rows:
        _show_decided([], choice, [], as_json=as_json)
        return False
    if as_json:
        if not yes:
            show_json({"decision": choice, "would_decide": [row.id for row in rows], "minutes": total})
        return yes
    out.print(f"{len(rows)} open conflicts with {total} minutes: {choice}. {EFFECTS[choice]}")
    return yes or typer.confirm("Decide so?", abort=True)


def _decide_each(runtime: Runtime, rows: Iterable[Row], choice: Choice) -> tuple[list[Row], list[tuple[Row, str]]]:
    """Each in a transaction of its own, by the facts that were shown; what cannot be decided keeps nobody else up."""
    decided: list[Row] = []
    left: list[tuple[Row, str]] = []
    for row in rows:
        try:
            with runtime.database.transaction() as connection:
                conflicts.decide(connection, row.id, choice, actor=actor(), seen=row.facts_hash)
        except DecisionError as error:
            left.append((row, str(error)))
        else:
            decided.append(row)
    return decided, left


def _show_decided(decided: Sequence[Row], choice: Choice, left: Sequence[tuple[Row, str]], *, as_json: bool) -> None:
    days = sorted({row.entry_date for row in decided})
    if as_json:
        show_json(
            {
                "decision": choice,
                "decided": [row.id for row in decided],
                "left": [{"id": row.id, "why": why} for row, why in left],
                "days": [str(day) for day in days],
            }
        )
        return
    if left:
        show_table("Not decided", ("id", "why"), [(row.id, why) for row, why in left], right=("id",))
    out.print(f"Decided: {len(decided)} ({choice}). {_carried_out(days)}".strip())


def _carried_out(days: Sequence[date]) -> str:
    if not days:
        return ""
    return f"Their days are asked for; to run them now: zk sync --from {days[0]} --to {days[-1]}"


def _told(connection: Connection, runtime: Runtime, conflict_id: int) -> dict[str, Any]:
    """Everything about one conflict, as `zk conflicts show --json` prints it."""
    row = conflicts.one(connection, conflict_id)
    line = plans.line_of(connection, row.connector, row.entry_date, row.key)
    line = line if line is not None and line.reason == row.reason else None
    candidates = line.candidates if line else ()
    ids = {row.kimai_id or 0, *(candidate.timesheet_id for candidate in candidates)}
    sheets = target.timesheets_by_id(connection, row.connector, ids)
    names = Names(target.load_directory(connection, row.connector), runtime.settings.zone)
    entry = entries.entry_of(connection, runtime.stored("source").name, row.source_id or "")
    sides = _sides(names, line, entry, sheets.get(row.kimai_id or 0))
    possible = allowed(Reason(row.reason), Status(row.status)) if row.resolution_status == "open" else ()
    return {
        **row._asdict(),
        "sides": [asdict(side) for side in sides],
        "candidates": [
            _candidate(candidate, names.of_timesheet(sheets[candidate.timesheet_id]))
            for candidate in candidates
            if candidate.timesheet_id in sheets
        ],
        "choices": [{"choice": choice, "effect": EFFECTS[choice]} for choice in possible],
        "history": [_event(past) for past in conflicts.history(connection, row.connector, row.key)],
    }


def _sides(names: Names, line: Result | None, entry: Entry | None, sheet: Timesheet | None) -> list[Side]:
    """The booking as it would be written, or in Zammad's words where that is not known; and the time sheet."""
    found = names.of_timesheet(sheet) if sheet else {}
    if line is None or line.draft is None:
        return compared(names.of_entry(entry) if entry else {}, found, ())
    differing = line.diff or (difference(line.draft.desired, sheet) if sheet else {})
    return compared(names.of_draft(line.draft), found, differing.keys())


def _candidate(candidate: Candidate, fields: Mapping[str, str]) -> dict[str, Any]:
    kind = "the same" if candidate.tier is Tier.SAME else "similar"
    return {"timesheet_id": candidate.timesheet_id, "score": candidate.score, "kind": kind, **fields}


def _event(row: Row) -> dict[str, Any]:
    names = ("id", "reason", "resolution_status", "decision", "decided_by", "decided_at", "opened_at", "closed_at")
    return {name: getattr(row, name) for name in names}


def _show(told: Mapping[str, Any]) -> None:
    out.print(f"[bold]Conflict {told['id']}[/] · {told['reason']} · {told['resolution_status']} · {told['entry_date']}")
    out.print(escape(told["text"]))
    sides = [(side["field"], side["wanted"], "≠" if side["differs"] else "", side["found"]) for side in told["sides"]]
    booking = f"booking {told['source_id'] or '(gone)'}"
    sheet = f"time sheet {told['kimai_id']}" if told["kimai_id"] else "no time sheet"
    show_table("Both sides", ("field", booking, "", sheet), sides)
    if told["candidates"]:
        columns = ("time sheet", "score", "kind", "begin", "duration", "description")
        rows = [
            [row.get(name, row["timesheet_id"]) for name in ("timesheet_id", *columns[1:])]
            for row in told["candidates"]
        ]
        show_table("Candidates, best first", columns, rows, right=("time sheet", "score"))
    if told["choices"]:
        choices = [(row["choice"], row["effect"]) for row in told["choices"]]
        show_table("What you may decide, the suggested first", ("decision", "what it does"), choices)
    history = [
        (row["id"], row["opened_at"], row["reason"], row["resolution_status"], row["closed_at"], _by(row))
        for row in told["history"]
    ]
    show_table("History", ("id", "opened", "reason", "state", "closed", "decision"), history, right=("id",))


def _by(row: Mapping[str, Any]) -> str:
    return f"{row['decision']} by {row['decided_by']} at {row['decided_at']}" if row["decision"] else ""


def _minutes(rows: Iterable[Row]) -> Decimal:
    return sum((row.minutes for row in rows), Decimal(0))


def _plain(minutes: Decimal) -> str:
    return f"{minutes.normalize():f}"
