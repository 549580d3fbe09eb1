"""The folder of CSV files: read as it is now, and every problem a typed error."""

import csv
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from zk_pipeline.connectors.contract import Endpoint, RequestCounts
from zk_pipeline.connectors.errors import ProtocolError, UnavailableError

Line = dict[str, str]
Value = TypeVar("Value")


class Folder:
    """The files at an address such as `file:///srv/bookings`; counts what it reads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._system, self._address = endpoint.name, urlsplit(endpoint.base_url)
        self._path = Path(unquote(self._address.path))
        self._counting = threading.Lock()
        self._reads = 0

    @property
    def requests(self) -> RequestCounts:
        """How often a file was read."""
        with self._counting:
            return RequestCounts(self._reads, 0)

    def read(self, name: str, parse: Callable[[Line], Value]) -> list[Value]:
        """Every line of a file; what cannot be parsed raises `ProtocolError` with its number and what is wrong."""
        with self._counting:
            self._reads += 1
        rows = csv.DictReader(io.StringIO(self._text(name)), strict=True)
        try:
            return [parse(line) for line in rows]
        except (csv.Error, KeyError, ValueError, TypeError) as error:
            raise ProtocolError(
                f"Line {rows.line_num} cannot be read: {type(error).__name__} {error}.",
                system=self._system,
                method="READ",
                path=name,
                remedy="Correct the line.",
            ) from error

    def _text(self, name: str) -> str:
        with self._usable(name):
            return (self._path / name).read_text(encoding="utf-8-sig")

    @contextmanager
    def _usable(self, name: str) -> Iterator[None]:
        try:
            if self._address.scheme != "file":
                raise FileNotFoundError(0, "the address does not begin with file://")
            yield
        except (OSError, UnicodeDecodeError) as error:
            raise UnavailableError(
                f"The file cannot be used: {getattr(error, 'strerror', None) or error}.",
                system=self._system,
                method="READ",
                path=name,
                remedy="Look whether the folder is mounted, and whether our account may use it.",
            ) from error
