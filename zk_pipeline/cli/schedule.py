"""`zk schedule`: when the regular sync and the nightly check run, and how far they look back."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zk_pipeline.cli.output import (
    AsJson,
    UsageError,
    called,
    environment,
    explained,
    out,
    person,
    said,
    show_json,
    show_table,
    words,
)
from zk_pipeline.processes.home import running_dagster
from zk_pipeline.runtime.dagster_server import DagsterServer
from zk_pipeline.runtime.environment import Environment
from zk_pipeline.runtime.settings import WhenBusy

if TYPE_CHECKING:  # It imports Dagster, which takes a second, and no other command needs it.
    from zk_pipeline.operate.schedules import ScheduleChange
    from zk_pipeline.runtime.schedules import SchedulePlan

app = typer.Typer(
    help="When the regular sync and the nightly check run, and how far they look back.", no_args_is_help=True
)

LABELS = {"cron": "cron", "days": "days back", "on": "on", "when_busy": "when busy"}


class Name(StrEnum):
    """The schedules that can be changed."""

    CATCH_UP = "catch_up"
    DEEP_CHECK = "deep_check"


class Preset(StrEnum):
    """Named choices of cron and on."""

    HOURLY = "hourly"
    EVERY_6_HOURS = "every-6-hours"
    NIGHTLY = "nightly"
    OFF = "off"


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show both schedules, where each value comes from, and the next five runs."""
    from zk_pipeline.operate import schedules  # noqa: PLC0415
    from zk_pipeline.runtime.schedules import ScheduleError  # noqa: PLC0415

    with environment() as ready, explained(ScheduleError):
        plans = schedules.list_plans(ready.runtime)
    rows = [_to_json(plan, datetime.now(UTC)) for plan in plans]
    if as_json:
        show_json(rows)
    else:
        _show(rows)


@app.command("set")
def set_(
    name: Annotated[
        Name, typer.Argument(metavar="NAME", help="catch_up (the regular sync) or deep_check (the nightly check).")
    ],
    *,
    preset: Annotated[Preset | None, typer.Option(help="A named choice instead of --cron.")] = None,
    cron: Annotated[str | None, typer.Option(help="Five cron fields in ZK_TIMEZONE: '0 */6 * * *'.")] = None,
    days: Annotated[int | None, typer.Option(help="How many days it looks back, including today.")] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Whether it runs.")] = None,
    when_busy: Annotated[WhenBusy | None, typer.Option(help="What to do while its last run is unfinished.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="First reset everything to the environment's values.")] = False,
) -> None:
    """Change a schedule. Takes effect at once if `zk up` runs, and overrides the environment."""
    from zk_pipeline.operate import schedules  # noqa: PLC0415
    from zk_pipeline.runtime.schedules import ScheduleError  # noqa: PLC0415

    if preset is not None and cron is not None:
        raise typer.BadParameter("give --preset or --cron, not both", param_hint="--preset")
    fields = {"cron": cron, "days": days, "on": on, "when_busy": when_busy}
    given = {field: value for field, value in fields.items() if value is not None}
    with environment() as ready, explained(ScheduleError):
        if not (given or preset or reset):
            raise UsageError(
                "Give --preset, --cron, --days, --on, --off, --when-busy or --reset: there is nothing to change."
            )
        changed = schedules.change(ready.runtime, person(), name, given, preset=preset, reset=reset)
        _show([_to_json(changed.after, datetime.now(UTC))])
        _take_over(ready, changed)


def _take_over(ready: Environment, changed: "ScheduleChange") -> None:
    """Have a running Dagster take a change over, and say what came of it."""
    from zk_pipeline.operate import schedules  # noqa: PLC0415

    if not changed.differs:
        out.print("Nothing changed.")
        return
    address = running_dagster(ready.home)
    if address is None:
        out.print("Stored. It takes effect when Dagster starts: no `zk up` runs on this home.", soft_wrap=True)
        if changed.was_switched:
            out.print(f"Somebody switched {changed.after.name} in Dagster: set it again while `zk up` runs.")
        return
    if changed.needs_reload:
        out.print("Stored. Dagster reloads its definitions, which takes some seconds.", soft_wrap=True)
    effect = schedules.apply_change(changed, DagsterServer(address, ready.runtime.cipher))
    out.print(f"In effect. See {address}." if effect.now else effect.text, soft_wrap=True)
    if not effect.now:
        raise typer.Exit(1)


def _to_json(plan: "SchedulePlan", now: datetime) -> dict[str, Any]:
    from zk_pipeline.operate.schedules import origins  # noqa: PLC0415

    fields = origins(plan)
    return {
        "name": plan.name,
        "zone": plan.zone.key,
        **{field: entry["value"] for field, entry in fields.items()},
        "from": {field: entry["from"] for field, entry in fields.items()},
        "next_runs": [run.isoformat() for run in plan.next_runs(now)] if plan.on else [],
    }


def _show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        name = row["name"]
        table = [(LABELS[field], _text(field, row[field]), called("fact.from", row["from"][field])) for field in LABELS]
        title = f"{words()(f'schedule.{name}', days=row['days'])} ({name})"
        show_table(title, ("setting", "value", "from"), [*table, ("zone", row["zone"], "ZK_TIMEZONE")])
        runs = [words().instant(datetime.fromisoformat(run)) for run in row["next_runs"]]
        out.print(f"Next runs: {' · '.join(runs) or said('none, it is off')}\n", soft_wrap=True)


def _text(field: str, value: object) -> object:
    return called("schedule.busy", str(value)) if field == "when_busy" else value
