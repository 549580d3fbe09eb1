"""Running examinations one by one, what they look at, and the report that they make."""

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.connectors.contract import SourceConnector, TargetConnector
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.mapping import Resolver
from zk_pipeline.domain.records import TargetDirectory
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.runtime.runtime import Role, Runtime, SetupError
from zk_pipeline.runtime.settings import SettingsError
from zk_pipeline.store import connectors, mappings, source
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.store.entries import entries_of_day

# What the examinations look at; what several of them need is read once.

DAYS = 62
"""How far back bookings are looked at, today included."""

SYSTEMS: dict[Role, str] = {"source": "Zammad", "target": "Kimai"}


class UnreachableError(Exception):
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
        """The name of the source connector, whose token need not be readable. Raises `UnreachableError` without one."""
        with self.runtime.database.transaction() as connection:
            names = [row.name for row in connectors.every(connection) if row.active and row.role == "source"]
        names = [each.name for each in self.runtime.tried if each.role == "source"] + names
        if not names:
            raise UnreachableError(SYSTEMS["source"])
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
        """The source connector. Raises `UnreachableError`."""
        self._require("source")
        with self.runtime.source() as connector:
            yield connector

    @contextmanager
    def reached_target(self) -> Iterator[TargetConnector]:
        """The target connector. Raises `UnreachableError`."""
        self._require("target")
        with self.runtime.target() as connector:
            yield connector

    @cached_property
    def directory(self) -> TargetDirectory:
        """Users, activities and the rest as the target has them now. Raises `UnreachableError`."""
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
        """Finds users and activities as a run would now. Raises `UnreachableError`."""
        with self.runtime.database.transaction() as connection:
            known = mappings.load(connection)
            origin = source.load_directory(connection, self.source_name)
        return Resolver(self.directory, known, self.runtime.settings.policy, origin)

    def _require(self, role: Role) -> None:
        try:
            validation = self.source if role == "source" else self.target
        except (SetupError, EncryptionError) as error:
            raise UnreachableError(SYSTEMS[role]) from error
        if validation.account is None:
            raise UnreachableError(SYSTEMS[role])


# Running examinations one by one, and the report that they make; one that breaks is a finding, the others go on.

WORST_FIRST = (Level.FAIL, Level.WARN, Level.PASS)

_EXPLAINED = (DatabaseUnavailableError, EncryptionError, SettingsError, SetupError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examination:
    """Something to look at, and how; `look` may raise whatever it meets."""

    name: str
    look: Callable[[Installation], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class DoctorSection:
    """What one examination found."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst of its findings."""
        levels = {finding.level for finding in self.findings}
        return next((level for level in WORST_FIRST if level in levels), Level.PASS)


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What all examinations found."""

    sections: tuple[DoctorSection, ...]

    @property
    def ok(self) -> bool:
        """True when nothing failed; warnings are allowed."""
        return all(section.level is not Level.FAIL for section in self.sections)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each level."""
        found = Counter(finding.level for section in self.sections for finding in section.findings)
        return {str(level): found[level] for level in Level}

    def to_json(self) -> dict[str, Any]:
        """The object that `zk doctor --json` prints."""
        return {
            "ok": self.ok,
            "counts": self.counts,
            "sections": [
                {"name": row.name, "level": row.level, "findings": [asdict(finding) for finding in row.findings]}
                for row in self.sections
            ],
        }


def examine(
    examinations: Iterable[Examination], installation: Installation, tell: Callable[[str], None]
) -> DoctorReport:
    """Run all examinations; `tell` is given the name of each one before it begins.

    Examinations of one name make one section.
    """
    found: dict[str, tuple[Finding, ...]] = {}
    for examination in examinations:
        tell(examination.name)
        found[examination.name] = (*found.get(examination.name, ()), *_findings(examination, installation))
    return DoctorReport(tuple(DoctorSection(name, findings) for name, findings in found.items()))


def finding_of(subject: str, error: Exception) -> Finding:
    """The failing finding for an error whose text is written for the operator."""
    if isinstance(error, ConnectorError):
        return Finding(subject, Level.FAIL, error.summary, error.remedy)
    problem, dot, remedy = str(error).partition(". ")
    return Finding(subject, Level.FAIL, f"{problem}." if dot else problem, remedy)


def _findings(examination: Examination, installation: Installation) -> Iterator[Finding]:
    """What it finds, and at the end what it broke with."""
    try:
        yield from examination.look(installation)
    except UnreachableError as missing:
        text = f"Not looked at, since {missing.system} is not reached."
        yield Finding(examination.name.lower(), Level.WARN, text, f"See {missing.system} above.")
    except (ConnectorError, *_EXPLAINED) as error:
        yield finding_of(examination.name.lower(), error)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told, and the others go on)
        _log.debug("The examination of %s broke.", examination.name, exc_info=True)
        yield _unexpected(examination.name.lower(), error)


def _unexpected(name: str, error: Exception) -> Finding:
    """An error that nobody foresaw: its text may hold anything, a secret too, so only kind and place are told."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = f"The examination broke with {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}."
    return Finding(name, Level.FAIL, text, "Look at the other findings first; report it if it stays.")
