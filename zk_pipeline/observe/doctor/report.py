"""Running checks one by one, their shared data, and the report."""

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

# What the checks look at; shared data is read once.

DAYS = 62
"""How many days of bookings are checked, including today."""

SYSTEMS: dict[Role, str] = {"source": "Zammad", "target": "Kimai"}


class UnreachableError(Exception):
    """A system that a check needs cannot be reached; its own check says why."""

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__(system)


@dataclass(frozen=True)
class Installation:
    """The installation that is checked, and when."""

    runtime: Runtime
    home: Path
    now: datetime

    @classmethod
    def present(cls, runtime: Runtime, home: Path) -> "Installation":
        """The installation now."""
        return cls(runtime, home, datetime.now(UTC))

    @property
    def today(self) -> date:
        """Today, in the business zone."""
        return local_day(self.now, self.runtime.settings.zone)

    @cached_property
    def source_name(self) -> str:
        """The name of the source connector, even if its token cannot be decrypted. Raises `UnreachableError`."""
        with self.runtime.database.transaction() as connection:
            names = [row.name for row in connectors.every(connection) if row.active and row.role == "source"]
        names = [each.name for each in self.runtime.tried if each.role == "source"] + names
        if not names:
            raise UnreachableError(SYSTEMS["source"])
        return names[0]

    @cached_property
    def source(self) -> Validation:
        """The validation of the source connector. Raises `SetupError` and the cipher's errors."""
        with self.runtime.source() as connector:
            return connector.validate()

    @cached_property
    def target(self) -> Validation:
        """The validation of the target connector. Raises `SetupError` and the cipher's errors."""
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
        """The directory of the target, read now. Raises `UnreachableError`."""
        with self.reached_target() as connector:
            return connector.fetch_directory()

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The stored entries of the last `DAYS` days."""
        days = (self.today - timedelta(days=back) for back in range(DAYS))
        with self.runtime.database.transaction() as connection:
            return tuple(entry for day in days for entry in entries_of_day(connection, self.source_name, day))

    @cached_property
    def resolver(self) -> Resolver:
        """Resolves users and activities as a run would. Raises `UnreachableError`."""
        with self.runtime.database.transaction() as connection:
            known = mappings.load(connection, self.source_name)
            origin = source.load_directory(connection, self.source_name)
            space = connectors.number_space(connection, self.source_name)
        return Resolver(self.directory, known, self.runtime.settings.policy, origin, space=space)

    def _require(self, role: Role) -> None:
        try:
            validation = self.source if role == "source" else self.target
        except (SetupError, EncryptionError) as error:
            raise UnreachableError(SYSTEMS[role]) from error
        if validation.account is None:
            raise UnreachableError(SYSTEMS[role])


# Running checks: one that raises becomes a finding, and the others continue.

WORST_FIRST = (Level.FAIL, Level.WARN, Level.PASS)

_EXPLAINED = (DatabaseUnavailableError, EncryptionError, SettingsError, SetupError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examination:
    """A check; `look` may raise any error."""

    name: str
    look: Callable[[Installation], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class DoctorSection:
    """The findings of one section."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst level of its findings."""
        levels = {finding.level for finding in self.findings}
        return next((level for level in WORST_FIRST if level in levels), Level.PASS)


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The findings of all checks."""

    sections: tuple[DoctorSection, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings are allowed."""
        return all(section.level is not Level.FAIL for section in self.sections)

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings by level."""
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
    examinations: Iterable[Examination], installation: Installation, notify: Callable[[str], None]
) -> DoctorReport:
    """Run all checks; those with the same name make one section. `notify` is called with the name of each one first."""
    found: dict[str, tuple[Finding, ...]] = {}
    for examination in examinations:
        notify(examination.name)
        found[examination.name] = (*found.get(examination.name, ()), *_findings(examination, installation))
    return DoctorReport(tuple(DoctorSection(name, findings) for name, findings in found.items()))


def finding_of(subject: str, error: Exception) -> Finding:
    """The finding for an error whose message is written for the operator."""
    if isinstance(error, ConnectorError):
        return Finding(subject, Level.FAIL, error.summary, error.remedy)
    problem, dot, remedy = str(error).partition(". ")
    return Finding(subject, Level.FAIL, f"{problem}." if dot else problem, remedy)


def _findings(examination: Examination, installation: Installation) -> Iterator[Finding]:
    """Its findings, and at the end the error that it raised, if any."""
    try:
        yield from examination.look(installation)
    except UnreachableError as missing:
        text = f"Not checked, because {missing.system} cannot be reached."
        yield Finding(examination.name, Level.WARN, text, f"See {missing.system} above.")
    except (ConnectorError, *_EXPLAINED) as error:
        yield finding_of(examination.name, error)
    except Exception as error:  # noqa: BLE001 (becomes a finding, and the others continue)
        _log.debug("The check of %s failed unexpectedly.", examination.name, exc_info=True)
        yield _unexpected(examination.name, error)


def _unexpected(name: str, error: Exception) -> Finding:
    """The finding for an unexpected error: its type and place only, since its text may hold a secret."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = f"The check failed with {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}."
    return Finding(name, Level.FAIL, text, "Fix the other findings first; report this if it stays.")
