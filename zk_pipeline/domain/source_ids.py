"""The ids of a source, which are text: their order, and what stands for them in hashes and names."""

NO_ORGANIZATION = "0"
"""In place of an organization's id: tickets without one. No system gives this id."""
NO_TYPE = "0"
"""In place of an activity type's id: bookings without one."""


def source_id_order(source_id: str) -> tuple[int, str]:
    """Sort key for ids of a source: whole numbers by number, so that the oldest comes first; other text by length."""
    return len(source_id), source_id


def hashed_id(source_id: str | None) -> int | str | None:
    """An id as it goes into hashes: a whole number as a number, which all hashes of earlier releases have."""
    return int(source_id) if source_id is not None and is_whole_number(source_id) else source_id


def is_whole_number(source_id: str) -> bool:
    """Whether the id is a whole number as systems write it, without sign and leading zeros."""
    return source_id.isascii() and source_id.isdecimal() and source_id == str(int(source_id))
