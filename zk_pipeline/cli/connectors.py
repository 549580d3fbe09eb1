"""`zk connectors`: the addresses of both systems, and tests of connection and permissions."""

from typing import Annotated, Any

import typer

from zk_pipeline.cli.output import AsJson, environment, explained, out, person, said, show_json, show_table, styled
from zk_pipeline.connectors.checks import Validation
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.operate import connectors
from zk_pipeline.runtime.runtime import ROLES

app = typer.Typer(help="Set and test the connections to Zammad and Kimai.", no_args_is_help=True)


@app.command("list")
def list_connectors(*, as_json: AsJson = False) -> None:
    """List the stored connectors, without their tokens."""
    with environment() as ready:
        rows = [
            {"name": row.name, "role": row.role, "kind": row.kind, "base_url": row.base_url}
            for row in connectors.list_connectors(ready.runtime)
            if row.active
        ]
    if as_json:
        show_json(rows)
        return
    show_table("Connectors", ("name", "role", "kind", "address"), [tuple(row.values()) for row in rows])
    if not rows:
        out.print("None yet. Add them: zk connectors set zammad URL, and zk connectors set kimai URL")


@app.command("set")
def set_connector(
    kind: Annotated[str, typer.Argument(help="zammad, kimai, or an installed plug-in")],
    url: Annotated[str, typer.Argument(help="The address, such as https://support.example.com")],
    token: Annotated[
        str,
        typer.Option(prompt=True, hide_input=True, envvar="ZK_CONNECTOR_TOKEN", help="Prompted for if not given."),
    ],
) -> None:
    """Store a connector. The token is encrypted and sent to this address only."""
    with environment() as ready, explained(OperationError):
        connectors.put(ready.runtime, person(), kind=kind, base_url=url, token=token)
    out.print("Stored. To test it: zk connectors test")


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
