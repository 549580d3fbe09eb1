"""Decisions of people: conflicts, plans and their approval, mappings, undo."""
