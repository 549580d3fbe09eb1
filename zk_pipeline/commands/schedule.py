"""`zk schedule`: when the catch-up and the deep check run, and how far they look back."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zk_pipeline.commands.console import (
    AsJson,
    UsageError,
    actor,
    environment,
    explained,
    out,
    show_json,
    show_table,
)
from zk_pipeline.dagster_server import DagsterServer, DagsterServerError
from zk_pipeline.local import Environment
from zk_pipeline.settings import WhenBusy
from zk_pipeline.store import stored_settings
from zk_pipeline.supervisor.home import running_dagster

if TYPE_CHECKING:  # It imports Dagster, which takes a second, and no other command needs it.
    from zk_pipeline.schedules import SchedulePlan

app = typer.Typer(help="When the catch-up and the deep check run, and how far they look back.", no_args_is_help=True)

LABELS = {"cron": "cron", "days": "days back", "on": "on", "when_busy": "when busy"}
LOADED = ("cron", "on")
"""What Dagster has in its definitions; the rest is read with each tick."""


class Name(StrEnum):
    """The schedules."""

    CATCH_UP = "catch_up"
    DEEP_CHECK = "deep_check"


class Preset(StrEnum):
    """Usual choices by name."""

    HOURLY = "hourly"
    EVERY_6_HOURS = "every-6-hours"
    NIGHTLY = "nightly"
    OFF = "off"


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show both schedules, where each value comes from, and the next five runs in the business zone."""
    from zk_pipeline.schedules import NAMES, ScheduleError, plan_of  # noqa: PLC0415

    with environment() as ready, explained(ScheduleError):
        with ready.runtime.database.transaction() as connection:
            stored = stored_settings.load(connection)
        plans = [plan_of(ready.runtime.settings, name, stored) for name in NAMES]
    rows = [_to_json(plan, datetime.now(UTC)) for plan in plans]
    if as_json:
        show_json(rows)
    else:
        _show(rows)


@app.command("set")
def set_(
    name: Annotated[Name, typer.Argument(metavar="NAME", help="catch_up or deep_check.")],
    *,
    preset: Annotated[Preset | None, typer.Option(help="A usual choice instead of --cron.")] = None,
    cron: Annotated[str | None, typer.Option(help="Five fields, in the business zone: '0 */6 * * *'.")] = None,
    days: Annotated[int | None, typer.Option(help="How many days it looks back, today included.")] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Whether it runs.")] = None,
    when_busy: Annotated[WhenBusy | None, typer.Option(help="While a run of it is unfinished.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="First return all to the environment's values.")] = False,
) -> None:
    """Change a schedule. It takes effect at once when `zk up` runs, and wins over the environment."""
    from zk_pipeline.schedules import FIELDS, PRESETS, ScheduleError, change  # noqa: PLC0415

    if preset is not None and cron is not None:
        raise typer.BadParameter("give --preset or --cron, not both", param_hint="--preset")
    given = {"cron": cron, "days": days, "on": on, "when_busy": when_busy}
    values: dict[str, Any] = dict.fromkeys(FIELDS) if reset else {}
    values |= PRESETS[preset] if preset else {}
    values |= {field: value for field, value in given.items() if value is not None}
    with environment() as ready, explained(ScheduleError, DagsterServerError):
        if not values:
            raise UsageError("Nothing to change: give --preset, --cron, --days, --on, --off, --when-busy or --reset.")
        with ready.runtime.database.transaction() as connection:
            before, after = change(connection, ready.runtime.settings, name, values, actor=actor())
        _show([_to_json(after, datetime.now(UTC))])
        _take_over(ready, before, after)


def _take_over(ready: Environment, before: "SchedulePlan", after: "SchedulePlan") -> None:
    """Tell a running Dagster, and people what comes of it."""
    if before == after:
        out.print("Nothing has changed.")
        return
    address = running_dagster(ready.home)
    if address is None:
        out.print("Stored. No `zk up` runs on this home; it takes effect when Dagster starts.", soft_wrap=True)
        return
    if any(getattr(before, field) != getattr(after, field) for field in LOADED):
        out.print("Stored. Dagster loads the definitions anew; that takes some seconds.", soft_wrap=True)
        DagsterServer(address).reload()
    out.print(f"In effect; see it at {address}.", soft_wrap=True)


def _to_json(plan: "SchedulePlan", now: datetime) -> dict[str, Any]:
    from zk_pipeline.schedules import to_json  # noqa: PLC0415

    fields = to_json(plan)
    return {
        "name": plan.name,
        "zone": plan.zone.key,
        **{field: entry["value"] for field, entry in fields.items()},
        "from": {field: entry["from"] for field, entry in fields.items()},
        "next_runs": [run.isoformat() for run in plan.next_runs(now)] if plan.on else [],
    }


def _show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        table = [(LABELS[field], _text(row[field]), row["from"][field]) for field in LABELS]
        show_table(row["name"], ("setting", "value", "from"), [*table, ("zone", row["zone"], "ZK_TIMEZONE")])
        runs = [datetime.fromisoformat(run).strftime("%a %Y-%m-%d %H:%M %z") for run in row["next_runs"]]
        out.print(f"Next runs: {', '.join(runs) or 'none, it is off'}\n", soft_wrap=True)


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
