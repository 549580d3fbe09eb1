"""The findings of `validate`: each check is tried, and errors become findings."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.vital_figures import Level

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `validate`: what was checked, the result, and what to do about it."""

    subject: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """What a connector found out about its system and account: version, role, missing permissions, zone."""

    version: str | None
    account: str | None
    timezone: str | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True when nothing failed; warnings are allowed."""
        return all(finding.level is not Level.FAIL for finding in self.findings)


class Checks:
    """The findings so far, in order."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings."""
        return tuple(self._findings)

    def passed(self, subject: str, text: str) -> None:
        """Record that a subject is in order."""
        self._findings.append(Finding(subject, Level.PASS, text))

    def warned(self, subject: str, text: str, remedy: str) -> None:
        """Record something that works but needs attention."""
        self._findings.append(Finding(subject, Level.WARN, text, remedy))

    def failed(self, subject: str, text: str, remedy: str) -> None:
        """Record something that will not work."""
        self._findings.append(Finding(subject, Level.FAIL, text, remedy))

    def refused(self, subject: str, error: ConnectorError, level: Level = Level.FAIL) -> None:
        """Record the error of a call."""
        self._findings.append(Finding(subject, level, error.summary, error.remedy))

    def attempt(self, subject: str, call: Callable[[], Result], level: Level = Level.FAIL) -> Result | None:
        """The result of the call, or `None` and a finding of this level if it fails."""
        try:
            return call()
        except ConnectorError as error:
            self.refused(subject, error, level)
            return None


def version_numbers(version: str) -> tuple[int, int]:
    """Major and minor number of a version such as "6.5.0-1745"; zeros if there are none."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
