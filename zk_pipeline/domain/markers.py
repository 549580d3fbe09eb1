"""The marker that links a time sheet to its booking: written into the description, found and compared exactly.

It is one token without spaces, colons, wildcards or letters whose case matters, closed by a bracket so that no marker
is the prefix of another (docs/kimai.md §12). Ids that are whole numbers, and those of adjustments, stand in it as they
are; other text would break the token, and stands in it as the hexadecimal digits of its UTF-8 behind an `x`.
"""

import re

_MARKER = re.compile(r"\[zk-(?P<connector>[a-z0-9-]+)-(?P<source_id>[a-z0-9]+)\]")
_AS_IT_IS = re.compile(r"a?[0-9]+")
_ENCODED = re.compile(r"x((?:[0-9a-f]{2})+)")
_TICKET_REFERENCE = re.compile(r"(?:#|\bticket\s*(?:#\s*)?)(\d{1,20})\b", re.IGNORECASE)


def marker(connector: str, source_id: str) -> str:
    """The marker of one booking, for example `[zk-zammad-6]`."""
    return f"[zk-{connector}-{_written(source_id)}]"


def beginning_of_markers(connector: str) -> str:
    """The common prefix of a connector's markers, for searches."""
    return f"zk-{connector}-"


def marked_ids(description: str, connector: str) -> tuple[str, ...]:
    """The source ids of this connector's markers in a description, each once, in order."""
    found = (match for match in _MARKER.finditer(description) if match["connector"] == connector)
    return tuple(dict.fromkeys(_read_id(match["source_id"]) for match in found))


def _written(source_id: str) -> str:
    return source_id if _AS_IT_IS.fullmatch(source_id) else f"x{source_id.encode().hex()}"


def _read_id(written: str) -> str:
    """The id; what we cannot have written stays as it is, so that nobody can write a second marker of a booking."""
    encoded = _ENCODED.fullmatch(written)
    read = bytes.fromhex(encoded[1]).decode(errors="replace") if encoded else written
    return read if _written(read) == written and "\0" not in read else written


def has_marker(description: str) -> bool:
    """Whether a description has a marker of any connector."""
    return _MARKER.search(description) is not None


def without_markers(text: str) -> str:
    """The text with anything that looks like a marker broken up, so that a ticket's title cannot claim a time sheet.

    Markers are split rather than removed: the text around a removed one could form another.
    """
    return _MARKER.sub(lambda found: f"({found[0][1:-1]})", text)


def ticket_references(description: str) -> frozenset[str]:
    """The ticket numbers that a person typed into a description, as `#50` or `Ticket 50`."""
    return frozenset(_TICKET_REFERENCE.findall(description))
