"""What the tests of the embedded server share: other processes that use it, and questions to it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

import psycopg
import pytest

from zk_pipeline.runtime.embedded import DatabaseEndpoint, EmbeddedServerError, embedded_server

ROOT = Path(__file__).parents[2]

USER = """
import dataclasses, json, sys
from pathlib import Path
from zk_pipeline.runtime.embedded import EmbeddedServerError, embedded_server
try:
    with embedded_server(Path(sys.argv[1])) as endpoint:
        {inside}
        print(json.dumps(dataclasses.asdict(endpoint)), flush=True)
        sys.stdin.readline()
except EmbeddedServerError as error:
    print(json.dumps(str(error)), flush=True)
"""


class User:
    """Another process that uses the server of a home until it is told to leave, or killed."""

    def __init__(self, home: Path, *, inside: str = "", prefix: tuple[str, ...] = (), **options: Any) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", USER.format(inside=inside), home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
            **options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.leave()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def endpoint(self) -> DatabaseEndpoint:
        answer = self.answer()
        assert isinstance(answer, dict), answer
        return DatabaseEndpoint(**answer)

    def leave(self) -> None:
        self.process.communicate("leave\n", timeout=120)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def ask(endpoint: DatabaseEndpoint, query: LiteralString) -> Any:
    with psycopg.connect(**endpoint.parameters(), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    return row and row[0]


def runs(endpoint: DatabaseEndpoint) -> bool:
    try:
        psycopg.connect(**endpoint.parameters()).close()
    except psycopg.OperationalError:
        return False
    return True


def server_pid(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def refusal(home: Path) -> str:
    with pytest.raises(EmbeddedServerError) as caught, embedded_server(home):
        pass
    assert "ZK_DATABASE_URL" in str(caught.value)
    return str(caught.value)
