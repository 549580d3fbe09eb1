"""Telling people: what was told and is on its way, and its delivery to their addresses."""
