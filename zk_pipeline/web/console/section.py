"""What a section of the console is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from zk_pipeline.web.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a name, which is its address, its anchor and the beginning of its texts' keys.

    `show` fills the section's box, once it comes into view.
    """

    name: str
    icon: str
    show: Callable[[Visit], Awaitable[None]]
