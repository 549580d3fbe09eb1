"""The marts: dbt's project and manifest, building its models, and the result of each model and test."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import func, make_url, select, table

from zk_pipeline import __version__
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.write_protection import first_open_day
from zk_pipeline.runtime.project import INSTALLED, PROJECT
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store import connectors

# The dbt project: calling dbt in its own process, and what its manifest says about the models. `dagster_dbt` is not
# used, because it doubles the imports of each run (1.1 s of processor time more). A test compares its reading of the
# manifest with ours.

FOLDER = PROJECT / "dbt_models"
MANIFEST = f"manifest-{__version__}.json"
"""Named by the version: the files of an upgrade may be older than the manifest of the version before."""

_CALL = "import sys; from dbt.cli.main import cli; cli(sys.argv[1:])"
_LINES_SHOWN = 5
_SECONDS = 3600
_PRIVATE = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


class MartsError(Exception):
    """The marts could not be built; the message names the model and what the database or dbt says about it."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model; `sources` are the asset keys of the tables that it reads, `models` are names of others, `columns` are
    described by name. `checksum` changes with its SQL."""

    name: str
    description: str
    materialized: str
    models: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...]
    columns: Mapping[str, str]
    checksum: str


@dataclass(frozen=True)
class DbtManifest:
    """The parts of dbt's manifest that we need."""

    content: Mapping[str, Any]

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """The models by name."""
        found = [self._model(node) for node in self._nodes("model")]
        return tuple(sorted(found, key=lambda model: model.name))

    @cached_property
    def tests(self) -> Mapping[str, str]:
        """The model of each test, by the name of the test."""
        names: dict[str, str] = {}
        for node in self._nodes("test"):
            model = node.get("attached_node") or next(iter(node["depends_on"]["nodes"]))
            names[node["name"]] = self.content["nodes"][model]["name"]
        return names

    @cached_property
    def timed_sources(self) -> tuple[tuple[str, ...], ...]:
        """The asset keys of the sources whose freshness dbt watches."""
        watched = [name for name, source in self.content["sources"].items() if source["loaded_at_query"]]
        return tuple(map(self.asset_key, watched))

    def _nodes(self, kind: str) -> Iterator[Mapping[str, Any]]:
        return (node for node in self.content["nodes"].values() if node["resource_type"] == kind)

    def _model(self, node: Mapping[str, Any]) -> Model:
        needed: Sequence[str] = node["depends_on"]["nodes"]
        keys = {self.asset_key(name) for name in needed if name.startswith("source.")}
        return Model(
            name=node["name"],
            description=node["description"],
            materialized=node["config"]["materialized"],
            models=tuple(self.content["nodes"][name]["name"] for name in needed if name.startswith("model.")),
            sources=tuple(sorted(key for key in keys if key)),
            columns={name: column["description"] for name, column in node["columns"].items()},
            checksum=node["checksum"]["checksum"],
        )

    def asset_key(self, source: str) -> tuple[str, ...]:
        """The asset that makes a source, by dbt's name for it; empty for a table that no asset makes."""
        meta = self.content["sources"][source]["config"]["meta"]
        return tuple(meta.get("dagster", {}).get("asset_key", ()))


def load_manifest() -> DbtManifest:
    """The manifest, rebuilt if it is missing or older than the project. Needs no database.

    Raises `MartsError` if dbt cannot read the project or the manifest cannot be written, and `SettingsError`.
    """
    manifest = manifest_path()
    if not manifest.exists() or manifest.stat().st_mtime < _last_change():
        parse(manifest)
    return DbtManifest(json.loads(manifest.read_text(encoding="utf-8")))


def manifest_path() -> Path:
    """In the repository's dbt project, or in ZK_HOME for an installed package, which may be read-only."""
    if not INSTALLED:
        return FOLDER / "target" / MANIFEST
    return load_settings().home.expanduser().resolve() / "dbt" / MANIFEST


def parse(manifest: Path) -> None:
    """Write the manifest. The file is replaced atomically, because other processes may read it. Raises `MartsError`."""
    folder = manifest.parent
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as target:
            done = call("parse", (), Path(target), {})
            made = Path(target) / "manifest.json"
            if done.returncode or not made.exists():
                raise MartsError(f"dbt cannot read {FOLDER}: {last_lines(done.stdout)}")
            made.replace(manifest)
    except OSError as error:
        raise MartsError(
            f"dbt's manifest cannot be written to {folder}: {error.strerror}. Make it writable, or set ZK_HOME."
        ) from error


def call(
    command: str, arguments: Sequence[str], target: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Call dbt, which writes its artifacts to `target`. It sends no telemetry and loads no packages."""
    options = ["--project-dir", FOLDER, "--profiles-dir", FOLDER, "--target-path", target, "--log-path", target]
    return subprocess.run(  # noqa: S603 (our own interpreter and arguments)
        [sys.executable, "-c", _CALL, "--no-use-colors", command, *arguments, *map(str, options)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        env={**os.environ, **environment, **_PRIVATE},
    )


def last_lines(output: str) -> str:
    """The last lines of dbt's output, joined."""
    return " ".join(line.strip() for line in output.splitlines()[-_LINES_SHOWN:])


def _last_change() -> float:
    files = (path for pattern in ("*.yml", "m*/**/*", "tests/*") for path in FOLDER.glob(pattern) if path.is_file())
    return max((path.stat().st_mtime for path in files), default=0.0)


# Building the marts: dbt over the product's database, and the result of each model and test.

LOCK = "zk:marts"
_LIBPQ = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
_GOOD = {"success", "pass", "warn"}


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """The result of a model or of a test on one; `rows` are those written, or those that fail the test."""

    name: str
    kind: str
    status: str
    rows: int | None
    seconds: float
    message: str

    @property
    def good(self) -> bool:
        """Whether models that depend on it may be built."""
        return self.status in _GOOD


def build(runtime: Runtime, *, full: bool = False) -> list[BuiltModel]:
    """Build all marts, only for the days that changed since the last build, and run dbt's tests.

    `full` rebuilds all days. One process builds at a time; others wait. Failures are among the results. Raises
    `MartsError` if dbt did not get that far, and `SetupError` while there is no connector.
    """
    target = runtime.settings.home / "dbt"
    target.mkdir(parents=True, exist_ok=True)
    results = target / "run_results.json"
    left_out = (part for kind in ("unit_test", "exposure") for part in ("--exclude-resource-type", kind))
    arguments = ["--vars", json.dumps(_variables(runtime)), *left_out]
    with runtime.database.lock(LOCK):
        results.unlink(missing_ok=True)
        done = call("build", [*arguments, *(["--full-refresh"] if full else [])], target, _environment(runtime))
        if not results.exists():
            raise MartsError(f"dbt did not build the marts: {last_lines(done.stdout)}")
        return _built(results)


@dataclass(frozen=True, slots=True)
class SourceState:
    """What dbt says of the freshness of a source: `pass`, `warn`, `error`, or `runtime error` if it cannot tell."""

    name: str
    status: str
    read_at: str
    message: str


def source_states(runtime: Runtime) -> list[SourceState]:
    """How fresh dbt finds the sources. Raises `MartsError` if dbt did not get that far."""
    target = runtime.settings.home / "dbt"
    target.mkdir(parents=True, exist_ok=True)
    found = target / "sources.json"
    with runtime.database.lock(LOCK):
        found.unlink(missing_ok=True)
        done = call("source", ["freshness", "--vars", json.dumps(_variables(runtime))], target, _environment(runtime))
        if not found.exists():
            raise MartsError(f"dbt did not look at its sources: {last_lines(done.stdout)}")
        rows: list[Mapping[str, Any]] = json.loads(found.read_text(encoding="utf-8"))["results"]
    return [
        SourceState(row["unique_id"], row["status"], _read_at(row), _first_line(row.get("error") or "")) for row in rows
    ]


def _read_at(row: Mapping[str, Any]) -> str:
    loaded = str(row.get("max_loaded_at") or "")
    return "" if loaded.startswith("0001-") else loaded  # The first day of the calendar is dbt's word for never.


def row_counts(runtime: Runtime, tables: Iterable[str]) -> dict[str, int]:
    """The number of rows of each of these tables."""
    with runtime.database.transaction() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table(name, schema="marts"))).scalar_one()
            for name in tables
        }


def refresh(runtime: Runtime, *, full: bool = False) -> None:
    """Build the marts of the days that changed, or all of them if `full`.

    Raises `MartsError`, which names the model that failed.
    """
    failure = failure_of(build(runtime, full=full))
    if failure is not None:
        raise failure


def failure_of(built: list[BuiltModel]) -> MartsError | None:
    """The error that names the models and tests that failed, if any did."""
    failed = [row for row in built if not row.good and row.status != "skipped"]
    if not failed:
        return None
    sentences = " ".join(f"{row.kind.title()} {row.name} failed: {_first_line(row.message)}" for row in failed)
    return MartsError(f"{sentences} Build the marts again; if it fails again, see dbt/dbt.log in ZK_HOME.")


def _variables(runtime: Runtime) -> dict[str, str]:
    settings = runtime.settings
    open_from = first_open_day(settings.locked_before, local_day(datetime.now(UTC), settings.zone))
    source = runtime.stored("source").name
    with runtime.database.transaction() as connection:
        space = connectors.number_space(connection, source)
    return {
        "source": source,
        "number_space": space,
        "target": runtime.stored("target").name,
        "minutes_per_unit": f"{settings.minutes_per_unit:f}",
        "fallback_customer": settings.fallback_customer,
        "first_open_day": open_from.isoformat() if open_from else "",
    }


def _environment(runtime: Runtime) -> dict[str, str]:
    """The database's URL as variables for libpq; dbt's profile reads nothing else."""
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


def _built(results: Path) -> list[BuiltModel]:
    rows: list[Mapping[str, Any]] = json.loads(results.read_text(encoding="utf-8"))["results"]
    return [_row(row) for row in rows]


def _row(row: Mapping[str, Any]) -> BuiltModel:
    kind, _, name = row["unique_id"].split(".")[:3]
    written = row["failures"] if kind == "test" else row["adapter_response"].get("rows_affected")
    return BuiltModel(name, kind, row["status"], written, row["execution_time"], row["message"] or "")


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines[:2])


if __name__ == "__main__":
    parse(manifest_path())
