"""`zk alerts`: send a test alert to each address and show which of them accepted it."""

import typer

from zk_pipeline.cli.output import AsJson, explained, show_json, show_table
from zk_pipeline.observe.alert_delivery import try_addresses
from zk_pipeline.runtime.settings import load_settings

app = typer.Typer(help="Test that alerts reach people.", no_args_is_help=True)


@app.command("test")
def send_test(*, as_json: AsJson = False) -> None:
    """Send a test alert to each address. Exit code 1 if one is not accepted, or there is no address."""
    with explained():
        tests = try_addresses(load_settings())
    if as_json:
        show_json(
            [
                {"address": row.position, "kind": row.kind, "ok": not row.problem, "problem": row.problem or None}
                for row in tests
            ]
        )
    else:
        rows = [(row.position, row.kind, row.problem or "sent") for row in tests]
        show_table("Test alerts", ("address", "kind", "result"), rows, right=("address",))
    if any(row.problem for row in tests):
        raise typer.Exit(1)


@app.callback()
def _group() -> None:
    """Keep `test` a subcommand although it is the only one."""
