"""Building the marts: dbt over the product's database, and what came of it, model by model and test by test."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.locks import first_open_day
from zk_pipeline.runtime import Runtime, SetupError
from zk_pipeline.stages.marts.project import MartsError, call, last_lines

LOCK = "zk:marts"
_LIBPQ = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
_GOOD = {"success", "pass", "warn"}


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a model, or of a test on one; `rows` are those written, or those that a test objects to."""

    name: str
    kind: str
    status: str
    rows: int | None
    seconds: float
    message: str

    @property
    def good(self) -> bool:
        """Whether what depends on it may go on."""
        return self.status in _GOOD


def build(runtime: Runtime, *, full: bool = False) -> list[Built]:
    """Build all marts, the entries of days that changed since the last time only, and run dbt's tests on them.

    `full` builds all days again. One process builds at a time; a second one waits. What failed is among what is
    returned. Raises `MartsError` when dbt did not get that far, and `SetupError` while there is no connector.
    """
    target = runtime.settings.home / "dbt"
    target.mkdir(parents=True, exist_ok=True)
    results = target / "run_results.json"
    arguments = ["--vars", json.dumps(_variables(runtime)), "--exclude-resource-type", "unit_test"]
    with runtime.database.lock(LOCK):
        results.unlink(missing_ok=True)
        done = call("build", [*arguments, *(["--full-refresh"] if full else [])], target, _environment(runtime))
        if not results.exists():
            raise MartsError(f"dbt did not build the marts: {last_lines(done.stdout)}")
        return _built(results)


def failure_of(built: list[Built]) -> MartsError | None:
    """The error that names the models and tests that failed, if any did."""
    failed = [row for row in built if not row.good and row.status != "skipped"]
    if not failed:
        return None
    sentences = " ".join(f"{row.kind.title()} {row.name} failed: {_first_line(row.message)}" for row in failed)
    return MartsError(f"{sentences} Build the marts again; if it stays so, look at dbt/dbt.log in ZK_HOME.")


def _variables(runtime: Runtime) -> dict[str, str]:
    settings = runtime.settings
    open_from = first_open_day(settings.locked_before, local_day(datetime.now(UTC), settings.zone))
    return {
        "source": runtime.stored("source").name,
        "target": runtime.stored("target").name,
        "minutes_per_unit": f"{settings.minutes_per_unit:f}",
        "fallback_customer": settings.fallback_customer,
        "first_open_day": open_from.isoformat() if open_from else "",
    }


def _environment(runtime: Runtime) -> dict[str, str]:
    """The variables of the database's URL for libpq; the profile reads nothing else."""
    if runtime.settings.database_url is None:
        raise SetupError("There is no database. Start everything with `zk up`, or set ZK_DATABASE_URL.")
    url = make_url(runtime.settings.database_url.get_secret_value())
    host = url.host or url.query.get("host", "localhost")
    port = url.port or url.query.get("port", 5432)
    given = {
        "PGHOST": str(host),
        "PGPORT": str(port),
        "PGUSER": url.username or "",
        "PGDATABASE": url.database or "",
        "DBT_ENV_SECRET_PGPASSWORD": url.password or "",
    }
    return given | {name: str(url.query[key]) for key, name in _LIBPQ.items() if key in url.query}


def _built(results: Path) -> list[Built]:
    rows: list[Mapping[str, Any]] = json.loads(results.read_text(encoding="utf-8"))["results"]
    return [_row(row) for row in rows]


def _row(row: Mapping[str, Any]) -> Built:
    kind, _, name = row["unique_id"].split(".")[:3]
    written = row["failures"] if kind == "test" else row["adapter_response"].get("rows_affected")
    return Built(name, kind, row["status"], written, row["execution_time"], row["message"] or "")


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines[:2])
