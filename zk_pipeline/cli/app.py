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
    write_back,
)
from zk_pipeline.cli import credits as credit_list
from zk_pipeline.cli.output import said
from zk_pipeline.languages import Language
from zk_pipeline.runtime.settings import spoken

_HELP = ["-h", "--help"]

app = typer.Typer(
    name="zk",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": _HELP},
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
app.add_typer(write_back.app, name="write-back")
app.command("trace")(trace.trace)
app.add_typer(alerts.app, name="alerts")
app.add_typer(schedule.app, name="schedule")
app.add_typer(audit.app, name="audit")
app.add_typer(gdpr.app, name="gdpr")
app.add_typer(users.app, name="users")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """The entry point of the `zk` script, with help and errors in the language of ZK_LANGUAGE."""
    command = typer.main.get_command(app)
    show = rich_utils.rich_format_error
    setattr(rich_utils, "rich_format_error", lambda error: show(_explained(error)))  # noqa: B010 (ours for Typer's)
    if spoken() is not Language.ENGLISH:
        for title, text in _OF_TYPER.items():
            setattr(rich_utils, title, said(text))
        _translate_help(command)
    command()


# What Typer says itself. It publishes neither its texts nor the types of its commands and errors.

_OF_TYPER = {
    "ARGUMENTS_PANEL_TITLE": "Arguments",
    "OPTIONS_PANEL_TITLE": "Options",
    "COMMANDS_PANEL_TITLE": "Commands",
    "ERRORS_PANEL_TITLE": "Error",
    "ABORTED_TEXT": "Aborted.",
    "REQUIRED_LONG_STRING": "[required]",
    "RICH_HELP": "Try [blue]'{command_path} {help_option}'[/] for help.",
}
"""Titles and texts by the names of its constants."""

_ERRORS = (
    "No such option: {}",
    "No such option: {} Did you mean {}?",
    "No such option: {} (Possible options: {})",
    "Option {} requires an argument.",
    "Option {} does not take a value.",
    "Missing argument {}.",
    "Missing option {}.",
    "Missing command.",
    "No such command {}.",
    "Got unexpected extra argument(s) ({})",
    "Invalid value for {}: {}",
    "Show this message and exit.",
    "Usage:",
)
"""For the translations."""

_WRONG = {
    "int_parsing": "{} {} is not a whole number.",
    "float_parsing": "{} {} is not a number.",
    "greater_than_equal": "{} {} is below {}.",
    "less_than_equal": "{} {} is above {}.",
    "value_error": "{} {} is not one of {}.",
}
"""What is wrong with the value of an option, by the type of pydantic's error."""


def _explained(error: Any) -> Any:
    """An error of usage whose text is one sentence of ours, in the language of the command line."""
    text = said(_wrong_value(error) or error.format_message())
    error.format_message = lambda: text
    return error


def _wrong_value(error: Any) -> str:
    """Which value is wrong, where pydantic says so; it names the type alone."""
    found: Any = error.__cause__
    if not hasattr(found, "errors") or getattr(error, "param", None) is None:
        return ""
    (first, *_) = found.errors()
    option, value = max(error.param.opts, key=len), repr(first["input"])
    if first["type"] == "value_error":  # A choice, which Typer checks: its text has the value.
        return f"{option} {first['ctx']['error']}"
    return _WRONG.get(first["type"], "").format(option, value, *first.get("ctx", {}).values())


def _translate_help(command: Any) -> None:
    """Of a command and of those within it."""
    command.help = "\n\n".join(said(" ".join(part.split())) for part in (command.help or "").split("\n\n"))
    help_option = command.get_help_option(typer.Context(command, help_option_names=_HELP))
    usage = command.get_usage
    command.get_usage = lambda context: usage(context).replace("Usage:", said("Usage:"), 1)
    for option in [*command.params, help_option]:
        if isinstance(described := getattr(option, "help", None), str):
            option.help = said(described)
    for inner in getattr(command, "commands", {}).values():
        _translate_help(inner)
