"""`zk mappings`: which Kimai user, activity and customer stand for Zammad's, as a file, one by one, or as a list."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from zk_pipeline.commands.console import (
    AsJson,
    UsageError,
    environment,
    explained,
    out,
    person,
    show_json,
    show_table,
)
from zk_pipeline.domain.mapping_lines import SIZE_LIMIT, MappingError
from zk_pipeline.operations import mappings
from zk_pipeline.operations.mappings import Lacking, Outcome

app = typer.Typer(
    help="Map Zammad's agents, activity types and organizations to Kimai's users, activities and customers.",
    no_args_is_help=True,
)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with the columns kind,zammad,kimai.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set the mappings of a file: all of its lines, or none if one of them is wrong.

    activity: a Zammad activity type, or - for entries without one, or TYPE@ORGANIZATION; and a Kimai activity.

    user: an agent's e-mail in Zammad; and a Kimai user.

    customer: a Zammad organization, or - for tickets without one; and a Kimai customer, or new for one of its own.

    Names and ids both work; id:7 is always an id.
    """
    with environment() as ready, explained(MappingError):
        outcome = mappings.import_content(ready.runtime, person(), _content(file), dry_run=dry_run)
    if as_json:
        show_json({**outcome.to_json(), "dry_run": dry_run})
    else:
        _show_outcome(outcome, dry_run=dry_run)


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Standard output by default.")] = None,
) -> None:
    """Write all mappings in the format that `import` reads."""
    with environment() as ready, explained():
        text = mappings.exported(ready.runtime)
        if file is None:
            sys.stdout.write(text)
            return
        try:
            file.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}. Choose another place.") from error


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="activity, user or customer.")],
    zammad_value: Annotated[str, typer.Argument(metavar="ZAMMAD", help="Type, e-mail or organization; or -.")],
    kimai_value: Annotated[str, typer.Argument(metavar="KIMAI", help="Activity, user or customer; or new.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Set one mapping; the values are those of a line in an import."""
    with environment() as ready, explained(MappingError):
        outcome = mappings.set_one(ready.runtime, person(), kind, zammad_value, kimai_value)
    if as_json:
        show_json(outcome.to_json())
    else:
        _show_outcome(outcome, dry_run=False)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List what still waits for a mapping, and then the mappings."""
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
    rows = [(line.kind, line.zammad, line.kimai, "" if line.known else "gone: map it anew") for line in lines]
    show_table("Mappings", ("kind", "Zammad", "Kimai", ""), rows)


def _content(file: Path) -> bytes:
    """The file, or as much of it as shows that it is too large."""
    try:
        with file.open("rb") as stream:
            return stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}. Name a CSV file.") from error


def _show_outcome(outcome: Outcome, *, dry_run: bool) -> None:
    counts = outcome.to_json()
    if outcome.changes:
        rows = [(row["kind"], row["zammad"], row["kimai"], row["before"]) for row in counts["changes"]]
        title = "Would change" if dry_run else "Changed"
        show_table(title, ("kind", "Zammad", "Kimai", "Kimai before"), rows)
    headline = f"{counts['new']} new, {counts['changed']} changed, {counts['unchanged']} unchanged"
    out.print(f"[bold]{headline}{' (nothing was written: --dry-run)' if dry_run else ''}[/]")
    if outcome.days:
        first, last = outcome.days[0], outcome.days[-1]
        span = f"zk sync --from {first} --to {last}"
        out.print(f"Days that waited for this: {len(outcome.days)}. They are asked for; to run them now: {span}")


def _show_unmapped(lacking: Sequence[Lacking]) -> None:
    if not lacking:
        out.print("Nothing waits for a mapping.")
        return
    columns = ("kind", "Zammad", "name", "waiting entries", "next step")
    rows = [(row.kind, row.zammad, row.name, row.entries, _next_step(row)) for row in lacking]
    show_table("Not mapped", columns, rows, right=("waiting entries",))


def _next_step(row: Lacking) -> str:
    if not row.zammad:
        return "give the agent an e-mail in Zammad"
    return f"zk mappings set {row.kind} {row.zammad} …"
