"""Texts of the section Reconcile."""

WORDS: dict[str, tuple[str, str, str]] = {}
