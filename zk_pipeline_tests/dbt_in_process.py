"""dbt within the process of the tests: starting it and reading the project take four of five seconds of a build."""

import contextlib
import io
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from zk_pipeline.stages import marts

_call = marts.call

MODELS = ("--resource-type", "model")
"""Leaves out dbt's own tests: 130 of 149 steps, and most of the time."""

_options_of_build: list[str] = []


@contextlib.contextmanager
def with_options(*options: str) -> Iterator[None]:
    """Within this block dbt is given these options, too."""
    _options_of_build[:] = options
    try:
        yield
    finally:
        _options_of_build.clear()


def call(
    command: str, arguments: Sequence[str], target: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """The same as `marts.call`, with the project as it was read at first, and without writing the manifest.

    Nobody reads what a build writes of it, and it takes a third of the build of the models.
    """
    if command == "parse":
        return _call(command, arguments, target, environment)
    from dbt.cli.main import dbtRunner  # noqa: PLC0415 (it takes two seconds, and few tests need it)

    arguments = ["--no-use-colors", command, *arguments, *_options_of_build, *_options(target)]
    said = io.StringIO()
    unwritten = patch("dbt.task.runnable.write_manifest")
    with patch.dict(os.environ, environment), contextlib.redirect_stdout(said), unwritten:
        done = dbtRunner(manifest=_manifest_of(environment["PGDATABASE"])).invoke(arguments)
    return subprocess.CompletedProcess(arguments, 0 if done.success else 1, said.getvalue())


def _manifest_of(database: str) -> Any:
    """The project as it was read, with the names of this database, which dbt writes into it."""
    manifest = _manifest()
    for node in (*manifest.nodes.values(), *manifest.sources.values()):
        if node.relation_name:
            node.relation_name = node.relation_name.replace(f'"{node.database}"', f'"{database}"', 1)
        node.database = database
    return manifest


@cache
def _manifest() -> Any:
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        read = dbtRunner().invoke(["--quiet", "parse", *_options(Path(folder))])
    if read.exception is not None:
        raise read.exception
    return read.result


def _options(target: Path) -> list[str]:
    folders = {"--project-dir": marts.FOLDER, "--profiles-dir": marts.FOLDER}
    paths = {**folders, "--target-path": target, "--log-path": target}
    return [str(part) for pair in paths.items() for part in pair]
