"""Extraction from the target: its directory and its time sheets."""
