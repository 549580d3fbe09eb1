"""`zk rederive`: derive stored facts again after a setting that decided them has changed."""

from typing import Annotated

import typer

from zk_pipeline.cli.output import AsJson, environment, explained, out, person, show_json
from zk_pipeline.operate import rederive as operation
from zk_pipeline.operate.rederive import RederiveResult

SHOWN_DAYS = 10


def rederive(
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, without changing it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Derive stored days again after the time zone, the unit, or another deciding setting has changed.

    Closed and billed bookings stay as they are. Nothing is written to Kimai: the changed days are requested, and
    `zk up` or `zk sync` runs them.
    """
    with environment(decided=False) as ready, explained():
        done = operation.rederive(ready.runtime, person(), plan=plan)
        if as_json:
            show_json(done.to_json())
        else:
            _show(done, planned_only=plan, start=str(ready.runtime.settings.start_date))


def _show(done: RederiveResult, *, planned_only: bool, start: str) -> None:
    if not done.changes:
        _print("Nothing to derive again: no setting that decided stored facts has changed.")
        return
    for change in done.changes:
        _print(f"{change.variable}: {change.before} becomes {change.after}.")
    _print(
        f"{_number(done.moved, 'booking')} move to another day, {_number(done.changed, 'booking')} change start or "
        f"minutes, {_number(done.timesheets, 'time sheet')} in Kimai to update."
    )
    if done.kept:
        _print(f"Closed or billed, left as they are: {_number(done.kept, 'booking')} on {_days(done.kept_days)}.")
    if done.unfollowed:
        _print(f"Before ZK_START_DATE={start}, no longer followed: {_number(done.unfollowed, 'booking')}.")
    earlier = next((row for row in done.changes if row.name == "start_date" and row.after < row.before), None)
    if earlier:
        _print(f"To read the days from {earlier.after} on: zk sync --from {earlier.after} --to DAY")
    if planned_only:
        _print(f"Would request {_days(done.days)}. Nothing was changed (--plan).")
    elif done.days:
        first, last = done.days[0], done.days[-1]
        _print(f"Requested {_days(done.days)}: zk up runs them, or zk sync --from {first} --to {last}")
    else:
        _print("Recorded. No day needs to run again.")


def _number(number: int, of: str) -> str:
    return f"{number:,} {of}{'' if number == 1 else 's'}"


def _days(days: tuple[object, ...]) -> str:
    if len(days) > SHOWN_DAYS:
        return f"{len(days):,} days from {days[0]} to {days[-1]}"
    return ", ".join(map(str, days)) or "no day"


def _print(sentence: str) -> None:
    out.print(sentence, soft_wrap=True, highlight=False, markup=False)
