"""Running examinations one by one, and the report that they make; one that breaks is a finding, the others go on."""

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.doctor.installation import Installation, NotReachedError
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.runtime import SetupError
from zk_pipeline.settings import SettingsError
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError

WORST_FIRST = (Level.FAIL, Level.WARN, Level.PASS)

_EXPLAINED = (DatabaseUnavailableError, EncryptionError, SettingsError, SetupError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examination:
    """Something to look at, and how; `look` may raise whatever it meets."""

    name: str
    look: Callable[[Installation], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Section:
    """What one examination found."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst of its findings."""
        levels = {finding.level for finding in self.findings}
        return next((level for level in WORST_FIRST if level in levels), Level.PASS)


@dataclass(frozen=True, slots=True)
class Report:
    """What all examinations found."""

    sections: tuple[Section, ...]

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


def examine(examinations: Iterable[Examination], installation: Installation, tell: Callable[[str], None]) -> Report:
    """Run all examinations; `tell` is given the name of each one before it begins.

    Examinations of one name make one section.
    """
    found: dict[str, tuple[Finding, ...]] = {}
    for examination in examinations:
        tell(examination.name)
        found[examination.name] = (*found.get(examination.name, ()), *_findings(examination, installation))
    return Report(tuple(Section(name, findings) for name, findings in found.items()))


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
    except NotReachedError as missing:
        text = f"Not looked at, since {missing.system} is not reached."
        yield Finding(examination.name.lower(), Level.WARN, text, f"See {missing.system} above.")
    except (ConnectorError, *_EXPLAINED) as error:
        yield finding_of(examination.name.lower(), error)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told, and the others go on)
        _log.debug("The examination of %s broke.", examination.name, exc_info=True)
        yield _broken(examination.name.lower(), error)


def _broken(name: str, error: Exception) -> Finding:
    """An error that nobody foresaw: its text may hold anything, a secret too, so only kind and place are told."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = f"The examination broke with {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}."
    return Finding(name, Level.FAIL, text, "Look at the other findings first; report it if it stays.")
