"""`zk alerts`: send a test alert to each address and show which of them accepted it."""

import typer

from zk_pipeline.cli.output import AsJson, explained, fail, show_json, show_table
from zk_pipeline.observe.alert_delivery import alert_addresses, send
from zk_pipeline.observe.alerts import AlertMessage
from zk_pipeline.runtime.settings import load_settings

app = typer.Typer(help="Test that alerts reach people.", no_args_is_help=True)

TEST = AlertMessage(
    "zk_pipeline: test alert", "Nothing failed. This is how an alert of zk_pipeline reaches you.", good_news=True
)


@app.command("test")
def try_addresses(*, as_json: AsJson = False) -> None:
    """Send a test alert to each address. Exit code 1 if one is not accepted, or there is no address."""
    with explained():
        addresses = alert_addresses(load_settings())
    if not addresses:
        fail("Set ZK_ALERT_URLS to apprise addresses, separated by commas: it is empty, so no alert is sent.")
    problems = {address: send(address, TEST) for address in addresses}
    if as_json:
        show_json(
            [
                {"address": address.position, "kind": address.scheme, "ok": problem is None, "problem": problem}
                for address, problem in problems.items()
            ]
        )
    else:
        rows = [(address.position, address.scheme, problem or "sent") for address, problem in problems.items()]
        show_table("Test alerts", ("address", "kind", "result"), rows, right=("address",))
    if any(problems.values()):
        raise typer.Exit(1)


@app.callback()
def _group() -> None:
    """Keep `test` a subcommand although it is the only one."""
