"""The installed connectors: classes that packages register as entry points of the plug-in contract.

One that cannot be imported is left out and logged; using it raises an error that names its package.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from zk_pipeline.connectors.contract import Connector, SourceConnector, TargetConnector

SOURCES = "zk_pipeline.sources"
TARGETS = "zk_pipeline.targets"

Kind = TypeVar("Kind", bound=Connector)

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


def _load(point: EntryPoint, contract: type[Kind]) -> type[Kind] | BrokenPlugin:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
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
