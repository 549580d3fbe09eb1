"""`zk conflicts`: what waits for a person, and decisions about it."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.markup import escape

from zk_pipeline.cli.output import (
    WIDTH,
    AsJson,
    UsageError,
    actor,
    called,
    confirm,
    environment,
    explained,
    hours,
    out,
    said,
    show_json,
    show_table,
    words,
)
from zk_pipeline.cli.sync import DAY, WAITING_FOR_PEOPLE, parse_day
from zk_pipeline.decisions import causes, conflicts
from zk_pipeline.decisions.causes import Cause
from zk_pipeline.decisions.conflicts import BulkResult, Conflict, ConflictView, PastConflict
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.mapping import ObstacleKind
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.resolutions import EFFECTS, Choice
from zk_pipeline.identity.actors import Actor, OperationError, Role, UnknownError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store.conflicts import LISTED, DecisionError
from zk_pipeline.web.console import marks
from zk_pipeline.web.console.details import compared

app = typer.Typer(help="Show what waits for a person, and decide.", no_args_is_help=True)

ReasonOption = Annotated[str, typer.Option("--reason", help="Only conflicts with this reason.")]
FromOption = Annotated[str, typer.Option("--from", metavar=DAY, help="Only from this day on.")]
ToOption = Annotated[str, typer.Option("--to", metavar=DAY, help="Only up to this day.")]
AgentOption = Annotated[str, typer.Option("--agent", help="Only bookings of this agent, by e-mail or full name.")]
CauseOption = Annotated[str, typer.Option("--cause", help="Only this cause, as zk conflicts list names it.")]
CustomerOption = Annotated[str, typer.Option("--customer", help="Only this organization or customer, by full name.")]


@app.command("list")
def list_conflicts(
    reason: ReasonOption = "",
    first: FromOption = "",
    last: ToOption = "",
    agent: AgentOption = "",
    customer: CustomerOption = "",
    cause: CauseOption = "",
    *,
    each: Annotated[bool, typer.Option("--each", help="List each conflict, not only the causes.")] = False,
    status: Annotated[str, typer.Option("--status", help=f"One of {', '.join(LISTED)}.")] = "open",
    as_json: AsJson = False,
) -> None:
    """List what waits by cause, most hours first; with --cause or --each one by one. By default only what is open."""
    with environment() as ready, explained(UnknownError):
        wanted = _filter(ready.runtime, status, reason, first, last, agent, customer, cause)
        if each or cause:
            _show_each(conflicts.list_conflicts(ready.runtime, wanted).items, status, as_json=as_json)
        else:
            _show_causes(causes.causes(ready.runtime, wanted), status, as_json=as_json)


def _show_causes(found: Sequence[Cause], status: str, *, as_json: bool) -> None:
    if as_json:
        show_json([asdict(row) for row in found])
        return
    if not found:
        out.print("Nothing waits for you." if status == "open" else f"No conflict is {status}.")
        return
    rows = [(row.key, row.conflicts, hours(row.minutes), _what_to_do(row)) for row in found]
    columns = ("cause", "number", "hours", "what and what to do")
    show_table(f"Conflicts ({status})", columns, rows, right=columns[1:3])
    number = sum(row.conflicts for row in found)
    minutes = sum((max(row.minutes, Decimal(0)) for row in found), Decimal(0))  # An open correction is no time waiting.
    counted = "1 conflict" if number == 1 else f"{number} conflicts"
    out.print(f"{counted}, {hours(minutes)}. One by one: zk conflicts list --cause CAUSE", soft_wrap=True)


def _show_each(rows: Sequence[Conflict], status: str, *, as_json: bool) -> None:
    if as_json:
        show_json([asdict(row) for row in rows])
        return
    shown = [
        (
            row.id,
            row.entry_date,
            hours(row.minutes),
            called("reason", row.reason),
            row.ticket_number or row.key,
            row.user_name,
            _who(row),
        )
        for row in rows
    ]
    columns = ("id", "day", "hours", "reason", "ticket", "agent", "customer")
    show_table(f"Conflicts ({status})", columns, shown, right=("id", "hours"))
    out.print("Both sides of one, and what you may decide: zk conflicts show ID", soft_wrap=True)


def _who(row: Conflict) -> str:
    return row.organization_name or row.customer_name or ""


def _what_to_do(cause: Cause) -> str:
    """What a cause is, and the command or step that solves all of it."""
    if cause.asked == cause.conflicts:
        return f"{cause.title}. The next run tries again."
    if cause.kind in set(ObstacleKind) or cause.kind == causes.PROJECT_UNCLEAR:
        return cause.text
    if cause.maps is None:
        return f"{cause.title}. {EXPLANATIONS[Reason(cause.reason)].next_step}"
    target = f"id:{cause.suggestions[0].id}" if cause.suggestions else f"KIMAI-{cause.maps.upper()}"
    named = f", which is {cause.suggestions[0].name}" if cause.suggestions else ""
    return f"{cause.title}. Map it: zk mappings set {cause.maps} {cause.zammad} {target}{named}."


@app.command()
def show(conflict_id: Annotated[int, typer.Argument(metavar="ID")], *, as_json: AsJson = False) -> None:
    """Show one conflict: both sides, candidates, possible decisions with their effects, history."""
    with environment() as ready, explained(OperationError):
        view = conflicts.conflict_view(ready.runtime, conflict_id)
    if as_json:
        show_json(_to_json(view))
    else:
        _show(view)


@app.command()
def resolve(
    words: Annotated[list[str], typer.Argument(metavar="[ID] CHOICE", help=f"CHOICE: {', '.join(Choice)}.")],
    reason: ReasonOption = "",
    first: FromOption = "",
    last: ToOption = "",
    agent: AgentOption = "",
    customer: CustomerOption = "",
    cause: CauseOption = "",
    *,
    timesheet: Annotated[
        int | None, typer.Option("--timesheet", help="With link: the candidate to link.", min=1)
    ] = None,
    booking: Annotated[str | None, typer.Option("--booking", help="With reduce: the booking to reduce.")] = None,
    why: Annotated[str, typer.Option("--why", help="The reason; ignore needs it above an hour.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide one conflict, or all open ones that match a filter, each on its own.

    The next run of their days carries decisions out. With a filter, exit code 3 means that some could not be decided;
    those are listed.
    """
    with environment() as ready, explained(OperationError, DecisionError):
        wanted = _filter(ready.runtime, "open", reason, first, last, agent, customer, cause)
        conflict_id, choice = _parse_words(words)
        if (conflict_id is None) == (wanted == ConflictFilter()):
            raise UsageError("Name one conflict by its id, or filter conflicts with --cause, --reason, …")
        who = Actor(actor(), Role.ADMIN)
        if conflict_id is not None:
            row = conflicts.decide(
                ready.runtime, who, conflict_id, choice, timesheet_id=timesheet, booking_id=booking, why=why
            )
            _show_decided(BulkResult(choice, (row,), ()), as_json=as_json)
            return
        for option, value in (("--timesheet", timesheet), ("--booking", booking)):
            if value is not None:
                raise UsageError(f"{option} needs one conflict: name it by its id.")
        rows = conflicts.list_conflicts(ready.runtime, wanted).items
        if not _confirmed(rows, choice, yes=yes, as_json=as_json):
            return
        outcome = conflicts.decide_many(ready.runtime, who, choice, {row.id: row.facts_hash for row in rows}, why=why)
        _show_decided(outcome, as_json=as_json)
    if outcome.left:
        raise typer.Exit(WAITING_FOR_PEOPLE)


@app.command()
def reopen(conflict_id: Annotated[int, typer.Argument(metavar="ID")], *, as_json: AsJson = False) -> None:
    """Take back a decision that wrote nothing itself (reduce, move, ignore, keep); the conflict is open again."""
    with environment() as ready, explained(OperationError, DecisionError):
        row = conflicts.reopen(ready.runtime, Actor(actor(), Role.ADMIN), conflict_id)
    if as_json:
        show_json(asdict(row))
    else:
        choice = called("choice", row.choice)
        out.print(f"Taken back: {choice} of conflict {row.id}. {_carried_out([row.day])}", soft_wrap=True)


def _filter(
    runtime: Runtime, status: str, reason: str, first: str, last: str, agent: str, customer: str, cause: str
) -> ConflictFilter:
    """The filter that the options mean. Raises `UnknownError` for a cause that nothing has."""
    if status not in LISTED:
        raise UsageError(f"--status {status!r} is unknown. Choose one of {', '.join(LISTED)}.")
    if reason and reason not in set(Reason):
        raise UsageError(f"--reason {reason!r} is unknown. Choose one of {', '.join(Reason)}.")
    wanted = ConflictFilter(status, reason, parse_day("--from", first), parse_day("--to", last), agent, customer)
    return causes.of_cause(runtime, wanted, cause) if cause else wanted


def _parse_words(words: Sequence[str]) -> tuple[int | None, Choice]:
    *numbers, name = words
    if name not in set(Choice):
        raise UsageError(f"{name!r} is not a decision. Choose one of {', '.join(Choice)}.")
    if len(numbers) > 1 or not all(number.isdecimal() for number in numbers):
        raise UsageError(f"{' '.join(numbers)!r} is not a conflict id. Give one id from zk conflicts list.")
    return (int(numbers[0]) if numbers else None), Choice(name)


def _confirmed(rows: Sequence[Conflict], choice: Choice, *, yes: bool, as_json: bool) -> bool:
    """Show how many conflicts and minutes are affected, and ask whether to continue."""
    total = sum((row.minutes for row in rows), Decimal(0))
    if not rows:
        _show_decided(BulkResult(choice, (), ()), as_json=as_json)
        return False
    if as_json:
        if not yes:
            show_json(
                {"decision": choice, "would_decide": [row.id for row in rows], "minutes": f"{total.normalize():f}"}
            )
        return yes
    out.print(
        f"{len(rows)} open conflicts, {hours(total)}: {called('choice', choice)}. {EFFECTS[choice]}", soft_wrap=True
    )
    if not yes:
        confirm("Decide this?")
    return True


def _show_decided(outcome: BulkResult, *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "decision": outcome.choice,
                "decided": [row.id for row in outcome.decided],
                "left": [asdict(row) for row in outcome.left],
                "days": [str(day) for day in outcome.days],
            }
        )
        return
    if outcome.left:
        show_table("Not decided", ("id", "why"), [(row.id, row.why) for row in outcome.left], right=("id",))
    choice = called("choice", outcome.choice)
    out.print(f"Decided: {len(outcome.decided)} ({choice}). {_carried_out(outcome.days)}".strip(), soft_wrap=True)


def _carried_out(days: Sequence[date]) -> str:
    if not days:
        return ""
    return f"Their days are queued; to run them now: zk sync --from {days[0]} --to {days[-1]}"


def _to_json(view: ConflictView) -> dict[str, Any]:
    return {
        **asdict(view.conflict),
        "sides": [asdict(side) for side in view.sides],
        "candidates": [
            {"timesheet_id": row.timesheet_id, "score": row.score, "kind": row.kind, **row.fields}
            for row in view.candidates
        ],
        "bookings": [asdict(row) for row in view.bookings],
        "choices": [asdict(row) for row in view.choices],
        "history": [asdict(row) for row in view.history],
    }


def _show(view: ConflictView) -> None:
    conflict = view.conflict
    states = called("reason", conflict.reason), called("value", conflict.resolution_status), conflict.entry_date
    out.print(f"[bold]{said(f'Conflict {conflict.id}')}[/] · {' · '.join(map(str, states))}", highlight=False)
    out.print(escape(said(conflict.text)), width=min(WIDTH, out.width), highlight=False)
    _show_sides(view)
    if view.choices:
        command = f"zk conflicts resolve {conflict.id}"
        choices = [(called("choice", row.choice), row.effect, f"{command} {row.choice}") for row in view.choices]
        title = "Possible decisions, the suggested one first" if conflict.suggested_action else "Possible decisions"
        show_table(title, ("decision", "what it does", "command"), choices)
    history = [
        (
            row.id,
            row.opened_at,
            called("reason", row.reason),
            called("value", row.resolution_status),
            row.closed_at,
            _decision(row),
        )
        for row in view.history
    ]
    show_table("History", ("id", "opened", "reason", "state", "closed", "decision"), history, right=("id",))


def _decision(row: PastConflict) -> str:
    """What was decided, by whom and when."""
    if row.decided_at is None:
        return ""
    who = marks.actor(words(), row.decided_by_name)
    return "\n".join((called("choice", row.decision), who, words().instant(row.decided_at)))


def _show_sides(view: ConflictView) -> None:
    """Both sides field by field, and the time sheets and bookings that may be meant."""
    conflict = view.conflict
    sides = [
        (
            called("field", side.field),
            compared(words(), side.field, side.wanted),
            "≠" if side.differs else "",
            compared(words(), side.field, side.found),
        )
        for side in view.sides
    ]
    booking = f"booking {conflict.source_id or '(gone)'}"
    sheet = f"time sheet {conflict.kimai_id}" if conflict.kimai_id else "no time sheet"
    show_table("Both sides", ("field", booking, "", sheet), sides)
    if view.candidates:
        columns = ("begin", "duration", "description")
        rows = [
            (
                row.timesheet_id,
                row.score,
                row.kind,
                *(compared(words(), name, row.fields.get(name, "")) for name in columns),
            )
            for row in view.candidates
        ]
        names = ("time sheet", "score", "kind", *columns)
        show_table("Candidates, best match first", names, rows, right=names[:2])
    if view.bookings:
        names = ("booking", "day", "ticket", "agent", "type", "hours left", "note")
        rows = [
            (row.booking_id, row.day, row.ticket_number, row.agent, row.activity, hours(row.minutes), row.note)
            for row in view.bookings
        ]
        show_table("Bookings that it may reduce, best match first", names, rows, right=("booking", "hours left"))
