"""What this installation is made of: version, licence, and the components with theirs."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distributions

from zk_pipeline import __version__

PACKAGE = "zk-pipeline"
_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST = 80
"""Some packages put the whole text of their licence where its name belongs."""


@dataclass(frozen=True, slots=True)
class Component:
    """An installed package; `licence` is empty if it does not name one."""

    name: str
    version: str
    licence: str


@dataclass(frozen=True, slots=True)
class About:
    """The product and its components, by name."""

    version: str
    licence: str
    python: str
    components: tuple[Component, ...]


@cache
def about() -> About:
    """What is installed, as its packages say."""
    found = {row.metadata["Name"].lower(): row for row in distributions() if row.metadata["Name"]}
    own = found.pop(PACKAGE, None)
    components = tuple(Component(row.metadata["Name"], row.version, _licence(row)) for _, row in sorted(found.items()))
    return About(__version__, _licence(own) if own else "", platform.python_version(), components)


def _licence(package: Distribution) -> str:
    return next((text for text in _named(package) if text and len(text) <= _LONGEST and "\n" not in text), "")


def _named(package: Distribution) -> Iterator[str]:
    """What the package says of its licence, the most exact first."""
    yield from package.metadata.get_all("License-Expression") or ()
    yield ", ".join(
        line.removeprefix(_CLASSIFIER)
        for line in package.metadata.get_all("Classifier") or ()
        if line.startswith(_CLASSIFIER)
    )
    yield from package.metadata.get_all("License") or ()
    for name in package.metadata.get_all("License-File") or ():
        text = package.read_text(f"licenses/{name}") or package.read_text(name) or ""
        yield text.lstrip().partition("\n")[0].strip()
