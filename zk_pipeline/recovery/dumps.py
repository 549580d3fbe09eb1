"""Backups: PostgreSQL dumps of both databases in one encrypted file with a manifest at its end, and restoring them.

The dumps are taken one after the other, Dagster's first. Each is consistent in itself, and nothing in Kimai depends on
both: time sheets written after a backup are found by their markers.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, make_url

from zk_pipeline.recovery.databases import BackupError, require_free, restoring_database, swap_in
from zk_pipeline.recovery.encrypted_file import EncryptedWriter, decrypted
from zk_pipeline.runtime.embedded_programs import program

PURPOSE = "backup"
"""The purpose for which the cipher's keys are derived."""

SUFFIX = ".zkbackup"
_PREFIX = "zk-"
_PARTIAL = "zk-partial-"
_PARTIAL_KEPT = timedelta(days=1)
_STAMP = "%Y%m%dT%H%M%SZ"
MANIFEST = "manifest"

_CHUNK = 1 << 20
_LINE = 1 << 16
_NEWER_SETTING = 'unrecognized configuration parameter "transaction_timeout"'
"""Our client sets it first of all; servers before 17 do not know it."""

_SECRET_FREE = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Dump:
    """The dump of one database in a backup: size in bytes and SHA-256."""

    database: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """The content of a backup; `facts`: version, schema revision, end of the audit chain, row counts."""

    created_at: datetime
    dumps: tuple[Dump, ...]
    facts: Mapping[str, Any]


def back_up(
    databases: Mapping[str, str], directory: Path, key: bytes, facts: Mapping[str, Any], snapshots: Mapping[str, str]
) -> Path:
    """Dump the databases (name to URL) into a new encrypted file, which is renamed once it is complete.

    `snapshots` has the exported snapshots in which the facts were read, by database. Raises `BackupError`.
    """
    created_at = datetime.now(UTC)
    target = directory / f"{_PREFIX}{created_at:{_STAMP}}{SUFFIX}"
    with (
        _explained(directory),
        tempfile.NamedTemporaryFile(dir=_private(directory), prefix=_PARTIAL, delete=False) as file,
    ):
        try:
            writer = EncryptedWriter(file, key)
            dumps = tuple(_dump(name, url, writer, snapshots.get(name)) for name, url in databases.items())
            manifest = {"created_at": created_at.isoformat(), "dumps": [asdict(dump) for dump in dumps], "facts": facts}
            _write_part(writer, MANIFEST, json.dumps(manifest).encode())
            writer.finish()
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return target


def examine(path: Path, keys: Sequence[bytes]) -> BackupManifest:
    """Read a whole backup and compare all checksums. Raises `BackupError` and `BrokenFileError`."""
    with _opened(path) as file:
        return _read(file, keys, path.name)


def restore(
    path: Path,
    keys: Sequence[bytes],
    databases: Mapping[str, str],
    finish: Callable[[BackupManifest, Mapping[str, str]], None],
    *,
    replace: bool = False,
) -> None:
    """Restore a backup into these databases (name to URL); their old content stays until everything is restored.

    The whole file is verified first. A database that is not empty is refused without `replace`, one with connections in
    any case. The dumps are restored into scratch databases, which are passed to `finish` (name to URL) and then swapped
    in. Raises `BackupError` and `BrokenFileError`.
    """
    manifest = _examined(path, keys, databases)
    for url in databases.values():
        require_free(url, replace=replace)
    with ExitStack() as stack:
        beside = {name: stack.enter_context(restoring_database(url)) for name, url in databases.items()}
        _load_all(path, keys, beside)
        finish(manifest, beside)
        swap_in({databases[name]: url for name, url in beside.items()})


def load(path: Path, keys: Sequence[bytes], databases: Mapping[str, str]) -> BackupManifest:
    """Load the dumps of a backup into these empty databases (name to URL). Raises as `restore` does."""
    manifest = _examined(path, keys, databases)
    _load_all(path, keys, databases)
    return manifest


def list_backups(directory: Path) -> list[Path]:
    """The backups in a directory, oldest first."""
    return sorted(directory.glob(f"{_PREFIX}*{SUFFIX}"))


def expire(directory: Path, days: int, now: datetime) -> list[Path]:
    """Remove backups older than `days`, but never the newest; returns the removed files.

    Partial files of killed backups are removed after a day.
    """
    *older, _newest = list_backups(directory) or [directory]
    expired = [path for path in older if (made := _made_at(path)) is not None and made < now - timedelta(days=days)]
    untouched_since = (now - _PARTIAL_KEPT).timestamp()
    left = [path for path in directory.glob(f"{_PARTIAL}*") if path.stat().st_mtime < untouched_since]
    gone = expired + left
    for path in gone:
        path.unlink()
    return gone


def _examined(path: Path, keys: Sequence[bytes], databases: Mapping[str, str]) -> BackupManifest:
    manifest = examine(path, keys)
    if missing := databases.keys() - {dump.database for dump in manifest.dumps}:
        raise BackupError(f"{path.name} has no dump of {', '.join(sorted(missing))}. Use another backup.")
    return manifest


def _load_all(path: Path, keys: Sequence[bytes], databases: Mapping[str, str]) -> None:
    with _opened(path) as file:
        for part, chunks in _parts(_Stream(decrypted(file, keys, path.name))):
            if part in databases:
                _load(databases[part], chunks)
            else:
                _skip(chunks)


def _dump(name: str, url: str, writer: EncryptedWriter, snapshot: str | None) -> Dump:
    """Dump one database directly into the encrypted file, without unencrypted temporary files."""
    digest, size = hashlib.sha256(), 0
    _write_line(writer, {"part": name})
    options = ("--format=custom", "--no-owner", "--no-privileges", *([f"--snapshot={snapshot}"] if snapshot else []))
    with _program("pg_dump", url, *options) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        while chunk := process.stdout.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            _write_line(writer, {"bytes": len(chunk)})
            writer.write(chunk)
    _write_line(writer, {"end": name})
    return Dump(name, size, digest.hexdigest())


def _write_part(writer: EncryptedWriter, name: str, content: bytes) -> None:
    _write_line(writer, {"part": name})
    _write_line(writer, {"bytes": len(content)})
    writer.write(content)
    _write_line(writer, {"end": name})


def _write_line(writer: EncryptedWriter, value: Mapping[str, Any]) -> None:
    writer.write(json.dumps(value).encode() + b"\n")


def _read(file: IO[bytes], keys: Sequence[bytes], name: str) -> BackupManifest:
    """Read all parts and compare them with the manifest."""
    found: dict[str, tuple[int, str]] = {}
    text = bytearray()
    for part, chunks in _parts(_Stream(decrypted(file, keys, name))):
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            text += chunk if part == MANIFEST else b""
        found[part] = (size, digest.hexdigest())
    if not text:
        raise BackupError(f"{name} has no manifest. Use another backup.")
    stored = json.loads(text)
    dumps = tuple(Dump(**dump) for dump in stored["dumps"])
    for dump in dumps:
        if found.get(dump.database) != (dump.size, dump.sha256):
            raise BackupError(f"{name}: the dump of {dump.database} does not match its checksum. Use another backup.")
    return BackupManifest(datetime.fromisoformat(stored["created_at"]), dumps, stored["facts"])


def _load(url: str, chunks: Iterator[bytes]) -> None:
    """Load one dump into an empty database, which is of use only if this succeeds."""
    with _program("pg_restore", url, "--no-owner", stdin=True) as process:
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        try:
            for chunk in chunks:
                process.stdin.write(chunk)
        except BrokenPipeError:  # It has failed; its last message says why.
            _skip(chunks)


def _skip(chunks: Iterator[bytes]) -> None:
    deque(chunks, maxlen=0)


class _Stream:
    """Reads lines and blocks from a stream of chunks."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._held = bytearray()

    def line(self) -> bytes:
        """The next line, empty at the end."""
        while (end := self._held.find(b"\n")) < 0:
            if len(self._held) > _LINE or not self._more():
                return b""
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return line

    def take(self, size: int) -> bytes:
        """`size` bytes, or fewer at the end."""
        while len(self._held) < size and self._more():
            pass
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def _more(self) -> bool:
        part = next(self._parts, None)
        if part is None:
            return False
        self._held += part
        return True


def _parts(stream: _Stream) -> Iterator[tuple[str, Iterator[bytes]]]:
    while line := stream.line():
        yield json.loads(line)["part"], _chunks(stream)


def _chunks(stream: _Stream) -> Iterator[bytes]:
    while "bytes" in (header := json.loads(stream.line() or b"{}")):
        yield stream.take(header["bytes"])


@contextmanager
def _program(name: str, url: str, *options: str, stdin: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client program. Raises `BackupError` with its last message if it fails."""
    parsed = make_url(url)
    password = {"PGPASSWORD": parsed.password} if parsed.password else {}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [program(name), "-d", _without_password(parsed), *options],
            env=_SECRET_FREE | password,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            process.communicate()
        errors.seek(0)
        if process.returncode and (reason := _reason(errors.read().decode(errors="replace"))):
            raise BackupError(f"{name} failed on the database {parsed.database}: {reason}.")


def _reason(messages: str) -> str:
    """The first error that a client program wrote; empty if a setting that an older server lacks was the only one."""
    lines = [line for line in messages.splitlines() if line.strip()]
    failures = [line for line in lines if " error: " in line]
    if failures and all(line.endswith(_NEWER_SETTING) for line in failures):
        return ""
    return next((line for line in failures if not line.endswith(_NEWER_SETTING)), lines[-1] if lines else "no message")


def _without_password(url: URL) -> str:
    """The URL for a command line, which others can see; the password is passed in the environment."""
    plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    return plain.render_as_string()


def _private(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


def _made_at(path: Path) -> datetime | None:
    try:
        return datetime.strptime(path.name, f"{_PREFIX}{_STAMP}{SUFFIX}").replace(tzinfo=UTC)
    except ValueError:  # Not one of our files.
        return None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with _explained(path), path.open("rb") as file:
        yield file


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(
            f"Choose another place than {path}, or make room there: {error.strerror or error}."
        ) from error
