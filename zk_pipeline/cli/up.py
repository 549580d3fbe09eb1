"""`zk up`: start all processes, and stop them together."""

import os
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer
from rich.markup import escape

from zk_pipeline.cli.output import environment, explained, out, said
from zk_pipeline.identity import users
from zk_pipeline.operate import connectors
from zk_pipeline.processes.home import SupervisorError, hold_home
from zk_pipeline.processes.programs import HOST, code_socket, free_port, managed_processes, reachable_url
from zk_pipeline.processes.supervisor import Supervisor, SupervisorListener
from zk_pipeline.runtime.embedded import EmbeddedDatabase
from zk_pipeline.runtime.environment import Environment
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.runtime.settings import load_settings


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
        connectors.report_in_background(ready.runtime, lambda sentence: _print(f"Hint: {sentence}"))
        serve(ready, port=port or ready.runtime.settings.port, verbose=verbose, embedded=embedded)
    out.print("Stopped. Nothing is running any more.")


def serve(ready: Environment, *, port: int, verbose: bool = False, embedded: bool, sign_in: str = "") -> None:
    """Run all processes until Ctrl-C, including the `embedded` database. `sign_in` is shown with the addresses."""
    address, settings = reachable_url(HOST, port), ready.runtime.settings
    web_url = reachable_url(settings.web_host, settings.web_port)
    with explained(SupervisorError), hold_home(ready.home, address) as held:
        _print(f"Starting. The logs are in {ready.home / 'logs'}.")
        with (
            free_port(HOST, port, "--port or ZK_PORT"),
            free_port(settings.web_host, settings.web_port, "ZK_WEB_PORT"),
        ):
            pass  # Held together, to notice one port used for both.
        watchdog = [sys.executable, "-m", "zk_pipeline.processes.watchdog", str(ready.home)]

        def started() -> None:
            _show_addresses(address, web_url, sign_in)
            _notify_service_manager("READY=1")

        stopping = partial(_notify_service_manager, "STOPPING=1")
        listener = SupervisorListener(_print, _show_part, started, stopping, _echo if verbose else None)
        with code_socket(ready.home) as code:
            supervisor = Supervisor(
                held,
                listener,
                watchdog=[*watchdog, *(["--embedded"] if embedded else [])],
                database=EmbeddedDatabase(ready.home) if embedded else None,
                preloads=True,
            )
            supervisor.run(managed_processes(ready.variables, code, port, web_url, settings.log_format))


def _notify_service_manager(state: str) -> None:
    """Report a state such as `READY=1` to systemd, if it started us as a unit of `Type=notify`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, suppress(OSError):
        notify.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        notify.sendall(state.encode())


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


def _show_addresses(dagster: str, web: str, sign_in: str) -> None:
    out.print(f"\nWeb app:      [bold]{web}[/]\nDagster's UI: [bold]{dagster}[/]", soft_wrap=True)
    if sign_in:
        out.print(f"Sign in as:   [bold]{escape(sign_in)}[/]", soft_wrap=True, highlight=False)
    out.print("One sign-in opens both. Press Ctrl-C to stop.", soft_wrap=True)


def _print(sentence: str) -> None:
    out.print(f"[dim]{escape(said(sentence))}[/]", soft_wrap=True)


def _echo(name: str, line: str) -> None:
    out.print(f"[dim]{name:<12}[/] {escape(said(line))}", soft_wrap=True, highlight=False)
