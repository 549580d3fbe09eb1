"""Searching and erasing a person in the files of the home, except databases and backups."""

import gzip
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from zk_pipeline.privacy.queries import Search

_OF_DATABASE = "PG_VERSION"
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class MatchingFile:
    """A file and its lines that name the person. Compressed files, such as spreadsheets, are not rewritten."""

    path: Path
    packed: bool
    lines: tuple[str, ...] = field(repr=False)


def find_files(roots: Iterable[Path], without: Iterable[Path], search: Search) -> list[MatchingFile]:
    """The files below `roots`, but not below `without`, that name the person."""
    found: list[MatchingFile] = []
    for path in _files(roots, frozenset(without)):
        with suppress(FileNotFoundError):  # It was removed meanwhile.
            packed = _is_packed(path)
            lines = tuple(line for line in (_unpacked(path) if packed else _lines(path)) if search.finds(line))
            if lines:
                found.append(MatchingFile(path, packed, lines))
    return found


def erase(found: Iterable[MatchingFile], search: Search) -> None:
    """Pseudonymize the files; those that cannot be written are left, and found by the next search."""
    for file in found:
        if not file.packed:
            with suppress(OSError):
                _rewrite(file.path, search)


def _files(roots: Iterable[Path], without: frozenset[Path]) -> Iterator[Path]:
    paths: set[Path] = set()
    for root in roots:
        for folder, folders, names in os.walk(root):
            here = Path(folder)
            folders[:] = [
                name for name in folders if here / name not in without and not (here / name / _OF_DATABASE).exists()
            ]
            paths.update(here / name for name in names)
    yield from sorted(path for path in paths if path.is_file() and not path.is_symlink())


def _rewrite(path: Path, search: Search) -> None:
    """In place, since a process may be appending to the file meanwhile."""
    with path.open("r+b") as file:
        plain = [_text(line) for line in file]
        changed = [search.without(line) if search.finds(line) else line for line in plain]
        appended = file.read()
        file.seek(0)
        file.write("".join(changed).encode("utf-8", "surrogateescape") + appended)
        file.truncate()


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        yield from map(_text, file)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith((_ZIP, _GZIP))


def _unpacked(path: Path) -> Iterator[str]:
    """The lines inside a compressed file; none if it is broken or has a password."""
    with suppress(OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        if not zipfile.is_zipfile(path):
            with gzip.open(path) as file:
                yield from map(_text, file)
            return
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name
                with archive.open(name) as file:
                    yield from map(_text, file)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")
