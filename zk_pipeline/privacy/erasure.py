"""Export of everything stored about a person, and erasure by a plan that is shown first."""

import json
import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from sqlalchemy import Connection

from zk_pipeline.billing import statements
from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.domain.redaction import Erased, PersonIdentifiers, erased_person
from zk_pipeline.identity.actors import Actor, IncompleteError, OperationError, StaleError, UnknownError
from zk_pipeline.identity.throttle import account_hash
from zk_pipeline.privacy import files, queries
from zk_pipeline.privacy.files import MatchingFile
from zk_pipeline.privacy.queries import ACCOUNTS, CHAIN, DETAILS, Replacement, Search
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit, suppression

MEMORY_AT_MOST = 8 * 1024 * 1024
"""Larger exports are built in a temporary file."""

FILES = "files"
"""The name of the home's files in a plan."""

_ADDRESS = re.compile(r"[^\s@\x00]{1,64}@[^\s@\x00]{1,255}")


class Fate(StrEnum):
    """What an erasure does with rows."""

    REMOVED = "removed"
    PSEUDONYMIZED = "pseudonymized"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class ErasureLine:
    """What happens to rows of a table, and why."""

    table: str
    fate: Fate
    rows: int
    why: str


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """What an erasure will do. `hash` covers it; `warnings` are sentences for the person who decides."""

    lines: tuple[ErasureLine, ...]
    warnings: tuple[str, ...]
    hash: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that was carried out, and the pseudonym of the person."""

    pseudonym: str
    lines: tuple[ErasureLine, ...]


REASONS: Mapping[Fate, str] = {
    Fate.REMOVED: "It is about this person only.",
    Fate.PSEUDONYMIZED: "Name, login and e-mail address are replaced; the rest keeps both systems in sync.",
    Fate.KEPT: "Billed minutes, days and numbers, without a name.",
}
SPECIAL_REASONS: Mapping[tuple[str, Fate], str] = {
    ("sync.audit_details", Fate.REMOVED): "Details that name the person; the chain verifies without them.",
    ("sync.audit_logs", Fate.KEPT): (
        "The chain names a number, which no longer identifies anybody. What the person did at the command line stays "
        "under the operating system's account."
    ),
    ("sync.acts", Fate.KEPT): "Requests with a key, under the person's number; deleted after a day.",
    ("kimai.timesheets", Fate.KEPT): "Kimai's time sheets: whether billed ones may be deleted is decided there.",
    ("sync.closed_statements", Fate.PSEUDONYMIZED): (
        "What was billed stays, without the name. The closing keeps the hash of the original beside that of the "
        "pseudonymized statement; the audit trail has both."
    ),
    (FILES, Fate.PSEUDONYMIZED): "Logs of our processes and of Dagster's runs, and other files in ZK_HOME.",
    ("sync.webhook_deliveries", Fate.PSEUDONYMIZED): "The bodies are emptied; the ticket number stays.",
}


@dataclass(frozen=True, slots=True)
class _Person:
    identity: PersonIdentifiers
    keys: queries.Keys
    hashes: Erased
    search: Search
    places: tuple[tuple[Path, ...], tuple[Path, ...]]

    def files(self) -> list[MatchingFile]:
        """The files that name the person."""
        return files.find_files(*self.places, self.search)


def export(runtime: Runtime, email: str, actor: Actor) -> IO[bytes]:
    """A zip file with everything about a person: a JSON file for each table, and a README.

    The caller closes it. Raises `UnknownError` if nothing is stored, `OperationError` for an invalid address.
    """
    address = _address(email)
    file = SpooledTemporaryFile(MEMORY_AT_MOST)  # noqa: SIM115 (the caller closes it)
    with (
        runtime.database.transaction() as connection,
        _dagster_database(runtime) as history,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        person = _person(runtime, connection, address)
        found: dict[str, int] = {}
        for table, rows in _everything(connection, history, person):
            if number := _write(archive, table, rows):
                found[table] = number
        if not found:
            raise _nothing_stored(address)
        archive.writestr("README.txt", _readme(person.identity, found))
        audit.append(connection, [actor.audit_event("privacy.exported", "person", {"rows": found})])
    file.seek(0)
    return file


def plan_erasure(runtime: Runtime, email: str) -> ErasurePlan:
    """What the erasure of a person will do. Raises as `export` does."""
    address = _address(email)
    with runtime.database.transaction() as connection, _dagster_database(runtime) as history:
        return _plan(connection, history, _person(runtime, connection, address))


def erase(runtime: Runtime, email: str, plan_hash: str, actor: Actor) -> Erasure:
    """Carry out the plan that was shown, completely or not at all; later data of the person is pseudonymized too.

    Then everything is searched again. Raises `IncompleteError` if the person is still named somewhere, `StaleError` if
    the plan has changed or the person is the only admin, and what `plan_erasure` raises.
    """
    address = _address(email)
    # Dagster's database is committed first: if ours then fails, the person can be erased again.
    with runtime.database.transaction() as connection, _dagster_database(runtime) as history:
        suppression.one_erasure_at_a_time(connection)
        person = _person(runtime, connection, address)
        plan = _plan(connection, history, person)
        if plan.hash != plan_hash:
            raise StaleError("Look at the plan again: what is stored about this person has changed.")
        if queries.only_admin(connection, person.keys):
            raise StaleError("Make somebody else an admin first: this person is the only one.")
        queries.remove_account(connection, person.keys)
        hashes = statements.intact_hashes(connection)
        queries.prepare_erasure(connection, person.search)
        for column in queries.columns(connection):
            if column.table not in CHAIN:
                queries.apply_replacements(
                    connection, queries.find_replacements(connection, column, person.search, lock=True)
                )
        if history is not None:
            queries.erase_in_dagster(history, person.search)
        queries.remove_details(connection, _details(connection, person), actor.name)
        suppression.remember(connection, person.hashes)
        rows = [{"table": line.table, "fate": line.fate, "rows": line.rows} for line in plan.lines]
        changed = [asdict(one) for one in statements.rehash_after_erasure(connection, hashes)]
        detail = {"plan": rows, "closed_statements": changed}
        audit.append(connection, [actor.audit_event("privacy.erased", person.hashes.pseudonym, detail)])
    files.erase(person.files(), person.search)
    _require_nothing_left(runtime, person, actor)
    return Erasure(person.hashes.pseudonym, plan.lines)


def _require_nothing_left(runtime: Runtime, person: _Person, actor: Actor) -> None:
    """Search both committed databases and the files again."""
    with runtime.database.transaction() as connection, _dagster_database(runtime) as history:
        left = _naming(connection, history, person)
        files = [str(file.path) for file in person.files()]
        if not (left or files):
            return
        detail = {"left": [{"table": table, "rows": rows} for table, rows in left.items()] + files}
        audit.append(connection, [actor.audit_event("privacy.erasure_incomplete", person.hashes.pseudonym, detail)])
    named = f" Files: {', '.join(files)}." if files else ""
    raise IncompleteError(
        "Wait for running runs, remove the files named here, and erase again: the person is still named. "
        f"Rows: {sum(left.values())}.{named} The audit trail says where."
    )


def _address(email: str) -> str:
    address = email.strip().lower()
    if not _ADDRESS.fullmatch(address):
        raise OperationError(f"email={email!r} is not an e-mail address. Write it as name@example.com.", "email")
    return address


def _nothing_stored(address: str) -> UnknownError:
    return UnknownError(
        f"Check the address: nothing is stored about {address}. The person may have another one.", "email"
    )


def _person(runtime: Runtime, connection: Connection, address: str) -> _Person:
    known = queries.find_person(connection, address, account_hash(runtime, address))
    hashes = erased_person(known.identity, suppression.salt(connection))
    home = runtime.settings.home.expanduser().resolve()
    dagster = os.environ.get("DAGSTER_HOME", "")
    roots = (home, *([Path(dagster).resolve()] if dagster else []))
    return _Person(
        known.identity,
        known.keys,
        hashes,
        Search(known.identity, hashes, runtime.cipher),
        (roots, (runtime.settings.backups.expanduser().resolve(),)),
    )


def _everything(
    connection: Connection, history: Connection | None, person: _Person
) -> Iterator[tuple[str, Iterable[Any]]]:
    """The rows about a person by table, of both databases, and the lines of files."""
    for table, searched in queries.tables(connection).items():
        yield table, queries.rows_about(connection, table, searched, person.search, person.keys)
    if history is not None:
        yield from queries.rows_in_dagster(history, person.search)
    yield FILES, ({"file": str(file.path), "lines": file.lines} for file in person.files())


@contextmanager
def _dagster_database(runtime: Runtime) -> Iterator[Connection | None]:
    """A transaction on Dagster's database, if its address is known."""
    url = runtime.settings.dagster_url
    if url is None:
        yield None
        return
    with queries.dagsters_database(url.get_secret_value()) as connection:
        yield connection


def _plan(connection: Connection, history: Connection | None, person: _Person) -> ErasurePlan:
    belonging = queries.count_owned(connection, person.keys)
    files = person.files()
    naming = _naming(connection, history, person)
    counted = [
        *((table, Fate.REMOVED, belonging.get(table, 0)) for table in ACCOUNTS),
        (DETAILS, Fate.REMOVED, naming.get(DETAILS, 0)),
        *((table, Fate.PSEUDONYMIZED, rows) for table, rows in naming.items() if table not in (*CHAIN, *ACCOUNTS)),
        (FILES, Fate.PSEUDONYMIZED, sum(not file.packed for file in files)),
        *((table, Fate.KEPT, number) for table, number in belonging.items() if table not in ACCOUNTS),
    ]
    lines = tuple(
        ErasureLine(table, fate, rows, SPECIAL_REASONS.get((table, fate), REASONS[fate]))
        for table, fate, rows in counted
        if rows
    )
    if not lines:
        raise _nothing_stored(person.identity.email)
    shown = [asdict(line) for line in lines]
    warnings = tuple(_warnings(connection, history, person, [file.path for file in files if file.packed]))
    return ErasurePlan(lines, warnings, stable_hash([person.identity.email, shown]))


def _naming(connection: Connection, history: Connection | None, person: _Person) -> dict[str, int]:
    """The number of rows that name the person, by table of both databases."""
    places: dict[str, set[str]] = defaultdict(set)
    for column in queries.columns(connection):
        places[column.table] |= {
            change.place for change in queries.find_replacements(connection, column, person.search)
        }
    ours = {table: len(found) for table, found in places.items() if found}
    return ours if history is None else ours | queries.count_in_dagster(history, person.search)


def _details(connection: Connection, person: _Person) -> list[Replacement]:
    """The details in the audit trail that name the person."""
    (column,) = (column for column in queries.columns(connection) if (column.table, column.name) == (DETAILS, "detail"))
    return queries.find_replacements(connection, column, person.search)


def _warnings(
    connection: Connection, history: Connection | None, person: _Person, packed: Sequence[Path]
) -> Iterable[str]:
    if queries.is_active_agent(connection, person.keys):
        yield (
            "Remove this person in Zammad and Kimai as well: Zammad lists them as active, and later bookings are "
            "stored under the pseudonym."
        )
    if queries.only_admin(connection, person.keys):
        yield "Make somebody else an admin first: the only admin cannot be erased."
    yield (
        "The audit chain never changes: if the person's operating system account is their name, it still names that "
        "account, and so do decisions and closings made at the command line."
    )
    for path in packed:
        yield f"Remove {path}, or the erasure will be incomplete: it names this person and cannot be rewritten."
    if history is None:
        yield "Set ZK_DAGSTER_URL: without it, Dagster's history is left out."
    yield "Zammad, Kimai and backups are not touched (docs/privacy.md)."


def _write(archive: zipfile.ZipFile, table: str, rows: Iterable[Any]) -> int:
    """Stream the rows as a JSON list; returns their number. Writes no file for none."""
    listed = iter(rows)
    first = next(listed, None)
    if first is None:
        return 0
    number = 1
    with archive.open(f"{table.replace('.', '/')}.json", "w") as file:
        file.write(b"[\n" + _json(first))
        for row in listed:
            file.write(b",\n" + _json(row))
            number += 1
        file.write(b"\n]\n")
    return number


def _json(row: Any) -> bytes:
    return json.dumps(row, ensure_ascii=False, indent=2, default=str).encode()


def _readme(identity: PersonIdentifiers, found: Mapping[str, int]) -> str:
    names: Sequence[str] = sorted(identity.names | identity.logins)
    lines = [f"  {table.replace('.', '/')}.json: {number}" for table, number in found.items()]
    return "\n".join(
        (
            f"Everything that zk_pipeline stores about {identity.email} ({', '.join(names) or 'no name is known'}).",
            "",
            "Each file holds the rows of one table as JSON: those that name the person, and those that belong to them",
            "by their id in Zammad, Kimai or here. zammad/ and kimai/ are copies from these systems, sync/ is what was",
            "made of them. Times are in UTC. Passwords and tokens are left out.",
            "",
            "Rows by file:",
            *lines,
            "",
        )
    )
