"""Anchors of the audit trail: its current end, written where the owner of the database cannot change it.

Each night and at each closing the anchor is written to the log, to a file in the home, and to the alert addresses;
backups have one in their manifests. Only anchors reveal a trail that was reset to an earlier state.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from zk_pipeline.observe import alert_delivery
from zk_pipeline.observe.alerts import AlertMessage
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit
from zk_pipeline.store.audit import Anchor

FILE = "audit-anchors.log"

_log = logging.getLogger(__name__)


def publish(runtime: Runtime, occasion: str) -> Anchor | None:
    """Publish the current end of the trail; `None` if it is empty. `occasion` says why, for people.

    If the file cannot be written, that is only logged.
    """
    with runtime.database.transaction() as connection:
        anchor = audit.anchor(connection)
    if anchor is None or anchor.number == 0:
        return None
    line = f"{datetime.now(UTC).isoformat(timespec='seconds')} {anchor} {occasion}"
    _log.info("Anchor of the audit trail: %s", line)
    path = _file(runtime)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except OSError as error:
        _log.warning("The anchor cannot be written to %s: %s", path, error.strerror)
    alert_delivery.send_message(
        runtime,
        AlertMessage(
            f"Audit trail: row {anchor.number} ({occasion})",
            f"Keep this message. To verify that the trail still contains this row: zk audit verify --anchor {anchor}",
            good_news=True,
        ),
    )
    return anchor


def stored_anchors(runtime: Runtime) -> list[Anchor]:
    """The anchors in the home's file; none if there is no such file, as on another machine."""
    try:
        return list(_read(_file(runtime)))
    except FileNotFoundError:
        return []


def archive(home: Path) -> None:
    """Rename the file of anchors: after a restore it names rows that no longer exist."""
    path = home / FILE
    with suppress(FileNotFoundError):
        path.rename(path.with_suffix(f".until-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log"))


def _read(path: Path) -> Iterator[Anchor]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            anchor = Anchor.parsed(line.partition(" ")[2])
            if anchor is not None:
                yield anchor


def _file(runtime: Runtime) -> Path:
    return runtime.settings.home.expanduser() / FILE
