"""The marker that ties a time sheet to its booking: written into the description, found and compared exactly.

One token without blanks, colons, wildcards or letter-case tricks, closed by a bracket so that no marker is the
beginning of another (docs/kimai.md §12).
"""

import re

_MARKER = re.compile(r"\[zk-(?P<connector>[a-z0-9-]+)-(?P<source_id>[a-z0-9]+)\]")
_TICKET_REFERENCE = re.compile(r"(?:#|\bticket\s*(?:#\s*)?)(\d{1,20})\b", re.IGNORECASE)


def marker(connector: str, source_id: str) -> str:
    """The marker of one booking, for example `[zk-zammad-6]`."""
    return f"[zk-{connector}-{source_id}]"


def beginning_of_markers(connector: str) -> str:
    """What all markers of a connector have in common, as it can be searched for."""
    return f"zk-{connector}-"


def marked_ids(description: str, connector: str) -> tuple[str, ...]:
    """The source ids whose markers of this connector stand in a description, each once, in order."""
    found = (match for match in _MARKER.finditer(description) if match["connector"] == connector)
    return tuple(dict.fromkeys(match["source_id"] for match in found))


def has_marker(description: str) -> bool:
    """Whether a description holds a marker of any connector."""
    return _MARKER.search(description) is not None


def without_markers(text: str) -> str:
    """A text in which nothing is a marker, so that nobody's ticket title can claim a time sheet.

    Markers are opened up rather than cut out: what stood around one could close to the next.
    """
    return _MARKER.sub(lambda found: f"({found[0][1:-1]})", text)


def ticket_references(description: str) -> frozenset[str]:
    """The ticket numbers that a person wrote into a description, as `#50` or `Ticket 50`."""
    return frozenset(_TICKET_REFERENCE.findall(description))
