"""`zk mappings`: map Zammad's agents, activity types and organizations to Kimai, by file or one by one."""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from zk_pipeline.cli.output import (
    AsJson,
    CsvDialect,
    UsageError,
    environment,
    err,
    explained,
    out,
    person,
    said,
    show_json,
    show_table,
)
from zk_pipeline.decisions import mappings
from zk_pipeline.decisions.mapping_files import SIZE_LIMIT
from zk_pipeline.decisions.mappings import MappingChanges, UnmappedItem
from zk_pipeline.domain.mapping_lines import MappingError
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.identity.actors import OperationError

app = typer.Typer(
    help="Map Zammad's agents, activity types and organizations to Kimai's users, activities and customers.",
    no_args_is_help=True,
)

Shared = Annotated[bool, typer.Option("--shared", help="Allow several agents to share one Kimai user.")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with the columns kind,zammad,kimai.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, without changing it.")] = False,
    shared: Shared = False,
    as_json: AsJson = False,
) -> None:
    """Import the mappings of a file: all lines, or none if one is wrong.

    activity: a Zammad activity type, - for bookings without type, or TYPE@ORGANIZATION; then a Kimai activity.

    user: a Zammad agent, by e-mail, login or name; then a Kimai user, by user name or e-mail.

    customer: a Zammad organization, or - for tickets without one; then a Kimai customer, or new to create one.

    Names and ids both work; id:7 is always an id. A bare number is refused if it is ambiguous.
    """
    with environment() as ready, explained(MappingError):
        outcome = mappings.import_content(ready.runtime, person(), _content(file), dry_run=dry_run, shared=shared)
    if as_json:
        show_json({**outcome.to_json(), "dry_run": dry_run})
    else:
        _show_outcome(outcome, dry_run=dry_run)


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Default: standard output.")] = None,
    *,
    dialect: CsvDialect = CsvFormat.PLAIN,
) -> None:
    """Export all mappings in the format that `import` reads: ids, with names for reading."""
    with environment() as ready, explained():
        text = mappings.export_csv(ready.runtime, dialect)
        if file is None:
            sys.stdout.write(text)
            return
        try:
            file.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}. Choose another file.") from error


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="activity, user or customer.")],
    zammad_value: Annotated[str, typer.Argument(metavar="ZAMMAD", help="Type, agent or organization; or -.")],
    kimai_value: Annotated[str, typer.Argument(metavar="KIMAI", help="Activity, user or customer; or new.")],
    *,
    shared: Shared = False,
    as_json: AsJson = False,
) -> None:
    """Set one mapping. The values are those of a line in an import file."""
    with environment() as ready, explained(MappingError):
        outcome = mappings.set_one(ready.runtime, person(), kind, zammad_value, kimai_value, shared=shared)
    if as_json:
        show_json(outcome.to_json())
    else:
        _show_outcome(outcome, dry_run=False)


@app.command("unset", context_settings={"ignore_unknown_options": True})
def unset(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="activity, user or customer.")],
    zammad_value: Annotated[str, typer.Argument(metavar="ZAMMAD", help="Type, agent or organization; or -.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Remove one mapping, and request the days that used it."""
    with environment() as ready, explained(MappingError, OperationError):
        line, days = mappings.unset(ready.runtime, person(), kind, zammad_value)
    if as_json:
        show_json({"kind": line.kind, "zammad": line.zammad, "kimai": line.kimai, "days": [str(day) for day in days]})
        return
    out.print(f"Removed: {line.kind} {line.zammad}, mapped to {line.kimai}.", markup=False, soft_wrap=True)
    _show_days("Days that used it", days, dry_run=False)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List what still lacks a mapping, then the mappings."""
    with environment() as ready:
        lacking = mappings.unmapped(ready.runtime)
        lines = mappings.every(ready.runtime)
    if as_json:
        show_json(
            {
                "unmapped": [
                    {"kind": row.kind, "zammad": row.zammad, "name": row.name, "entries": row.entries}
                    for row in lacking
                ],
                "mappings": [
                    {"kind": line.kind, "zammad": line.zammad, "kimai": line.kimai, "known": line.known}
                    for line in lines
                ],
            }
        )
        return
    _show_unmapped(lacking)
    rows = [
        (line.kind, line.zammad, line.kimai, "" if line.known else "no longer exists: map it again, or unset it")
        for line in lines
    ]
    show_table("Mappings", ("kind", "Zammad", "Kimai", ""), rows)


def _content(file: Path) -> bytes:
    """The file, or enough of it to see that it is too large."""
    try:
        with file.open("rb") as stream:
            return stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}. Name a CSV file.") from error


def _show_outcome(outcome: MappingChanges, *, dry_run: bool) -> None:
    counts = outcome.to_json()
    if outcome.changes:
        rows = [(row["kind"], row["zammad"], row["kimai"], row["before"]) for row in counts["changes"]]
        title = "Would change" if dry_run else "Changed"
        show_table(title, ("kind", "Zammad", "Kimai", "Kimai before"), rows)
    headline = said(f"{counts['new']} new, {counts['changed']} changed, {counts['unchanged']} unchanged")
    unwritten = said(" (nothing was written: --dry-run)") if dry_run else ""
    out.print(f"[bold]{headline}{unwritten}[/]")
    _show_days("Days that waited for this", outcome.days, dry_run=dry_run)
    for warning in outcome.warnings:
        err.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def _show_days(title: str, days: Sequence[date], *, dry_run: bool) -> None:
    if not days:
        return
    asked = "An import without --dry-run requests them."
    if not dry_run:
        asked = f"They are requested; to run them now: zk sync --from {days[0]} --to {days[-1]}"
    out.print(f"{title}: {len(days)}. {asked}", markup=False, soft_wrap=True)


def _show_unmapped(lacking: Sequence[UnmappedItem]) -> None:
    if not lacking:
        out.print("Everything is mapped.")
        return
    columns = ("kind", "Zammad", "name", "waiting entries", "next step")
    rows = [
        (row.kind, row.zammad, row.name, row.entries, f"zk mappings set {row.kind} {quote(row.zammad)} …")
        for row in lacking
    ]
    show_table("Not mapped", columns, rows, right=("waiting entries",))
