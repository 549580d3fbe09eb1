"""Extraction from the source: its directory and its bookings."""
