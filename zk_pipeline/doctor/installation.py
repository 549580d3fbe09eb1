"""What the examinations look at; what several of them need is read once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path

from zk_pipeline.connectors.base import SourceConnector, TargetConnector
from zk_pipeline.connectors.checks import Validation
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.mapping import Resolver
from zk_pipeline.domain.records import TargetDirectory
from zk_pipeline.runtime import Role, Runtime, SetupError
from zk_pipeline.store import connections, mappings, source
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.store.entries import entries_of_day

DAYS = 62
"""How far back bookings are looked at, today included."""

SYSTEMS: dict[Role, str] = {"source": "Zammad", "target": "Kimai"}


class NotReachedError(Exception):
    """A system that an examination needs is not reached; its own examination says why."""

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__(system)


@dataclass(frozen=True)
class Installation:
    """One installation at one moment."""

    runtime: Runtime
    home: Path
    now: datetime

    @classmethod
    def present(cls, runtime: Runtime, home: Path) -> "Installation":
        """The installation now."""
        return cls(runtime, home, datetime.now(UTC))

    @property
    def today(self) -> date:
        """The day in the business zone."""
        return local_day(self.now, self.runtime.settings.zone)

    @cached_property
    def source_name(self) -> str:
        """The name of the source connector, whose token need not be readable. Raises `NotReachedError` without one."""
        with self.runtime.database.transaction() as connection:
            names = [row.name for row in connections.every(connection) if row.active and row.role == "source"]
        names = [each.name for each in self.runtime.tried if each.role == "source"] + names
        if not names:
            raise NotReachedError(SYSTEMS["source"])
        return names[0]

    @cached_property
    def source(self) -> Validation:
        """What the source connector says. Raises `SetupError` and the cipher's errors."""
        with self.runtime.source() as connector:
            return connector.validate()

    @cached_property
    def target(self) -> Validation:
        """What the target connector says. Raises `SetupError` and the cipher's errors."""
        with self.runtime.target() as connector:
            return connector.validate()

    @contextmanager
    def reached_source(self) -> Iterator[SourceConnector]:
        """The source connector. Raises `NotReachedError`."""
        self._require("source")
        with self.runtime.source() as connector:
            yield connector

    @contextmanager
    def reached_target(self) -> Iterator[TargetConnector]:
        """The target connector. Raises `NotReachedError`."""
        self._require("target")
        with self.runtime.target() as connector:
            yield connector

    @cached_property
    def directory(self) -> TargetDirectory:
        """Users, activities and the rest as the target has them now. Raises `NotReachedError`."""
        with self.reached_target() as connector:
            return connector.fetch_directory()

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The stored entries of the last days."""
        days = (self.today - timedelta(days=back) for back in range(DAYS))
        with self.runtime.database.transaction() as connection:
            return tuple(entry for day in days for entry in entries_of_day(connection, self.source_name, day))

    @cached_property
    def resolver(self) -> Resolver:
        """Finds users and activities as a run would now. Raises `NotReachedError`."""
        with self.runtime.database.transaction() as connection:
            known = mappings.load(connection)
            origin = source.load_directory(connection, self.source_name)
        return Resolver(self.directory, known, self.runtime.settings.policy, origin)

    def _require(self, role: Role) -> None:
        try:
            validation = self.source if role == "source" else self.target
        except (SetupError, EncryptionError) as error:
            raise NotReachedError(SYSTEMS[role]) from error
        if validation.account is None:
            raise NotReachedError(SYSTEMS[role])
