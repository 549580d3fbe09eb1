"""Whether Zammad and Kimai are new enough, looked at when everything starts: told, and never waited for."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.runtime import ROLES, Runtime, SetupError
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError

SECONDS_TO_ANSWER = 5.0


def tell_in_background(runtime: Runtime, tell: Callable[[str], None]) -> threading.Thread:
    """Tell a sentence for each system that is too old, by a thread that does not keep the process from ending."""
    thread = threading.Thread(target=_tell, args=(runtime, tell), name="versions", daemon=True)
    thread.start()
    return thread


def too_old(runtime: Runtime) -> Iterator[str]:
    """A sentence and its remedy for each system whose version is older than supported.

    A system that does not answer within some seconds, has no connector yet or keeps its version to itself is none of
    them: the doctor looks at those. Raises `DatabaseUnavailableError`.
    """
    limits = {"http_timeout": SECONDS_TO_ANSWER, "http_attempts": 1}
    brief = replace(runtime, settings=runtime.settings.model_copy(update=limits))
    for role in ROLES:
        try:
            with brief.source() if role == "source" else brief.target() as connector:
                findings = connector.version_findings()
        except (SetupError, EncryptionError):
            continue
        for finding in findings:
            if finding.level is Level.FAIL:
                yield f"{finding.text} {finding.remedy}"


def _tell(runtime: Runtime, tell: Callable[[str], None]) -> None:
    try:
        for sentence in too_old(runtime):
            tell(sentence)
    except DatabaseUnavailableError as error:
        tell(f"The versions of the systems are not known. {error}")
