"""Normalization and reconciliation: from bookings to the plan."""
