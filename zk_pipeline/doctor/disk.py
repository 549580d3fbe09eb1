"""Room: free space at ZK_HOME and at the embedded database, and how large the databases are."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url, text

from zk_pipeline.connectors.base import Finding, Level
from zk_pipeline.doctor.installation import Installation

MEGABYTE = 1_000_000
GIGABYTE = 1000 * MEGABYTE
FAIL_BELOW = 500 * MEGABYTE
WARN_BELOW = 2 * GIGABYTE
WARN_BELOW_PERCENT = 10

_SIZES = text(
    """
    SELECT datname, pg_database_size(datname) FROM pg_database
    WHERE datname = ANY(:names) AND has_database_privilege(datname, 'CONNECT') ORDER BY datname
    """
)


def examine(installation: Installation) -> Iterator[Finding]:
    """Look at the file systems that grow with our data."""
    for path in _places(installation.home):
        usage = shutil.disk_usage(path)
        yield judge_space(str(path), usage.free, usage.total)
    yield _databases(installation)


def judge_space(path: str, free: int, total: int) -> Finding:
    """What this much free space means; both are bytes."""
    told = f"{path} has {size(free)} free of {size(total)}."
    remedy = "Make room or give it a larger disk: the embedded database and the logs grow there."
    if free < FAIL_BELOW:
        return Finding("free space", Level.FAIL, told, remedy)
    if free < WARN_BELOW or free * 100 < total * WARN_BELOW_PERCENT:
        return Finding("free space", Level.WARN, told, remedy)
    return Finding("free space", Level.PASS, told)


def size(number: int) -> str:
    """Bytes as people read them."""
    for unit, name in ((GIGABYTE, "GB"), (MEGABYTE, "MB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} bytes"


def _places(home: Path) -> list[Path]:
    """The home, and the embedded database if it lies on another file system."""
    data = home / "postgres"
    if data.is_dir() and data.stat().st_dev != home.stat().st_dev:
        return [home, data]
    return [home]


def _databases(installation: Installation) -> Finding:
    settings = installation.runtime.settings
    urls = [secret.get_secret_value() for secret in (settings.database_url, settings.dagster_url) if secret]
    names = [make_url(url).database for url in urls]
    with installation.runtime.database.transaction() as connection:
        sizes = connection.execute(_SIZES, {"names": names}).all()
    return Finding("databases", Level.PASS, ", ".join(f"{name} {size(number)}" for name, number in sizes) + ".")
