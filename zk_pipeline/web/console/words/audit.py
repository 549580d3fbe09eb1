"""Texts of the section Audit."""

WORDS: dict[str, tuple[str, str, str]] = {}
