"""The numbers by which customers and projects that we made in the target are found again, whatever their names become.

A number tells of which source it is, so that organization 7 of one never meets organization 7 of another. Each source
has a space of numbers, chosen once and stored (`choose_space`). Numbers are compared without regard to letter case
and are limited in length (docs/kimai.md §7), so ids that are not plain are written in hexadecimal, and long ones as a
part of their hash.
"""

import hashlib
import re
import string
from collections.abc import Collection
from itertools import count

from zk_pipeline.domain.source_ids import is_whole_number

FIRST_SPACE = "zammad"
"""The space of the first Zammad, and of every source that had bookings before sources were told apart."""
PROJECT_NUMBER_LENGTH = 10
LONGEST_SPACE = 24
_LONGEST_ID = 21
"""With the longest space, a number has the 50 characters that the target takes for customers."""
_HASHED = _LONGEST_ID - 1
_NAMED = re.compile(r"(?!org-)[a-z]+-[0-9]+")
_WRITTEN_ID = rf"(?:0|[1-9][0-9]*|{_NAMED.pattern}|x(?:[0-9a-f]{{2}})+|y[0-9a-f]{{{_HASHED}}})"
_DIGITS = string.digits + string.ascii_uppercase


def choose_space(kind: str, name: str, taken: Collection[str]) -> str:
    """The space of a new source: its name, unless that is taken, too long, or kept for the first Zammad."""
    if kind == FIRST_SPACE and FIRST_SPACE not in taken:
        return FIRST_SPACE
    base = name[:LONGEST_SPACE].rstrip("-")
    if base not in {*taken, FIRST_SPACE}:
        return base
    base = name[: LONGEST_SPACE - 4].rstrip("-")
    return next(space for number in count(2) if (space := f"{base}-{number}") not in taken)


def customer_number(space: str, organization: str) -> str:
    """The number of an organization's customer, such as `zammad-org-7`. The marts' `customer_number` makes the same."""
    return f"{space}-org-{_written(organization)}"


def customer_pattern(*spaces: str) -> str:
    """A regular expression, for Python and PostgreSQL, of the numbers of all customers that we make for sources."""
    return f"^(?:{'|'.join(map(re.escape, spaces))})-org-{_WRITTEN_ID}$"


def organization_project(space: str, organization: str) -> str:
    """The number of an organization's project, such as `ZO7`."""
    return _project_number(space, "O", organization)


def ticket_project(space: str, ticket: str) -> str:
    """The number of a ticket's project, such as `ZT50`."""
    return _project_number(space, "T", ticket)


def group_project(space: str, group: str, organization: str) -> str:
    """The number of the project of a group and an organization, such as `G2O7`; may be too long in the first space."""
    if space == FIRST_SPACE:
        return _first_project_number(f"G{group}O", organization)
    numbers = is_whole_number(group) and is_whole_number(organization)
    readable = f"G{group}O{organization}-{space}" if numbers else ""
    return _fitting(readable, f"{space}/G/{len(group)}/{group}/{organization}")


def _project_number(space: str, kind: str, source_id: str) -> str:
    if space == FIRST_SPACE:
        return _first_project_number(f"Z{kind}", source_id)
    readable = f"{kind}{source_id}-{space}" if is_whole_number(source_id) else ""
    return _fitting(readable, f"{space}/{kind}/{source_id}")


def _fitting(readable: str, facts: str) -> str:
    """The readable number if it fits, else `S` and 46 bits of the hash of all that the number stands for.

    A project is only used for its own customer, so that two equal hashes would ask a person.
    """
    if 0 < len(readable) <= PROJECT_NUMBER_LENGTH:
        return readable
    return f"S{_hash36(facts)[1 - PROJECT_NUMBER_LENGTH :]}"


def _first_project_number(prefix: str, source_id: str) -> str:
    """A number as ever since: ids that do not fit in base 36; of other texts as much of the hash as there is room."""
    number = f"{prefix}{source_id}"
    if len(number) <= PROJECT_NUMBER_LENGTH:
        return number
    if is_whole_number(source_id):
        return f"{prefix}X{_base36(int(source_id))}"
    room = max(PROJECT_NUMBER_LENGTH - len(prefix) - 1, 0)
    return f"{prefix}Y{_hash36(source_id)[:room]}"


def _written(source_id: str) -> str:
    """An id as it stands in a number: lower case, no two ids alike, at most `_LONGEST_ID` characters."""
    if len(source_id) <= _LONGEST_ID and (is_whole_number(source_id) or _NAMED.fullmatch(source_id)):
        return source_id
    encoded = source_id.encode()
    written = f"x{encoded.hex()}"
    return written if len(written) <= _LONGEST_ID else f"y{hashlib.sha256(encoded).hexdigest()[:_HASHED]}"


def _hash36(text: str) -> str:
    return _base36(int(hashlib.sha256(text.encode()).hexdigest(), 16))


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
