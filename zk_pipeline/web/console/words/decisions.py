"""Texts of the section Decisions."""

WORDS: dict[str, tuple[str, str, str]] = {}
