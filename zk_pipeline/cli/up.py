"""`zk up`: start all processes, and stop them together."""

import time
from typing import Annotated

import typer
from rich.markup import escape

from zk_pipeline.cli.output import environment, explained, out, said
from zk_pipeline.identity import users
from zk_pipeline.operate import connectors
from zk_pipeline.processes.home import SupervisorError
from zk_pipeline.processes.up import Installation, become, run
from zk_pipeline.runtime.environment import Environment
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.runtime.settings import load_settings, spoken

SECONDS_TO_REPORT = 5.0
"""For the versions of Zammad and Kimai, before everything is started."""


def up(
    *,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of Dagster's UI on this machine; default: ZK_PORT.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the output of the processes.")] = False,
) -> None:
    """Start database, web app, and Dagster's code server, web server and daemon, until Ctrl-C."""
    began = time.monotonic()
    with explained():
        embedded = load_settings().database_url is None
    with environment(starts=True) as ready:
        _show_part("database", time.monotonic() - began)
        _hint_at_missing_connectors(ready.runtime)
        _hint_at_missing_users(ready.runtime)
        # What comes later stands in the log of the web app.
        report = connectors.report_in_background(ready.runtime, lambda sentence: _print(f"Hint: {sentence}"))
        report.join(SECONDS_TO_REPORT)
        become(_installation(ready, port=port or ready.runtime.settings.port, verbose=verbose, embedded=embedded))


def serve(ready: Environment, *, port: int, verbose: bool = False, embedded: bool, sign_in: str = "") -> None:
    """Run all processes until Ctrl-C, including the `embedded` database. `sign_in` is shown with the addresses."""
    with explained(SupervisorError):
        run(_installation(ready, port=port, verbose=verbose, embedded=embedded, sign_in=sign_in))


def _installation(ready: Environment, *, port: int, verbose: bool, embedded: bool, sign_in: str = "") -> Installation:
    settings = ready.runtime.settings
    return Installation(
        home=str(ready.home),
        port=port,
        web_host=settings.web_host,
        web_port=settings.web_port,
        log_format=settings.log_format.value,
        language=spoken().value,
        embedded=embedded,
        verbose=verbose,
        sign_in=sign_in,
        variables=ready.variables,
    )


def _hint_at_missing_connectors(runtime: Runtime) -> None:
    for role in ("source", "target"):
        try:
            runtime.stored(role)
        except SetupError as error:
            _print(f"Hint: {error}")


def _hint_at_missing_users(runtime: Runtime) -> None:
    with runtime.database.transaction() as connection:
        _, number = users.list_users(connection, offset=0, limit=1)
    if number == 0 and not runtime.settings.admin_email:
        _print("Hint: Create an admin, nobody can sign in yet: zk users create EMAIL --role admin")


def _show_part(name: str, seconds: float) -> None:
    out.print(f"[green]ok[/]  {name:<12} {seconds:5.1f} s")


def _print(sentence: str) -> None:
    out.print(f"[dim]{escape(said(sentence))}[/]", soft_wrap=True)
