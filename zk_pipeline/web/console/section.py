"""What a section of the console is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a name, which is its address, its anchor and the beginning of its texts' keys.

    `show` fills the section's box, once it comes into view. It is for roles that cover `needs`. A section with `parts`
    shows one of them at a time, as tabs; each part has an address and an anchor of its own.
    """

    name: str
    icon: str
    show: Callable[[Visit], Awaitable[None]]
    needs: Role = Role.VIEWER
    parts: tuple["Section", ...] = ()
