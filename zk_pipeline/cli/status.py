"""`zk status`: connectors, the last runs, and what waits."""

from collections.abc import Sequence
from dataclasses import asdict

from zk_pipeline.cli.output import AsJson, called, environment, out, show_json, show_table, words
from zk_pipeline.operate import overview, sync
from zk_pipeline.operate.sync import HeldDays
from zk_pipeline.web.console import marks


def status(*, as_json: AsJson = False) -> None:
    """Show connectors, entries, the last runs, and what waits for a person."""
    with environment() as ready:
        with ready.runtime.database.transaction() as connection:
            seen = overview.overview(connection)
        held = sync.held_days(ready.runtime)
    if as_json:
        show_json({**seen, "held": [asdict(row) for row in held]})
        return
    show_table(
        "Connectors",
        ("name", "role", "address"),
        [(row["name"], called("fact.role", row["role"]), row["base_url"]) for row in seen["connectors"]],
    )
    states = [(called("value", state), number) for state, number in seen["pushes"].items()]
    show_table("Entries by state", ("state", "entries"), states, right=("entries",))
    reasons = [(called("reason", reason), number) for reason, number in seen["conflicts"].items()]
    show_table("Open conflicts", ("reason", "entries"), reasons, right=("entries",))
    show_table(
        "Last runs",
        ("run", "started", "first day", "last day", "created", "updated", "in sync", "failed"),
        [
            (
                row["run_id"][:8],
                row["started_at"],
                row["first_day"],
                row["last_day"],
                *(row["counts"].get(name, 0) for name in ("created", "updated", "in_sync", "failed")),
            )
            for row in seen["runs"]
        ],
        right=("created", "updated", "in sync", "failed"),
    )
    if held:
        _show_held(held)
    if seen["closed_months"]:
        out.print(f"Closed months: {', '.join(seen['closed_months'])}.", soft_wrap=True)
    if seen["requested_days"]:
        out.print(f"{seen['requested_days']} requested days have not run yet.")


def _show_held(held: Sequence[HeldDays]) -> None:
    show_table(
        "Cancelled: sync again?",
        ("run", "cancelled", "by", "first day", "last day", "days", "changes"),
        [
            (
                row.run_id[:8],
                row.cancelled_at,
                marks.actor(words(), row.cancelled_by),
                row.first,
                row.last,
                len(row.days),
                row.changes,
            )
            for row in held
        ],
        right=("days", "changes"),
    )
    oldest = held[0]
    again, leave = f"zk sync --from {oldest.first} --to {oldest.last}", f"zk sync --leave {oldest.run_id[:8]}"
    out.print(f"To sync again: {again}. To leave these days: {leave}.", soft_wrap=True)
