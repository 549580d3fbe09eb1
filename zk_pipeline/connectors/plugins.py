"""The installed connectors: classes that packages register as entry points of the plug-in contract.

One that cannot be imported is left out and logged; using it raises an error that names its package. A process keeps the
connectors that were installed when it first looked: a package that comes or changes later needs a restart.
"""

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeVar

from zk_pipeline.connectors.contract import Connector, SourceConnector, TargetConnector

SOURCES = "zk_pipeline.sources"
TARGETS = "zk_pipeline.targets"

OURS = "zk-pipeline"
"""The package of the product itself, whose connectors change with it."""

Kind = TypeVar("Kind", bound=Connector)

STARTED = datetime.now(UTC)
"""About when this process began."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plug-in that cannot be used, its package, and the reason."""

    kind: str
    package: str
    reason: str

    def __str__(self) -> str:
        return (
            f"The connector {self.kind!r} of the package {self.package} cannot be used ({self.reason}). "
            "Install a version that fits, or remove the package."
        )


@dataclass(frozen=True, slots=True)
class InstalledKind:
    """A kind of connector, its role, its package with version, and why it cannot be used, if it cannot."""

    kind: str
    role: str
    package: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LatePlugin:
    """A package with connectors that was installed or changed while something already ran without it."""

    package: str
    kinds: tuple[str, ...]
    changed_at: datetime

    @property
    def text(self) -> str:
        """What is the matter."""
        since, kinds = f"{self.changed_at:%Y-%m-%d %H:%M} UTC", ", ".join(self.kinds)
        return f"{self.package} ({kinds}) was installed or changed at {since}, after the installation started."

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return "Restart the installation to use it."


def source_kinds() -> Mapping[str, type[SourceConnector]]:
    """The installed source connectors by name. Loads each plug-in."""
    return dict(_loaded(SOURCES, SourceConnector))


def target_kinds() -> Mapping[str, type[TargetConnector]]:
    """The installed target connectors by name. Loads each plug-in."""
    return dict(_loaded(TARGETS, TargetConnector))


def broken_plugins() -> list[BrokenPlugin]:
    """The installed connectors that cannot be used. Loads each plug-in."""
    groups = ((SOURCES, SourceConnector), (TARGETS, TargetConnector))
    found = (_load(point, contract) for group, contract in groups for point in _points(group))
    return [each for each in found if isinstance(each, BrokenPlugin)]


def installed_kinds() -> list[InstalledKind]:
    """All installed kinds, also those that cannot be used, sources first. Loads each plug-in."""
    found: list[InstalledKind] = []
    for group, role, contract in ((SOURCES, "source", SourceConnector), (TARGETS, "target", TargetConnector)):
        for point in sorted(_points(group), key=lambda each: each.name):
            loaded = _load(point, contract)
            problem = loaded.reason if isinstance(loaded, BrokenPlugin) else ""
            found.append(InstalledKind(point.name, role, _package(point), problem))
    return found


def late_plugins(since: datetime) -> list[LatePlugin]:
    """The packages of others that were installed or changed after this moment, as they are on the disk now."""
    found: dict[str, list[EntryPoint]] = {}
    for group in (SOURCES, TARGETS):
        for point in _points_as_of(tuple((entry, _changed([Path(entry)])) for entry in sys.path), group):
            if point.dist is not None and point.dist.name != OURS:
                found.setdefault(_package(point), []).append(point)
    changes = {package: max(map(_changed_at, points)) for package, points in found.items()}
    return [
        LatePlugin(
            package, tuple(sorted(point.name for point in points)), datetime.fromtimestamp(changes[package], UTC)
        )
        for package, points in sorted(found.items())
        if changes[package] > since.timestamp()
    ]


def _changed_at(point: EntryPoint) -> float:
    """When a file of the package was changed last: of those it was installed with, and of those that are loaded.

    Only the latter are the code of an editable installation.
    """
    top = point.module.partition(".")[0]
    loaded = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == top]
    files = [Path(file) for module in loaded if (file := getattr(module, "__file__", None))]
    installed = (point.dist.files if point.dist else None) or []
    return _changed([*files, *(Path(str(file.locate())) for file in installed if file.suffix != ".pyc")])


def _changed(paths: Iterable[Path]) -> float:
    newest = 0.0
    for path in paths:
        with suppress(OSError):  # Not there, such as an entry of the path that is not used.
            newest = max(newest, path.stat().st_mtime)
    return newest


def _loaded(group: str, contract: type[Kind]) -> Iterator[tuple[str, type[Kind]]]:
    for point in _points(group):
        found = _load(point, contract)
        if isinstance(found, BrokenPlugin):
            _log_once(found)
        else:
            yield point.name, found


def _points(group: str) -> Sequence[EntryPoint]:
    return _points_on(tuple(sys.path), group)


@cache
def _points_on(path: Sequence[str], group: str) -> Sequence[EntryPoint]:
    """The entry points of a group. Finding them reads a file of every installed package, so it is cached."""
    del path
    return tuple(entry_points(group=group))


@lru_cache(maxsize=4)
def _points_as_of(path: Sequence[tuple[str, float]], group: str) -> Sequence[EntryPoint]:
    """The same, found again when a directory of the path has changed."""
    del path
    return tuple(entry_points(group=group))


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _load(point: EntryPoint, contract: type[Kind]) -> type[Kind] | BrokenPlugin:
    package = _package(point)
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever the code of others raises when it is imported)
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        return BrokenPlugin(
            point.name, package, f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        )
    if not (isinstance(found, type) and issubclass(found, contract)):
        return BrokenPlugin(point.name, package, f"{point.value} is not a {contract.__name__}")
    return found


@cache
def _log_once(broken: BrokenPlugin) -> None:
    _log.warning("%s", broken)
