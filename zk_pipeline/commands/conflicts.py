"""`zk conflicts`: what waits for a person."""

from collections import Counter
from typing import Annotated

import typer

from zk_pipeline.commands.console import AsJson, environment, out, show_json, show_table
from zk_pipeline.store import conflicts

app = typer.Typer(help="What waits for a person.", no_args_is_help=True)


@app.command("list")
def list_conflicts(
    reason: Annotated[str, typer.Option(help="Only conflicts of this reason.")] = "", *, as_json: AsJson = False
) -> None:
    """List the open conflicts, each with its next step."""
    with environment() as ready, ready.runtime.database.transaction() as connection:
        rows = [row for row in conflicts.open_conflicts(connection) if reason in {"", row.reason}]
    if as_json:
        show_json([row._asdict() for row in rows])
        return
    show_table(
        "Open conflicts",
        ("id", "day", "booking", "time sheet", "reason", "what and what to do"),
        [(row.id, row.entry_date, row.source_id, row.kimai_id, row.reason, row.text) for row in rows],
        right=("id", "booking", "time sheet"),
    )
    counts = Counter(row.reason for row in rows)
    out.print(", ".join(f"{number} {name}" for name, number in counts.most_common()) or "Nothing waits for you.")
