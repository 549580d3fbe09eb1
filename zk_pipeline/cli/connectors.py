"""`zk connectors`: the addresses of all systems, tests of connection and permissions, and the installed kinds."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from zk_pipeline.cli.output import (
    AsJson,
    environment,
    explained,
    out,
    person,
    said,
    show_json,
    show_table,
    styled,
    warn,
)
from zk_pipeline.connectors.checks import Validation
from zk_pipeline.connectors.plugins import installed_kinds
from zk_pipeline.connectors.template.package import TemplateError, write_package
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.operate import connectors
from zk_pipeline.runtime.installation import needing_restart
from zk_pipeline.runtime.runtime import ROLES, Runtime, SetupError, given_connectors
from zk_pipeline.store.connectors import ConnectorRecord

app = typer.Typer(help="Set and test the connections to your systems.", no_args_is_help=True)


@app.command("list")
def list_connectors(*, as_json: AsJson = False) -> None:
    """List the stored connectors, without their tokens."""
    with environment() as ready:
        rows = [
            {"name": row.name, "role": row.role, "kind": row.kind, "base_url": row.base_url}
            for row in connectors.list_connectors(ready.runtime)
            if row.active
        ]
        _warn_of_late_plugins(ready.runtime)
    if as_json:
        show_json(rows)
        return
    show_table("Connectors", ("name", "role", "kind", "address"), [tuple(row.values()) for row in rows])
    if not rows:
        out.print("None yet. Add them: zk connectors set zammad URL, and zk connectors set kimai URL")


@app.command("kinds")
def list_kinds(*, as_json: AsJson = False) -> None:
    """List the installed kinds of connectors, with their packages."""
    kinds = installed_kinds()
    with environment(decided=False) as ready:
        _warn_of_late_plugins(ready.runtime)
    if as_json:
        rows = [
            {"kind": row.kind, "role": row.role, "package": row.package, "problem": row.problem or None}
            for row in kinds
        ]
        show_json(rows)
        return
    columns = ("kind", "role", "package", "problem")
    show_table("Kinds of connectors", columns, [(row.kind, row.role, row.package, row.problem) for row in kinds])
    out.print("To store one: zk connectors set KIND URL. To write one: zk connectors new NAME")


@app.command("set")
def set_connector(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="zammad, kimai, or another installed kind: zk connectors kinds")],
    url: Annotated[str, typer.Argument(help="The address, such as https://support.example.com")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Its name in markers and settings, which never changes; default: its kind.")
    ] = None,
    token: Annotated[str | None, typer.Option(hidden=True, envvar="ZK_CONNECTOR_TOKEN")] = None,
) -> None:
    """Store a connector and use it. The token is encrypted and sent to this address only.

    The token is prompted for, or read from ZK_CONNECTOR_TOKEN or from standard input.
    """
    given_by = context.get_parameter_source("token")
    if given_by is not None and given_by.name == "COMMANDLINE":
        warn(
            "Leave out --token: every account of this machine can see it. The token is prompted for, or read from "
            "ZK_CONNECTOR_TOKEN or from standard input."
        )
    secret = token or _typed_token()
    with environment() as ready:
        with explained(OperationError):
            stored = connectors.put(ready.runtime, person(), kind=kind, base_url=url, token=secret, name=name)
        for sentence in _overruled(ready.runtime, stored):
            warn(sentence)
        _warn_of_late_plugins(ready.runtime)
    out.print("Stored. To test it: zk connectors test")


@app.command("new")
def new_connector(
    name: Annotated[str, typer.Argument(help="The kind of the new connector, such as redmine.")],
    *,
    folder: Annotated[Path, typer.Option("--in", help="Where to write the package; default: here.")] = Path(),
) -> None:
    """Write the package of a new source: it works at once, against a folder of JSON, and is changed step by step."""
    with explained(TemplateError):
        written = write_package(name, folder, [kind.kind for kind in installed_kinds()])
    out.print(f"Written: {written}", markup=False, soft_wrap=True, highlight=False)
    out.print("What to change is marked with FILL IN; README.md there has the steps.")


def _typed_token() -> str:
    if sys.stdin.isatty():
        return typer.prompt(said("Token"), hide_input=True, err=True)
    return sys.stdin.readline().rstrip("\r\n")


def _overruled(runtime: Runtime, stored: ConnectorRecord) -> Iterator[str]:
    """What the next start would use instead of the stored connector."""
    with suppress(SetupError):  # An incomplete one is reported by that start.
        for given in given_connectors(runtime.settings):
            if given.role == stored.role and (given.name, given.base_url) != (stored.name, stored.base_url):
                prefix = f"ZK_{given.kind.upper()}"
                yield (
                    f"Remove {prefix}_URL and {prefix}_TOKEN from the environment and .env: "
                    f"with them, the next start uses {given.base_url} instead."
                )


def _warn_of_late_plugins(runtime: Runtime) -> None:
    for late in needing_restart(runtime):
        warn(f"{late.text} {late.remedy}")


@app.command("test")
def try_connectors(*, as_json: AsJson = False) -> None:
    """Test connection, version and permissions of both systems. Connectors set in the environment are tested first.

    Exit code 1 if something fails.
    """
    with environment() as ready:
        runtime = ready.runtime.as_given()
        validations = {role: connectors.validate_stored(runtime, runtime.stored(role)) for role in ROLES}
    if as_json:
        show_json({role: _plain(validation) for role, validation in validations.items()})
    else:
        for validation in validations.values():
            _show(validation)
    if not all(validation.ok for validation in validations.values()):
        raise typer.Exit(1)


def _show(validation: Validation) -> None:
    title = " · ".join(part for part in (validation.version, validation.account, validation.timezone) if part)
    out.print(f"[bold]{title or said('Not reached')}[/]")
    for finding in validation.findings:
        line = f"{said(finding.subject)}: {said(finding.text)} {said(finding.remedy)}".rstrip()
        out.print(f"  {styled(finding.level)} {line}")


def _plain(validation: Validation) -> dict[str, Any]:
    return {
        "version": validation.version,
        "account": validation.account,
        "timezone": validation.timezone,
        "ok": validation.ok,
        "findings": [
            {"subject": row.subject, "level": row.level, "text": row.text, "remedy": row.remedy}
            for row in validation.findings
        ],
    }
