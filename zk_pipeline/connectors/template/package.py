"""Writes the package of a new connector from the files beside this module, as a whole or not at all."""

import os
import re
import tempfile
from collections.abc import Collection, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from string import Template

import zk_pipeline

LONGEST_NAME = 40
"""In characters, as of a connector."""

SUFFIX = ".txt"
"""Of the files in which values are filled in; without it, nobody takes them for modules of the product."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class TemplateError(Exception):
    """The package cannot be written; the message says why and what to do. Nothing was written."""


def write_package(name: str, parent: Path, taken: Collection[str]) -> Path:
    """Write the package of a source of kind `name` into a new folder within `parent`; returns the folder.

    `taken` are the kinds that are installed already. Raises `TemplateError`.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise TemplateError(
            f"{name[:80]!r} cannot be the kind of a connector. Use up to {LONGEST_NAME} lowercase letters and digits, "
            "with single hyphens between them, starting with a letter."
        )
    if name in taken:
        raise TemplateError(f"The kind {name!r} is installed already. Choose another name.")
    values = _values(name)
    folder = parent / values["distribution"]
    if os.path.lexists(folder):
        raise TemplateError(f"{folder} exists already. Remove it, or choose another name or folder.")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=parent) as beside:
            made = Path(beside) / folder.name
            _write(made, values)
            made.rename(folder)
    except OSError as error:
        raise TemplateError(f"{folder} cannot be written: {error.strerror or error}. Choose another folder.") from error
    return folder


def _values(name: str) -> dict[str, str]:
    words = name.split("-")
    stem = "".join(word.capitalize() for word in words)
    return {
        "version": zk_pipeline.__version__,
        "name": name,
        "title": " ".join(word.capitalize() for word in words),
        "stem": stem,
        "connector": f"{stem}Connector",
        "distribution": f"zk-connector-{name}",
        "package": f"zk_connector_{name.replace('-', '_')}",
    }


def _write(folder: Path, values: dict[str, str]) -> None:
    for path, source in _files(files("zk_pipeline.connectors.template").joinpath("files"), PurePosixPath()):
        parts = [values["package"] if part == "package" else part for part in path.parts]
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_text(encoding="utf-8")
        if target.suffix == SUFFIX:
            target, content = target.with_suffix(""), Template(content).substitute(values)
        target.write_text(content, encoding="utf-8")


def _files(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            yield from _files(entry, path / entry.name)
        else:
            yield path / entry.name, entry
