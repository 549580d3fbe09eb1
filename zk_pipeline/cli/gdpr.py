"""`zk gdpr`: export everything stored about a person, and erase it."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.markup import escape

from zk_pipeline.cli.output import (
    AsJson,
    UsageError,
    called,
    confirm,
    environment,
    explained,
    out,
    person,
    show_json,
    show_table,
)
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.languages.places import place
from zk_pipeline.privacy import erasure
from zk_pipeline.privacy.erasure import ErasureLine
from zk_pipeline.runtime.settings import spoken

app = typer.Typer(help="Export what is stored about a person, or erase it.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The person's e-mail address.")]


@app.command("export")
def export(
    email: Email,
    file: Annotated[Path, typer.Argument(metavar="[FILE.zip]", help="The file to write.")] = Path("person.zip"),
) -> None:
    """Export everything stored about a person as a zip file that only you can read."""
    with (
        environment() as ready,
        explained(OperationError),
        erasure.export(ready.runtime, email, person()) as archive,
    ):
        _write(archive, file)
    out.print(f"Written to {escape(str(file))}.")


@app.command("erase")
def erase(
    email: Email,
    *,
    plan_only: Annotated[bool, typer.Option("--plan", help="Show what would be done, without doing it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is removed, pseudonymized and kept, ask, and erase the person. This cannot be undone."""
    with environment() as ready, explained(OperationError):
        plan = erasure.plan_erasure(ready.runtime, email)
        if plan_only or (as_json and not yes):
            show_json(asdict(plan)) if as_json else _show(plan.lines, plan.warnings)
            return
        if not as_json:
            _show(plan.lines, plan.warnings)
        if not yes:
            confirm("Erase this person? It cannot be undone.")
        done = erasure.erase(ready.runtime, email, plan.hash, person())
    if as_json:
        show_json(asdict(done))
        return
    out.print(f"Erased. The person is now called {done.pseudonym}.")


def _write(archive: IO[bytes], file: Path) -> None:
    try:
        file.touch(mode=0o600, exist_ok=False)
        with file.open("wb") as opened:
            shutil.copyfileobj(archive, opened)
    except FileExistsError as error:
        raise UsageError(f"{file} already exists. Choose another file, or remove it.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}. Choose another file.") from error


def _show(lines: Sequence[ErasureLine], warnings: Sequence[str]) -> None:
    rows = [(place(line.table, spoken()), called("privacy.fate", line.fate), line.rows, line.why) for line in lines]
    show_table("What happens to what is stored", ("stored in", "fate", "rows", "why"), rows, right=("rows",))
    for warning in warnings:
        out.print(escape(warning))
