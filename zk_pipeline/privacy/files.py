"""The files that our processes leave in their home: closed to others, and searched for the names of one person.

Left out are databases, which are searched as such, and backups, which hold what they held.
"""

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
    """A file with the lines in it that name the person. What is packed, such as a spreadsheet, is not rewritten."""

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
    """Write the pseudonym into what can be rewritten; what cannot be written is left, and found by the next search."""
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
    """In place, since a process may be writing to it; what that appends meanwhile stays behind it."""
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
    """The lines of what is packed in a file; nothing of one that is broken or has a password."""
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
