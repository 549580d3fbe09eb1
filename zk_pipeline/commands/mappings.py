"""`zk mappings`: which Kimai user, activity and customer stand for Zammad's, as a file, one by one, or as a list."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from zk_pipeline.commands.console import AsJson, UsageError, actor, environment, explained, out, show_json, show_table
from zk_pipeline.defs.kimai import extraction as kimai
from zk_pipeline.defs.zammad import extraction as zammad
from zk_pipeline.domain.mapping_lines import (
    NOTHING,
    SIZE_LIMIT,
    AnyMapping,
    MappingError,
    Vocabulary,
    read_mappings,
    write_mappings,
)
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.local import Environment
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import mappings as store
from zk_pipeline.store import source as source_rows
from zk_pipeline.store import target as target_rows
from zk_pipeline.store.mappings import Change, Waiting

app = typer.Typer(
    help="Map Zammad's agents, activity types and organizations to Kimai's users, activities and customers.",
    no_args_is_help=True,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import or a single setting changed, or would change; `days` are those that waited for it."""

    mappings: int
    changes: tuple[Change, ...]
    days: tuple[date, ...]
    vocabulary: Vocabulary

    def to_json(self) -> dict[str, Any]:
        """The object that `zk mappings import --json` prints."""
        return {
            "mappings": self.mappings,
            "new": sum(change.before is None for change in self.changes),
            "changed": sum(change.before is not None for change in self.changes),
            "unchanged": self.mappings - len(self.changes),
            "changes": [self._change(change) for change in self.changes],
            "days": [str(day) for day in self.days],
        }

    def _change(self, change: Change) -> dict[str, Any]:
        line = self.vocabulary.line(change.after)
        before = change.before and self.vocabulary.line(change.before).kimai
        return {"kind": line.kind, "zammad": line.zammad, "kimai": line.kimai, "before": before}


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
        outcome = import_content(ready.runtime, _content(file), dry_run=dry_run)
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
        vocabulary = current_vocabulary(ready.runtime)
        with ready.runtime.database.transaction() as connection:
            text = write_mappings(store.every(connection), vocabulary)
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
        outcome = _take_over(ready.runtime, lambda vocabulary: [vocabulary.mapping(kind, zammad_value, kimai_value)])
    if as_json:
        show_json(outcome.to_json())
    else:
        _show_outcome(outcome, dry_run=False)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List what still waits for a mapping, and then the mappings."""
    with environment() as ready:
        runtime = ready.runtime
        vocabulary = stored_vocabulary(runtime) or current_vocabulary(runtime)
        with runtime.database.transaction() as connection:
            waiting = store.waiting(connection, runtime.stored("source").name, runtime.stored("target").name)
            lines = [vocabulary.line(mapping) for mapping in store.every(connection)]
    if as_json:
        show_json(
            {
                "unmapped": _unmapped(waiting),
                "mappings": [
                    {"kind": line.kind, "zammad": line.zammad, "kimai": line.kimai, "known": line.known}
                    for line in lines
                ],
            }
        )
        return
    _show_unmapped(_unmapped(waiting))
    rows = [(line.kind, line.zammad, line.kimai, "" if line.known else "gone: map it anew") for line in lines]
    show_table("Mappings", ("kind", "Zammad", "Kimai", ""), rows)


def import_text(ready: Environment, text: str) -> Outcome:
    """Set the mappings of a file's text. Raises `MappingError`, and the errors of both connectors."""
    return import_content(ready.runtime, text.encode())


def import_content(runtime: Runtime, content: bytes, *, dry_run: bool = False) -> Outcome:
    """Set the mappings of a file's content. Raises `MappingError`, and the errors of both connectors."""
    return _take_over(runtime, lambda vocabulary: read_mappings(content, vocabulary), dry_run=dry_run)


def current_vocabulary(runtime: Runtime) -> Vocabulary:
    """The names of both systems as they are now, read from them and stored."""
    with runtime.source() as source:
        zammad.extract_directory(runtime, source)
    with runtime.target() as target:
        kimai.extract_directory(runtime, target)
    vocabulary = stored_vocabulary(runtime)
    assert vocabulary is not None  # noqa: S101 - both directories were stored just now
    return vocabulary


def stored_vocabulary(runtime: Runtime) -> Vocabulary | None:
    """The names of both systems as they were last read, or `None` before the first time."""
    with runtime.database.transaction() as connection:
        source = source_rows.load_directory(connection, runtime.stored("source").name)
        target = target_rows.load_directory(connection, runtime.stored("target").name)
    return Vocabulary(source, target) if target is not None else None


def _take_over(
    runtime: Runtime, wanted: Callable[[Vocabulary], Sequence[AnyMapping]], *, dry_run: bool = False
) -> Outcome:
    vocabulary = current_vocabulary(runtime)
    mappings = wanted(vocabulary)
    source, target = runtime.stored("source").name, runtime.stored("target").name
    with runtime.database.transaction() as connection:
        if dry_run:
            changes = store.changes(connection, mappings)
            days = store.days_waiting(connection, source, target, [change.after for change in changes])
        else:
            changes, days = store.change(connection, mappings, actor=actor(), source=source, target=target)
    return Outcome(len(mappings), tuple(changes), tuple(days), vocabulary)


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


def _unmapped(waiting: Iterable[Waiting]) -> list[dict[str, Any]]:
    """What lacks a mapping, each with its number of waiting entries, most entries first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in waiting:
        kind, value, name = _lacking(row)
        key = kind, value or name
        line = found.setdefault(key, {"kind": kind, "zammad": value, "name": name, "entries": 0})
        line["entries"] += row.entries
    return sorted(found.values(), key=lambda line: (line["kind"], -line["entries"], line["zammad"]))


def _lacking(row: Waiting) -> tuple[str, str, str]:
    """Kind, value of the zammad column, and name of what the entries lack."""
    match row.reason:
        case Reason.UNMAPPED_USER:
            return "user", row.user_email, row.user_name
        case Reason.UNMAPPED_ACTIVITY:
            return "activity", str(row.type_id or NOTHING), row.type_name or "(no type)"
        case _:
            return "customer", str(row.organization_id or NOTHING), row.organization_name or "(no organization)"


def _show_unmapped(unmapped: Sequence[dict[str, Any]]) -> None:
    if not unmapped:
        out.print("Nothing waits for a mapping.")
        return
    columns = ("kind", "Zammad", "name", "waiting entries", "next step")
    rows = [(line["kind"], line["zammad"], line["name"], line["entries"], _next_step(line)) for line in unmapped]
    show_table("Not mapped", columns, rows, right=("waiting entries",))


def _next_step(line: Mapping[str, Any]) -> str:
    if not line["zammad"]:
        return "give the agent an e-mail in Zammad"
    return f"zk mappings set {line['kind']} {line['zammad']} …"
