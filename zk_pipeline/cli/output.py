"""Shared by all commands: the prepared environment, tables, JSON, and errors as one sentence."""

import json
import os
import pwd
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.languages import translated
from zk_pipeline.runtime.embedded import EmbeddedServerError
from zk_pipeline.runtime.environment import Environment, prepare
from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline.runtime.settings import SettingsError, load_settings, readable_env_file, spoken
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.store.schema import SchemaError
from zk_pipeline.web.console.details import plain
from zk_pipeline.web.console.words import Words

WIDTH = 100
"""Columns of tables and, unless it is a terminal, of all output: they fit a small terminal and a mail."""


def said(text: str) -> str:
    """A text of the product in the language of ZK_LANGUAGE."""
    return translated(text, spoken())


_COLOURS = {Level.PASS: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def styled(level: Level) -> str:
    """What a check came to, in its colour and the language of ZK_LANGUAGE; equally wide for each level."""
    width = max(len(said(each.value)) for each in Level)
    return f"[{_COLOURS[level]}]{said(level.value):<{width}}[/]"


class TerminalWords(Words):
    """The console's words, with days as commands take them and with blanks that every terminal shows."""

    def day(self, day: date) -> str:
        """A day of the calendar."""
        return day.isoformat()

    def instant(self, instant: datetime) -> str:
        """Day and time in the business zone."""
        return f"{instant.astimezone(self.zone):%Y-%m-%d %H:%M}"

    def hours(self, minutes: int | Decimal) -> str:
        """An amount of minutes in hours, to the minute: `28 h 43`."""
        return super().hours(minutes).replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def words() -> TerminalWords:
    """Names of stored codes, amounts and instants in the language of ZK_LANGUAGE and the business zone."""
    return TerminalWords(spoken(), load_settings().zone)


def called(kind: str, code: str | None) -> str:
    """The name of a stored code, such as that of the `reason` `kimai_edited`."""
    return words().known(f"{kind}.{code}", code or "")


class Terminal(Console):
    """Prints texts in the language of ZK_LANGUAGE."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `Console` does."""
        super().print(*(said(each) if isinstance(each, str) else each for each in objects), **options)


out = Terminal(width=None if sys.stdout.isatty() else WIDTH)
err = Terminal(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CsvDialect = Annotated[
    CsvFormat,
    typer.Option("--csv-dialect", help="plain for programs; excel where the decimal mark is a comma."),
]

OPERATOR_ERRORS = (
    ConnectorError,
    DatabaseUnavailableError,
    EmbeddedServerError,
    EncryptionError,
    SchemaError,
    SettingsError,
    SetupError,
)
"""Errors whose message is written for the operator."""


class UsageError(Exception):
    """Wrong usage of a command; the message names the value and the remedy."""


@contextmanager
def explained(*more: type[Exception]) -> Iterator[None]:
    """On an error that the operator can fix, print its message and exit with 1."""
    try:
        yield
    except (*OPERATOR_ERRORS, UsageError, *more) as error:
        fail(str(error))


@contextmanager
def environment(*, decided: bool = True, starts: bool = False) -> Iterator[Environment]:
    """Prepare the environment of a command; SIGTERM ends it like Ctrl-C.

    With `decided`, it fails if a setting that decided stored facts has changed. Commands that store facts set `starts`:
    then the connectors of the environment are stored, and at the first start the time zone is prompted for.
    """
    signal.signal(signal.SIGTERM, _terminate)
    with explained(), prepare(load_settings(), decided=decided, stores=starts) as ready:
        if (readable := readable_env_file()) is not None:
            sentence = f"Run chmod 600 {readable}: every account of this machine can read the secrets in it."
            warn(sentence)
        yield _in_a_zone(ready) if starts else ready


def _in_a_zone(ready: Environment) -> Environment:
    try:
        ready.runtime.require_zone()
    except SetupError:
        if not sys.stdin.isatty():
            raise
    else:
        return ready
    err.print("Your time zone decides on which day a booking counts; it is stored with the data.", soft_wrap=True)
    while True:
        zone = typer.prompt(said("Time zone"), default=ready.runtime.proposed_zone(), err=True).strip()
        try:
            settings = ready.runtime.settings.model_copy(update={"timezone": load_settings(timezone=zone).timezone})
        except SettingsError as error:
            err.print(escape(str(error)), soft_wrap=True)
        else:
            break
    err.print(f"Add ZK_TIMEZONE={zone} to .env, for later starts.", soft_wrap=True)
    os.environ["ZK_TIMEZONE"] = zone  # For Dagster's definitions, in this process and in those of `zk up`.
    runtime = replace(ready.runtime, settings=settings)
    runtime.require_decided()
    return replace(ready, runtime=runtime)


def confirm(question: str) -> None:
    """Ask a question; any answer but y ends the command."""
    typer.confirm(said(question), abort=True)


def fail(sentence: str) -> NoReturn:
    """Print an error and exit with 1."""
    err.print(f"[bold red]{said('Error:')}[/] {escape(said(sentence))}", soft_wrap=True)
    raise typer.Exit(1)


def warn(sentence: str) -> None:
    """Print a warning to standard error."""
    err.print(f"[yellow]{said('Warning:')}[/] {escape(said(sentence))}", soft_wrap=True, highlight=False)


def actor() -> str:
    """The actor at the command line: the operating system account, not what the environment claims."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def person() -> Actor:
    """The same as an `Actor`; whoever can run commands here is an admin."""
    return Actor(actor(), Role.ADMIN)


def show_json(value: Any) -> None:
    """Print one JSON value to standard output."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False, indent=2) + "\n")


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()
) -> None:
    """Print a table of at most `WIDTH` columns. Those in `right` are numbers and never wrap; all others may."""
    numbers = set(right)
    table = Table(
        title=said(title),
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        is_number = column in numbers
        head = said(column).replace(" ", "\n") if is_number else said(column)  # Numbers are narrower than their names.
        table.add_column(head, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    out.print(table, width=min(WIDTH, out.width))


def _cell(value: object) -> str:
    """A value of a table; a single word is a name or a key that commands take, and stays."""
    match value:
        case str():
            return escape(said(value) if " " in value else value)
        case Decimal():
            return f"{value.normalize():f}"
        case bool() | date() | None:
            return plain(words(), value)
        case _:
            return escape(str(value))


def hours(minutes: int | Decimal) -> str:
    """Minutes as people read them, such as `28 h 43`."""
    return words().hours(minutes)


def progress(*, quiet: bool) -> Callable[[str], None]:
    """A function that prints progress to standard error, or nothing if `quiet`."""

    def notify(line: str) -> None:
        if not quiet:
            err.print(f"[dim]{escape(said(line))}[/]")

    return notify


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise SystemExit(128 + number)
