"""Anchors of the audit trail: its end, written where whoever owns the database cannot take it back.

Each night and at each closing it goes to the log, to a file in the home, and to the addresses of alerts; backups hold
one in their manifests. A trail that was cut and put back to an earlier state as a whole is found by them alone.
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
    """Publish the present end of the trail everywhere; `None` while it has none. `occasion` says why, for people.

    A file that cannot be written is logged, and stops nobody.
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
            f"Keep this message. Whether the trail still ends here or goes on from here: "
            f"zk audit verify --anchor {anchor}",
            good_news=True,
        ),
    )
    return anchor


def stored_anchors(runtime: Runtime) -> list[Anchor]:
    """The anchors in the file of the home; none where there is no such file, as on another machine."""
    try:
        return list(_read(_file(runtime)))
    except FileNotFoundError:
        return []


def archive(home: Path) -> None:
    """Rename the file of anchors: after a restoration they name rows that the trail does not have any more."""
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
