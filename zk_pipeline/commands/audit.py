"""`zk audit`: the chained trail of everything that was done."""

import typer

from zk_pipeline.commands.console import AsJson, environment, fail, out, show_json
from zk_pipeline.store import audit

app = typer.Typer(help="The chained trail of everything that was done.", no_args_is_help=True)


@app.command("verify")
def verify(*, as_json: AsJson = False) -> None:
    """Walk the whole chain. Exit code 1 when it is broken."""
    with environment() as ready, ready.runtime.database.transaction() as connection:
        found = audit.verify(connection)
    if as_json:
        show_json({"rows": found.rows, "head": found.head, "broken_at": found.broken_at})
    if found.broken_at is not None:
        fail(
            f"Row {found.broken_at} of the audit trail does not fit the rows before it: it was changed or one is gone."
        )
    if not as_json:
        out.print(f"{found.rows} rows, unbroken. Head: {found.head}")


@app.callback()
def _group() -> None:
    """Keep `verify` a word of its own while it is the only one."""
