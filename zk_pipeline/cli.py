"""The `zk` command: puts the commands together and starts nothing before one of them is called."""

import typer

from zk_pipeline.commands import mappings, sync, up

app = typer.Typer(
    name="zk",
    help="Carries every Zammad time accounting into Kimai, once, for the right person.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("sync")(sync.sync)
app.command("up")(up.up)
app.add_typer(mappings.app, name="mappings")


def main() -> None:
    """Entry point of the `zk` script."""
    app()
