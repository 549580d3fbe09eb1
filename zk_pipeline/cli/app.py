"""The `zk` command, put together from its subcommands."""

from typing import Annotated, Any

import typer
from typer import rich_utils

from zk_pipeline import __version__
from zk_pipeline.cli import (
    alerts,
    approve,
    audit,
    backup,
    close,
    conflicts,
    connectors,
    demo,
    doctor,
    env,
    gdpr,
    invoices,
    keys,
    mappings,
    migrate,
    rederive,
    schedule,
    statement,
    status,
    sync,
    trace,
    undo,
    up,
    users,
)
from zk_pipeline.cli import credits as credit_list
from zk_pipeline.cli.output import said
from zk_pipeline.languages import Language
from zk_pipeline.runtime.settings import spoken

app = typer.Typer(
    name="zk",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if asked:
        typer.echo(f"zk_pipeline {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Carries every Zammad time accounting into Kimai, once, for the right person."""


app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("migrate")(migrate.migrate)
app.command("sync")(sync.sync)
app.command("rederive")(rederive.rederive)
app.command("undo")(undo.undo)
app.command("approve")(approve.approve)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("env")(env.env)
app.add_typer(connectors.app, name="connectors")
app.add_typer(mappings.app, name="mappings")
app.add_typer(conflicts.app, name="conflicts")
app.command("statement")(statement.statement)
app.command("close")(close.close)
app.command("reopen")(close.reopen)
app.add_typer(credit_list.app, name="credits")
app.add_typer(invoices.app, name="invoices")
app.command("trace")(trace.trace)
app.add_typer(alerts.app, name="alerts")
app.add_typer(schedule.app, name="schedule")
app.add_typer(audit.app, name="audit")
app.add_typer(gdpr.app, name="gdpr")
app.add_typer(users.app, name="users")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """The entry point of the `zk` script, with help in the language of ZK_LANGUAGE."""
    command = typer.main.get_command(app)
    if spoken() is not Language.ENGLISH:
        for title, text in _TITLES.items():
            setattr(rich_utils, title, said(text))
        _translate_help(command)
    command()


_TITLES = {
    "ARGUMENTS_PANEL_TITLE": "Arguments",
    "OPTIONS_PANEL_TITLE": "Options",
    "COMMANDS_PANEL_TITLE": "Commands",
    "ERRORS_PANEL_TITLE": "Error",
}
"""Typer's own titles by the names of its constants."""


def _translate_help(command: Any) -> None:
    """Of a command of Typer, whose types it does not publish, and of those within it."""
    command.help = "\n\n".join(said(" ".join(part.split())) for part in (command.help or "").split("\n\n"))
    for option in command.params:
        if isinstance(described := getattr(option, "help", None), str):
            option.help = said(described)
    for inner in getattr(command, "commands", {}).values():
        _translate_help(inner)
