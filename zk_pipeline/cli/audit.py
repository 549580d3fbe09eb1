"""`zk audit`: the audit trail."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from zk_pipeline.audit import trail
from zk_pipeline.audit.trail import ExportFormat, TrailFilter
from zk_pipeline.cli.output import AsJson, CsvDialect, UsageError, environment, explained, fail, out, person, show_json
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.store.audit import broken_sentence

app = typer.Typer(help="Verify and export the audit trail.", no_args_is_help=True)


@app.command("verify")
def verify(
    *,
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="NUMBER:HASH", help="An earlier end of the trail, from an alert or a log."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the whole chain against the anchors given and those in ZK_HOME. Exit code 1 if it is broken.

    An anchor is written each night, when a month is closed, and by each backup.
    """
    with environment(decided=False) as ready, explained(OperationError):
        found = trail.verify(ready.runtime, [trail.anchor_of(written) for written in anchor or ()])
    if as_json:
        show_json({"rows": found.rows, "head": found.head, "broken_at": found.broken_at})
    if found.broken_at is not None:
        fail(broken_sentence(found))
    if not as_json:
        out.print(f"{found.rows} rows, unbroken. Anchor: {found.rows}:{found.head}", soft_wrap=True)


@app.command("export")
def export(
    file: Annotated[Path | None, typer.Argument(help="The file to write; default: standard output.")] = None,
    kind: Annotated[ExportFormat, typer.Option("--format", help="CSV for spreadsheets, or JSON lines.")] = (
        ExportFormat.CSV
    ),
    dialect: CsvDialect = CsvFormat.PLAIN,
    event: Annotated[
        str, typer.Option("--event", help="Only events whose name starts like this, such as kimai.timesheet.")
    ] = "",
    actor: Annotated[str, typer.Option("--actor", help="Only events of this actor, such as user:7 or cli:root.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Only events about this, such as booking:17.")] = "",
    run: Annotated[str, typer.Option("--run", help="Only this run.")] = "",
    text: Annotated[str, typer.Option("--text", help="Only rows with this text in event, subject or detail.")] = "",
    since: Annotated[datetime | None, typer.Option("--from", help="Only from this time on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Only before this time, UTC.")] = None,
) -> None:
    """Export the trail, oldest first. Cells that a spreadsheet would run as a formula get an apostrophe."""
    wanted = TrailFilter(event, actor, subject, run, since, until, text)
    with environment(decided=False) as ready, explained(OperationError):
        pieces = trail.export(ready.runtime, person(), wanted, kind, dialect)
        if file is None:
            sys.stdout.writelines(pieces)
            return
        try:
            file.touch(mode=0o600)  # It holds names and IP addresses.
            with file.open("w", encoding="utf-8", newline="") as opened:
                opened.writelines(pieces)
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}. Choose another file.") from error
    out.print(f"Written to {file}.")
